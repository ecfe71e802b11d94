"""What an evaluation found: the network and the trivial detectors on the same rows, and the verdict in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewise.data.frequency import parse_stamp
from gatewise.errors import DataError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.anomaly.baselines import GAUSSIAN, LAST_VALUE, baseline_scores
from gatewise.tasks.anomaly.events import event_hits, point_adjusted_hits, point_hits
from gatewise.tasks.anomaly.fitted import Judged
from gatewise.tasks.anomaly.fitting import HELD_SHARE, calibrated
from gatewise.tasks.anomaly.labels import spans_of
from gatewise.tasks.anomaly.options import Options
from gatewise.tasks.anomaly.ranges import range_hits
from gatewise.tasks.anomaly.series import Series
from gatewise.tasks.anomaly.vus import vus_pr

if TYPE_CHECKING:
    from gatewise.tasks.anomaly.detector import AnomalyDetector

from gatewise.report.text_table import aligned

__all__ = ["Evaluation", "Measures", "evaluate", "table_rows"]

Marks = NDArray[np.bool_]
# Differences smaller than this are called a tie.
_TIE = 0.01


@dataclass(frozen=True)
class Measures:
    """One method's results; None where nothing is labelled.

    Args:
        alarm_rate: the share of rows that alarm.
        events: runs of alarms.
        event_f1, event_precision, event_recall: of events, without any adjustment.
        range_precision, range_recall: Tatbul et al. 2018, flat, no existence reward.
        point_f1: of rows, without any adjustment.
        vus_pr: Paparrizos et al. 2022, over all thresholds.
        point_adjusted_f1: of rows after point adjustment: not comparable with the others.
    """

    alarm_rate: float
    events: int
    event_f1: float | None = None
    event_precision: float | None = None
    event_recall: float | None = None
    range_precision: float | None = None
    range_recall: float | None = None
    point_f1: float | None = None
    vus_pr: float | None = None
    point_adjusted_f1: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """The result of `AnomalyDetector.evaluate`.

    Args:
        model: the model's name in tables.
        measures: method -> results; the model first, then the trivial detectors.
        rows, series, labelled: how many rows were judged, of how many series, with how many labelled events.
        span: first and last stamp that was judged, as text.
        error: method -> mean absolute error of foretelling the next row, in units of the channels' spread; the model
            and the last value.
        verdict: in words, whether the model beats the trivial detectors.
        beats_trivial: whether it does.
        judged: the model's scores and alarms, for plots.
        labels: the labelled rows, or None.
        within: which rows were judged.
    """

    model: str
    measures: dict[str, Measures]
    rows: int
    series: int
    labelled: int
    span: tuple[str, str]
    error: dict[str, float]
    verdict: str
    beats_trivial: bool
    judged: Judged
    labels: Marks | None
    within: Marks

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values (NaN as None)."""
        return {
            "verdict": self.verdict,
            "beats_trivial": self.beats_trivial,
            "rows": self.rows,
            "series": self.series,
            "labelled_events": self.labelled,
            "span": list(self.span),
            "error_of_the_next_row": {name: _plain(value) for name, value in self.error.items()},
            "methods": {
                name: {key: _plain(value) for key, value in vars(measures).items()}
                for name, measures in self.measures.items()
            },
        }

    def __str__(self) -> str:
        """The table and the verdict, as plain text."""
        return "\n".join([*aligned(table_rows(self)), self.verdict])


def table_rows(evaluation: Evaluation) -> list[list[str]]:
    """Methods and measures as text, a header first; the point-adjusted figure last and called so."""
    if evaluation.labels is None:
        rows = [["", "alarm rate", "alarms"]]
        rows += [[n, f"{m.alarm_rate:.3%}", str(m.events)] for n, m in evaluation.measures.items()]
        return rows
    header = ["", "event F1", "precision", "recall", "range P", "range R", "row F1", "VUS-PR", "alarm rate"]
    rows = [[*header, "(point-adjusted F1)"]]
    for name, one in evaluation.measures.items():
        numbers = (one.event_f1, one.event_precision, one.event_recall, one.range_precision, one.range_recall,
                   one.point_f1, one.vus_pr)  # fmt: skip
        rows.append(
            [
                name,
                *(_short(number) for number in numbers),
                f"{one.alarm_rate:.3%}",
                f"({_short(one.point_adjusted_f1)})",
            ]
        )
    return rows


@no_type_check
def evaluate(detector: AnomalyDetector, series: Series, labels: Marks | None, start: Any) -> Evaluation:
    """Judge a fitted detector and the trivial ones on the same rows; see `AnomalyDetector.evaluate`."""
    fitted = detector.fitted_
    within, before = _parts(series, start)
    judged = fitted.judge(fitted.score(series))
    options = Options.from_estimator(detector._plain(), 0)
    model = fitted.plan.program.name
    scores = {model: judged.scored.scores, **baseline_scores(series, fitted.scaler.spread)}
    alarms = {model: judged.alarms}
    for name in (GAUSSIAN, LAST_VALUE):
        threshold = _trivial_threshold(scores[name], before, labels, series, options)
        alarms[name] = np.zeros(series.rows, dtype=bool)
        for index in range(len(series)):
            own = threshold.fresh()
            rows = range(int(series.starts[index]), int(series.starts[index + 1]))
            alarms[name][rows] = [own.step(float(scores[name][row]))[0] for row in rows]
    starts = np.concatenate([[0], np.cumsum(np.add.reduceat(within, series.starts[:-1]))]).astype(np.int64)
    marks = None if labels is None else labels[within]
    measures = {name: _measured(scores[name][within], alarms[name][within], marks, starts) for name in scores}
    error = _errors(judged, within, fitted.scaler.spread)
    beats, verdict = _verdict(measures, error, model)
    stamps = series.stamps[within]
    return Evaluation(
        model=model, measures=measures, rows=int(within.sum()), series=len(series),
        labelled=0 if marks is None else len(spans_of(marks, starts)),
        span=(series.show(stamps.min()), series.show(stamps.max())),
        error=error, verdict=verdict, beats_trivial=beats, judged=judged, labels=labels, within=within,
    )  # fmt: skip


@no_type_check
def _parts(series: Series, start: Any) -> tuple[Marks, Marks]:
    """Which rows are judged, and which the trivial detectors set their thresholds on."""
    if start is None:
        place = np.arange(series.rows) - np.repeat(series.starts[:-1], series.lengths)
        first = np.maximum((series.lengths * HELD_SHARE).astype(np.int64), 1)
        return np.ones(series.rows, dtype=bool), place < np.repeat(first, series.lengths)
    stamp = parse_stamp(start, series.kind, series.zone)
    within = series.stamps >= stamp
    if not within.any() or within.all():
        raise DataError(
            f"start: {series.show(stamp)} leaves no rows to judge or none before them; the rows go from "
            f"{series.show(series.stamps.min())} to {series.show(series.stamps.max())}"
        )
    return within, ~within


def _trivial_threshold(
    scores: NDArray[np.float64], before: Marks, labels: Marks | None, series: Series, options: Options
) -> Any:
    """The detector's own rule; where that is a number or needs labels that are not there, SPOT."""
    from dataclasses import replace

    if not isinstance(options.threshold, str) or options.threshold == "labels":
        options = replace(options, threshold="spot")
    return calibrated(scores, before, labels, series.starts, options)


def _measured(
    scores: NDArray[np.float64], alarms: Marks, labels: Marks | None, starts: NDArray[np.int64]
) -> Measures:
    runs = len(spans_of(alarms, starts))
    rate = float(alarms.mean())
    if labels is None or not labels.any():
        return Measures(rate, runs)
    events, ranges = event_hits(alarms, labels, starts), range_hits(alarms, labels, starts)
    return Measures(
        rate, runs, events.f1, events.precision, events.recall, ranges.precision, ranges.recall,
        point_hits(alarms, labels).f1, vus_pr(scores, labels, starts=starts),
        point_adjusted_hits(alarms, labels, starts).f1,
    )  # fmt: skip


def _errors(judged: Judged, within: Marks, spread: NDArray[np.float64]) -> dict[str, float]:
    """Mean absolute errors of the model and of the last value on the same rows, in units of the spread."""
    series, expected = judged.scored.series, judged.scored.expected
    last = np.full_like(series.values, np.nan)
    last[1:] = series.values[:-1]
    last[series.starts[:-1]] = np.nan
    known = within[:, None] & ~np.isnan(series.values) & ~np.isnan(expected) & ~np.isnan(last)
    if not known.any():
        return {}
    own, trivial = (np.abs(series.values - other) / spread for other in (expected, last))
    return {"model": float(own[known].mean()), LAST_VALUE: float(trivial[known].mean())}


def _verdict(measures: dict[str, Measures], error: dict[str, float], model: str) -> tuple[bool, str]:
    own = measures[model]
    if own.event_f1 is None or own.vus_pr is None:
        beats = bool(error) and error["model"] < error[LAST_VALUE] * (1 - _TIE)
        words = "Nothing is labelled, so whether alarms are right cannot be told."
        if error:
            share = error["model"] / max(error[LAST_VALUE], 1e-300)
            words += (
                f" The network's error of the next row is {1 - share:.1%} below that of the last value."
                if beats
                else " The network does NOT foretell the next row better than the last value does "
                f"({error['model']:.3g} against {error[LAST_VALUE]:.3g}): distrust its alarms, or use the "
                "simpler detector."
            )
        return beats, words
    trivial = {name: one for name, one in measures.items() if name != model}
    better = max(trivial, key=lambda name: (trivial[name].event_f1 or 0.0, trivial[name].vus_pr or 0.0))
    other = trivial[better]
    gain = own.event_f1 - (other.event_f1 or 0.0)
    volume = own.vus_pr - max(one.vus_pr or 0.0 for one in trivial.values())
    figures = (
        f"event F1 {own.event_f1:.3f} against {other.event_f1:.3f} for the better trivial detector, {better}; VUS-PR "
        f"{own.vus_pr:.3f} against at best {own.vus_pr - volume:.3f}"
    )
    if gain > _TIE and volume >= -_TIE:
        return True, f"The network beats the trivial detectors: {figures}."
    if gain > _TIE:
        return True, (
            f"The network's alarms beat the trivial detectors', but its ranking of rows does not: {figures}."
        )
    if gain > -_TIE and volume > _TIE:
        return (
            True,
            f"The network's alarms are level with the trivial detector's, its ranking of rows is better: {figures}.",
        )
    if volume > _TIE:
        return False, (
            f"The network's alarms do NOT beat the trivial detector's, though it ranks the rows better: "
            f"{figures}. Another "
            "threshold or false-alarm rate may serve; else use the trivial one."
        )
    return False, (
        f"The network does NOT beat the trivial detector: {figures}. Use {better}, or give the network more "
        "normal rows."
    )


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _short(number: float | None) -> str:
    return "" if number is None else f"{number:.3f}"
