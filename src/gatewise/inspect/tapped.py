"""A stack of layers run once more with a tap on its backward pass: the cotangents that time carries from step to step.

The derivative of a cell's program is a program whose states are the cotangents of the states
(:mod:`gatewise.spec.derivative`). Emitting them at every step makes one backward run give d loss / d state for all
steps, exactly, on whichever engine runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from gatewise.engines import StackCall
from gatewise.engines.derivatives import Derivative
from gatewise.engines.flat import RecurrenceCall, RecurrenceResult, sequence_names
from gatewise.engines.geometry import check_call
from gatewise.engines.operators import apply_call
from gatewise.engines.stack import call_program, extra_streams, operands_of
from gatewise.spec.derivative import recorded
from gatewise.spec.program import Program

__all__ = ["Tap", "differentiate", "rows_of", "run_again", "run_tapped"]


@dataclass(eq=False)
class Tap:
    """One layer in one direction: what it ran, and after a backward pass what time carried back.

    Attributes:
        layer, direction: Which; direction 1 is the reverse one of a bidirectional layer.
        call: The run, its program recorded for the derivative.
        inputs, states, tensors: Its operands: (time, batch, width), (batch, width), parameters.
        program: The step as it is where it counts: it says which of its states it puts out.
        mask: (time, batch, 1), which steps count; None where all do.
        seed: What random masks start from, or None.
        begun: The leaves that its graph starts from: the states before the first step.
        state_gradients: After a backward pass, (time, batch, width) for each state: d loss / d the state that the step
            at that time hands on, through later steps and, for a state that the layer also puts out, that output.
        initial_gradients: The same for the states before the first step, (batch, width).
    """

    layer: int
    direction: int
    call: RecurrenceCall
    inputs: list[Tensor]
    states: list[Tensor]
    tensors: list[Tensor]
    program: Program
    mask: Tensor | None
    seed: Tensor | None = None
    begun: list[Tensor] = field(default_factory=list)
    state_gradients: tuple[Tensor, ...] = field(default=())
    initial_gradients: tuple[Tensor, ...] = field(default=())

    @property
    def reverse(self) -> bool:
        """Whether it runs from the last step to the first."""
        return self.call.reverse

    def take(self, carried: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        """Keeps what a backward run gave.

        Args:
            carried: For each state and time the cotangent of the state before that step.
            gradients: Cotangents of the run's outputs: sequences first, then final states.
        """
        names = sequence_names(self.call.program)
        direct = gradients[names.index("output")] if "output" in names else None
        if direct is not None and self.mask is not None:
            direct = direct * self.mask
        found = []
        for k, (before, state) in enumerate(zip(carried, self.states, strict=True)):
            final = gradients[len(names) + k]
            last = torch.zeros_like(state) if final is None else final
            parts = [last[None], before[:-1]] if self.reverse else [before[1:], last[None]]
            total = torch.cat(parts)
            if direct is not None and self.program.next[k] == self.program.output:
                total = total + direct
            found.append(total)
        self.state_gradients = tuple(found)
        self.initial_gradients = tuple(before[-1 if self.reverse else 0] for before in carried)


class _Tapped(torch.autograd.Function):
    """The recurrence operator whose backward pass also emits what it carries."""

    @staticmethod
    def forward(ctx: Any, tap: Tap, *operands: Tensor) -> tuple[Tensor, ...]:
        outputs = apply_call(tap.call, operands)
        ctx.tap, ctx.count = tap, len(operands)
        ctx.save_for_backward(*operands, *outputs[: len(sequence_names(tap.call.program))])
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        tap: Tap = ctx.tap
        saved = ctx.saved_tensors
        operands, outputs = saved[: ctx.count], saved[ctx.count :]
        derivative = Derivative.of(tap.call, operands, outputs, gradients, ctx.needs_input_grad[1:], False)
        program = _with_carried(derivative.call.program)
        derivative = replace(derivative, call=replace(derivative.call, program=program))
        found = apply_call(derivative.call, derivative.operands)
        sequences = derivative.call.result(found).sequences
        tap.take([sequences[f"emit:carried:{state.name}"] for state in program.states], gradients)
        return (None, *derivative.cotangents(found), *([None] if tap.call.has_seed else []))


@lru_cache(maxsize=512)
def _with_carried(program: Program) -> Program:
    """A derivative's program that also emits the cotangents that it hands to the step before."""
    extra = tuple(
        (f"carried:{state.name}", node) for state, node in zip(program.states, program.next, strict=True)
    )
    return replace(program, emits=program.emits + extra)


def run_tapped(call: StackCall) -> tuple[Tensor, tuple[Tensor, ...], list[Tap]]:
    """Runs a stack of layers, as the engines do, with a tap on each layer and direction.

    Weights and inputs count as constants; only what the states do to the result is differentiated.

    Args:
        call: The call, not of a packed sequence.

    Returns:
        The output, (time, batch, directions * width), the final states, each (layers * directions, batch, width), and
        the taps by layer * directions + direction. A backward pass from the outputs fills the taps.
    """
    check_call(call)
    program, extras = call_program(call), extra_streams(call)
    taps: list[Tap] = []
    finals: list[list[Tensor]] = [[] for _ in call.program.states]
    layer_inputs = call.inputs
    for layer in range(call.num_layers):
        outputs = []
        for direction in range(call.directions):
            index, reverse = layer * call.directions + direction, call.reverse or direction == 1
            operands = operands_of(call, program, index, layer_inputs, extras, reverse)
            run = RecurrenceCall(recorded(program), reverse, index, 0, "auto", call.seed is not None)
            inputs, states, tensors = ([x.detach() for x in group] for group in operands)
            tap = Tap(
                layer,
                direction,
                run,
                inputs,
                states,
                tensors,
                _without_mask(call),
                extras.get("mask"),
                call.seed,
            )
            taps.append(tap)
            # The inputs carry the graph of the layer below; the tap holds their numbers.
            result = run_again(tap, operands[0])
            outputs.append(result.sequences["output"])
            for listed, final in zip(finals, result.states, strict=True):
                listed.append(final)
        output = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
        if call.residual and layer > 0:
            output = output + layer_inputs[0]
        drops = call.dropout and call.training and layer < call.num_layers - 1
        layer_inputs = (F.dropout(output, call.dropout),) if drops else (output,)
    return output, tuple(torch.stack(listed) for listed in finals), taps


def run_again(tap: Tap, inputs: Sequence[Tensor]) -> RecurrenceResult:
    """Runs a tap's layer from its states, to be differentiated with respect to them and to its inputs."""
    tap.begun = [state.clone().requires_grad_() for state in tap.states]
    seed = [] if tap.seed is None else [tap.seed]
    return tap.call.result(_Tapped.apply(tap, *inputs, *tap.begun, *tap.tensors, *seed))


def rows_of(tap: Tap, rows: Tensor, copies: int) -> Tap:
    """The same layer over some of its sequences, each several times, not run yet."""
    inputs = [x[:, rows].repeat_interleave(copies, 1) for x in tap.inputs]
    states = [state[rows].repeat_interleave(copies, 0) for state in tap.states]
    mask = None if tap.mask is None else tap.mask[:, rows].repeat_interleave(copies, 1)
    return Tap(
        tap.layer, tap.direction, tap.call, inputs, states, tap.tensors, tap.program, mask, tap.seed
    )  # fmt: skip


def differentiate(
    value: Sequence[Tensor], taps: Sequence[Tap], given: Sequence[Tensor] | None = None
) -> None:
    """Fills the taps by a backward pass; no parameter's ``grad`` is touched.

    Args:
        value: Tensors that :func:`run_tapped` gave, or what was computed from them.
        taps: Those of the same run.
        given: A cotangent for each, or None for scalars.
    """
    leaves = [leaf for tap in taps for leaf in tap.begun]
    torch.autograd.grad(value, leaves, given, allow_unused=True)


def _without_mask(call: StackCall) -> Program:
    """The step where it counts: which of its states it puts out."""
    return call_program(call._replace(mask=None, lengths=None, resets=None, return_gates=False))
