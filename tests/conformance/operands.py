"""Operands for any program: small, random, reproducible, in the range where cells are not saturated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gatewise.spec import Program
from gatewise.spec.program import bind
from gatewise.spec.transforms import prepared

SIZES = {"input": 4, "hidden": 4, "proj": 3}
"""Input and hidden size are equal only in number: widths are checked by name."""


@dataclass
class Operands:
    """Inputs, states and tensors of one run."""

    inputs: list[Tensor]
    states: list[Tensor]
    tensors: list[Tensor]

    @property
    def flat(self) -> list[Tensor]:
        return [*self.inputs, *self.states, *self.tensors]

    @property
    def differentiable(self) -> list[Tensor]:
        return [tensor for tensor in self.flat if tensor.is_floating_point()]

    def split(
        self, flat: tuple[Tensor, ...]
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Flat operands in three groups again."""
        i, s = len(self.inputs), len(self.states)
        return flat[:i], flat[i : i + s], flat[i + s :]

    def to(self, dtype: torch.dtype) -> Operands:
        """The same numbers in another dtype."""

        def convert(tensor: Tensor) -> Tensor:
            return tensor.detach().to(dtype).requires_grad_() if tensor.is_floating_point() else tensor

        return Operands(*([convert(t) for t in group] for group in (self.inputs, self.states, self.tensors)))


def operands(program: Program, steps: int = 4, rows: int = 3, seed: int = 0) -> Operands:
    """Random float64 operands that require gradients; truth values for boolean streams."""
    generator = torch.Generator().manual_seed(seed)

    def number(*shape: int) -> Tensor:
        return (torch.rand(*shape, generator=generator, dtype=torch.float64) * 1.4 - 0.7).requires_grad_()

    def stream(width: str | int, boolean: bool) -> Tensor:
        shape = (steps, rows, bind(width, SIZES))
        return torch.rand(*shape, generator=generator) < 0.6 if boolean else number(*shape)

    states = [number(rows, bind(state.width, SIZES)) for state in program.states]
    if program.name == "slstm":
        # The normaliser is a sum of exponentials: positive.
        states[2] = (states[2].detach().abs() + 0.5).requires_grad_()
    return Operands(
        [stream(s.width, s.boolean) for s in program.inputs],
        states,
        [number(*program.shape(tensor, SIZES)) for tensor in program.tensors],
    )


def variants(program: Program) -> dict[str, Program]:
    """The program as calls ask for it: plain, masked, reset, regularised, traced."""
    states = len(program.states)
    dropout = 0.3 if program.has_recurrent_product else 0.0
    return {
        "plain": program,
        "masked": prepared(program, masked=True),
        "masked and reset": prepared(program, masked=True, resets=True),
        "regularised": prepared(
            program, masked=True, recurrent_dropout=dropout, zoneout=(0.2,) * states, training=True
        ),
        "zoneout at rest": prepared(program, zoneout=(0.2,) * states, training=False),
        "traced": prepared(program, masked=True, resets=True, trace=True),
    }
