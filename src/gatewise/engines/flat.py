"""One run of a program as the operator has it: all operands in one list, all results in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gatewise.spec.derivative import OUTPUT
from gatewise.spec.program import Program

__all__ = ["RecurrenceCall", "RecurrenceResult", "sequence_names"]


@dataclass(frozen=True)
class RecurrenceResult:
    """What a recurrence gives.

    Attributes:
        sequences: "output" and "emit:<name>" to (time, batch, width).
        states: The final states, (batch, width).
        gradients: The sums over time and batch, in the order of the program's gradient tensors.
    """

    sequences: dict[str, Tensor]
    states: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]


@dataclass(frozen=True)
class RecurrenceCall:
    """All of a call that is no tensor; its operands are one list: inputs, states, tensors, seed."""

    program: Program
    reverse: bool
    stream: int
    start: int
    engine: str
    has_seed: bool

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many inputs, states and tensors the operands hold, in this order, before the seed."""
        return len(self.program.inputs), len(self.program.states), len(self.program.tensors)

    def split(self, operands: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any], Any]:
        """Flat operands as inputs, states, tensors and seed."""
        i, s, t = self.counts
        seed = operands[i + s + t] if self.has_seed else None
        return list(operands[:i]), list(operands[i : i + s]), list(operands[i + s : i + s + t]), seed

    def result(self, outputs: Sequence[Tensor]) -> RecurrenceResult:
        """Flat outputs by name."""
        names = sequence_names(self.program)
        states = len(names) + len(self.program.states)
        return RecurrenceResult(
            dict(zip(names, outputs[: len(names)], strict=True)),
            tuple(outputs[len(names) : states]),
            tuple(outputs[states:]),
        )


def sequence_names(program: Program) -> list[str]:
    """The sequences that a program gives, in order."""
    names = [] if program.output is None else [OUTPUT]
    return names + [f"emit:{name}" for name, _ in program.emits]
