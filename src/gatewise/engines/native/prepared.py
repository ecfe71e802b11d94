"""Weights packed once for many calls, in as many bits as wished."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gatewise.engines.native.library import reason_absent
from gatewise.engines.native.memory import Plan
from gatewise.errors import ArgumentError, EngineError

__all__ = ["FORMATS", "PreparedLayer"]

FORMATS = {"float32": 1, "bfloat16": 2, "int8": 3}
"""The library's number of each way to hold weights; "float32" is the dtype of the weights themselves."""


class PreparedLayer:
    """The weights of one layer in one direction, packed when a plan first needs them.

    The weights must not change afterwards; a change in place is noticed and refused.

    Args:
        tensors: The parameters, as a call takes them.
        weights: "float32", "bfloat16" or "int8".

    Raises:
        ArgumentError: No such format, or not one for these weights.
        EngineError: There is no native engine.
    """

    def __init__(self, tensors: Sequence[Tensor], weights: str) -> None:
        if weights not in FORMATS:
            raise ArgumentError(f"weights: expected one of {', '.join(FORMATS)}, got {weights!r:.60}")
        missing = reason_absent()
        if missing is not None:
            raise EngineError(f"weights: packing needs the native engine: {missing}")
        for tensor in tensors:
            fits = tensor.is_cpu and (
                tensor.dtype is torch.float32 or (tensor.dtype is torch.float64 and weights == "float32")
            )
            if not fits:
                raise ArgumentError(
                    f"weights: {weights!r} expects float32 parameters on the CPU, got {tensor.dtype} on "
                    f"{tensor.device}; convert the module first"
                )
        self.weights = weights
        self.tensors = tuple(tensor.detach() for tensor in tensors)
        self._versions = [tensor._version for tensor in self.tensors]
        # By plan, which is kept as long as this is: its packed matrices, static values and biases.
        self._made: dict[Plan, tuple[Tensor, dict[int, Tensor], dict[int, Tensor]]] = {}

    def of(self, plan: Plan) -> tuple[Tensor, dict[int, Tensor], dict[int, Tensor]]:
        """What a plan needs of the weights: packed matrices, values without a batch axis, biases.

        Raises:
            EngineError: The weights were changed in place.
        """
        self.refuse_changes()
        found = self._made.get(plan)
        if found is None:
            found = self._made[plan] = (
                plan.pack(self.tensors, FORMATS[self.weights]),
                plan.outer.static(self.tensors, plan.dtype),
                plan.outer.biases(self.tensors),
            )
        return found

    def refuse_changes(self) -> None:
        """Raises EngineError where the weights were changed in place."""
        if [tensor._version for tensor in self.tensors] != self._versions:
            raise EngineError(
                "weights: a prepared layer's parameters were changed in place; prepare the original module again"
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> PreparedLayer:
        return PreparedLayer([tensor.clone() for tensor in self.tensors], self.weights)

    def __reduce__(self) -> tuple[Any, ...]:
        return PreparedLayer, (self.tensors, self.weights)
