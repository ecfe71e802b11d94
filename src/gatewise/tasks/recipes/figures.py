"""The pictures of a record detector's report. Each draws an evaluation's numbers and knows no network."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics

from gatewise.report.canvas import GRID, INK, LINE, MODEL, MUTED, OTHERS, canvas
from gatewise.tasks.recipes.evaluation import ALWAYS, NEVER, RecordEvaluation
from gatewise.tasks.recipes.thresholds import cost_curve

__all__ = ["plot_costs", "plot_kinds", "plot_precision_recall", "plot_scores"]

# Probabilities nearer to 0 or 1 than this are drawn here; on a logit axis those have no place.
_EDGE = 1e-4
_MOST_KINDS = 30


def plot_precision_recall(evaluation: RecordEvaluation) -> Figure:
    """Precision against recall over all thresholds, and where the detector's own alarms lie."""
    own = evaluation.scores[evaluation.model]
    with canvas(5.4, 4.4) as (figure, axes):
        precision, recall, _ = metrics.precision_recall_curve(evaluation.truth, evaluation.probabilities)
        axes.plot(recall, precision, color=MODEL, lw=1.8, drawstyle="steps-post")
        share = evaluation.bad / evaluation.records
        axes.axhline(share, color=LINE, lw=1, ls="--")
        axes.annotate(
            f"any record: {share:.2%}",
            (0.02, share),
            (0, 4),
            textcoords="offset points",
            color=MUTED,
            fontsize=9,
        )
        if own.recall is not None and own.precision is not None:
            axes.plot(own.recall, own.precision, "o", color=MODEL, ms=8, mfc="white", mew=2)
            up = own.precision < 0.5
            axes.annotate(
                "the alarms as raised", (own.recall, own.precision), (0, 12 if up else -17),
                textcoords="offset points", color=MODEL, fontsize=9, ha="left" if own.recall < 0.5 else "right",
            )  # fmt: skip
        axes.set(xlim=(0, 1.02), ylim=(0, 1.03), xlabel="recall: bad records that raise an alarm",
                 ylabel="precision: alarms that are right")  # fmt: skip
        area = "" if own.average_precision is None else f" (average precision {own.average_precision:.3f})"
        axes.set_title(f"Precision and recall{area}")
        return figure


def plot_costs(evaluation: RecordEvaluation) -> Figure:
    """What alarms and misses cost together, by the probability from which alarms are raised."""
    with canvas(5.4, 4.4) as (figure, axes):
        thresholds, costs = cost_curve(
            evaluation.probabilities, evaluation.truth, evaluation.loss, evaluation.alarm_cost
        )
        axes.plot(np.clip(thresholds, _EDGE, 1 - _EDGE), costs, color=MODEL, lw=1.8)
        for name, colour in ((NEVER, OTHERS[0]), (ALWAYS, OTHERS[2])):
            axes.axhline(evaluation.scores[name].cost, color=colour, lw=1.2, ls=":", label=name)
        own = evaluation.scores[evaluation.model].cost
        if evaluation.threshold is None:
            axes.axhline(own, color=MODEL, lw=1.4, ls="--", label="as raised: by each record's own loss")
        else:
            place = float(np.clip(evaluation.threshold, _EDGE, 1 - _EDGE))
            axes.plot(place, own, "o", color=MODEL, ms=8, mfc="white", mew=2, label="as raised")
        axes.set_xscale("logit")
        axes.set_xticks([0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999],
                        ["≤0.0001", "0.001", "0.01", "0.1", "0.5", "0.9", "0.99", "0.999", "≥0.9999"],
                        fontsize=8)  # fmt: skip
        axes.set_xticks([], minor=True)
        axes.set(xlim=(_EDGE, 1 - _EDGE), ylim=(0, None), xlabel="probability from which an alarm is raised")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_title("Cost of alarms and misses")
        axes.legend(loc="best")
        return figure


def plot_kinds(evaluation: RecordEvaluation) -> Figure:
    """The share of each kind of bad record that raised an alarm; kinds that training never showed apart."""
    rows = sorted(evaluation.by_kind.items(), key=lambda one: (not one[1]["known"], -one[1]["count"]))
    rows = rows[:_MOST_KINDS][::-1]
    with canvas(7.6, float(max(1.6, 0.9 + 0.27 * len(rows)))) as (figure, axes):
        axes.grid(visible=False)
        places = np.arange(len(rows))
        recalls = np.array([row["recall"] for _, row in rows])
        counts = np.array([row["count"] for _, row in rows])
        known = np.array([row["known"] for _, row in rows], dtype=bool)
        for which, colour, name in (
            (known, MODEL, "shown in training"),
            (~known, OTHERS[0], "never shown in training"),
        ):
            if which.any():
                axes.barh(places[which], recalls[which], color=colour, height=0.66, label=name)
        # Two standard errors of a share of so many (Agresti & Coull 1998: two of each added).
        middle = (recalls * counts + 2) / (counts + 4)
        spread = 2 * np.sqrt(middle * (1 - middle) / (counts + 4))
        left, right = np.clip(middle - spread, 0, 1), np.clip(middle + spread, 0, 1)
        axes.hlines(places, left, right, color=INK, lw=1, alpha=0.55)
        axes.set_yticks(places, [f"{name} ({row['count']:,})" for name, row in rows], fontsize=8.5)
        axes.set(xlim=(0, 1), xlabel="share that raised an alarm")
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.xaxis.grid(visible=True, color=GRID)
        axes.set_title("Which kinds are found")
        if (~known).any():
            figure.legend(loc="outside lower center", ncols=2)
        return figure


def plot_scores(evaluation: RecordEvaluation) -> Figure:
    """How the probabilities of harmless and of bad records lie."""
    with canvas(5.4, 4.4) as (figure, axes):
        logits = [_logit(evaluation.probabilities[evaluation.truth == bad]) for bad in (False, True)]
        bins = np.linspace(_logit(np.array([_EDGE]))[0], _logit(np.array([1 - _EDGE]))[0], 41)
        for values, colour, name in zip(logits, (MUTED, OTHERS[3]), ("harmless", "bad"), strict=True):
            if len(values):
                weights = np.full(len(values), 1 / len(values))
                axes.hist(values, bins, weights=weights, color=colour, alpha=0.55, label=name)
        if evaluation.threshold is not None:
            axes.axvline(_logit(np.array([evaluation.threshold]))[0], color=MODEL, lw=1.5, label="threshold")
        marks = np.array([0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999])
        axes.set_xticks(_logit(marks), [f"{one:g}" for one in marks], fontsize=8)
        axes.set(xlabel="probability of being bad", ylabel="share of these records")
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.set_title("Where harmless and bad records lie")
        axes.legend(loc="upper center")
        return figure


def _logit(values: Any) -> Any:
    cut = np.clip(values, _EDGE, 1 - _EDGE)
    return np.log(cut / (1 - cut))
