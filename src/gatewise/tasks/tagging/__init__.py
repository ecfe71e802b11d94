"""Tagging words, and telling what a sentence wants."""

from gatewise.tasks.tagging.evaluation import TagEvaluation
from gatewise.tasks.tagging.tagger import SequenceTagger

__all__ = ["SequenceTagger", "TagEvaluation"]
