"""The pictures: learning curves with bands, the seeds' values, what gradients reach, which lengths are solved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from gatewise.compare.reach import reached
from gatewise.compare.scores import CellScore, ProblemScore
from gatewise.inspect import VANISHING
from gatewise.report.canvas import INK, LINE, MUTED, canvas, log_scale

__all__ = ["plot_curves", "plot_lengths", "plot_reach", "plot_values"]

# Okabe & Ito's colours, which those tell apart too who see no red or no green; lines differ in their dashes as well.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#1c2430", "#8a8f98")
_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (8, 2, 2, 2)))
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LEAST = 1e-12
# What of a gradient is left is shown down to the first, and drawn down to the second.
_FAINTEST, _NOTHING = 1e-8, 1e-300
# Points: 11 pixels and more where a picture of five inches is shown on a screen of 400.
_TEXT = 11.25


def plot_curves(score: ProblemScore) -> Figure:
    """The measure on validation sequences while the networks learn: mean over the seeds, and a band of one deviation.

    A run that ended keeps its last value. Of a measure that spans orders of magnitude mean and deviation are those of
    the logarithm.
    """
    with canvas(5.0, 4.0) as (figure, axes):
        for place, cell in enumerate(score.cells):
            drawn = _mean_curve(score, cell)
            if drawn is None:
                continue
            steps, mean, low, high = drawn
            colour, dash = _style(place)
            if len(cell.rows) > 1:
                axes.fill_between(steps, low, high, color=colour, alpha=0.16, lw=0)
            axes.plot(steps, mean, color=colour, ls=dash, lw=2, label=cell.name)
            axes.plot(steps[-1], mean[-1], _MARKS[place % len(_MARKS)], color=colour, ms=6)
        if score.measure.log:
            log_scale(axes)
        elif score.measure.percent and score.problem.unit == "step":
            _show_shares(
                axes, score, [point[3] for cell in score.cells for row in cell.rows for point in row["curve"]]
            )
        if score.problem.unit == "step":  # of a table the loss is drawn, which is not the measure
            _references(axes, score)
        axes.set_xlabel(f"{score.problem.unit}s")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=True))
        held = score.measure.title if score.problem.unit == "step" else "loss on what was held back"
        axes.set_title(f"{held[0].upper()}{held[1:]}")
        _legend(figure, score)
        _enlarge(axes)
        return figure


def plot_values(score: ProblemScore) -> Figure:
    """The measure on test sequences in the end: a mark for each seed, a bar for their mean."""
    with canvas(5.0, 4.0) as (figure, axes):
        names = [cell.name for cell in score.cells]
        for place, cell in enumerate(score.cells):
            values = cell.values
            if not values:
                axes.text(
                    place, 0.5, "no value", transform=axes.get_xaxis_transform(), ha="center", color=MUTED
                )
                continue
            colour, _ = _style(place)
            shift = np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else np.zeros(1)
            axes.plot(place + shift, values, _MARKS[place % len(_MARKS)], color=colour, ms=7, alpha=0.85)
            axes.hlines(score.center(values), place - 0.3, place + 0.3, color=colour, lw=2)
        if score.measure.log:
            log_scale(axes)
        elif score.measure.percent:
            _show_shares(axes, score, [value for cell in score.done for value in cell.values])
        _references(axes, score)
        slanted = (
            {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 9 else {}
        )
        axes.set_xticks(range(len(names)), names, **slanted)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_title("On test data: each seed, and the mean")
        _enlarge(axes)
        return figure


def plot_reach(score: ProblemScore) -> Figure:
    """What of a gradient at the last step arrives so many steps before, in the trained networks.

    The line is the median over the seeds, the band spans them; beneath 1 % the nearby steps alone are heard.
    """
    with canvas(5.0, 4.0) as (figure, axes):
        lowest = VANISHING / 10
        for place, cell in enumerate(score.cells):
            found = reached(cell.rows)
            if not found:
                continue
            lags = found[0]["lags"]
            shares = np.array([one["share"] for one in found if one["lags"] == lags], float)
            shares = np.maximum(shares, _NOTHING)
            lowest = min(lowest, float(shares.min()))
            colour, dash = _style(place)
            if len(shares) > 1:
                axes.fill_between(lags, shares.min(0), shares.max(0), color=colour, alpha=0.16, lw=0)
            middle = np.exp(np.median(np.log(shares), axis=0))
            axes.plot(lags, middle, color=colour, ls=dash, lw=2, label=cell.name)
            axes.plot(lags[-1], middle[-1], _MARKS[place % len(_MARKS)], color=colour, ms=6)
        log_scale(axes)
        axes.set_ylim(bottom=max(lowest, _FAINTEST))
        _line(axes, f"{VANISHING:.0%}", VANISHING, (0, (4, 3)))
        axes.set_xlabel("steps before the last")
        axes.set_title("How much of a gradient arrives")
        _legend(figure, score)
        _enlarge(axes)
        return figure


def plot_lengths(scores: Sequence[ProblemScore], lengths: Sequence[int]) -> Figure:
    """How many seeds solve one problem, by cell and length, and after how many steps.

    Args:
        scores: the problem's at each length.
        lengths: in steps.
    """
    names = [cell.name for cell in scores[0].cells]
    shares = np.full((len(names), len(lengths)), np.nan)
    for column, score in enumerate(scores):
        for row, cell in enumerate(score.cells):
            if cell.rows:
                shares[row, column] = cell.solved / len(cell.rows)
    width = max(1.5 + 0.9 * len(lengths), 3.6)
    with canvas(width, 1.2 + 0.6 * len(names)) as (figure, axes):
        axes.grid(visible=False)
        axes.imshow(np.where(np.isnan(shares), 0, shares), cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
        for column, score in enumerate(scores):
            for row, cell in enumerate(score.cells):
                dark = not math.isnan(shares[row, column]) and shares[row, column] > 0.6
                axes.text(column, row, _cell_text(cell), ha="center", va="center", fontsize=_TEXT,
                          color="white" if dark else INK, linespacing=1.3)  # fmt: skip
        axes.set_xticks(range(len(lengths)), [f"{length:,}" for length in lengths])
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0)
        axes.set_xticks(np.arange(len(lengths) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.grid(visible=True, which="minor", axis="both", color="white", lw=3)
        axes.tick_params(which="minor", length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.set_xlabel("steps of a sequence")
        axes.set_title(f"{scores[0].problem.kind.capitalize()}: seeds that solve it")
        _enlarge(axes)
        return figure


def _cell_text(cell: CellScore) -> str:
    if not cell.rows:
        return "not done"
    text = f"{cell.solved} of {len(cell.rows)}"
    return f"{text}\n{round(float(np.median(cell.solved_at))):,}" if cell.solved and cell.solved_at else text


def _style(place: int) -> tuple[str, Any]:
    return _COLOURS[place % len(_COLOURS)], _DASHES[place % len(_DASHES)]


def _mean_curve(
    score: ProblemScore, cell: CellScore
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
    """Steps, and over all seeds the mean and one deviation below and above it."""
    curves = [np.array([(point[0], point[3]) for point in row["curve"]], float) for row in cell.rows]
    curves = [curve for curve in curves if len(curve)]
    if not curves:
        return None
    steps = np.unique(np.concatenate([curve[:, 0] for curve in curves]))
    # Between two looks, and after its end, a run has the value of its last look.
    places = [np.maximum(np.searchsorted(curve[:, 0], steps, side="right") - 1, 0) for curve in curves]
    values = np.stack([curve[place, 1] for curve, place in zip(curves, places, strict=True)])
    log = score.measure.log
    values = np.log(np.maximum(values, _LEAST)) if log else values
    mean = values.mean(axis=0)
    spread = values.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros_like(mean)
    low, high = mean - spread, mean + spread
    if score.measure.percent and score.problem.unit == "step":
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    return (steps, np.exp(mean), np.exp(low), np.exp(high)) if log else (steps, mean, low, high)


def _show_shares(axes: Any, score: ProblemScore, values: Sequence[float]) -> None:
    """An axis of shares: from 0 to 1, or around the values and the goal where all are above 80 %."""
    lowest = min([*values, 1.0 if score.measure.goal is None else score.measure.goal])
    room = 1 - lowest if values and 0.8 <= lowest < 1 else 1.0
    near = room < 1
    axes.set_ylim(1 - (1.15 if near else 1.02) * room, 1 + (0.08 if near else 0.02) * room)
    axes.yaxis.set_major_formatter("{x:.1%}" if near else "{x:.0%}")


def _references(axes: Any, score: ProblemScore) -> None:
    """The goal and the trivial answer; of shares, what lies within the axis."""
    lines: list[tuple[str, float | None, Any]] = [("goal", score.measure.goal, (0, (4, 3)))]
    if score.trivial is not None:
        lines.append((score.trivial.name, score.trivial.value, (0, (1, 2))))
    for name, value, dash in lines:
        if value is None or (score.measure.log and value <= 0):
            continue
        low, high = axes.get_ylim()
        if score.measure.percent and not low <= value <= high:
            continue
        _line(axes, name, value, dash)


def _line(axes: Any, name: str, value: float, dash: Any) -> None:
    """A line across the axes, its name at its right end."""
    axes.axhline(value, color=LINE, lw=1.4, ls=dash, zorder=0.5)
    axes.annotate(
        name, (1, value), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
        color=MUTED, fontsize=_TEXT, annotation_clip=False,
    )  # fmt: skip


def _legend(figure: Figure, score: ProblemScore) -> None:
    columns = 4 if len(score.cells) in (3, 4, 7, 8) else 3
    figure.legend(
        loc="outside lower center", ncols=columns, fontsize=_TEXT, handlelength=2.3, columnspacing=1.0
    )


def _enlarge(axes: Any) -> None:
    """Set all text of the axes in the size of this module."""
    axes.tick_params(labelsize=_TEXT)
    axes.xaxis.label.set_size(_TEXT)
    axes.yaxis.label.set_size(_TEXT)
    axes.set_title(axes.get_title(loc="left"), fontsize=_TEXT + 0.5)
