"""How the reports' pictures look: one style, and figures without global state."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

__all__ = [
    "GRID", "INK", "LINE", "MODEL", "MUTED", "OTHERS", "STYLE", "canvas", "log_scale", "power_of_ten",
]  # fmt: skip

INK, MUTED, GRID, LINE = "#1c2430", "#6b7686", "#e3e7ed", "#aab3bf"
MODEL = "#1f5fbf"
OTHERS = ("#c8791b", "#7a9a3a", "#8a5aa8", "#a3432b", "#3a8a8a", "#6b7686")
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.hashsalt": "gatewise",
    "svg.fonttype": "path",
}


@contextmanager
def canvas(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> Iterator[tuple[Figure, Any]]:
    """A figure and its axes in the reports' style.

    Args:
        width, height: in inches.
        rows, columns: of axes.
        **options: of matplotlib's `subplots`.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        yield figure, figure.subplots(rows, columns, **options)


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(decade: int) -> str:
    """A power of ten as it is printed at an axis.

    The raised digits are the font's own: matplotlib's are set at 70 % of the size, too small to read.

    Example:
        >>> power_of_ten(-3), power_of_ten(0)
        ('10⁻³', '1')
    """
    return "1" if decade == 0 else "10" + str(decade).translate(_RAISED)


def log_scale(axes: Any) -> None:
    """Make the y axis logarithmic: its decades as powers of ten, and where no whole one is seen, numbers."""

    def between(value: float, _: object) -> str:
        low, high = axes.get_ylim()
        return f"{value:.1g}" if high < 10 * low else ""

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(round(math.log10(value)))))
    axes.yaxis.set_minor_formatter(FuncFormatter(between))
