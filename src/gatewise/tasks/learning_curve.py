"""The picture of a training that the reports of several tasks show."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from gatewise.tasks.canvas import MODEL, MUTED, canvas

__all__ = ["plot_training"]


def plot_training(history: list[dict[str, Any]], best_epoch: int | None, title: str) -> Figure:
    """Training and validation loss by epoch, a line for each member of an ensemble.

    Args:
        history: of the training, one record an epoch; "member" tells whose, where there are several.
        best_epoch: the one that was kept, of the last member, or None.
        title: of the picture; it names the loss.
    """
    members = [record.get("member", 0) for record in history]
    epochs: list[int] = []
    losses: list[float] = []
    with canvas(5.4, 3.7) as (figure, axes):
        for member in sorted(set(members)):
            own = [record for record, place in zip(history, members, strict=True) if place == member]
            epochs = [record["epoch"] for record in own]
            losses = [record["validation_loss"] for record in own]
            first = member == 0
            train_losses = [record["train_loss"] for record in own]
            axes.plot(epochs, train_losses, color=MUTED, lw=1.5, label="training" if first else None)
            axes.plot(epochs, losses, color=MODEL, lw=2, label="validation" if first else None)
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
