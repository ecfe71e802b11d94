"""Attributions drawn over the text: as a picture, and as HTML for the report."""

from __future__ import annotations

from html import escape

import numpy as np
from matplotlib.figure import Figure

from gatewise.report.canvas import INK, MUTED, canvas
from gatewise.tasks.text_classification.attribution import Attribution

__all__ = ["attribution_html", "plot_attribution"]

# For and against the class, as red, green and blue.
_FOR, _AGAINST = (31, 95, 191), (163, 67, 43)
_WIDTH, _LINE = 92, 0.34


def plot_attribution(attribution: Attribution, most_words: int = 300) -> Figure:
    """The text, each word on a ground that shows how much it speaks for the class (blue) or against it (red).

    Args:
        attribution: as `TextClassifier.attributions` gives it.
        most_words: of a longer text, so many are drawn.
    """
    words = [_shown(word) for word in attribution.words[:most_words]]
    places, at, row = [], 0, 0
    for word in words:
        if at and at + len(word) > _WIDTH:
            at, row = 0, row + 1
        places.append((at, row))
        at += len(word) + 1
    with canvas(9.0, 0.9 + _LINE * (row + 1)) as (figure, axes):
        axes.axis("off")
        axes.set(xlim=(0, _WIDTH), ylim=(row + 0.6, -0.8))
        for word, (column, line), strength in zip(words, places, _strengths(attribution), strict=False):
            red, green, blue = _FOR if strength > 0 else _AGAINST
            colour = (red / 255, green / 255, blue / 255, min(abs(strength), 1) * 0.75)
            axes.text(
                column, line, word, family="DejaVu Sans Mono", fontsize=8.4, va="center",
                color="white" if abs(strength) > 0.7 else INK,
                bbox={"facecolor": colour, "edgecolor": "none", "boxstyle": "round,pad=0.12"},
            )  # fmt: skip
        axes.set_title(f"What speaks for {attribution.target!r} (blue) and against it (red)")
        axes.text(0, row + 0.75, _sum_words(attribution), fontsize=7.5, color=MUTED, va="top", clip_on=False)
        return figure


def attribution_html(attribution: Attribution) -> str:
    """The same as HTML: words on grounds, and what they add up to."""
    parts = []
    for word, score, strength in zip(
        attribution.words, attribution.scores, _strengths(attribution), strict=True
    ):
        red, green, blue = _FOR if strength > 0 else _AGAINST
        share = min(abs(strength), 1) * 0.6
        parts.append(
            f'<span title="{score:+.3f}" style="background:rgba({red},{green},{blue},{share:.2f});border-radius:4px;'
            f'padding:1px 3px">{escape(word)}</span>'
        )
    return f'<p style="line-height:1.9">{" ".join(parts)}</p><p class="note">{escape(_sum_words(attribution))}</p>'


def _strengths(attribution: Attribution) -> list[float]:
    """Scores as shares of the largest."""
    most = float(np.abs(attribution.scores).max(initial=1e-12))
    return (attribution.scores / most).tolist()


def _sum_words(attribution: Attribution) -> str:
    total = float(attribution.scores.sum())
    whole = "complete" if attribution.complete else "NOT complete"
    return (
        f"Log odds of {attribution.target!r}: {attribution.value:+.2f}; of empty words {attribution.base:+.2f}; the "
        f"words add {total:+.2f} ({whole}: {abs(attribution.gap):.4f} is missed by the sum over "
        f"{attribution.points} points)."
    )


def _shown(word: str, most: int = 40) -> str:
    # A dollar sign would begin a formula.
    plain = word if len(word) <= most else word[: most - 1] + "…"
    return plain.replace("$", r"\$")
