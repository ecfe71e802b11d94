"""The picture of a training that the reports of several tasks show."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from gatewise.tasks.canvas import MODEL, MUTED, canvas

__all__ = ["plot_training"]


def plot_training(history: list[dict[str, Any]], best_epoch: int | None, title: str) -> Figure:
    """Training and validation loss by epoch.

    Args:
        history: of the training, one record an epoch.
        best_epoch: the one that was kept, or None.
        title: of the picture; it names the loss.
    """
    epochs = [record["epoch"] for record in history]
    with canvas(5.4, 3.7) as (figure, axes):
        axes.plot(epochs, [record["train_loss"] for record in history], color=MUTED, lw=1.5, label="training")
        losses = [record["validation_loss"] for record in history]
        axes.plot(epochs, losses, color=MODEL, lw=2, label="validation")
        if best_epoch in epochs:
            axes.plot(
                [best_epoch], [losses[epochs.index(best_epoch)]], "o", color=MODEL, ms=7, mfc="white", mew=2
            )
            axes.annotate(
                "kept", (best_epoch, losses[epochs.index(best_epoch)]), (0, 10), textcoords="offset points",
                ha="center", color=MODEL, fontsize=9,
            )  # fmt: skip
        axes.set_xlabel("epoch")
        axes.set_title(title)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="upper right")
        return figure
