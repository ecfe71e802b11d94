"""The report's pictures. Each draws plain numbers and knows no network."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics

from gatewise.report.canvas import GRID, INK, LINE, MODEL, OTHERS, canvas
from gatewise.report.learning_curve import draw_losses
from gatewise.tasks.classify.calibration import reliability
from gatewise.tasks.classify.evaluation import ClassEvaluation

__all__ = ["plot_confusion", "plot_precision_recall", "plot_reliability", "plot_training"]

# With more classes than these, a cell of the confusion has no room for its number, and lines are too many to tell.
_MOST_NUMBERED, _MOST_LINES = 15, 6
_BINS = 10


def plot_confusion(evaluation: ClassEvaluation) -> Figure:
    """What came against what was decided, as shares of what came."""
    counts = evaluation.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = float(np.clip(2.4 + 0.5 * len(counts), 4.2, 9.0))
    with canvas(size + 0.6, size) as (figure, axes):
        axes.grid(visible=False)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        names = [_short(name) for name in evaluation.classes]
        slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(range(len(names)), names, **(slanted if max(map(len, names)) > 4 else {}))
        axes.set_yticks(range(len(names)), names)
        if len(names) <= _MOST_NUMBERED:
            for (row, column), count in np.ndenumerate(counts):
                share = shares[row, column]
                axes.text(
                    column, row, f"{share:.0%}\n{count:,}" if count else "0", ha="center", va="center",
                    color="white" if share > 0.5 else INK, fontsize=8.5 if len(names) <= 8 else 7,
                )  # fmt: skip
        for side in axes.spines.values():
            side.set_visible(False)
        axes.set(xlabel="decided", ylabel="came")
        axes.set_title("What came, and what the model said")
        bar = figure.colorbar(image, ax=axes, shrink=0.7)
        bar.outline.set_visible(False)
        bar.set_label("share of what came")
        return figure


def plot_reliability(evaluation: ClassEvaluation) -> Figure:
    """Stated probability against how often it came so, of the decided class and of single classes."""
    line = np.array([0.0, 1.0])
    with canvas(5.4, 4.4) as (figure, axes):
        axes.fill_between(line, line - 0.05, line + 0.05, color=GRID, lw=0, label="within 5 points")
        axes.plot(line, line, color=LINE, lw=1, ls="--")
        probabilities, truth = evaluation.probabilities, evaluation.truth
        if len(evaluation.classes) == 2:
            bins = reliability(probabilities[:, 1], truth == 1, _BINS)
            _bins(axes, bins, MODEL, f"probability of {_short(evaluation.classes[1])}", 2.0)
        else:
            stated = probabilities[np.arange(len(truth)), evaluation.decided]
            _bins(
                axes, reliability(stated, evaluation.decided == truth, _BINS), MODEL, "the decided class", 2.0
            )
            for index, colour in zip(range(min(len(evaluation.classes), _MOST_LINES)), OTHERS, strict=False):
                bins = reliability(probabilities[:, index], truth == index, _BINS)
                _bins(axes, bins, colour, _short(evaluation.classes[index]), 0.9)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated probability", ylabel="share that came so")
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.yaxis.set_major_formatter("{x:.0%}")
        own = evaluation.scores[evaluation.model]
        axes.set_title(f"Can the probabilities be trusted? Mean error {own.calibration_error:.1%}")
        axes.legend(loc="upper left")
        return figure


def plot_precision_recall(evaluation: ClassEvaluation) -> Figure:
    """Precision against recall, of each class against the rest (of two, the positive one)."""
    chosen = (
        [evaluation.positive]
        if evaluation.positive is not None
        else list(range(min(len(evaluation.classes), _MOST_LINES)))
    )
    with canvas(5.4, 4.4) as (figure, axes):
        for index, colour in zip(chosen, (MODEL, *OTHERS), strict=False):
            came = evaluation.truth == index
            if not came.any():
                continue
            precision, recall, _ = metrics.precision_recall_curve(came, evaluation.probabilities[:, index])
            area = metrics.average_precision_score(came, evaluation.probabilities[:, index])
            name = _short(evaluation.classes[index])
            axes.plot(
                recall, precision, color=colour, lw=1.8, label=f"{name}: {area:.3f}", drawstyle="steps-post"
            )
            axes.axhline(came.mean(), color=colour, lw=0.8, ls=":")
        axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        axes.set_title("Precision and recall (dotted: the class's share)")
        axes.legend(loc="lower left", title="average precision", title_fontsize=9, alignment="left")
        return figure


def plot_training(history: list[dict[str, Any]], best_epoch: int | None) -> Figure:
    """Training and held-back log loss by epoch, and the held-back accuracy."""
    epochs = [record["epoch"] for record in history]
    with canvas(5.4, 4.4, 2, 1, sharex=True, height_ratios=(2, 1)) as (figure, (upper, lower)):
        draw_losses(upper, history, best_epoch, trained="training", held="held back")
        upper.set_title("Log loss during training")
        lower.plot(epochs, [record["validation_accuracy"] for record in history], color=MODEL, lw=2)
        lower.yaxis.set_major_formatter("{x:.0%}")
        lower.set(xlabel="epoch")
        lower.set_title("Held-back accuracy")
        lower.xaxis.get_major_locator().set_params(integer=True)
        return figure


def _bins(axes: Any, bins: list[tuple[float, float, int]], colour: str, label: str, width: float) -> None:
    said, came, counts = (np.array(one) for one in zip(*bins, strict=True))
    if width > 1:
        # Two standard errors of a share of so many.
        spread = 2 * np.sqrt(np.clip(said * (1 - said), 1e-4, None) / counts)
        axes.vlines(said, came - spread, came + spread, color=colour, alpha=0.35, lw=2)
    axes.plot(
        said,
        came,
        color=colour,
        lw=width,
        marker="o",
        ms=3 + width,
        label=label,
        alpha=1 if width > 1 else 0.7,
    )


def _short(name: str, most: int = 16) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
