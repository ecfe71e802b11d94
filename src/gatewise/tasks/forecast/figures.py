"""The report's pictures. Each draws plain numbers and knows no network; matplotlib's objects, no global state."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gatewise.data import Panel
from gatewise.data.frequency import DAY, StampKind
from gatewise.report.canvas import GRID, INK, MODEL, MUTED, canvas
from gatewise.tasks.forecast.evaluation import LINEAR, NAIVE, NAIVE2, SEASONAL, BackTest, Evaluation
from gatewise.tasks.forecast.selection import Choice, chained_windows, chosen_windows, window_errors

__all__ = [
    "plot_by_horizon",
    "plot_by_time",
    "plot_chain",
    "plot_forecast",
    "plot_reliability",
    "plot_windows",
]

BAND, TRUTH = MODEL, INK
COLOURS = {NAIVE: "#c8791b", SEASONAL: "#7a9a3a", NAIVE2: "#a08bb0", LINEAR: "#b0436b"}


def plot_forecast(
    panel: Panel, index: int, quantiles: NDArray[np.float64], levels: tuple[float, ...], history: int
) -> Figure:
    """One series' last rows and its forecast.

    Args:
        panel: the history.
        index: which series.
        quantiles: (horizon, levels).
        levels: rising.
        history: rows to show before the forecast.
    """
    begin, end = panel.starts[index], panel.starts[index + 1]
    shown = slice(max(begin, end - history), end)
    ahead = panel.frequency.ahead(panel.stamps[begin], end - begin + np.arange(len(quantiles)))
    with canvas(9.5, 3.6) as (figure, axes):
        axes.plot(
            _times(panel.stamps[shown], panel.kind), panel.target[shown], color=TRUTH, lw=1.3, label="history"
        )
        _band(axes, _times(ahead, panel.kind), quantiles, levels, label=True)
        axes.set_title(f"{panel.names[index]}: the next {len(quantiles)} steps")
        axes.legend(loc="upper left", ncols=4)
        _dates(axes, panel.kind)
        return figure


def plot_chain(evaluation: Evaluation, *, unit: str = "") -> Figure:
    """Forecasts one after another, each made at the end of the one before, against what came."""
    test = evaluation.back_test
    chain = chained_windows(test)
    panel, horizon = test.panel, test.actual.shape[1]
    with canvas(11, 4.2) as (figure, axes):
        for place, window in enumerate(chain):
            rows = test.rows[window] + 1 + np.arange(horizon)
            times = _times(panel.stamps[rows], panel.kind)
            _band(axes, times, test.quantiles[window], test.levels, label=place == 0)
            axes.axvline(times[0], color=GRID, lw=0.8, zorder=0)
        first, last = test.rows[chain[0]] + 1, test.rows[chain[-1]] + horizon
        rows = np.arange(max(panel.starts[test.series[chain[0]]], first - 2 * horizon), last + 1)
        axes.plot(
            _times(panel.stamps[rows], panel.kind), panel.target[rows], color=TRUTH, lw=1.4, label="what came"
        )
        axes.margins(x=0.01)
        axes.set_ylabel(unit)
        axes.legend(loc="upper left", ncols=4, bbox_to_anchor=(0, 1.02), borderaxespad=0, columnspacing=1.4)
        of = f" of {panel.names[test.series[chain[0]]]}" if len(panel) > 1 else ""
        axes.set_title(
            f"{len(chain)} forecasts{of} in a row, each of {horizon} steps, made at the grey lines", pad=24
        )
        _roomy(axes)
        _dates(axes, panel.kind)
        return figure


def plot_windows(evaluation: Evaluation, *, unit: str = "") -> Figure:
    """Single forecasts, chosen by rule: good, typical, bad, and the one with the largest values."""
    test = evaluation.back_test
    choices = chosen_windows(test)
    with canvas(11, 6.2, 2, 2) as (figure, grid):
        for axes, choice in zip(grid.flat, choices, strict=False):
            _one_window(axes, test, choice)
        for axes in list(grid.flat)[len(choices) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel(unit)
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=6, columnspacing=1.4)
        return figure


def plot_by_horizon(evaluation: Evaluation, *, step: str) -> Figure:
    """MAE at each horizon, the model beside the trivial methods."""
    with canvas(5.4, 3.5) as (figure, axes):
        for name, values in evaluation.by_horizon.items():
            own = name == evaluation.model
            colour = MODEL if own else COLOURS[name]
            axes.plot(np.arange(1, len(values) + 1), values, color=colour, lw=2.2 if own else 1.5, label=name)
        axes.set_xlabel(f"{step}s ahead" if " " not in step else f"steps ahead (of {step})")
        axes.set_title("Mean absolute error by horizon")
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="lower right")
        return figure


def plot_by_time(evaluation: Evaluation) -> Figure:
    """MAE through the held-out span, in at most twelve equal parts (calendar months where they fit)."""
    test = evaluation.back_test
    stamps = test.panel.stamps[test.rows + 1]
    edges, labels = _parts(stamps, test.panel.kind)
    part = np.clip(np.searchsorted(edges, stamps, side="right") - 1, 0, len(labels) - 1)
    names = (evaluation.model, NAIVE, SEASONAL)
    values = {
        name: [window_errors(test, name)[part == one] for one in range(len(labels))]
        for name in ("model", NAIVE, SEASONAL)
    }
    with canvas(5.4, 3.5) as (figure, axes):
        place = np.arange(len(labels))
        for offset, (name, key) in enumerate(zip(names, ("model", NAIVE, SEASONAL), strict=True)):
            heights = [np.nanmean(own) if np.isfinite(own).any() else np.nan for own in values[key]]
            axes.bar(
                place + (offset - 1) * 0.27, heights, 0.25, color=MODEL if key == "model" else COLOURS[key],
                label=name, alpha=1.0 if key == "model" else 0.65,
            )  # fmt: skip
        axes.set_xticks(place, labels)
        axes.set_title("Mean absolute error through the held-out span")
        axes.set_ylim(top=axes.get_ylim()[1] * 1.15)
        axes.legend(loc="upper right", ncols=3, columnspacing=1.0, handlelength=1.2)
        return figure


def plot_reliability(evaluation: Evaluation) -> Figure:
    """How often values lay at or below each quantile, against how often they should."""
    levels = np.array(list(evaluation.coverage))
    shares = np.array(list(evaluation.coverage.values()))
    line = np.array([0.0, 1.0])
    with canvas(5.4, 3.7) as (figure, axes):
        axes.fill_between(line, line - 0.05, line + 0.05, color=GRID, lw=0, label="within 5 points")
        axes.plot(line, line, color="#aab3bf", lw=1, ls="--")
        for own in evaluation.coverage_by_horizon:
            axes.plot(levels, own, color=MODEL, alpha=0.18, lw=0, marker="o", ms=3)
        axes.plot(
            levels, shares, color=MODEL, lw=1.6, marker="o", ms=6, label="all horizons (pale: each one)"
        )
        for level, share in zip(levels, shares, strict=True):
            axes.annotate(
                f"{share:.1%}", (level, share), (8, -12), textcoords="offset points", color=INK, fontsize=9
            )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="quantile", ylabel="share at or below")
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.set_title("Are the quantiles reliable?")
        axes.legend(loc="upper left")
        return figure


def _one_window(axes: Axes, test: BackTest, choice: Choice) -> None:
    panel, horizon, row = test.panel, test.actual.shape[1], test.rows[choice.window]
    begin = max(panel.starts[test.series[choice.window]], row - 2 * horizon + 1)
    before, after = np.arange(begin, row + 1), row + 1 + np.arange(horizon)
    _band(
        axes, _times(panel.stamps[after], panel.kind), test.quantiles[choice.window], test.levels, label=True
    )
    times = _times(panel.stamps[np.concatenate([before, after])], panel.kind)
    axes.plot(times, panel.target[np.concatenate([before, after])], color=TRUTH, lw=1.4, label="what came")
    ahead = _times(panel.stamps[after], panel.kind)
    axes.plot(ahead, test.naive[choice.window], color=COLOURS[NAIVE], lw=1.1, ls=(0, (4, 2)), label=NAIVE)
    axes.axvline(_times(panel.stamps[[row]], panel.kind)[0], color="#aab3bf", lw=1)
    name = "" if len(panel) == 1 else f"{panel.names[test.series[choice.window]]}, "
    axes.set_title(f"{choice.title}  ", pad=18)
    axes.text(
        0, 1.03, f"{name}made {panel.show(panel.stamps[row])}, mean error {choice.error:.3g}",
        transform=axes.transAxes, color=MUTED, fontsize=8.5,
    )  # fmt: skip
    axes.margins(x=0.01)
    _roomy(axes)
    _dates(axes, panel.kind)


def _band(
    axes: Axes, times: Any, quantiles: NDArray[np.float64], levels: tuple[float, ...], *, label: bool
) -> None:
    """The median and one band for each pair of quantiles, the wider the paler."""
    middle = levels.index(0.5)
    for low in range(middle):
        high = next((i for i, level in enumerate(levels) if abs(level - 1 + levels[low]) < 1e-9), None)
        if high is not None:
            share = f"{levels[high] - levels[low]:.0%} interval"
            axes.fill_between(
                times, quantiles[:, low], quantiles[:, high], color=BAND, alpha=0.2 + 0.1 * low / max(1, middle), lw=0,
                label=share if label else None,
            )  # fmt: skip
    axes.plot(times, quantiles[:, middle], color=MODEL, lw=1.7, label="forecast (median)" if label else None)


def _times(stamps: NDArray[np.int64], kind: StampKind) -> Any:
    return stamps.astype("datetime64[ns]") if kind == "time" else stamps


def _dates(axes: Axes, kind: StampKind) -> None:
    if kind == "time":
        locator = AutoDateLocator(minticks=4, maxticks=9)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _roomy(axes: Axes) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0) if low > -0.1 * high else low, high)


def _parts(stamps: NDArray[np.int64], kind: StampKind) -> tuple[NDArray[np.int64], list[str]]:
    """Where each part of the span begins, and what it is called."""
    if kind == "time":
        months = np.unique(stamps.astype("datetime64[ns]").astype("datetime64[M]"))
        if 2 <= len(months) <= 12:
            return months.astype("datetime64[ns]").astype(np.int64), [
                f"{month.item():%b}" for month in months
            ]
    count = min(8, len(np.unique(stamps)))
    edges = np.linspace(stamps.min(), stamps.max() + 1, count + 1)[:-1].astype(np.int64)
    if kind == "integer":
        return edges, [str(edge) for edge in edges]
    form = "%d %b" if stamps.max() - stamps.min() < 300 * DAY else "%b %y"
    return edges, [
        f"{np.datetime64(int(edge), 'ns').astype('datetime64[s]').item():{form}}" for edge in edges
    ]
