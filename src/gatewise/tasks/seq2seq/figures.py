"""The report's pictures: what was attended to, and how training went. They draw plain numbers and know no network."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from gatewise.errors import ArgumentError
from gatewise.report.canvas import canvas
from gatewise.tasks.seq2seq.fitted import Said

__all__ = ["plot_attention"]

# More tokens than these cannot be read: of a longer text, those that got the most attention are shown.
_MOST_TOKENS = 40


def plot_attention(said: Said) -> Figure:
    """What each token that was said attended to.

    Args:
        said: with its attention (see `Translator.attend`).

    Raises:
        ArgumentError: there is none.
    """
    if said.attention is None:
        raise ArgumentError(
            "said: a target with its attention is expected, came one without; use attend(...)"
        )
    weights, columns, rows = said.attention, list(said.source_tokens), list(said.tokens)
    note = ""
    if len(columns) > _MOST_TOKENS:
        shown = np.sort(np.argsort(-weights.max(axis=0), kind="stable")[:_MOST_TOKENS])
        note = f" (the {_MOST_TOKENS} of {len(columns)} source tokens that got most)"
        weights, columns = weights[:, shown], [columns[at] for at in shown]
    width, height = (float(np.clip(1.8 + 0.3 * len(names), 3.6, 12.0)) for names in (columns, rows))
    with canvas(width + 0.8, height) as (figure, axes):
        axes.grid(visible=False)
        image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        slanted = {"rotation": 60, "ha": "left", "rotation_mode": "anchor"}
        axes.xaxis.tick_top()
        axes.set_xticks(range(len(columns)), [_plain(name) for name in columns], **slanted)
        axes.set_yticks(range(len(rows)), [_plain(name) for name in rows])
        for side in axes.spines.values():
            side.set_visible(False)
        axes.set(xlabel="source" + note, ylabel="said, from above")
        bar = figure.colorbar(image, ax=axes, shrink=0.7)
        bar.outline.set_visible(False)
        bar.set_label("attention")
        return figure


def _plain(name: str) -> str:
    """A token that matplotlib does not take for mathematics."""
    return name.strip().replace("$", r"\$") or "␣"
