"""What a run tells people: its plan, where it is, how it ended."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from gatewise.train.progress import Plan, Snapshot, estimate

if TYPE_CHECKING:
    from gatewise.train.run import Run

__all__ = ["ending", "plan", "snapshot"]


def plan(run: Run) -> Plan:
    """Say what a run sets out to do."""
    return Plan(
        max_epochs=run.config.max_epochs,
        steps_per_epoch=run.steps_per_epoch,
        total_steps=run.total_steps,
        patience=run.config.patience,
        max_time=run.config.max_time,
        step=run.step,
        device=str(run.placement.device),
        precision=run.placement.precision,
        parameters=sum(parameter.numel() for parameter in run.stepper.parameters),
    )


def snapshot(run: Run) -> Snapshot:
    """Say where a run is, and how long it may still take."""
    last = run.history.epochs[-1] if run.history.epochs else None
    mean = None if last is None else last["train_loss"]
    if run.position:
        mean = run.loss_sum.item() / run.position
    limit, patience = run.config.max_time, run.config.patience
    left = run.total_steps - run.step
    spent = time.monotonic() - run.started - run.validations_seconds
    time_left = estimate(
        steps_left=left,
        epochs_left=math.ceil((left + run.position) / run.steps_per_epoch),
        patience_epochs=None if patience is None else max(patience - run.waited, 0),
        steps_to_epoch_end=run.steps_per_epoch - run.position,
        steps_per_epoch=run.steps_per_epoch,
        step_seconds=spent / run.steps_here if run.steps_here else None,
        validation_seconds=run.validation_seconds,
        budget=None if limit is None else limit - run.elapsed,
    )
    return Snapshot(
        epoch=min(run.epoch + 1, run.config.max_epochs),
        step_in_epoch=run.position,
        step=run.step,
        train_loss=mean,
        validation_loss=None if last is None else last["validation_loss"],
        best_loss=run.history.best_loss,
        learning_rate=run.rate,
        seconds=run.elapsed,
        left=time_left,
    )


def ending(run: Run) -> str:
    """Say how a run ended and what the model holds."""
    history, config = run.history, run.config
    text = {
        "finished": f"all {config.max_epochs} epochs done",
        "max_steps": f"all {config.max_steps} steps done",
        "reached": f"the goal is reached after {history.steps} steps",
        "patience": f"no improvement in {config.patience} epochs",
        "max_time": f"time is up (max_time={config.max_time})",
        "interrupted": f"stopped by Ctrl-C after step {history.steps}",
    }[history.stopped]
    if history.best_epoch is None:
        text += "; no epoch was validated, the weights are kept as they are"
    elif config.keep_best:
        text += f"; the best weights are kept, of epoch {history.best_epoch}"
        text += f" (validation loss {history.best_loss:.4g})"
    if history.stopped in ("interrupted", "max_time") and config.checkpoint_folder is not None:
        text += f"; to continue, run it again with {config.checkpoint_folder}"
    return text
