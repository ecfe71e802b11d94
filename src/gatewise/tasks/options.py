"""What the estimators' parameters have in common: checks, and the training that follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gatewise import train
from gatewise.checks import whole
from gatewise.nn.arguments import no_type_check

__all__ = ["check_count", "training_config"]

# Averaged weights forecast better than the last ones (Polyak & Juditsky 1992); memory of some fifty steps.
_EMA_DECAY = 0.98


@no_type_check
def check_count(name: str, value: Any, least: int = 1) -> None:
    """Raises unless a parameter is an integer of at least so much.

    Raises:
        ArgumentError, ArgumentTypeError: naming it.
    """
    whole(name, value, least)


def training_config(
    estimator: Any,
    seed: int,
    *,
    warmup_steps: int,
    weight_decay: float,
    averaging: str | None = "ema",
    learning_rate: float | None = None,
) -> train.TrainConfig:
    """How an estimator is trained: its own parameters, a cosine schedule, averaged weights.

    Args:
        estimator: with max_epochs, learning_rate, patience, precision, device, max_time and checkpoint_folder.
        seed: of the run.
        warmup_steps, weight_decay, averaging: as in `TrainConfig`.
        learning_rate: in place of an estimator's that is None.

    Raises:
        ArgumentError, ArgumentTypeError: a parameter cannot be used.
    """
    folder = estimator.checkpoint_folder
    return train.TrainConfig(
        max_epochs=estimator.max_epochs,
        learning_rate=learning_rate if estimator.learning_rate is None else estimator.learning_rate,
        schedule="cosine",
        warmup_steps=warmup_steps,
        weight_decay=weight_decay,
        patience=estimator.patience,
        precision=estimator.precision,
        device=estimator.device,
        seed=seed,
        max_time=estimator.max_time,
        checkpoint_folder=None if folder is None else Path(folder),
        averaging=averaging,
        ema_decay=_EMA_DECAY,
    )
