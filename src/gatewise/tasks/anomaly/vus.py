"""VUS-PR (Paparrizos et al. 2022): the volume under precision and recall over thresholds and tolerances of place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gatewise.errors import ArgumentError
from gatewise.tasks.anomaly.labels import spans_of

__all__ = ["range_auc_pr", "soft_labels", "vus_pr"]

Values = NDArray[np.float64]
Marks = NDArray[np.bool_]


def soft_labels(labels: Marks, buffer: int, starts: NDArray[np.int64] | None = None) -> Values:
    """Labels that fade out over half a buffer before and after each span, as sqrt(1 - distance / buffer).

    Args:
        labels: (rows,)
        buffer: rows, at least 0.
        starts: where each series begins, and the total at the end; None: one series.
    """
    soft = labels.astype(np.float64)
    half = buffer // 2
    if half == 0:
        return soft
    bounds = np.array([0, len(labels)]) if starts is None else starts
    for first, end in spans_of(labels, starts):
        home = int(np.searchsorted(bounds, first, side="right")) - 1
        low, high = max(first - half, int(bounds[home])), min(end + half, int(bounds[home + 1]))
        before, after = np.arange(low, first), np.arange(end, high)
        soft[before] += np.sqrt(1 - (first - before) / buffer)
        soft[after] += np.sqrt(1 - (after - (end - 1)) / buffer)
    return np.minimum(soft, 1.0)


def range_auc_pr(
    scores: Values, labels: Marks, buffer: int, starts: NDArray[np.int64] | None = None
) -> float:
    """The area under precision and recall for one buffer (Paparrizos et al. 2022, sec. 4).

    Recall is the soft labels' share that lies above the threshold, by the mean of the hard and the soft total, times
    the share of spans that are found at all; precision is their sum by the number of alarms. Every score is a
    threshold; the area is that of the steps, precision times the gain in recall, as in average precision.
    """
    if not labels.any():
        return float("nan")
    soft = soft_labels(labels, buffer, starts)
    spans = spans_of(soft > 0, starts)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    # Only where the score changes is there a threshold.
    last = np.append(np.flatnonzero(np.diff(ranked) != 0), len(ranked) - 1)
    caught = np.cumsum(soft[order])[last]
    total = (labels.sum() + soft.sum()) / 2
    highest = np.sort([scores[first:end].max() for first, end in spans])
    found = (len(spans) - np.searchsorted(highest, ranked[last], side="left")) / len(spans)
    recall = np.minimum(caught / total, 1.0) * found
    precision = caught / (last + 1)
    return float((np.diff(np.concatenate([[0.0], recall])) * precision).sum())


def vus_pr(
    scores: Values, labels: Marks, *, buffer: int | None = None, starts: NDArray[np.int64] | None = None
) -> float:
    """The mean of `range_auc_pr` over buffers from 0 to `buffer`: no threshold and no exact place is favoured.

    Args:
        scores: (rows,), higher is stranger; NaN counts as lowest.
        labels: (rows,)
        buffer: the widest, in rows; None: the median length of the labelled spans, at most 200.
        starts: where each series begins, and the total at the end; None: one series.

    Returns:
        In 0 to 1; NaN where nothing is labelled.

    Raises:
        ArgumentError: a negative buffer.

    Example:
        >>> labels = np.array([0, 0, 1, 1, 0, 0], dtype=bool)
        >>> vus_pr(np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0]), labels, buffer=0)
        1.0
    """
    if buffer is None:
        spans = spans_of(labels, starts)
        buffer = min(200, int(np.median([end - first for first, end in spans]))) if spans else 0
    if buffer < 0:
        raise ArgumentError(f"buffer: at least 0 is expected, came {buffer}")
    filled = np.where(np.isnan(scores), -np.inf, scores)
    # Odd buffers have the reach of the even ones below them, but fade more slowly; at most 20 of them are taken.
    buffers = np.unique(np.linspace(0, buffer, min(buffer + 1, 21)).astype(int))
    return float(np.mean([range_auc_pr(filled, labels, int(one), starts) for one in buffers]))
