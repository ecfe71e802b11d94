"""What a program's symbolic widths stand for, read off the operands of a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from gatewise.spec.program import Program

__all__ = ["sizes_of", "template"]


def sizes_of(
    program: Program, inputs: Sequence[Tensor], states: Sequence[Tensor], tensors: Sequence[Tensor]
) -> dict[str, Any]:
    """Sizes by width, from streams and states first, then from the parameters.

    They are numbers, or symbols while a graph is traced.

    Example:
        >>> import torch
        >>> from gatewise import cells
        >>> gru = cells.get("gru")
        >>> sizes_of(gru, [torch.zeros(7, 2, 3)], [torch.zeros(2, 4)], [])
        {'hidden': 4, 'input': 3}
    """
    sizes: dict[str, Any] = {}
    for state, tensor in zip(program.states, states, strict=True):
        if isinstance(state.width, str):
            sizes[state.width] = tensor.shape[-1]
    for stream, tensor in zip(program.inputs, inputs, strict=True):
        if isinstance(stream.width, str):
            sizes[stream.width] = tensor.shape[-1]
    for spec, tensor in zip(program.tensors, tensors, strict=len(tensors) > 0):
        if isinstance(spec.columns, str) and spec.columns not in sizes:
            sizes[spec.columns] = tensor.shape[1] * spec.blocks
        missing = [width for _, width in spec.parts if isinstance(width, str) and width not in sizes]
        if missing and len(set(missing)) == 1:
            known = sum(
                width if isinstance(width, int) else sizes[width]
                for _, width in spec.parts
                if width != missing[0]
            )
            sizes[missing[0]] = (tensor.shape[0] - known) // len(missing)
    return sizes


def template(inputs: Sequence[Tensor], states: Sequence[Tensor]) -> Tensor:
    """An operand whose dtype and device the run computes in: the first that holds numbers."""
    return next(tensor for tensor in (*states, *inputs) if tensor.is_floating_point())
