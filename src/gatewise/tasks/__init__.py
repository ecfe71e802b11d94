"""Estimators, one per job: fit, predict, evaluate, save and load."""

from gatewise.tasks.anomaly import AnomalyDetector
from gatewise.tasks.classify import SequenceClassifier
from gatewise.tasks.forecast import Forecaster
from gatewise.tasks.language import LanguageModel
from gatewise.tasks.loading import load
from gatewise.tasks.seq2seq import Summarizer, Translator
from gatewise.tasks.tagging import SequenceTagger
from gatewise.tasks.text_classification import TextClassifier

__all__ = [
    "AnomalyDetector",
    "Forecaster",
    "LanguageModel",
    "SequenceClassifier",
    "SequenceTagger",
    "Summarizer",
    "TextClassifier",
    "Translator",
    "load",
]
