"""The report's pictures of a language model. Each draws plain numbers and knows no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from gatewise.report.canvas import INK, LINE, MODEL, MUTED, OTHERS, canvas
from gatewise.tasks.language.evaluation import Surprise, TextEvaluation

__all__ = ["plot_by_count", "plot_scores", "plot_surprises", "plot_training"]

_MOST_SURPRISES = 20


def plot_training(history: Sequence[dict[str, Any]], best: int | None) -> Figure:
    """Perplexity by epoch, in training (with dropout and penalties) and on what was held back."""
    epochs = [record["epoch"] for record in history]
    with canvas(7.2, 3.6) as (figure, axes):
        trained = [_perplexity(record["train_loss"]) for record in history]
        held = [_perplexity(record["validation_loss"]) for record in history]
        marker = "o" if len(epochs) < 15 else ""
        axes.plot(
            epochs, trained, color=OTHERS[0], lw=1.6, marker=marker, ms=3.5, label="training, with dropout"
        )
        axes.plot(epochs, held, color=MODEL, lw=2.0, marker=marker, ms=3.5, label="held back")
        if best is not None and best in epochs:
            value = held[epochs.index(best)]
            axes.plot([best], [value], "o", color=MODEL, ms=7)
            axes.annotate(
                f"{value:.1f}",
                (best, value),
                textcoords="offset points",
                xytext=(0, -14),
                ha="center",
                color=INK,
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:.4g}")
        axes.yaxis.set_minor_formatter("{x:.4g}")
        axes.tick_params(axis="y", which="minor", labelsize=8)
        axes.set(xlabel="epoch", ylabel="perplexity, logarithmic")
        axes.set_title("Perplexity over the epochs")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
        return figure


def plot_scores(evaluation: TextEvaluation) -> Figure:
    """The model's bits per character beside those of the baselines."""
    names = list(evaluation.scores)
    values = [evaluation.scores[name].bits_per_character for name in names]
    with canvas(7.2, 0.9 + 0.5 * len(names)) as (figure, axes):
        axes.grid(visible=False)
        places = range(len(names))[::-1]
        colours = [MODEL if name.startswith(evaluation.model) else LINE for name in names]
        axes.barh(places, values, color=colours, height=0.62)
        axes.set_yticks(places, names)
        for place, name, value in zip(places, names, values, strict=True):
            axes.text(
                value, place, f"  {value:.3f} (perplexity {evaluation.scores[name].perplexity:.1f})",
                va="center", color=INK, fontsize=9,
            )  # fmt: skip
        axes.set_xlim(0, max(values) * 1.4)
        axes.set_xlabel("bits per character: fewer are better")
        axes.set_title("The same tokens, the same past")
        return figure


def plot_surprises(surprises: Sequence[Surprise]) -> Figure:
    """The tokens that were least expected, each after what stood before it."""
    shown = list(surprises[:_MOST_SURPRISES])
    with canvas(9.2, 0.9 + 0.27 * max(len(shown), 1)) as (figure, axes):
        axes.grid(visible=False)
        places = range(len(shown))[::-1]
        bits = [-math.log2(max(one.probability, 1e-300)) for one in shown]
        axes.barh(places, bits, color=OTHERS[3], height=0.62)
        axes.set_yticks(places, [_in_context(one) for one in shown], family="DejaVu Sans Mono", fontsize=8)
        axes.set_xlabel("bits: one more for each halving of the probability")
        axes.set_title("The most surprising tokens")
        return figure


def plot_by_count(evaluation: TextEvaluation) -> Figure:
    """Perplexity by how often a token was seen in training."""
    labels = [f"{label}\n({count:,})" for label, count, _ in evaluation.by_count]
    values = [value for _, _, value in evaluation.by_count]
    with canvas(7.2, 3.4) as (figure, axes):
        axes.bar(range(len(values)), values, color=MODEL, width=0.62)
        # From 1, at which nothing is uncertain, so that the bars' lengths mean something.
        axes.set_yscale("log")
        axes.set_ylim(1, max(values) * 2)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.set_xticks(range(len(values)), labels, fontsize=8)
        for place, value in enumerate(values):
            axes.text(place, value, f"{value:.4g}", ha="center", va="bottom", color=MUTED, fontsize=8.5)
        axes.set(xlabel="seen in training (tokens of the test)", ylabel="perplexity, logarithmic")
        axes.set_title("Perplexity by how often a token was seen")
        return figure


def _perplexity(nats: float) -> float:
    return math.exp(min(nats, 700.0))


def _in_context(one: Surprise) -> str:
    """The last of what stood before, and the token in brackets."""
    before = one.before[-34:].replace("\n", "⏎").replace("$", "﹩")
    token = one.token.strip(" ").replace("\n", "⏎").replace("$", "﹩") or "␣"
    return f"{before:>34} [{token[:16]}]"
