"""What went wrong when a number is not finite, in words."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gatewise.errors import GatewiseError
from gatewise.train.protocols import History

__all__ = ["DivergenceError", "diagnose"]


class DivergenceError(GatewiseError, ArithmeticError):
    """The loss or a gradient became infinite or NaN.

    The model holds the best weights so far, or those before the step if there was no validation yet.

    Attributes:
        step: the step, counted from 1 over the whole run.
        epoch: its epoch, counted from 1.
        history: the epochs that were done.
    """

    def __init__(self, message: str, *, step: int, epoch: int, history: History) -> None:
        super().__init__(message)
        self.step = step
        self.epoch = epoch
        self.history = history


def diagnose(
    what: str,
    *,
    step: int,
    epoch: int,
    rate: float,
    clip: float | int | None,
    precision: str,
    batch: Mapping[str, Tensor] | None,
    model: nn.Module,
) -> str:
    """Say which number failed where, what is known of the cause, and what to try.

    Args:
        what: "the loss" or "the gradient".
        step: counted from 1.
        epoch: counted from 1.
        rate: the step's learning rate.
        clip: the gradient's largest norm, or None.
        precision: the run's.
        batch: the step's batch, where it is still known.
        model: looked through for weights and gradients that are not finite.

    Returns:
        One paragraph.
    """
    inputs = [name for name, value in (batch or {}).items() if _broken(value)]
    weights = [name for name, value in model.named_parameters() if _broken(value)]
    gradients = [
        name for name, value in model.named_parameters() if value.grad is not None and _broken(value.grad)
    ]
    parts = [f"{what} is not finite at step {step} (epoch {epoch}, learning rate {rate:.3g})"]
    if inputs:
        parts.append(
            f"the batch itself holds NaN or infinity in {_some(inputs)}: mask or fill them beforehand"
        )
    elif weights:
        parts.append(f"the weights {_some(weights)} are not finite any more: lower learning_rate")
    else:
        advice = ["lower learning_rate", "set warmup_steps"]
        if clip is None:
            advice.append("set gradient_clip=1.0")
        elif clip > 1:
            advice.append(f"lower gradient_clip (it is {clip:g})")
        if precision != "float32":
            advice.append('use precision="float32"')
        advice.append("check the scale of the inputs and targets")
        if gradients:
            parts.append(f"the gradients of {_some(gradients)} are not finite")
        parts.append("what to try: " + ", ".join(advice))
    return "; ".join(parts)


def _broken(value: Tensor) -> bool:
    return value.is_floating_point() and not bool(torch.isfinite(value.detach()).all())


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
