"""Autocast as torch's layers have it on a GPU: the whole layer runs in autocast's dtype, on every device alike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatewise.engines import StackCall, StackResult, run

__all__ = ["autocast_dtype", "autocast_is_on", "run_call"]


def autocast_is_on(device: str) -> bool:
    """Whether autocast is on for a kind of device (not every kind has it)."""
    return (
        torch._C._is_any_autocast_enabled()
        and torch.amp.is_autocast_available(device)
        and torch.is_autocast_enabled(device)
    )


def autocast_dtype(module: torch.nn.Module, input: Any) -> torch.dtype | None:
    """The dtype that autocast asks for here, if any; float64 stays as it is, as in torch."""
    if not torch._C._is_any_autocast_enabled():
        return None
    data = input.data if isinstance(input, PackedSequence) else input
    if not isinstance(data, Tensor) or not autocast_is_on(data.device.type):
        return None
    held = next(module.parameters()).dtype
    return None if held == torch.float64 else torch.get_autocast_dtype(data.device.type)


def run_call(call: StackCall) -> StackResult:
    """The engines' result, with autocast off: the layer has cast what they get."""
    if not torch._C._is_any_autocast_enabled():
        return run(call)
    device = call.inputs[0].device.type
    if not autocast_is_on(device):
        return run(call)
    with torch.autocast(device, enabled=False):
        return run(call)
