"""Probabilistic forecasts of time series."""

from gatewise.tasks.forecast.evaluation import Evaluation
from gatewise.tasks.forecast.forecaster import Forecaster

__all__ = ["Evaluation", "Forecaster"]
