"""The report's pictures: series with what was flagged, scores, tails. Plain numbers in, matplotlib figures out."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gatewise.data.frequency import StampKind
from gatewise.report.canvas import INK, MODEL, STYLE
from gatewise.tasks.anomaly.evaluation import Evaluation
from gatewise.tasks.anomaly.fitted import Judged
from gatewise.tasks.anomaly.labels import spans_of

__all__ = ["plot_closeup", "plot_measures", "plot_scores", "plot_series", "strangest_spans"]

ALARM, LABEL, EXPECTED = "#c0392b", "#e8c268", "#7a9a3a"
# Legends stand beside the titles, which therefore keep to matplotlib's own distance.
_STYLE = {name: value for name, value in STYLE.items() if name != "axes.titlepad"}
# Beside the title, where no line runs.
_ABOVE: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.98), "ncols": 2, "borderpad": 0.1}
# More channels than these are not drawn; the ones to blame most are.
_MOST_CHANNELS = 6
# A line of more points than these is drawn by the extremes of equal stretches.
_MOST_POINTS = 4000


def plot_series(
    judged: Judged,
    labels: NDArray[np.bool_] | None,
    *,
    index: int = 0,
    rows: slice | None = None,
) -> Figure:
    """One series: its channels with flagged and labelled spans, and the score with its threshold.

    Args:
        judged: scores and alarms.
        labels: (rows,) the labelled rows, or None.
        index: which series.
        rows: which of its rows, counted over all series; None: all.
    """
    series = judged.scored.series
    rows = rows or series.of(index)
    channels = _channels(judged, rows)
    with rc_context(_STYLE):
        heights = [1.0] * len(channels) + [1.0]
        figure = Figure(figsize=(9.8, 1.5 + 1.35 * len(heights)), layout="constrained", facecolor="white")
        panels = np.atleast_1d(
            figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights})
        )
        times = _times(series.stamps[rows], series.kind)
        for axes, channel in zip(panels, channels, strict=False):
            _line(axes, times, series.values[rows, channel], color=INK, lw=0.9)
            axes.set_title(series.columns[channel])
            _spans(axes, times, labels, judged.alarms, rows)
        _score_panel(panels[-1], times, judged, rows)
        _spans(panels[-1], times, labels, None, rows)
        _date_axis(panels[-1], series.kind)
        _legend(panels[0], labels is not None)
    return figure


def plot_closeup(
    judged: Judged, labels: NDArray[np.bool_] | None, span: tuple[int, int], *, around: int
) -> Figure:
    """The rows around one flagged span: the channel to blame most, what was expected of it, and each channel's blame.

    Args:
        judged: scores and alarms.
        labels: (rows,) or None.
        span: first row and end, counted over all series.
        around: rows to show before and after it.
    """
    series, scored = judged.scored.series, judged.scored
    home = series.of(int(np.searchsorted(series.starts, span[0], side="right")) - 1)
    rows = slice(max(home.start, span[0] - around), min(home.stop, span[1] + around))
    blame = np.nansum(scored.contributions[slice(*span)], axis=0)
    channel = int(blame.argmax())
    several = len(series.columns) > 1
    with rc_context(_STYLE):
        figure = Figure(figsize=(9.8, 2.6), layout="constrained", facecolor="white")
        axes, bars = (
            figure.subplots(1, 2, gridspec_kw={"width_ratios": [3, 1]})
            if several
            else (figure.subplots(), None)
        )
        times = _times(series.stamps[rows], series.kind)
        axes.plot(times, series.values[rows, channel], color=INK, lw=1.1, label="what came")
        axes.plot(times, scored.expected[rows, channel], color=EXPECTED, lw=1.1, label="what was expected")
        axes.set_title(series.columns[channel])
        _spans(axes, times, labels, judged.alarms, rows)
        _date_axis(axes, series.kind)
        axes.legend(**_ABOVE)
        if bars is not None:
            order = np.argsort(blame)[-_MOST_CHANNELS:]
            bars.barh([series.columns[place] for place in order], np.maximum(blame[order], 0), color=MODEL)
            bars.set_title("blame")
            bars.grid(visible=False)
            bars.set_xticks([])
    return figure


def plot_scores(judged: Judged, within: NDArray[np.bool_]) -> Figure:
    """How often scores exceed a value, with the threshold: a straight tail on these axes is an exponential one."""
    scores = judged.scored.scores[within]
    scores = np.sort(scores[~np.isnan(scores)])[::-1]
    share = (np.arange(len(scores)) + 1) / max(len(scores), 1)
    with rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained", facecolor="white")
        axes = figure.subplots()
        axes.step(*_thinned(scores, share), color=MODEL, lw=1.2, where="post")
        if len(scores):
            axes.axvline(float(judged.thresholds[within][0]), color=ALARM, lw=1, ls="--", label="threshold")
        axes.set(yscale="log", xlabel="score", title="Share of rows whose score is higher")
        if len(scores) and scores[0] > 30 * max(float(np.median(scores)), 1e-9):
            axes.set_xscale("symlog", linthresh=max(float(np.quantile(scores, 0.9)), 1e-6))
        axes.set_xlim(left=0)
        axes.legend(loc="upper right")
    return figure


def plot_measures(evaluation: Evaluation) -> Figure:
    """Event F1 and VUS-PR of all methods side by side."""
    names = list(evaluation.measures)
    with rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained", facecolor="white")
        axes = figure.subplots()
        place = np.arange(len(names))
        for offset, (label, colour, key) in enumerate(
            (("event F1", MODEL, "event_f1"), ("VUS-PR", "#c8791b", "vus_pr"))
        ):
            values = [getattr(evaluation.measures[name], key) or 0.0 for name in names]
            axes.bar(place + (offset - 0.5) * 0.36, values, width=0.34, color=colour, label=label)
        axes.set_xticks(place, names)
        axes.set(ylim=(0, 1.12), title="Against the trivial detectors, un-adjusted")
        axes.legend(loc="upper right", ncols=2)
    return figure


def strangest_spans(judged: Judged, within: NDArray[np.bool_], most: int) -> list[tuple[int, int]]:
    """The flagged spans with the highest scores; where none is flagged, the single strangest rows."""
    scores = np.where(within & ~np.isnan(judged.scored.scores), judged.scored.scores, -np.inf)
    spans = _joined(spans_of(judged.alarms & within, judged.scored.series.starts))
    if not spans:
        rows = np.argsort(-scores)[: min(most, 1)]
        return [(int(row), int(row) + 1) for row in rows if np.isfinite(scores[row])]
    return sorted(spans, key=lambda span: -float(scores[slice(*span)].max()))[:most]


def _joined(spans: list[tuple[int, int]], gap: int = 8) -> list[tuple[int, int]]:
    """Spans with a few rows between them as one."""
    joined: list[tuple[int, int]] = []
    for first, end in spans:
        if joined and first - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((first, end))
    return joined


def _channels(judged: Judged, rows: slice) -> list[int]:
    count = len(judged.scored.series.columns)
    if count <= _MOST_CHANNELS:
        return list(range(count))
    blame = np.nansum(np.where(judged.alarms[rows, None], judged.scored.contributions[rows], 0.0), axis=0)
    return sorted(np.argsort(-blame, kind="stable")[:_MOST_CHANNELS].tolist())


def _score_panel(axes: Axes, times: NDArray[Any], judged: Judged, rows: slice) -> None:
    scores, thresholds = judged.scored.scores[rows], judged.thresholds[rows]
    _line(axes, times, scores, color=MODEL, lw=0.9)
    axes.plot(times, thresholds, color=ALARM, lw=1, ls="--", label="threshold")
    alarms = judged.alarms[rows]
    axes.plot(times[alarms], scores[alarms], ".", color=ALARM, ms=4)
    highest = float(np.nanmax(np.append(scores, 0.0)))
    if highest > 20 * float(thresholds[0]) > 0:
        axes.set_yscale("symlog", linthresh=float(thresholds[0]))
    axes.set_title("score (the higher the stranger)")
    axes.legend(**_ABOVE)


def _spans(
    axes: Axes,
    times: NDArray[Any],
    labels: NDArray[np.bool_] | None,
    alarms: NDArray[np.bool_] | None,
    rows: slice,
) -> None:
    """Labelled spans as a wash, flagged ones as red strokes; each at least wide enough to be seen."""
    if len(times) < 2:
        return
    least = (times[-1] - times[0]) / 400
    for marks, colour, alpha in ((labels, LABEL, 0.45), (alarms, ALARM, 0.55)):
        if marks is None:
            continue
        spans = spans_of(marks[rows])
        for first, end in _joined(spans) if marks is alarms else spans:
            left, right = times[first], times[min(end, len(times)) - 1]
            right = right if right - left > least else left + least
            axes.axvspan(left, right, color=colour, alpha=alpha, lw=0)


def _line(axes: Axes, times: NDArray[Any], values: NDArray[np.float64], **style: Any) -> None:
    """A line; of very many points the lowest and highest of equal stretches, so that no spike is lost."""
    if len(values) > _MOST_POINTS:
        size = -(-len(values) // (_MOST_POINTS // 2))
        full = len(values) // size * size
        blocks = np.nan_to_num(values[:full], nan=float(np.nanmedian(values))).reshape(-1, size)
        base = np.arange(len(blocks)) * size
        places = np.sort(np.stack([base + blocks.argmin(axis=1), base + blocks.argmax(axis=1)]), axis=0)
        chosen = np.append(places.T.reshape(-1), np.arange(full, len(values)))
        times, values = times[chosen], values[chosen]
    axes.plot(times, values, **style)


def _thinned(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if len(first) <= _MOST_POINTS:
        return first, second
    places = np.unique(np.geomspace(1, len(first), _MOST_POINTS).astype(int) - 1)
    return first[places], second[places]


def _times(stamps: NDArray[np.int64], kind: StampKind) -> NDArray[Any]:
    return stamps.astype("datetime64[ns]") if kind == "time" else stamps


def _date_axis(axes: Axes, kind: StampKind) -> None:
    if kind == "time":
        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _legend(axes: Axes, labelled: bool) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=ALARM, alpha=0.55, label="flagged")]
    if labelled:
        handles.append(Patch(color=LABEL, alpha=0.45, label="labelled"))
    axes.legend(handles=handles, **_ABOVE)
