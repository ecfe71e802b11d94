"""Precision, recall and F1 of spans as conlleval counts them, from counts that add up over sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gatewise.data.text.tags import spans

__all__ = ["TagCounts", "count_tags", "ratio"]


@dataclass(frozen=True)
class TagCounts:
    """What is counted in one sentence or in many.

    Args:
        right: spans that were found with their first word, last word and kind.
        found: spans that were said.
        came: spans that are there.
        tags_right: tags that were met.
        tags: all tags.
        sentences_right: sentences all of whose tags were met.
        sentences: all sentences.
    """

    right: int
    found: int
    came: int
    tags_right: int
    tags: int
    sentences_right: int
    sentences: int

    @classmethod
    def of(cls, parts: Iterable[TagCounts]) -> TagCounts:
        """The sum of counts."""
        rows = [tuple(vars(one).values()) for one in parts]
        return cls(*(sum(column) for column in zip(*rows, strict=True))) if rows else cls(0, 0, 0, 0, 0, 0, 0)

    @property
    def precision(self) -> float:
        """Share of the spans said that are right."""
        return ratio(self.right, self.found)

    @property
    def recall(self) -> float:
        """Share of the spans that came that were found."""
        return ratio(self.right, self.came)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall (conlleval's FB1 as a share)."""
        return ratio(2 * self.right, self.found + self.came)

    @property
    def accuracy(self) -> float:
        """Share of tags that were met."""
        return ratio(self.tags_right, self.tags)

    @property
    def sentence_accuracy(self) -> float:
        """Share of sentences all of whose tags were met."""
        return ratio(self.sentences_right, self.sentences)


def count_tags(gold: Sequence[str], said: Sequence[str], spanned: bool = True) -> TagCounts:
    """Count in one sentence.

    Args:
        gold: the right tags.
        said: the tags that were said, as many.
        spanned: whether tags mark spans.

    Example:
        >>> counts = count_tags(["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "O", "O", "B-LOC"])
        >>> counts.f1, counts.accuracy
        (0.5, 0.75)
    """
    met = sum(a == b for a, b in zip(gold, said, strict=True))
    came, found = (set(spans(gold)), set(spans(said))) if spanned else (set(), set())
    return TagCounts(len(came & found), len(found), len(came), met, len(gold), int(met == len(gold)), 1)


def ratio(part: float, whole: float) -> float:
    """A share; 0 of nothing."""
    return part / whole if whole else 0.0
