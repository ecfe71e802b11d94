"""Classification of sequences."""

from gatewise.tasks.classify.classifier import SequenceClassifier
from gatewise.tasks.classify.evaluation import ClassEvaluation

__all__ = ["ClassEvaluation", "SequenceClassifier"]
