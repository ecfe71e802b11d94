"""The tagging report's pictures. Each draws plain numbers and knows no network."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gatewise.report.canvas import INK, MODEL, MUTED, OTHERS, canvas
from gatewise.tasks.tagging.evaluation import TagEvaluation

__all__ = ["plot_by_kind", "plot_kinds", "plot_training"]

_MOST_KINDS, _MOST_NUMBERED = 20, 12


def plot_by_kind(evaluation: TagEvaluation) -> Figure:
    """F1 of each kind, the most frequent first, with how often it came."""
    rows = sorted(evaluation.by_kind.items(), key=lambda item: -item[1]["came"])[:_MOST_KINDS][::-1]
    with canvas(6.4, float(np.clip(1.2 + 0.28 * len(rows), 2.2, 7.0))) as (figure, axes):
        axes.grid(visible=False)
        places = np.arange(len(rows))
        axes.barh(places, [row["f1"] for _, row in rows], color=MODEL, height=0.66)
        for place, (_, row) in enumerate(rows):
            axes.text(
                min(row["f1"] + 0.01, 1.0), place, f"{row['f1']:.0%} of {row['came']:,.0f}", va="center", color=INK,
                fontsize=8,
            )  # fmt: skip
        axes.set_yticks(places, [_short(name) for name, _ in rows])
        axes.set(xlim=(0, 1.22))
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.xaxis.set_major_formatter("{x:.0%}")
        rest = len(evaluation.by_kind) - len(rows)
        axes.set_title(
            "F1 by kind" + (f" (the {len(rows)} most frequent of {len(evaluation.by_kind)})" if rest else "")
        )
        return figure


def plot_kinds(evaluation: TagEvaluation) -> Figure:
    """What came against what was said of the very same words, the most frequent kinds and no span."""
    counts = evaluation.confusion
    order = np.argsort(-counts[:-1].sum(axis=1), kind="stable")[:_MOST_KINDS]
    shown = np.concatenate([order, [len(counts) - 1]])
    counts = counts[np.ix_(shown, shown)]
    names = [_short(evaluation.kinds[one]) for one in shown]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = float(np.clip(2.6 + 0.36 * len(counts), 4.2, 9.0))
    with canvas(size + 0.6, size) as (figure, axes):
        axes.grid(visible=False)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        if len(names) <= _MOST_NUMBERED:
            for (row, column), count in np.ndenumerate(counts):
                if count:
                    colour = "white" if shares[row, column] > 0.5 else INK
                    axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.set(xlabel="said", ylabel="came")
        axes.set_title("What came, and what was said of the same words")
        bar = figure.colorbar(image, ax=axes, shrink=0.7)
        bar.outline.set_visible(False)
        bar.set_label("share of the row")
        return figure


def plot_training(history: list[dict[str, Any]], best_epoch: int | None) -> Figure:
    """Training loss, and what held-back sentences show, by epoch."""
    epochs = [record["epoch"] for record in history]
    with canvas(6.4, 4.4, 2, 1, sharex=True, height_ratios=(1, 2)) as (figure, (upper, lower)):
        upper.plot(epochs, [record["train_loss"] for record in history], color=MUTED, lw=1.5)
        upper.set_title("Training loss")
        named = (
            ("f1", "F1", MODEL),
            ("tag_accuracy", "tags", OTHERS[1]),
            ("intent_accuracy", "intents", OTHERS[0]),
        )
        for key, label, colour in named:
            values = [record.get(f"validation_{key}") for record in history]
            if None not in values:
                lower.plot(epochs, values, color=colour, lw=2, label=label)
        if best_epoch in epochs:
            lower.axvline(best_epoch, color=MUTED, lw=0.8, ls=":")
        lower.yaxis.set_major_formatter("{x:.0%}")
        lower.set(xlabel="epoch")
        lower.set_title("On held-back sentences (dotted: the epoch that was kept)")
        lower.legend(loc="lower right")
        lower.xaxis.get_major_locator().set_params(integer=True)
        return figure


def _short(name: str, most: int = 22) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
