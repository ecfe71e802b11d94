"""Classifying texts, and saying which words decide."""

from gatewise.tasks.text_classification.attribution import Attribution
from gatewise.tasks.text_classification.classifier import TextClassifier

__all__ = ["Attribution", "TextClassifier"]
