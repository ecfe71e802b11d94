"""Alarms against labelled events: un-adjusted F1 of events and of rows; the point-adjusted one only beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatewise.tasks.anomaly.labels import spans_of

__all__ = ["Hits", "best_threshold", "event_hits", "point_adjusted_hits", "point_hits"]

Marks = NDArray[np.bool_]
Starts = NDArray[np.int64] | None


@dataclass(frozen=True)
class Hits:
    """Precision, recall and their harmonic mean, each in 0 to 1; 0 where there is nothing to count."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """2 P R / (P + R), 0 where both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 else 0.0


def event_hits(alarms: Marks, labels: Marks, starts: Starts = None) -> Hits:
    """Events against events, without any adjustment.

    A run of alarms is right if it touches a labelled span, a labelled span is found if an alarm lies in it: precision
    is the share of right runs, recall the share of found spans. (One endless alarm is thus one right run that
    finds all; range precision, which weighs the rows, tells it.)

    Args:
        alarms, labels: (rows,)
        starts: where each series begins, and the total at the end; None: one series.

    Example:
        >>> alarms = np.array([1, 0, 0, 1, 0, 0], dtype=bool)
        >>> labels = np.array([0, 0, 1, 1, 0, 1], dtype=bool)
        >>> event_hits(alarms, labels)
        Hits(precision=0.5, recall=0.5)
    """
    found, true = spans_of(alarms, starts), spans_of(labels, starts)
    right = sum(bool(labels[first:end].any()) for first, end in found)
    caught = sum(bool(alarms[first:end].any()) for first, end in true)
    return Hits(right / len(found) if found else 0.0, caught / len(true) if true else 0.0)


def point_hits(alarms: Marks, labels: Marks) -> Hits:
    """Rows against rows, without any adjustment."""
    right = int((alarms & labels).sum())
    return Hits(
        right / int(alarms.sum()) if alarms.any() else 0.0,
        right / int(labels.sum()) if labels.any() else 0.0,
    )


def point_adjusted_hits(alarms: Marks, labels: Marks, starts: Starts = None) -> Hits:
    """Rows against rows after every labelled span with one alarm is counted as alarmed throughout (Xu et al. 2018).

    Shown only because others show it: it makes random alarms look good (Kim et al. 2022).
    """
    adjusted = alarms.copy()
    for first, end in spans_of(labels, starts):
        if alarms[first:end].any():
            adjusted[first:end] = True
    return point_hits(adjusted, labels)


def best_threshold(scores: NDArray[np.float64], labels: Marks, starts: Starts = None) -> float:
    """The threshold whose alarms have the best event F1; of equals, the highest.

    Only scores that are the highest of a labelled span, or of a run between spans, change which spans are found or
    which runs are wrong; thresholds just below these are tried, and the highest wins a tie.
    """
    filled = np.where(np.isnan(scores), -np.inf, scores)
    highest = [filled[first:end].max() for first, end in spans_of(labels, starts)]
    between = np.sort(filled[~labels])[-512:]
    tried = np.unique(np.concatenate([highest, between]))
    tried = tried[np.isfinite(tried)]
    best, best_value = float(tried[-1]) if len(tried) else 0.0, -1.0
    for value in tried[::-1]:
        # Alarms lie strictly above a threshold.
        threshold = float(np.nextafter(value, -np.inf))
        f1 = event_hits(filled > threshold, labels, starts).f1
        if f1 > best_value:
            best, best_value = threshold, f1
    return best
