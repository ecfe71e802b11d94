"""What alarms on records are worth: precision among the first, costs, and which kinds are missed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from sklearn import metrics

from gatewise.report.text_table import aligned
from gatewise.tasks.recipes.thresholds import costs

__all__ = ["ALWAYS", "NEVER", "AlarmScores", "RecordEvaluation", "measure_alarms", "verdict_of"]

NEVER, ALWAYS = "never an alarm", "always an alarm"
Scores = Float[np.ndarray, " records"]
Flags = Bool[np.ndarray, " records"]


@dataclass(frozen=True)
class AlarmScores:
    """One method's alarms.

    Args:
        accuracy: share of records that were decided rightly.
        recall, precision: of the alarms (precision None without an alarm).
        false_alarm_rate: share of harmless records that raised one.
        auc, average_precision: of the scores, without a threshold; None where only one kind of record came.
        precision_at: k -> share of bad records among the k highest scores.
        cost: looking into alarms, and the losses that were missed.
    """

    accuracy: float
    recall: float | None
    precision: float | None
    false_alarm_rate: float | None
    auc: float | None
    average_precision: float | None
    precision_at: dict[int, float]
    cost: float


@dataclass(frozen=True)
class RecordEvaluation:
    """The result of `RecordDetector.evaluate`.

    Args:
        model: the model's name in tables.
        scores: method -> scores: the model, then never and always an alarm, then what was added.
        by_kind: kind of bad record -> recall and count, and whether training had shown it.
        records, bad: how many came.
        probabilities, truth, loss: of every record, for curves and for other methods.
        alarm_cost: of looking into one.
        verdict: in words.
        worth_it: whether alarms and misses cost less than never, and than always, raising one.
        threshold: the probability above which an alarm was raised; None where each record's own loss decides.
    """

    model: str
    scores: dict[str, AlarmScores]
    by_kind: dict[str, dict[str, Any]]
    records: int
    bad: int
    probabilities: Scores
    truth: Flags
    loss: Scores
    alarm_cost: float
    verdict: str
    worth_it: bool
    threshold: float | None

    def beside(
        self, name: str, probabilities: NDArray[np.float64], alarms: NDArray[np.bool_]
    ) -> RecordEvaluation:
        """The same with another method's probabilities and alarms on the same records."""
        other = measure_alarms(
            np.asarray(probabilities, dtype=np.float64), np.asarray(alarms, dtype=bool), self.truth, self.loss,
            self.alarm_cost, tuple(self.scores[self.model].precision_at),
        )  # fmt: skip
        own = self.scores[self.model]
        better = (own.average_precision or 0) > (other.average_precision or 0)
        cheaper = own.cost < other.cost
        words = (
            f"Against {name}: average precision {_number(own.average_precision)} and {_number(other.average_precision)}"
            f", cost {own.cost:,.0f} and {other.cost:,.0f}: the model is {'better' if better else 'NOT better'} at "
            f"ranking and {'cheaper' if cheaper else 'NOT cheaper'}."
        )
        return replace(self, scores={**self.scores, name: other}, verdict=f"{self.verdict} {words}")

    def recall_of(self, *, known: bool) -> float | None:
        """Recall over the bad records whose kind training had shown, or had not."""
        rows = [row for row in self.by_kind.values() if row["known"] == known]
        count = sum(row["count"] for row in rows)
        return None if not count else sum(row["recall"] * row["count"] for row in rows) / count

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values."""
        return {
            "verdict": self.verdict,
            "worth_it": self.worth_it,
            "threshold": self.threshold,
            "records": self.records,
            "bad": self.bad,
            "recall_of_known_kinds": self.recall_of(known=True),
            "recall_of_unseen_kinds": self.recall_of(known=False),
            "scores": {
                name: {**vars(one), "precision_at": {str(k): v for k, v in one.precision_at.items()}}
                for name, one in self.scores.items()
            },
            "by_kind": self.by_kind,
        }

    def table_rows(self) -> list[list[str]]:
        """The table of scores as text, a header first."""
        first = next(iter(self.scores.values()))
        header = ["", "accuracy", "recall", "precision", "false alarms", "AUC", "avg. prec.",
                  *(f"prec. at {k}" for k in first.precision_at), "cost"]  # fmt: skip
        rows = [
            [
                name, *map(_number, (one.accuracy, one.recall, one.precision, one.false_alarm_rate, one.auc,
                                     one.average_precision, *one.precision_at.values())), f"{one.cost:,.0f}",
            ]
            for name, one in self.scores.items()
        ]  # fmt: skip
        return [header, *rows]

    def __str__(self) -> str:
        """The table of scores and the verdict, as plain text."""
        return "\n".join([*aligned(self.table_rows()), self.verdict])


def measure_alarms(
    probabilities: Scores, alarms: Flags, bad: Flags, loss: Scores, alarm_cost: float, at: tuple[int, ...]
) -> AlarmScores:
    """All measures of one method.

    Args:
        probabilities: of each record to be bad.
        alarms: whether one was raised.
        bad: whether it was.
        loss: what it costs to miss each.
        alarm_cost: of looking into an alarm.
        at: the k for which precision among the k highest scores is asked.
    """
    both = bool(bad.any() and not bad.all())
    order = np.argsort(-probabilities, kind="stable")
    return AlarmScores(
        accuracy=float((alarms == bad).mean()),
        recall=float(alarms[bad].mean()) if bad.any() else None,
        precision=float(bad[alarms].mean()) if alarms.any() else None,
        false_alarm_rate=float(alarms[~bad].mean()) if not bad.all() else None,
        auc=float(metrics.roc_auc_score(bad, probabilities)) if both else None,
        average_precision=float(metrics.average_precision_score(bad, probabilities)) if both else None,
        precision_at={k: float(bad[order[:k]].mean()) for k in at},
        cost=costs(alarms, bad, loss, alarm_cost),
    )


def verdict_of(scores: dict[str, AlarmScores], model: str, majority: str) -> tuple[str, bool]:
    """Whether the model's alarms are worth what they cost, and whether it beats the majority class.

    Returns:
        Both in words, and whether the first is so.
    """
    own = scores[model]
    cheapest = min((NEVER, ALWAYS), key=lambda name: scores[name].cost)
    worth = own.cost < scores[cheapest].cost
    beats = own.accuracy > scores[majority].accuracy
    words = (
        f"Alarms and misses cost {own.cost:,.0f} against {scores[cheapest].cost:,.0f} for {cheapest}: the model "
        f"{'is worth it' if worth else 'is NOT worth it'}. Accuracy {own.accuracy:.1%} against "
        f"{scores[majority].accuracy:.1%} for {majority}, the majority class"
        + ("." if beats else ", which it does NOT beat.")
    )
    return words, worth


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
