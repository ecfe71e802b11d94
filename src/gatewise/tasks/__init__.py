"""Estimators, one per job: fit, predict, evaluate, save and load."""

from gatewise.tasks.classify import SequenceClassifier
from gatewise.tasks.forecast import Forecaster

__all__ = ["Forecaster", "SequenceClassifier"]
