"""Losses by epoch, as the reports of several tasks show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from gatewise.report.canvas import MODEL, MUTED, canvas

__all__ = ["draw_losses", "plot_training"]


def plot_training(
    history: Sequence[dict[str, Any]], best_epoch: int | None, title: str, *, trained: str = "training",
    held: str = "validation",
) -> Figure:  # fmt: skip
    """Training and validation loss by epoch; the arguments are those of `draw_losses`, and the picture's title."""
    with canvas(5.4, 3.7) as (figure, axes):
        draw_losses(axes, history, best_epoch, trained=trained, held=held)
        axes.set_xlabel("epoch")
        axes.set_title(title)
        axes.xaxis.get_major_locator().set_params(integer=True)
        return figure


def draw_losses(
    axes: Any, history: Sequence[dict[str, Any]], best_epoch: int | None, *, trained: str, held: str
) -> None:
    """Draw both losses, a line for each member of an ensemble, and mark the epoch that was kept.

    Args:
        axes: where.
        history: of the training, one record an epoch; "member" tells whose, where there are several.
        best_epoch: the one that was kept, of the last member, or None.
        trained, held: what the two are called.
    """
    members = [record.get("member", 0) for record in history]
    epochs: list[int] = []
    losses: list[float] = []
    for member in sorted(set(members)):
        own = [record for record, place in zip(history, members, strict=True) if place == member]
        epochs = [record["epoch"] for record in own]
        losses = [record["validation_loss"] for record in own]
        first = member == 0
        train_losses = [record["train_loss"] for record in own]
        axes.plot(epochs, train_losses, color=MUTED, lw=1.5, label=trained if first else None)
        axes.plot(epochs, losses, color=MODEL, lw=2, label=held if first else None)
    if best_epoch in epochs:
        place = (best_epoch, losses[epochs.index(best_epoch)])
        axes.plot(*place, "o", color=MODEL, ms=7, mfc="white", mew=2)
        axes.annotate(
            "kept", place, (0, 10), textcoords="offset points", ha="center", color=MODEL, fontsize=9
        )
    axes.legend(loc="upper right")
