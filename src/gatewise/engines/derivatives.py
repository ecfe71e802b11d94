"""What a run's derivatives come down to: its derivative's program, run backwards, or its tangent's, run beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gatewise.engines.flat import RecurrenceCall, sequence_names
from gatewise.spec.derivative import Names, differentiate, recorded
from gatewise.spec.program import Program, Stream
from gatewise.spec.tangent import tangent, tangent_name

__all__ = ["Derivative", "Tangent"]

_STEPS = "steps"


def _derivative_call(
    call: RecurrenceCall,
    cotangents: tuple[str, ...],
    inputs: tuple[str, ...],
    tensors: tuple[str, ...],
    again: bool,
) -> RecurrenceCall:
    program = differentiate(call.program, cotangents, inputs, tensors)
    program = recorded(program) if again else program
    return RecurrenceCall(program, not call.reverse, call.stream, call.start, call.engine, call.has_seed)


@dataclass(frozen=True)
class Derivative:
    """The run of the derivative's program that a backward pass comes down to.

    Attributes:
        call, operands: What to run.
        needed: Which operands of the forward call need a cotangent.
        forward: The forward call.
    """

    call: RecurrenceCall
    operands: list[Tensor]
    needed: Sequence[bool]
    forward: RecurrenceCall

    @classmethod
    def of(
        cls, call: RecurrenceCall, operands: Sequence[Tensor], outputs: Sequence[Tensor],
        gradients: Sequence[Tensor | None], needed: Sequence[bool], again: bool,
    ) -> Derivative:  # fmt: skip
        """The derivative of a call.

        Args:
            call, operands: The forward call.
            outputs: Its sequences, in order.
            gradients: A cotangent for each of its outputs, or None.
            needed: Which operands need one.
            again: Whether the derivative will itself be differentiated.
        """
        program = call.program
        inputs, states, tensors, seed = call.split(operands)
        needs = call.split(needed)
        names_given = sequence_names(program)
        after = len(names_given) + len(program.states)
        given = dict(zip(names_given, gradients[: len(names_given)], strict=True))
        given_states, given_sums = gradients[len(names_given) : after], gradients[after:]
        sequences = dict(zip(names_given, outputs, strict=True))
        wanted_inputs = tuple(
            s.name for s, need in zip(program.inputs, needs[0], strict=True) if need and not s.boolean
        )
        wanted_tensors = tuple(t.name for t, need in zip(program.tensors, needs[2], strict=True) if need)
        present = {name: g for name, g in given.items() if g is not None}
        sums = {
            f"sum:{t.name}": g for t, g in zip(program.gradients, given_sums, strict=True) if g is not None
        }
        derived = _derivative_call(call, (*present, *sums), wanted_inputs, wanted_tensors, again)

        names = Names.of(program)
        streams = {stream.name: x for stream, x in zip(program.inputs, inputs, strict=True)}
        if not derived.program.inputs:
            derived = replace(derived, program=_counting(derived.program))
            streams[_STEPS] = states[0].new_zeros(*inputs[0].shape[:2], 1)
        streams |= {names.cotangent(name): g for name, g in present.items()}
        streams |= {names.saved(node): sequences[holder] for node, holder in program.held.items()}
        read = {stream.name for stream in derived.program.inputs}
        for state, first, node in zip(program.states, states, program.next, strict=True):
            if names.previous(state.name) in read:
                streams[names.previous(state.name)] = _shifted(
                    sequences[program.held[node]], first, call.reverse
                )
        weights = {spec.name: tensor for spec, tensor in zip(program.tensors, tensors, strict=True)}
        weights |= {names.cotangent(name): g for name, g in sums.items()}
        carried = [
            torch.zeros_like(state) if g is None else g for state, g in zip(states, given_states, strict=True)
        ]
        flat = [streams[s.name] for s in derived.program.inputs] + carried
        flat += [weights[t.name] for t in derived.program.tensors] + ([seed] if call.has_seed else [])
        return cls(derived, flat, needed, call)

    def cotangents(self, outputs: Sequence[Tensor]) -> list[Tensor | None]:
        """Cotangents of the forward call's operands from what the run gave."""
        program, names = self.forward.program, Names.of(self.forward.program)
        result, needs = self.call.result(outputs), self.forward.split(self.needed)
        made = {spec.name: g for spec, g in zip(self.call.program.gradients, result.gradients, strict=True)}
        found: list[Tensor | None] = [
            result.sequences.get(f"emit:{names.cotangent(s.name)}") if need else None
            for s, need in zip(program.inputs, needs[0], strict=True)
        ]
        found += [g if need else None for g, need in zip(result.states, needs[1], strict=True)]
        found += [
            made.get(t.name) if need else None for t, need in zip(program.tensors, needs[2], strict=True)
        ]
        return found


def _counting(program: Program) -> Program:
    """A program without streams with one: engines count steps by a stream.

    A step that is linear in its states reads nothing of the forward run.
    """
    return replace(program, inputs=(Stream(_STEPS, 1),))


def _shifted(sequence: Tensor, first: Tensor, reverse: bool) -> Tensor:
    """The values before each step, from the values after each step and the initial one."""
    return torch.cat([sequence[1:], first[None]] if reverse else [first[None], sequence[:-1]])


@dataclass(frozen=True)
class Tangent:
    """The run of the tangent's program that forward-mode differentiation comes down to.

    Attributes:
        call, operands: What to run.
        forward: The forward call.
    """

    call: RecurrenceCall
    operands: list[Tensor]
    forward: RecurrenceCall

    @classmethod
    def of(
        cls, call: RecurrenceCall, operands: Sequence[Tensor], tangents: Sequence[Tensor | None], again: bool
    ) -> Tangent:
        """The tangent of a call.

        Args:
            call, operands: The forward call.
            tangents: One for each operand, or None.
            again: Whether it will itself be differentiated backwards.
        """
        program = call.program
        inputs, states, tensors, seed = call.split(operands)
        moved, begun, turned, _ = call.split(tangents)

        def named(specs: Sequence[Any], changes: Sequence[Tensor | None]) -> dict[str, Tensor]:
            pairs = zip(specs, changes, strict=True)
            return {spec.name: change for spec, change in pairs if change is not None}

        changed, weights_changed = named(program.inputs, moved), named(program.tensors, turned)
        derived = tangent(program, tuple(changed), tuple(weights_changed))
        streams = {stream.name: x for stream, x in zip(program.inputs, inputs, strict=True)}
        streams |= {tangent_name(program, name): change for name, change in changed.items()}
        if not derived.inputs:
            derived = _counting(derived)
            streams[_STEPS] = states[0].new_zeros(*inputs[0].shape[:2], 1)
        weights = {spec.name: tensor for spec, tensor in zip(program.tensors, tensors, strict=True)}
        weights |= {tangent_name(program, name): change for name, change in weights_changed.items()}
        flat = [streams[stream.name] for stream in derived.inputs] + list(states)
        flat += [torch.zeros_like(x) if t is None else t for x, t in zip(states, begun, strict=True)]
        flat += [weights[spec.name] for spec in derived.tensors] + ([seed] if call.has_seed else [])
        return cls(replace(call, program=recorded(derived) if again else derived), flat, call)

    def changes(self, outputs: Sequence[Tensor]) -> list[Tensor | None]:
        """Tangents of the forward call's outputs from what the run gave; None where they are zero."""
        program = self.forward.program
        result, named = self.call.result(outputs), partial(tangent_name, program)
        made = {spec.name: g for spec, g in zip(self.call.program.gradients, result.gradients, strict=True)}
        found = [result.sequences.get(f"emit:{named(name)}") for name in sequence_names(program)]
        found += result.states[len(program.states) :]
        return found + [made.get(named(spec.name)) for spec in program.gradients]
