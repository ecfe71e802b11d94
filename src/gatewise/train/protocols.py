"""What `fit` needs from a task: where batches come from and what to minimise; and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

__all__ = ["BatchSource", "History", "Objective"]


@runtime_checkable
class BatchSource(Protocol):
    """Batches as a pure function of (epoch, step): this is what makes an exact resume possible.

    Three optional members are used where they exist. `fingerprint() -> str` tells one data set from another
    when a run is resumed (without it, the first batch is hashed). `batch_dim: int` is the dimension that the
    rows of a batch lie in, 0 unless given, the same for every tensor of the batch; data-parallel training
    cuts there. `rate_factor(epoch, step) -> float` is what a step's learning rate is multiplied by (windows of
    a text that are shorter than others count for less).
    """

    def steps_per_epoch(self) -> int:
        """Return how many batches one epoch has."""
        ...

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Return a batch, the same for the same pair; both count from 0, `step` within the epoch."""
        ...


@runtime_checkable
class Objective(Protocol):
    """What is minimised, and how well the model does on data that is held out.

    Optional members. `weight(batch) -> float | Tensor` is what the mean in `loss` is taken over (say, the
    number of values that are not missing): data-parallel training weighs each process's share by it (by its
    rows, without). `fingerprint() -> str` tells one objective from another at a resume. `state_tensors() ->
    dict[str, Tensor]` and `load_state_tensors(tensors)` keep what is carried from step to step (the states
    of truncated backpropagation) in the checkpoints. `reached(measures) -> bool` is asked after each validation,
    with its measures, whether there is nothing more to train for; it must depend on them alone.
    """

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the scalar to differentiate. Called in training mode, under the precision's autocast."""
        ...

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return measures on held-out data, "loss" among them (lower is better); no gradients."""
        ...


@dataclass
class History:
    """What happened in a run.

    Attributes:
        epochs: one dict per epoch: "epoch" (from 1), "step" (steps so far), "train_loss" (mean over the
            epoch's steps), "validation_loss" and the other measures with the same prefix, "learning_rate"
            (of the last step), "seconds" (of this epoch).
        best_epoch: the "epoch" with the least validation loss, None before the first validation.
        best_loss: that loss, or None.
        stopped: why it ended: "finished", "max_steps", "reached", "patience", "max_time" or "interrupted"; "" while
            it runs.
        steps: optimiser steps done.
        seconds: time spent, earlier resumptions included.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int | None = None
    best_loss: float | None = None
    stopped: str = ""
    steps: int = 0
    seconds: float = 0.0

    def best(self) -> dict[str, Any] | None:
        """Return the record of the best epoch, or None."""
        return next((record for record in self.epochs if record["epoch"] == self.best_epoch), None)
