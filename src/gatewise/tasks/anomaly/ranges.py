"""Range-based precision and recall (Tatbul et al. 2018): how much of each span is found, and in how many pieces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gatewise.errors import ArgumentError
from gatewise.tasks.anomaly.events import Hits
from gatewise.tasks.anomaly.labels import spans_of

__all__ = ["BIASES", "range_hits"]

Marks = NDArray[np.bool_]
Span = tuple[int, int]
BIASES = ("flat", "front", "back", "middle")


def range_hits(
    alarms: Marks,
    labels: Marks,
    starts: NDArray[np.int64] | None = None,
    *,
    existence: float = 0.0,
    bias: str = "flat",
) -> Hits:
    """Precision and recall over ranges (Tatbul et al. 2018, eq. 1 to 7), with the cardinality factor 1 / pieces.

    Args:
        alarms, labels: (rows,)
        starts: where each series begins, and the total at the end; None: one series.
        existence: the weight alpha, in 0 to 1, of finding a labelled span at all; the rest weighs how much of
        it is found.
            Precision has no such part, as in the paper.
        bias: which rows of a labelled span weigh most: "flat", "front", "back" or "middle"; precision is flat.

    Raises:
        ArgumentError: an unknown bias, or a weight out of range.

    Example:
        >>> labels = np.array([0, 1, 1, 1, 1, 0, 0, 0], dtype=bool)
        >>> alarms = np.array([0, 0, 1, 0, 1, 1, 0, 0], dtype=bool)
        >>> range_hits(alarms, labels)  # half of the span in two pieces; one alarm whole, one half inside
        Hits(precision=0.75, recall=0.25)
    """
    if bias not in BIASES:
        raise ArgumentError(f"bias: one of {', '.join(map(repr, BIASES))} is expected, came {bias!r}")
    if not 0 <= existence <= 1:
        raise ArgumentError(f"existence: a weight in 0 to 1 is expected, came {existence!r}")
    found, true = spans_of(alarms, starts), spans_of(labels, starts)
    recall = [
        existence * bool(alarms[first:end].any())
        + (1 - existence) * _share((first, end), found, bias)
        for first, end in true
    ]  # fmt: skip
    precision = [_share(span, true, "flat") for span in found]
    return Hits(
        float(np.mean(precision)) if precision else 0.0,
        float(np.mean(recall)) if recall else 0.0,
    )


def _share(span: Span, others: list[Span], bias: str) -> float:
    """The weighed share of a span that others cover, by the number of those that touch it."""
    first, end = span
    touching = [other for other in others if other[0] < end and other[1] > first]
    if not touching:
        return 0.0
    weights = _weights(end - first, bias)
    covered = sum(float(weights[max(a, first) - first : min(b, end) - first].sum()) for a, b in touching)
    return covered / float(weights.sum()) / len(touching)


def _weights(length: int, bias: str) -> NDArray[np.float64]:
    place = np.arange(1, length + 1, dtype=np.float64)
    if bias == "front":
        return place[::-1]
    if bias == "back":
        return place
    if bias == "middle":
        return np.minimum(place, place[::-1])
    return np.ones(length)
