"""Pictures of gates, states and units, drawn from plain numbers: they know no model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from gatewise.errors import ShapeError
from gatewise.inspect.statistics import LayerStatistics
from gatewise.inspect.units import Response
from gatewise.report.canvas import INK, LINE, MODEL, OTHERS, canvas

__all__ = [
    "plot_contributions",
    "plot_gates",
    "plot_heat",
    "plot_responses",
    "plot_text",
    "text_html",
]

_LOW, _HIGH = OTHERS[0], MODEL
# Orange below, blue above: told apart with every common kind of colour blindness, both darker than the middle.
_BOTH_WAYS = LinearSegmentedColormap.from_list(
    "both ways", ["#a85f0c", "#eeb06a", "#fbfbfa", "#7fa8e6", "#174a98"]
)
_ONE_WAY = LinearSegmentedColormap.from_list("one way", ["#fbfbfa", "#a9c4ee", "#4d82d1", "#143f83"])
# Paler, so that dark text is read on them.
_TEXT_BOTH = LinearSegmentedColormap.from_list(
    "text", ["#e8a04c", "#f6d9b3", "#ffffff", "#cfe0f8", "#82aeec"]
)
_WIDTH = 10.2  # inches: as wide as a report
_SIZE = 8.6  # points: 11.5 px on screen
_NAMES = {"\n": "↵", " ": "␣", "\t": "⇥", "": "∅"}
_MOST_ROWS = 8
_LONGEST = 16  # letters of a label: a stamp with its minutes


def plot_heat(
    values: Float[np.ndarray, "time units"], labels: Sequence[str], title: str, *,
    range: tuple[float, float] | None = None, names: Sequence[str] | None = None, most_rows: int = _MOST_ROWS,
) -> Figure:  # fmt: skip
    """Units along one sequence as a heat map, wrapped like a text, with the sequence's own labels beneath.

    Args:
        values: (time, units); what does not fit into `most_rows` rows is left out, and the title says so.
        labels: (time,) characters, words, stamps or values; long ones, or numbers, are written at every few steps.
        title: of the picture.
        range: of the values; None: from those that came, with zero in the middle where there are both signs.
        names: (units,) written at the left; None: none.
        most_rows: of the wrapped picture.

    Raises:
        ShapeError: not as many labels as steps.
    """
    if len(labels) != len(values):
        raise ShapeError(f"labels: {len(values)}, one for each step, are expected, came {len(labels)}")
    shown = [_NAMES.get(one, one) for one in labels]
    longest = max((len(one) for one in shown), default=1)
    letters, words = longest <= 1, longest > 1 and not _numbers(shown)
    per_row = 96 if letters else 40 if words else 120
    rows = min(most_rows, max(1, math.ceil(len(values) / per_row)))
    values = values[: rows * per_row]
    if len(values) < len(labels):
        title += f" (the first {len(values):,} of {len(labels):,} steps)"
    low, high = _limits(values, range)
    colours = _BOTH_WAYS if low < 0 < high else _ONE_WAY
    units = values.shape[1]
    space = 0.28 if letters else 0.62 if words else 0.3
    height = rows * (max(0.5, min(3.4, 0.17 * units)) + space) + 0.75
    with canvas(_WIDTH, height, rows, 1, squeeze=False) as (figure, axes):
        for row, own in enumerate(axes[:, 0]):
            part = values[row * per_row : (row + 1) * per_row]
            image = own.imshow(
                part.T, aspect="auto", cmap=colours, norm=Normalize(low, high), interpolation="nearest"
            )
            own.set_xlim(-0.5, min(per_row, len(labels)) - 0.5)
            _label(own, shown[row * per_row : row * per_row + len(part)], letters=letters, words=words)
            _name_units(own, names, units)
            own.grid(False)
            own.spines[:].set_visible(False)
        figure.suptitle(title, x=0.005, ha="left", fontsize=10.5, fontweight="bold", color=INK)
        bar = figure.colorbar(image, ax=axes[:, 0].tolist(), fraction=0.012, pad=0.01, aspect=18)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=_SIZE)
        return figure


def plot_text(
    pieces: Sequence[str], values: Float[np.ndarray, " time"], title: str, *, columns: int = 88, most_lines: int = 30
) -> Figure:  # fmt: skip
    """A text coloured by a unit's value after each of its pieces: orange low, blue high.

    Args:
        pieces: characters or tokens.
        values: (pieces,).
        title: of the picture.
        columns: letters of a line; longer lines are wrapped.
        most_lines: what is left after them is not drawn.

    Raises:
        ShapeError: not as many values as pieces.
    """
    lines = _lines(pieces, values, columns)[:most_lines]
    colours = _TEXT_BOTH
    norm = _centred(values)
    # As wide as the title needs at least, and no wider than the longest line.
    longest = max(min(columns, len(title)), *(line[-1][0] + 1 for line in lines if line), 1)
    with canvas(_WIDTH * longest / columns, 0.24 * len(lines) + 0.6) as (figure, axes):
        axes.set_axis_off()
        axes.set_xlim(0, longest)
        axes.set_ylim(len(lines), 0)
        for number, line in enumerate(lines):
            for place, sign, value in line:
                colour = colours(norm(value))
                axes.add_patch(_box(place, number, colour))
                if sign not in " \n":
                    axes.text(
                        place + 0.5, number + 0.52, sign, ha="center", va="center", fontsize=9.2, color=INK,
                        family="DejaVu Sans Mono",
                    )  # fmt: skip
        axes.set_title(title)
        return figure


def text_html(pieces: Sequence[str], values: Float[np.ndarray, " time"], *, caption: str = "") -> str:
    """A text coloured by a unit's value, as HTML; each piece tells its value when it is pointed at.

    Args:
        pieces: characters or tokens.
        values: (pieces,).
        caption: a sentence above it.

    Raises:
        ShapeError: not as many values as pieces.
    """
    _check(pieces, values)
    norm = _centred(values)
    parts = []
    for piece, value in zip(pieces, values, strict=True):
        red, green, blue, _ = (round(255 * one) for one in _TEXT_BOTH(norm(value)))
        shown = escape(piece).replace("\n", "\u21b5\n")
        parts.append(
            f'<span style="background:#{red:02x}{green:02x}{blue:02x}" title="{value:.2f}">{shown}</span>'
        )
    head = f'<p class="note">{escape(caption)}</p>' if caption else ""
    return (
        f'{head}<pre style="background:#fff;border:1px solid var(--line);white-space:pre-wrap;color:#1c2430;'
        f'overflow-wrap:anywhere">{"".join(parts)}</pre>'
    )


def plot_gates(layer: LayerStatistics) -> Figure:
    """Each unit's gates by how often they are shut and open (as Karpathy et al. 2015, figure 2), and how long it keeps.

    Args:
        layer: with at least one gate from 0 to 1, or a state of which a share is retained.
    """
    switches = [one for one in layer.gates if one.is_switch]
    panels = len(switches) + len(layer.time_constants)
    columns = max(1, min(panels, 4))
    rows = max(1, math.ceil(panels / columns))
    with canvas(2.62 * columns + 0.3, 2.75 * rows + 0.35, rows, columns, squeeze=False) as (figure, axes):
        flat = axes.flatten().tolist()
        for own, one in zip(flat, switches, strict=False):
            own.plot([0, 1], [1, 0], color=LINE, lw=1)
            own.plot(one.low, one.high, "o", ms=4.5, color=MODEL, alpha=0.4, mew=0)
            own.set_xlim(-0.04, 1.04)
            own.set_ylim(-0.04, 1.04)
            own.set_title(f"gate {one.name}")
            own.set_xlabel("share of time shut (< 0.1)")
            own.set_ylabel("open (> 0.9)")
            own.set_aspect("equal")
        for own, (name, constants) in zip(flat[len(switches) :], layer.time_constants.items(), strict=False):
            _time_constants(own, name, constants)
        for own in flat[panels:]:
            own.set_visible(False)
        figure.suptitle(layer.name, x=0.005, ha="left", fontsize=10.5, fontweight="bold", color=INK)
        return figure


def plot_responses(responses: Sequence[Response], *, most: int = 12) -> Figure:
    """How well the best unit tells each feature, beside chance and what the input of the step alone tells.

    Args:
        responses: as `find_units` gives them.
        most: how many are drawn.
    """
    shown = list(responses)[:most][::-1]
    with canvas(7.6, 0.42 * len(shown) + 1.5) as (figure, axes):
        for place, one in enumerate(shown):
            truth = one.measure == "AUC"
            low, high = (_strength(value, truth) for value in one.chance)
            axes.plot([low, high], [place, place], color=LINE, lw=9, solid_capstyle="butt",
                      label="chance (95 %)" if place == 0 else None)  # fmt: skip
            if one.baseline is not None:
                axes.plot(_strength(one.baseline, truth), place, "D", ms=7, color=_LOW, mfc="white", mew=1.8,
                          label="the input of the step alone" if place == 0 else None)  # fmt: skip
            axes.plot(_strength(one.score, truth), place, "o", ms=8, color=_HIGH,
                      label="the best unit" if place == 0 else None)  # fmt: skip
        axes.set_yticks(range(len(shown)), [one.feature for one in shown], color=INK)
        axes.axvline(0, color=LINE, lw=1)
        axes.set_xlim(min(-0.15, axes.get_xlim()[0]), 1.03)
        axes.grid(True, axis="x")
        axes.grid(False, axis="y")
        axes.set_xlabel(
            "held-out: 2 AUC - 1 of what is or is not, correlation of numbers; 0 chance, 1 perfect"
        )
        figure.legend(loc="outside lower left", ncols=3)
        axes.set_title("What single units tell")
        return figure


def plot_contributions(labels: Sequence[str], scores: Float[np.ndarray, " time"], title: str) -> Figure:
    """What each step adds, as bars over the steps' labels: orange takes off, blue adds.

    Args:
        labels: (time,), the last 96 steps are drawn.
        scores: (time,).
        title: of the picture.

    Raises:
        ShapeError: not as many labels as scores.
    """
    _check(labels, scores)
    shown, values = [_NAMES.get(one, one) for one in labels][-96:], scores[-96:]
    letters = max(len(one) for one in shown) <= 1
    with canvas(_WIDTH, 2.7 if letters else 3.3) as (figure, axes):
        axes.bar(range(len(values)), values, width=0.8, color=[_HIGH if v >= 0 else _LOW for v in values])
        axes.axhline(0, color=LINE, lw=1)
        axes.set_xlim(-0.7, len(values) - 0.3)
        _label(axes, shown, letters=letters, words=not letters and not _numbers(shown))
        axes.set_ylabel("adds")
        axes.set_title(title if len(labels) <= 96 else f"{title} (the last 96 of {len(labels):,} steps)")
        return figure


def _time_constants(axes: Any, name: str, constants: NDArray[np.float64]) -> None:
    finite = np.clip(constants[np.isfinite(constants)], 0.1, 1e6)
    endless = len(constants) - len(finite)
    if len(finite):
        low, high = math.floor(np.log10(finite.min())), math.ceil(np.log10(finite.max()) + 1e-9)
        axes.hist(finite, bins=np.logspace(low, max(high, low + 1), 21), color=MODEL)
        axes.set_xscale("log")
        middle = float(np.median(constants))
        if math.isfinite(middle):
            axes.axvline(middle, color=_LOW, lw=1.8)
            axes.set_xlabel(f"time constant, steps; median {middle:.3g}")
    if endless:
        axes.set_xlabel(f"time constant, steps; {endless} endless")
    axes.set_title(f"memory of {name}")
    axes.set_ylabel("units")


def _strength(score: float, truth: bool) -> float:
    return 2 * score - 1 if truth else score


def _check(labels: Sequence[str], values: NDArray[Any]) -> None:
    if len(labels) != len(values):
        raise ShapeError(f"labels: {len(values)}, one for each value, are expected, came {len(labels)}")


def _limits(values: NDArray[Any], given: tuple[float, float] | None) -> tuple[float, float]:
    if given is not None and np.isfinite(given).all():
        return given
    low, high = (float(one) for one in np.percentile(values, [1, 99])) if values.size else (0.0, 1.0)
    if low < 0 < high:
        most = max(-low, high)
        return -most, most
    return (low, high) if high > low else (low, low + 1.0)


def _centred(values: NDArray[Any]) -> Normalize:
    """Colours from the 2 % to the 98 % quantile, so that a few extremes do not leave the rest pale."""
    low, high = (float(one) for one in np.percentile(values, [2, 98])) if len(values) else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1.0, clip=True)


def _label(axes: Any, shown: Sequence[str], *, letters: bool, words: bool) -> None:
    if letters:
        _letters(axes, shown)
        return
    # Numbers and stamps stand at every few steps, a hand's breadth apart.
    widest = min(_LONGEST, max((len(one) for one in shown), default=1))
    apart = math.ceil(1.3 * (widest + 3) / 1.1)
    places = list(range(0, len(shown), 1 if words else apart))
    cut = [
        one if len(one) <= _LONGEST else one[: _LONGEST - 1] + "…"
        for one in (shown[place] for place in places)
    ]
    axes.set_xticks(places, cut)
    axes.tick_params(axis="x", length=2, pad=2, labelsize=_SIZE, labelcolor=INK)
    for one in axes.get_xticklabels():
        if words:
            one.set(rotation=60, ha="right", rotation_mode="anchor")
        else:
            one.set_ha("left")


def _letters(axes: Any, shown: Sequence[str]) -> None:
    """One letter beneath each step. They take no part in the layout, which would measure each of them many times."""
    axes.set_xticks([])
    axes.set_xlabel(" ", fontsize=_SIZE, labelpad=1)
    for place, sign in enumerate(shown):
        axes.annotate(
            sign, (place, 0), (0, -3), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center",
            va="top", fontsize=_SIZE, color=INK, family="DejaVu Sans Mono", annotation_clip=False,
        ).set_in_layout(False)  # fmt: skip


def _name_units(axes: Any, names: Sequence[str] | None, units: int) -> None:
    if names is None:
        axes.set_yticks([])
        return
    every = max(1, math.ceil(units / 20))
    axes.set_yticks(range(0, units, every), list(names)[::every])
    axes.tick_params(axis="y", labelsize=_SIZE, length=0)


def _numbers(shown: Sequence[str]) -> bool:
    """Whether the labels are numbers or stamps: read well at every few steps."""
    return all(one[:1].isdigit() or one[:1] in "-+." for one in shown)


def _box(place: int, line: int, colour: Any) -> Any:
    return Rectangle((place, line + 0.04), 1, 0.92, facecolor=colour, edgecolor="none")


def _lines(pieces: Sequence[str], values: NDArray[Any], columns: int) -> list[list[tuple[int, str, float]]]:
    """Signs with their place in the line and their value, line by line."""
    _check(pieces, values)
    lines: list[list[tuple[int, str, float]]] = [[]]
    for piece, value in zip(pieces, values, strict=True):
        for sign in piece:
            if len(lines[-1]) >= columns:
                lines.append([])
            lines[-1].append((len(lines[-1]), "↵" if sign == "\n" else sign, float(value)))
            if sign == "\n":
                lines.append([])
    return [line for line in lines if line]
