"""Probabilistic forecasts of time series."""

from gatewise.tasks.forecast.evaluation import Evaluation
from gatewise.tasks.forecast.forecaster import Forecaster
from gatewise.tasks.forecast.search import SearchResult, search_parameters

__all__ = ["Evaluation", "Forecaster", "SearchResult", "search_parameters"]
