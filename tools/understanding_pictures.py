"""The pictures of docs/understanding.md, drawn from the measured lines; each holds a digest of what it shows.

`python tools/understanding.py` draws them; --check, and tests/house/test_understanding.py, compare the digests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image

from gatewise.report.canvas import GRID, INK, MODEL, MUTED, OTHERS, canvas

try:
    from tools import claim_lines
except ImportError:
    import claim_lines

__all__ = ["CAPTIONS", "PICTURES", "draw", "outdated"]

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
# 110 points an inch: 9.5 points of text are 14 pixels at the size shown.
_DPI = 110
_ORANGE, _GREEN, _PURPLE = OTHERS[0], OTHERS[1], OTHERS[2]
_LOOKS = {
    "RNN, torch's start": (_ORANGE, "-"),
    "RNN, radius 0.7": (_ORANGE, "--"),
    "RNN, orthogonal": (_PURPLE, "-"),
    "RNN, radius 2.0": (INK, "-"),
    "LSTM, forget bias 0": (MODEL, ":"),
    "LSTM, forget bias 1": (MODEL, "--"),
    "LSTM, forget bias 3": (MODEL, "-."),
    "LSTM, chrono": (MODEL, "-"),
    "GRU, torch's start": (_GREEN, "--"),
    "GRU, chrono": (_GREEN, "-"),
}
_CELLS = {
    "rnn_tanh": (_ORANGE, "o", "RNN"),
    "rnn_tanh slower": (_ORANGE, "s", "RNN, lower rate"),
    "rnn_tanh+orthogonal": (_PURPLE, "D", "RNN, orthogonal"),
    "gru": (_GREEN, "^", "GRU"),
    "lstm": (MODEL, "o", "LSTM"),
    "lstm+chrono": (MODEL, "s", "LSTM, chrono"),
}


def draw() -> None:
    """Draw every picture that there are lines for."""
    for name, (data, paint) in PICTURES.items():
        shown = data()
        if shown is not None:
            IMAGES.mkdir(parents=True, exist_ok=True)
            figure = paint(shown)
            figure.savefig(IMAGES / name, dpi=_DPI, metadata={"Description": _digest(shown)})


def outdated() -> list[Path]:
    """The pictures that are not of the present lines, or are not there."""
    wanted = {IMAGES / name: data() for name, (data, _) in PICTURES.items()}
    return [path for path, shown in wanted.items() if shown is not None and _held(path) != _digest(shown)]


def _digest(shown: Any) -> str:
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def _held(path: Path) -> str | None:
    if not path.is_file():
        return None
    with Image.open(path) as image:
        return getattr(image, "text", {}).get("Description")


# --- the network, folded and unrolled


def _unrolled_data() -> dict:
    return {"steps": ["1", "2", "3", "T"], "form": 1}


def _unrolled(shown: dict) -> Figure:
    with canvas(7.2, 2.9) as (figure, axes):
        axes.set(xlim=(-0.2, 12.2), ylim=(-0.25, 3.6))
        axes.axis("off")
        _cell(axes, 1.2, "x", "h")
        loop = FancyArrowPatch(
            (1.77, 1.75), (1.77, 1.32), connectionstyle="arc3,rad=-2.2", color=MODEL, lw=1.8,
            arrowstyle="-|>", mutation_scale=13, shrinkA=0, shrinkB=0,
        )  # fmt: skip
        axes.add_patch(loop)
        axes.text(2.95, 1.55, "=", ha="center", va="center", fontsize=20, color=MUTED)
        places = [4.6, 6.8, 9.0, 11.4]
        axes.text(3.55, 1.55, "$h_0$", ha="center", va="center", fontsize=11, color=INK)
        _arrow(axes, (3.8, 1.55), (4.05, 1.55), MODEL)
        for place, step in zip(places, shown["steps"], strict=True):
            _cell(axes, place, f"x_{step}", f"h_{step}")
        for one, two in pairwise(places[:3]):
            _arrow(axes, (one + 0.57, 1.55), (two - 0.57, 1.55), MODEL)
        axes.text(
            (places[2] + places[3]) / 2, 1.5, "· · ·", ha="center", va="center", fontsize=14, color=MODEL
        )
        axes.text(8.0, -0.05, "the same weights at every step", ha="center", color=MUTED, fontsize=10)
        axes.text(1.2, -0.05, "one cell", ha="center", color=MUTED, fontsize=10)
        return figure


def _cell(axes: Any, x: float, below: str, above: str) -> None:
    box = FancyBboxPatch((x - 0.5, 1.15), 1.0, 0.8, boxstyle="round,pad=0.06", fc="#eaf1fb", ec=MODEL, lw=1.4)
    axes.add_patch(box)
    axes.text(x, 1.55, "cell", ha="center", va="center", color=INK, fontsize=10.5)
    _arrow(axes, (x, 0.68), (x, 1.06), MUTED)
    _arrow(axes, (x, 2.04), (x, 2.6), MUTED)
    axes.text(x, 0.45, f"${below}$", ha="center", va="center", fontsize=12, color=INK)
    axes.text(x, 2.85, f"${above}$", ha="center", va="center", fontsize=12, color=INK)


def _arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=colour, lw=1.5, shrinkA=0,
                                   shrinkB=0))  # fmt: skip


# --- gradient flow


def _flow_data() -> dict | None:
    rows = claim_lines.rows_of("flow")
    if not rows:
        return None
    shown = {}
    for start in dict.fromkeys(row["key"]["start"] for row in rows):
        own = [row for row in rows if row["key"]["start"] == start]
        norms = np.array([row["log_norm"] for row in own]) / np.log(10)
        shown[start] = {"lags": own[0]["lags"], "least": norms.min(0).tolist(), "most": norms.max(0).tolist(),
                        "median": np.median(norms, 0).tolist(), "runs": len(own)}  # fmt: skip
    return shown


def _flow(shown: dict) -> Figure:
    with canvas(7.2, 7.6, 2, 1, sharex=True) as (figure, (upper, lower)):
        groups = {upper: [s for s in shown if s.startswith("RNN")], lower: [s for s in shown if s[0] != "R"]}
        titles = {
            upper: "Plain RNN, by its recurrent matrix",
            lower: "LSTM and GRU, by the bias of what they keep",
        }
        for axes, starts in groups.items():
            axes.axhspan(-12.5, -2, color=GRID, alpha=0.45, lw=0)
            axes.axhline(0, color=MUTED, lw=0.8)
            axes.set_ylim(-8.4, 5.2 if axes is upper else 2.4)
            for start in starts:
                colour, style = _LOOKS[start]
                one = shown[start]
                axes.fill_between(one["lags"], one["least"], one["most"], color=colour, alpha=0.15, lw=0)
                name = start.split(", ", 1)[1] if axes is upper else start
                axes.plot(one["lags"], one["median"], color=colour, ls=style, lw=2, label=name)
            axes.legend(loc="lower right", fontsize=9.5, handlelength=3.2)
            axes.set_title(titles[axes])
            axes.set_ylabel("norm of ∂h(T) / ∂h(T − k)")
            axes.yaxis.set_major_formatter(lambda value, _: f"{10.0**value:,g}".replace("e-0", "e-"))
            axes.text(198, -2.12, "under 1 %", color=MUTED, fontsize=9, va="top", ha="right")
        lower.set_xlabel("k, steps back")
        lower.set_xlim(0, 200)
        lower.set_xticks(range(0, 201, 40))
        return figure


# --- the adding problem by length


def _memory_data() -> dict | None:
    rows = claim_lines.rows_of("memory")
    if not rows:
        return None
    shown: dict[str, dict[str, list]] = {}
    for row in rows:
        key = row["key"]
        solved = row["solved_at"] if row["solved"] else None
        shown.setdefault(key["cell"], {}).setdefault(str(key["steps"]), []).append(solved)
    return {"cells": shown, "most": rows[0]["settings"]["steps"]}


def _memory(shown: dict) -> Figure:
    lengths = sorted({int(n) for one in shown["cells"].values() for n in one})
    with canvas(7.2, 4.2) as (figure, axes):
        failed = shown["most"] * 1.6
        axes.axhspan(shown["most"] * 1.25, shown["most"] * 2.1, color=GRID, alpha=0.6, lw=0)
        for place, (cell, (colour, marker, name)) in enumerate(_CELLS.items()):
            own = shown["cells"].get(cell, {})
            for column, length in enumerate(lengths):
                values = own.get(str(length), [])
                x = column + (place - 2.5) * 0.13
                for k, value in enumerate(values):
                    offset = (k - (len(values) - 1) / 2) * 0.03
                    hollow = value is None
                    axes.plot(x + offset, failed if hollow else value, marker, color=colour, ms=6, alpha=0.9,
                              mfc="white" if hollow else colour, mew=1.4)  # fmt: skip
            axes.plot([], [], marker, color=colour, ms=6, label=name)
        axes.set_yscale("log")
        axes.set_ylim(60, shown["most"] * 2.1)
        axes.set_yticks([100, 300, 1000, 3000], ["100", "300", "1,000", "3,000"])
        axes.minorticks_off()
        axes.set_xticks(range(len(lengths)), [f"{n} steps" for n in lengths])
        axes.text(-0.46, failed, "not solved", va="center", color=MUTED, fontsize=9)
        axes.set_xlim(-0.5, len(lengths) - 0.5)
        axes.set_ylabel("steps of training until it is solved")
        axes.set_title("Adding two numbers that lie far apart: one mark a run")
        figure.legend(loc="outside lower center", ncols=3)
        return figure


PICTURES: dict[str, tuple[Callable[[], dict | None], Callable[[dict], Figure]]] = {
    "understanding-unrolled.png": (_unrolled_data, _unrolled),
    "understanding-flow.png": (_flow_data, _flow),
    "understanding-memory.png": (_memory_data, _memory),
}


def _seeds(counts: list[int]) -> str:
    """How many seeds there are, while not all runs are done too."""
    least, most = min(counts), max(counts)
    return f"{most} seed{'s' if most > 1 else ''}" if least == most else f"{least} to {most} seeds"


def _flow_caption(shown: dict) -> tuple[str, str]:
    runs = _seeds([one["runs"] for one in shown.values()])
    return (
        "Norm of the Jacobian product by lag, on a logarithmic scale, for plain and gated layers",
        f"Largest singular value of ∂h(T) / ∂h(T−k), all states together: median and range of {runs}.",
    )


def _memory_caption(shown: dict) -> tuple[str, str]:
    runs = _seeds([len(values) for one in shown["cells"].values() for values in one.values()])
    return (
        "Steps of training until adding is solved, by cell and length",
        f"{runs} of each; hollow marks above: not solved within {shown['most']:,} steps.",
    )


CAPTIONS: dict[str, Callable[[dict], tuple[str, str]]] = {
    "understanding-flow.png": _flow_caption,
    "understanding-memory.png": _memory_caption,
}
