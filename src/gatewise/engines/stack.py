"""A stack of layers on the operator: masks, resets, directions, dropout between layers, packed input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

from gatewise.engines.call import StackCall, StackResult
from gatewise.engines.flat import RecurrenceCall, RecurrenceResult
from gatewise.engines.geometry import check_call
from gatewise.engines.operators import recurrence
from gatewise.engines.together import can_run_together, run_together
from gatewise.spec.program import Program
from gatewise.spec.transforms import prepared

__all__ = ["call_program", "extra_streams", "operands_of", "run_stack"]


def call_program(call: StackCall) -> Program:
    """The cell's program with everything that the call asks for."""
    return prepared(
        call.program,
        masked=call.mask is not None or call.lengths is not None or call.batch_sizes is not None,
        resets=call.resets is not None,
        recurrent_dropout=call.recurrent_dropout,
        zoneout=tuple(call.zoneout),
        training=call.training,
        trace=call.return_gates,
    )


def run_stack(call: StackCall) -> StackResult:
    """Runs the stack layer by layer.

    Raises:
        ShapeError: The call does not fit together.
    """
    check_call(call)
    if call.batch_sizes is not None:
        return _packed(call)
    program = call_program(call)
    extras = extra_streams(call)
    layer_inputs, trace = call.inputs, []
    finals: list[list[Tensor]] = [[] for _ in call.program.states]
    for layer in range(call.num_layers):
        outputs = []
        for result in _layer(call, program, layer, layer_inputs, extras):
            outputs.append(result.sequences["output"])
            for listed, final in zip(finals, result.states, strict=True):
                listed.append(final)
            trace.append(_trace(result))
        output = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
        if call.residual and layer > 0:
            output = output + layer_inputs[0]
        if call.dropout and call.training and layer < call.num_layers - 1:
            layer_inputs = (F.dropout(output, call.dropout),)
        else:
            layer_inputs = (output,)
    states = tuple(torch.stack(listed) for listed in finals)
    graded = output.requires_grad or torch._C._get_tracing_state() is not None
    if output is outputs[0] and graded and not torch.compiler.is_compiling():
        output = (
            output.clone()
        )  # the user may change it in place; the backward pass reads the one of the engine
    return StackResult(output, states, tuple(trace) if call.return_gates else None)


def extra_streams(call: StackCall) -> dict[str, Tensor]:
    """The mask and the resets as the program's streams."""
    extras: dict[str, Tensor] = {}
    steps = call.inputs[0].shape[0]
    if call.lengths is not None:
        within = torch.arange(steps, device=call.lengths.device)[:, None] < call.lengths[None, :]
        extras["mask"] = within.unsqueeze(-1)
    if call.mask is not None:
        mask = call.mask.unsqueeze(-1)
        extras["mask"] = mask & extras["mask"] if "mask" in extras else mask
    if call.resets is not None:
        extras["reset"] = call.resets.unsqueeze(-1)
    return extras


def _boundaries(reset: Tensor, mask: Tensor | None, reverse: bool) -> Tensor:
    """Before which steps one direction starts afresh: (time, batch, 1).

    A reset before step t is a boundary between the counted steps around it: one at a masked step lies before the row's
    next counted step, and one behind the row's last counted step is none, so that padding changes nothing.
    """
    if mask is None:
        # Backwards, the boundary before step t is crossed on the way from t to t - 1.
        return torch.cat([reset[1:], torch.zeros_like(reset[:1])]) if reverse else reset
    passed = reset.to(torch.int64).cumsum(0)
    if not reverse:
        # The boundaries up to the last counted step before each one; none before the first.
        seen = torch.where(mask, passed, 0).cummax(0).values
        return mask & (passed > torch.cat([torch.zeros_like(seen[:1]), seen[:-1]]))
    # And up to the next counted step, where there is one: later counts are never smaller, so `most` stands for none.
    most = passed.shape[0] + 1
    ahead = torch.where(mask, passed, most).flip(0).cummin(0).values.flip(0)
    following = torch.cat([ahead[1:], torch.full_like(ahead[:1], most)])
    return mask & (following > passed) & (following < most)


def _layer(
    call: StackCall, program: Program, layer: int, layer_inputs: tuple[Tensor, ...], extras: dict[str, Tensor]
) -> list[RecurrenceResult]:
    """One layer in its directions, both at once where an engine can."""
    first, seed = layer * call.directions, [] if call.seed is None else [call.seed]
    reverse = [call.reverse or direction == 1 for direction in range(call.directions)]
    operands = [
        operands_of(call, program, first + k, layer_inputs, extras, back) for k, back in enumerate(reverse)
    ]
    if call.directions == 2 and call.checkpoint_every is None and call.prepared is None:
        calls = [
            RecurrenceCall(program, back, first + k, 0, call.engine, bool(seed))
            for k, back in enumerate(reverse)
        ]
        flat = [[*inputs, *states, *tensors, *seed] for inputs, states, tensors in operands]
        if can_run_together(calls, flat):
            return run_together(calls, flat)
    return [_direction(call, program, first + k, *operands[k], back) for k, back in enumerate(reverse)]


def operands_of(
    call: StackCall, program: Program, index: int, layer_inputs: tuple[Tensor, ...], extras: dict[str, Tensor],
    reverse: bool,
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:  # fmt: skip
    """Inputs, states and parameters of one layer in one direction."""
    streams = {s.name: x for s, x in zip(call.program.inputs, layer_inputs, strict=True)} | extras
    if call.resets is not None and call.reset_states is not None:
        steps, rows = layer_inputs[0].shape[:2]
        for state, initial in zip(call.program.states, call.reset_states, strict=True):
            streams[f"initial:{state.name}"] = initial[index].expand(steps, rows, initial.shape[-1])
        streams["reset"] = _boundaries(extras["reset"], extras.get("mask"), reverse)
    inputs = [streams[stream.name] for stream in program.inputs]
    tensors = list(call.tensors[index])
    if len(program.tensors) < len(tensors):
        # A transform can leave a parameter without a use (zoneout of 1): operands are the program's own, by name.
        held = {spec.name: tensor for spec, tensor in zip(call.program.tensors, tensors, strict=True)}
        tensors = [held[spec.name] for spec in program.tensors]
    return inputs, [state[index] for state in call.states], tensors


def _direction(
    call: StackCall, program: Program, index: int, inputs: list[Tensor], states: list[Tensor],
    tensors: list[Tensor], reverse: bool,
) -> RecurrenceResult:  # fmt: skip
    """One layer in one direction."""
    if call.prepared is not None:
        packed = call.prepared[index]
        if len(tensors) < len(packed.tensors):
            packed = type(packed)(tensors, packed.weights)
        return recurrence(
            program, inputs, states, tensors, reverse=reverse, seed=call.seed, stream=index, prepared=packed
        )
    if call.checkpoint_every is None:
        return recurrence(
            program,
            inputs,
            states,
            tensors,
            reverse=reverse,
            seed=call.seed,
            stream=index,
            engine=call.engine,
        )
    return _in_segments(call, program, inputs, states, tensors, index, reverse)


def _in_segments(
    call: StackCall, program: Program, inputs: list[Tensor], states: list[Tensor], tensors: list[Tensor],
    index: int, reverse: bool,
) -> RecurrenceResult:  # fmt: skip
    """Runs piece by piece; the backward pass runs each piece again instead of keeping its values."""
    every = call.checkpoint_every or 1
    starts = list(range(0, inputs[0].shape[0], every)) or [0]
    parts: list[RecurrenceResult] = []
    count = len(inputs)
    names = ["output"] + [f"emit:{name}" for name, _ in program.emits]

    def segment(start: int, *operands: Tensor) -> RecurrenceResult:
        pieces = [x[start : start + every] for x in operands[:count]]
        return recurrence(
            program, pieces, operands[count : count + len(states)], operands[count + len(states) :],
            reverse=reverse, seed=call.seed, stream=index, start=start, engine=call.engine,
        )  # fmt: skip

    def flat(start: int, *operands: Tensor) -> tuple[Tensor, ...]:
        result = segment(start, *operands)
        return (*(result.sequences[name] for name in names), *result.states)

    for start in reversed(starts) if reverse else starts:
        values = checkpoint(
            flat, start, *inputs, *states, *tensors, use_reentrant=False, preserve_rng_state=False
        )
        part = RecurrenceResult(
            dict(zip(names, values[: len(names)], strict=True)), tuple(values[len(names) :]), ()
        )
        states = list(part.states)
        parts.append(part)
    if reverse:
        parts.reverse()
    sequences = {name: torch.cat([part.sequences[name] for part in parts]) for name in names}
    return RecurrenceResult(sequences, tuple(states), ())


def _trace(result: RecurrenceResult) -> dict[str, Tensor]:
    """Gates under their names, states under theirs; where both have one name the gate is ``gate_<name>``."""
    found: dict[str, Tensor] = {}
    for name, value in result.sequences.items():
        if name.startswith("emit:state:"):
            found[name.removeprefix("emit:state:")] = value
    for name, value in result.sequences.items():
        if name.startswith("emit:gate:"):
            gate = name.removeprefix("emit:gate:")
            found[f"gate_{gate}" if gate in found else gate] = value
    return found


def _packed(call: StackCall) -> StackResult:
    """A packed sequence, padded, run with its lengths, and packed again."""
    padded = [pad_packed_sequence(PackedSequence(data, call.batch_sizes)) for data in call.inputs]
    lengths = padded[0][1]
    inner = call._replace(
        inputs=tuple(data for data, _ in padded),
        lengths=lengths.to(call.inputs[0].device),
        batch_sizes=None,
    )
    result = run_stack(inner)
    packed = pack_padded_sequence(result.output, lengths)
    return StackResult(packed.data, result.states, result.trace)
