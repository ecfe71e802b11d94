"""When to raise an alarm: by what it costs, by the false alarms that can be borne, or by F1."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from sklearn import metrics

from gatewise.errors import DataError

__all__ = ["RULES", "best_f1_threshold", "costs", "false_alarm_threshold", "worth_an_alarm"]

RULES = ("cost", "false_alarms", "f1", "half")
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


def costs(alarms: Flags, bad: Flags, loss: Scores, alarm_cost: float) -> float:
    """What a set of alarms costs: looking into each, and the losses that were missed."""
    return float(alarms.sum() * alarm_cost + loss[bad & ~alarms].sum())
