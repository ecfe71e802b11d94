"""What an engine is given: every operand of a call against its program."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NoReturn

import torch
from torch import Tensor

from gatewise.engines.geometry.common import FLOATS, shape_of, wrong
from gatewise.engines.geometry.layers import check_batch_sizes, check_flags, check_range
from gatewise.engines.sizes import sizes_of
from gatewise.errors import ArgumentError
from gatewise.spec.program import Program, bind

if TYPE_CHECKING:
    from gatewise.engines.call import StackCall

__all__ = ["check_call", "check_step"]


class _Plan(NamedTuple):
    """What a program's operands must look like, once a few sizes are known; kept for the next call."""

    program: Program
    inputs: tuple[int, ...]
    states: tuple[int, ...]
    tensors: tuple[tuple[tuple[int, ...], ...], ...]


_PLANS: dict[tuple[int, ...], _Plan] = {}


def check_step(
    program: Program, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...], tensors: tuple[Tensor, ...]
) -> None:
    """Checks one step of one layer: shapes, dtypes and devices (inputs and states are (batch, width)).

    Raises:
        ShapeError: Something does not fit the program or the rest.
    """
    plan = _plan(program, inputs, states, (tensors,), 1, 1)
    first = inputs[0]
    if first.dim() != 2:
        wrong("inputs[0]", "(batch, width)", shape_of(first), "give one step at a time")
    lead = (first.shape[0],)
    _check_group("inputs", inputs, lead, plan.inputs, first)
    _check_group("states", states, lead, plan.states, first)
    _check_tensors(program, (tensors,), plan.tensors, first)


def check_call(call: StackCall) -> None:
    """Checks everything that an engine takes for granted about a call.

    Raises:
        ArgumentError: A rate outside [0, 1], or an option that misses another.
        ShapeError: A tensor does not fit the program or the rest.
    """
    inputs, states = call.inputs, call.states
    rows = call.num_layers * (2 if call.bidirectional else 1)
    plan = _plan(call.program, inputs, states, call.tensors, call.num_layers, rows)
    first = inputs[0]
    packed = call.batch_sizes is not None
    if first.dim() != (2 if packed else 3):
        axes = "(rows, width), packed" if packed else "(time, batch, width)"
        wrong("inputs[0]", axes, shape_of(first), "engines take time first")
    lead: tuple[int, ...] = tuple(first.shape[:-1])
    batch = check_batch_sizes("batch_sizes", call.batch_sizes, lead[0]) if packed else lead[1]
    _check_group("inputs", inputs, lead, plan.inputs, first)
    _check_group("states", states, (rows, batch), plan.states, first)
    _check_tensors(call.program, call.tensors, plan.tensors, first)
    if call.lengths is not None or call.mask is not None or call.resets is not None:
        _check_ragged(call, lead, packed, (rows, batch), plan.states)
    _check_rates(call)


def _plan(
    program: Program,
    inputs: tuple[Tensor, ...],
    states: tuple[Tensor, ...],
    tensors: tuple[tuple[Tensor, ...], ...],
    num_layers: int,
    rows: int,
) -> _Plan:
    """The plan of a call, remembered by the sizes that it follows from; counts and axes are checked on the way."""
    if torch.compiler.is_compiling():
        return _fresh_plan(program, inputs, states, tensors, num_layers, rows)
    try:
        widths = [x.shape[-1] for x in inputs] + [s.shape[-1] for s in states]
    except IndexError:
        widths = []
    key = (id(program), num_layers, rows, len(inputs), *widths)
    try:
        plan = _PLANS.get(key)
    except TypeError:  # symbolic sizes, where torch traces without saying so (torch 2.11 in Dynamo's leaves)
        return _fresh_plan(program, inputs, states, tensors, num_layers, rows)
    if plan is None or len(tensors) != rows or len(tensors[0]) != len(program.tensors):
        plan = _fresh_plan(program, inputs, states, tensors, num_layers, rows)
        shown = {s.width for s in program.inputs} | {s.width for s in program.states}
        if all(width in shown or isinstance(width, int) for t in program.tensors for _, width in t.parts):
            if len(_PLANS) >= 4096:
                _PLANS.clear()
            _PLANS[key] = plan
    return plan


def _fresh_plan(
    program: Program,
    inputs: tuple[Tensor, ...],
    states: tuple[Tensor, ...],
    tensors: tuple[tuple[Tensor, ...], ...],
    num_layers: int,
    rows: int,
) -> _Plan:
    counts = (
        ("inputs", len(inputs), len(program.inputs)),
        ("states", len(states), len(program.states)),
        ("tensors", len(tensors), rows),
        *(("tensors", len(layer), len(program.tensors)) for layer in tensors),
    )
    for argument, got, expected in counts:
        if got != expected:
            wrong(
                argument,
                f"{expected} for the cell {program.name!r}",
                f"{got}",
                "follow the program's own order",
            )
    sizes = _sizes(program, inputs, states, tensors[0])
    shapes = tuple(program.shape(spec, sizes) for spec in program.tensors)
    all_shapes = (shapes,) * (rows // num_layers)
    if num_layers > 1:
        stream, above = program.inputs[0].width, dict(sizes)
        if isinstance(stream, str):  # deeper layers read the output of all directions below
            above[stream] = bind(program.output_width, sizes) * (rows // num_layers)
        deeper = tuple(program.shape(spec, above) for spec in program.tensors)
        all_shapes += (deeper,) * (rows - len(all_shapes))
    return _Plan(
        program,
        tuple(bind(stream.width, sizes) for stream in program.inputs),
        tuple(bind(state.width, sizes) for state in program.states),
        all_shapes,
    )


def _sizes(
    program: Program, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...], tensors: tuple[Tensor, ...]
) -> dict[str, int]:
    """The number behind each symbolic width, once every operand is known to have the axes to read it from."""
    for spec, tensor in zip(program.tensors, tensors, strict=True):
        if tensor.dim() != (2 if spec.kind == "matrix" else 1):
            axes = "(rows, columns)" if spec.kind == "matrix" else "(rows,)"
            wrong(spec.name, f"a {spec.kind}, {axes}", shape_of(tensor), "restore the parameter's shape")
    for argument, group in (("inputs", inputs), ("states", states)):
        for i, tensor in enumerate(group):
            if tensor.dim() == 0:
                wrong(f"{argument}[{i}]", "a last axis of features", shape_of(tensor), "give it all its axes")
    return sizes_of(program, inputs, states, tensors)


def _check_group(
    argument: str, tensors: tuple[Tensor, ...], lead: tuple[int, ...], widths: tuple[int, ...], first: Tensor
) -> None:
    dtype, device = first.dtype, first.device
    if dtype not in FLOATS:
        wrong("inputs", "a float dtype", f"{dtype}", "convert with .to(torch.float32)")
    for i, tensor in enumerate(tensors):
        if tensor.shape != (*lead, widths[i]):
            expected = f"shape {(*lead, widths[i])}"
            wrong(f"{argument}[{i}]", expected, shape_of(tensor), "all must share time, batch and sizes")
        if tensor.dtype is not dtype or tensor.device != device:
            _explain_kind(f"{argument}[{i}]", tensor, first)


def _explain_kind(argument: str, tensor: Tensor, first: Tensor) -> NoReturn:
    wrong(
        argument,
        f"{first.dtype} on {first.device}, as inputs[0]",
        f"{tensor.dtype} on {tensor.device}",
        f"convert it with .to({str(first.device)!r}, {first.dtype})",
    )


def _check_tensors(
    program: Program,
    tensors: tuple[tuple[Tensor, ...], ...],
    shapes: tuple[tuple[tuple[int, ...], ...], ...],
    first: Tensor,
) -> None:
    dtype, device = first.dtype, first.device
    for row, layer in enumerate(tensors):
        expected = shapes[row]
        if len(layer) != len(expected):
            wrong(
                "tensors",
                f"{len(expected)} for the cell {program.name!r}",
                f"{len(layer)}",
                "follow its order",
            )
        for i, tensor in enumerate(layer):
            if tensor.shape != expected[i]:
                name = f"{program.tensors[i].name} (layer {row})"
                wrong(name, f"shape {expected[i]}", shape_of(tensor), "restore the parameter's shape")
            if tensor.dtype is not dtype or tensor.device != device:
                _explain_kind(f"{program.tensors[i].name} (layer {row})", tensor, first)


def _check_ragged(
    call: StackCall, lead: tuple[int, ...], packed: bool, state_lead: tuple[int, int], widths: tuple[int, ...]
) -> None:
    device = call.inputs[0].device
    if packed:
        raise ArgumentError(
            "batch_sizes: expected no lengths, mask or resets beside packed rows, got one; pad the sequences instead"
        )
    if call.lengths is not None:
        if (
            call.lengths.dtype != torch.int64
            or call.lengths.shape != lead[1:]
            or call.lengths.device != device
        ):
            got = f"{call.lengths.dtype}, {shape_of(call.lengths)} on {call.lengths.device}"
            wrong(
                "lengths", f"int64 of shape {lead[1:]} on {device}", got, "one number of steps per sequence"
            )
        if device.type == "cpu":
            check_range(call.lengths, lead[0])
    for name, flags in (("mask", call.mask), ("resets", call.resets)):
        if flags is not None:
            check_flags(name, flags, lead, device)
    if call.resets is not None:
        given = call.reset_states or ()
        if len(given) != len(widths):
            wrong(
                "reset_states",
                f"{len(widths)} states beside resets",
                f"{len(given)}",
                "give what a reset puts",
            )
        once = all(state.shape[1:2] == (1,) for state in given)
        _check_group(
            "reset_states", given, (state_lead[0], 1) if once else state_lead, widths, call.inputs[0]
        )


def _check_rates(call: StackCall) -> None:
    zoneout = call.zoneout
    for name, rate in (("dropout", call.dropout), ("recurrent_dropout", call.recurrent_dropout)):
        if not 0.0 <= rate <= 1.0:
            raise ArgumentError(
                f"{name}: expected a probability in [0, 1], got {rate}; give a share of units"
            )
    if zoneout and (len(zoneout) != len(call.states) or not all(0.0 <= rate <= 1.0 for rate in zoneout)):
        raise ArgumentError(
            f"zoneout: expected {len(call.states)} probabilities in [0, 1], got {zoneout}; give one per state"
        )
    if call.training and (call.recurrent_dropout > 0 or any(zoneout)):
        seed = call.seed
        if seed is None or seed.dtype != torch.int64 or seed.dim() != 0:
            raise ArgumentError(
                f"seed: expected an int64 tensor without axes when units are dropped in training, got {seed}; "
                "draw one with torch.randint(2**62, ())"
            )
