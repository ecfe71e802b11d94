"""Estimators, one per job: fit, predict, evaluate, save and load. Each loads when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatewise.tasks.anomaly import AnomalyDetector
    from gatewise.tasks.classify import SequenceClassifier
    from gatewise.tasks.forecast import Forecaster
    from gatewise.tasks.language import LanguageModel
    from gatewise.tasks.loading import load
    from gatewise.tasks.seq2seq import Summarizer, Translator
    from gatewise.tasks.tagging import SequenceTagger
    from gatewise.tasks.text_classification import TextClassifier

_FROM = {
    "AnomalyDetector": "anomaly",
    "Forecaster": "forecast",
    "LanguageModel": "language",
    "SequenceClassifier": "classify",
    "SequenceTagger": "tagging",
    "Summarizer": "seq2seq",
    "TextClassifier": "text_classification",
    "Translator": "seq2seq",
    "load": "loading",
}

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


def __getattr__(name: str) -> Any:
    """Load an estimator when it is first asked for (PEP 562)."""
    if name not in _FROM:
        raise AttributeError(f"module 'gatewise.tasks' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"gatewise.tasks.{_FROM[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the estimators, loaded or not."""
    return sorted(__all__)
