"""When to raise an alarm: by what it costs, by the false alarms that can be borne, or by F1."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from sklearn import metrics

from gatewise.errors import DataError

__all__ = [
    "RULES",
    "balanced_threshold",
    "best_f1_threshold",
    "cost_curve",
    "costs",
    "false_alarm_threshold",
    "worth_an_alarm",
]

RULES = ("cost", "false_alarms", "f1", "balanced", "half")
Scores = Float[np.ndarray, " records"]
Flags = Bool[np.ndarray, " records"]


def worth_an_alarm(scores: Scores, loss: Scores, alarm_cost: float) -> Flags:
    """Whether an alarm costs less than it is expected to save: p * loss > alarm_cost (Elkan 2001, eq. 2).

    Args:
        scores: calibrated probabilities.
        loss: what it costs to miss each record, were it a bad one.
        alarm_cost: what it costs to look into an alarm, in the same unit.

    Example:
        >>> worth_an_alarm(np.array([0.1, 0.1]), np.array([20.0, 500.0]), 10.0).tolist()
        [False, True]
    """
    return scores * loss > alarm_cost


def false_alarm_threshold(scores: Scores, bad: Flags, rate: float) -> float:
    """The score that at most this share of the harmless records lies above.

    Args:
        scores: of records that were not trained on.
        bad: which of them are bad.
        rate: above 0 and below 1.

    Raises:
        DataError: there is no harmless record.
    """
    harmless = scores[~bad]
    if not len(harmless):
        raise DataError(
            "labels: no harmless record was held back to count false alarms on; give more records"
        )
    return float(np.quantile(harmless, 1 - rate, method="higher"))


def best_f1_threshold(scores: Scores, bad: Flags) -> float:
    """The score from which on alarms have the best F1.

    Raises:
        DataError: there is no bad record.
    """
    if not bad.any():
        raise DataError("labels: no bad record was held back to choose a threshold by; give more records")
    precision, recall, thresholds = metrics.precision_recall_curve(bad, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1[:-1].argmax())
    # Alarms are raised above the threshold, the curve counts those at it.
    return float(np.nextafter(thresholds[best], -np.inf))


def balanced_threshold(scores: Scores, bad: Flags, kinds: NDArray[Any]) -> float:
    """The score with the best mean of the harmless records' share below it and the kinds' mean recall (Youden 1950).

    Args:
        scores: of records that were not trained on.
        bad: which of them are bad.
        kinds: (records,) what each is; kinds of bad records count alike, however many records they have.

    Raises:
        DataError: there is no bad, or no harmless record.
    """
    if bad.all() or not bad.any():
        raise DataError(
            f"labels: no {'harmless' if bad.all() else 'bad'} record was held back to choose a threshold by; give "
            "more records"
        )
    levels = np.unique(scores)
    quiet = np.searchsorted(np.sort(scores[~bad]), levels, side="right") / (~bad).sum()
    missed = [
        np.searchsorted(np.sort(own), levels, side="right") / len(own)
        for own in (scores[bad & (kinds == kind)] for kind in np.unique(kinds[bad]))
    ]
    return float(levels[int((quiet - np.mean(missed, axis=0)).argmax())])


def costs(alarms: Flags, bad: Flags, loss: Scores, alarm_cost: float) -> float:
    """What a set of alarms costs: looking into each, and the losses that were missed."""
    return float(alarms.sum() * alarm_cost + loss[bad & ~alarms].sum())


def cost_curve(
    scores: Scores, bad: Flags, loss: Scores, alarm_cost: float, *, most: int = 2000
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """What alarms and misses cost where every record with at least this score raises an alarm.

    Args:
        scores: of each record.
        bad: which are bad.
        loss: what it costs to miss each.
        alarm_cost: of looking into an alarm.
        most: points at most; more scores than that are thinned out evenly by rank.

    Returns:
        Scores, falling, each a threshold, and the cost at each.

    Example:
        >>> truth = np.array([True, False])
        >>> cost_curve(np.array([0.9, 0.2]), truth, np.array([5.0, 5.0]), 1.0)[1].tolist()
        [1.0, 2.0]
    """
    order = np.argsort(-scores, kind="stable")
    falling, saved = scores[order], np.cumsum(np.where(bad, loss, 0.0)[order])
    last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)  # the last of those with one score
    last = last[np.unique(np.linspace(0, len(last) - 1, most).round().astype(np.int64))]
    return falling[last], (last + 1) * alarm_cost + saved[-1] - saved[last]
