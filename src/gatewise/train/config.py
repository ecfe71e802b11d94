"""What a training run is asked to do."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gatewise.checks import unwrapped, whole
from gatewise.errors import ArgumentError, ArgumentTypeError

__all__ = ["TrainConfig"]

_CHOICES = {
    "schedule": ("constant", "cosine", "one_cycle", "plateau"),
    "optimizer": ("adamw", "adam", "sgd"),
    "precision": ("auto", "float32", "bfloat16", "float16"),
    "averaging": (None, "ema", "triggered"),
}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How `fit` trains: all of it, and nothing about the model or the data.

    Args:
        max_epochs: the most passes over the source, at least 1.
        max_steps: the most steps in all, or None.
        learning_rate: the schedule's peak, above 0.
        schedule: "constant"; "cosine" (half a cosine down to 0 at the last step; Loshchilov & Hutter 2017,
            eq. 5, without restarts); "one_cycle" (up over the first 30 %, then down; Smith & Topin 2018);
            "plateau" (halved when the validation loss has not improved for 3 epochs).
        warmup_steps: steps over which the rate rises linearly from near 0 to the schedule's, at least 0.
        weight_decay: at least 0; applied to matrices, not to biases and gains.
        optimizer: "adamw", "adam" or "sgd".
        momentum: Nesterov's, for "sgd" alone, at least 0 and below 1; 0 is plain stochastic gradient descent.
        gradient_clip: the gradient's largest 2-norm over all parameters (Pascanu 2013), or None.
        patience: stop when the validation loss has not improved for so many epochs, or None.
        precision: "float32"; "bfloat16" or "float16" (autocast; weights stay float32; float16 with loss
            scaling); "auto": bfloat16 on a CUDA device that has it, otherwise float32.
        device: "auto" (cuda or xpu if there is one, otherwise cpu) or a torch device's name.
        seed: for dropout and whatever else draws random numbers during the run.
        max_time: seconds for the whole run, over all its resumptions, or None. The schedule is shortened to
            end by then.
        checkpoint_folder: where to keep checkpoints to resume from, or None.
        checkpoint_every_seconds: at most so many seconds of work are lost, above 0.
        checkpoint_every_steps: also after every so many steps, or None.
        keep_best: end with the weights of the epoch with the least validation loss.
        averaging: "ema" validates and keeps an exponential moving average of the weights; "triggered" the mean of
            all weights since the validation loss stopped improving (NT-ASGD with "sgd"; Merity et al. 2018,
            algorithm 1); or None.
        ema_decay: the memory of "ema", above 0 and below 1; the first steps use less.
        trigger_epochs: "triggered" begins after a validation loss that is above the least of those more than so many
            epochs ago, at least 1.

    Raises:
        ArgumentError: a value is out of its range.
        ArgumentTypeError: a value has the wrong type.

    Example:
        >>> TrainConfig(max_epochs=3, max_time=60).schedule
        'cosine'
    """

    max_epochs: int = 50
    max_steps: int | None = None
    learning_rate: float | int = 1e-3
    schedule: str = "cosine"
    warmup_steps: int = 0
    weight_decay: float | int = 0.0
    optimizer: str = "adamw"
    momentum: float | int = 0.9
    gradient_clip: float | int | None = 1.0
    patience: int | None = 10
    precision: str = "auto"
    device: Any = "auto"
    seed: int = 0
    max_time: float | int | None = None
    checkpoint_folder: str | os.PathLike[str] | None = None
    checkpoint_every_seconds: float | int = 30.0
    checkpoint_every_steps: int | None = None
    keep_best: bool = True
    averaging: str | None = None
    ema_decay: float = 0.999
    trigger_epochs: int = 5

    def __post_init__(self) -> None:
        """Check every value; numpy's are made plain."""
        for field in fields(self):
            object.__setattr__(self, field.name, unwrapped(getattr(self, field.name)))
        for name, least in (("max_epochs", 1), ("warmup_steps", 0), ("seed", 0), ("trigger_epochs", 1)):
            whole(name, getattr(self, name), least)
        for name in ("max_steps", "patience", "checkpoint_every_steps"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name), 1)
        for name in ("learning_rate", "checkpoint_every_seconds"):
            _check_number(name, getattr(self, name), positive=True)
        _check_number("weight_decay", self.weight_decay, positive=False)
        _check_number("momentum", self.momentum, positive=False)
        if self.momentum >= 1:
            raise ArgumentError(f"momentum: a number below 1 is expected, came {self.momentum}")
        for name in ("gradient_clip", "max_time"):
            if getattr(self, name) is not None:
                _check_number(name, getattr(self, name), positive=True)
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ArgumentError(
                    f"{name}: one of {', '.join(map(repr, choices))} is expected, came {value!r}"
                )
        _check_number("ema_decay", self.ema_decay, positive=True)
        if self.ema_decay >= 1:
            raise ArgumentError(f"ema_decay: a number below 1 is expected, came {self.ema_decay}")
        if self.seed >= 2**63:
            raise ArgumentError(f"seed: an integer below 2**63 is expected, came {self.seed}")
        if self.checkpoint_folder is not None:
            if not isinstance(self.checkpoint_folder, (str, os.PathLike)):
                kind = type(self.checkpoint_folder).__name__
                raise ArgumentTypeError(f"checkpoint_folder: a path or None is expected, came {kind}")
            object.__setattr__(self, "checkpoint_folder", Path(self.checkpoint_folder))


def _check_number(name: str, value: object, *, positive: bool) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: a number is expected, came {value!r} ({type(value).__name__})")
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        raise ArgumentError(
            f"{name}: a finite number {'above' if positive else 'of at least'} 0 is expected, came {value}"
        )
