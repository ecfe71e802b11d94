"""Shapes, dtypes, devices and lengths: checked here and nowhere else, for every layer and every engine.

A good call costs one pass of comparisons; a message is built only when a check fails. Nothing here branches on
the values of a tensor while a graph is being traced (torch.compile, torch.export), and symbolic sizes are only
compared. torch's own wording is kept, in brackets, in each message that torch has too (its test samples match it).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import torch
from jaxtyping import Int64, Integer
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatewise.engines.sizes import sizes_of
from gatewise.errors import ArgumentError, ArgumentTypeError, ShapeError
from gatewise.spec.program import Program, bind

if TYPE_CHECKING:
    from gatewise.engines.call import StackCall

__all__ = [
    "as_lengths",
    "check_call",
    "check_flags",
    "check_like",
    "check_packed",
    "check_row",
    "check_row_states",
    "check_sequence",
    "check_states",
    "check_step",
    "check_stream",
    "expect_tensor",
]

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
"""The dtypes that engines compute in."""


# --- how a failure is put


def _wrong(argument: str, expected: str, got: str, remedy: str, torch_says: str = "") -> NoReturn:
    text = f"{argument}: expected {expected}, got {got}; {remedy}"
    raise ShapeError(f"{text} [{torch_says}]" if torch_says else text)


def _shape(tensor: Tensor) -> str:
    return f"shape {tuple(tensor.shape)}"


def expect_tensor(argument: str, value: object, meaning: str) -> None:
    """Raises ArgumentTypeError unless ``value`` is a dense tensor; ``meaning`` says what it should hold."""
    if not isinstance(value, Tensor):
        raise ArgumentTypeError(
            f"{argument}: expected a torch.Tensor, {meaning}, got {type(value).__name__}; "
            "convert it with torch.as_tensor(...)"
        )
    if not _is_dense(value):
        kind = "nested" if value.is_nested else "quantized" if value.is_quantized else str(value.layout)
        _wrong(
            argument,
            "a dense (strided) tensor",
            f"a {kind} one",
            "convert it with to_dense(), dequantize() or, for a nested tensor, pad it and pass lengths=",
        )


def _is_dense(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_nested and not tensor.is_quantized


def check_like(argument: str, tensor: Tensor, weight: Tensor) -> None:
    """Raises ShapeError unless a tensor has the dtype and the device of the weights."""
    dtype = weight.dtype
    if tensor.dtype != dtype:
        _wrong(
            argument,
            f"{dtype}, the weights' dtype",
            f"{tensor.dtype}",
            f"convert it with .to({dtype}), or the module with .to({tensor.dtype})",
            f"RNN {argument} dtype ({tensor.dtype}) does not match weight dtype ({dtype}). "
            f"Convert input: input.to({dtype}), or convert model: model.to({tensor.dtype})",
        )
    if tensor.device != weight.device:
        _wrong(
            argument,
            f"device {weight.device}, where the weights are",
            f"{tensor.device}",
            f"move it with .to({str(weight.device)!r}), or the module with .to({str(tensor.device)!r})",
        )


# --- what a layer is given


def check_sequence(owner: str, input: object, input_size: int, batch_first: bool) -> bool:
    """Checks a padded input of a layer.

    Args:
        owner: The module's name, for the message.
        input: (time, batch, input_size), or (batch, time, input_size) with batch_first, or (time, input_size).
        input_size: Expected number of features.
        batch_first: How the user orders the axes.

    Returns:
        Whether the input has a batch axis.

    Raises:
        ArgumentTypeError: Not a tensor.
        ShapeError: Wrong number of axes or features, or no step at all.
    """
    expect_tensor("input", input, "the sequences")
    shape: torch.Size = input.shape  # type: ignore[attr-defined]
    dims = len(shape)
    axes = "(batch, time, input_size)" if batch_first else "(time, batch, input_size)"
    if dims != 3 and dims != 2:
        _wrong(
            "input",
            f"{axes} or, unbatched, (time, input_size)",
            f"shape {tuple(shape)}",
            "add or remove axes with unsqueeze, squeeze or flatten",
            f"{owner}: Expected input to be 2D or 3D, got {dims}D instead",
        )
    if shape[-1] != input_size:
        _wrong(
            "input",
            f"{input_size} features (input_size) on the last axis",
            f"shape {tuple(shape)}",
            f"give it as {axes}, or make the module with input_size={shape[-1]}",
            f"input.size(-1) must be equal to input_size. Expected {input_size}, got {shape[-1]}",
        )
    if shape[1 if batch_first and dims == 3 else 0] == 0:
        _wrong(
            "input",
            "at least one step of time",
            f"shape {tuple(shape)}",
            "skip empty batches; a single empty sequence in a batch is given by lengths=",
            "Expected sequence length to be larger than 0 in RNN",
        )
    return dims == 3


def check_packed(input: PackedSequence, input_size: int) -> int:
    """Checks a packed input, whose sizes a user may have made by hand.

    Returns:
        The number of sequences.

    Raises:
        ShapeError: Its data, batch sizes and indices do not belong together.
    """
    data, batch_sizes, sorted_indices, unsorted_indices = input
    expect_tensor("input.data", data, "the packed rows")
    if data.dim() != 2 or data.shape[1] != input_size:
        _wrong(
            "input",
            f"packed rows of shape (rows, {input_size})",
            _shape(data),
            "pack with torch.nn.utils.rnn.pack_padded_sequence sequences of input_size features",
            f"input must have 2 dimensions, got {data.dim()}"
            if data.dim() != 2
            else f"input.size(-1) must be equal to input_size. Expected {input_size}, got {data.shape[1]}",
        )
    batch = _check_batch_sizes("input", batch_sizes, data.shape[0])
    for name, indices in (("sorted_indices", sorted_indices), ("unsorted_indices", unsorted_indices)):
        if indices is not None:
            _check_permutation(f"input.{name}", indices, batch, data.device)
    return batch


def _check_batch_sizes(argument: str, sizes: object, rows: int) -> int:
    remedy = "make it with torch.nn.utils.rnn.pack_padded_sequence or pack_sequence"
    good = isinstance(sizes, Tensor) and sizes.dim() == 1 and sizes.dtype == torch.int64 and not sizes.is_cuda
    if not good or sizes.shape[0] == 0:  # type: ignore[attr-defined]
        got = f"{sizes.dtype}, {_shape(sizes)}" if isinstance(sizes, Tensor) else type(sizes).__name__
        _wrong(argument, "batch_sizes as a one-dimensional int64 tensor on the CPU", got, remedy)
    if torch.compiler.is_compiling():
        return int(sizes[0])  # type: ignore[index]
    listed: list[int] = sizes.tolist()  # type: ignore[attr-defined]
    if sum(listed) != rows or listed[-1] < 1 or listed != sorted(listed, reverse=True):
        shown = listed if len(listed) <= 8 else f"{str(listed[:8])[:-1]}, ...]"
        _wrong(argument, f"positive, falling batch_sizes that sum to the {rows} packed rows", f"{shown}", remedy)
    return listed[0]


def _check_permutation(argument: str, indices: object, batch: int, device: torch.device) -> None:
    good = isinstance(indices, Tensor) and indices.dtype == torch.int64 and tuple(indices.shape) == (batch,)
    if good and not torch.compiler.is_compiling() and indices.device.type == "cpu":  # type: ignore[attr-defined]
        good = sorted(indices.tolist()) == list(range(batch))  # type: ignore[attr-defined]
    if not good or indices.device != device:  # type: ignore[attr-defined]
        got = f"{indices.dtype}, {_shape(indices)}, {indices.device}" if isinstance(indices, Tensor) else "no tensor"
        _wrong(
            argument,
            f"each of 0 .. {batch - 1} once, as int64 on {device}",
            got,
            "make it with torch.nn.utils.rnn.pack_padded_sequence",
        )


def check_states(
    argument: str, states: Sequence[object], names: Sequence[str], shapes: Sequence[tuple[int, ...]]
) -> None:
    """Checks the states that a layer starts from against the exact shapes expected.

    Args:
        argument: What the user calls them.
        states: One tensor per state of the cell.
        names: The states' names.
        shapes: (layers * directions, batch, width) per state; without the batch axis for unbatched input.

    Raises:
        ArgumentTypeError: Not tensors.
        ShapeError: Wrong count or shapes.
    """
    if len(states) != len(shapes):
        _wrong(
            argument,
            f"{len(shapes)} states ({', '.join(names)})",
            f"{len(states)}",
            "pass a tuple with one tensor per state, as the layer returns it",
        )
    for state, shape in zip(states, shapes, strict=True):
        if not isinstance(state, Tensor) or not _is_dense(state) or state.shape != shape:
            _explain_states(argument, states, names, shapes)


def _explain_states(
    argument: str, states: Sequence[object], names: Sequence[str], shapes: Sequence[tuple[int, ...]]
) -> None:
    for name, state in zip(names, states, strict=True):
        expect_tensor(argument, state, f"the state {name}")
    tensors: list[Tensor] = list(states)  # type: ignore[arg-type]
    dims = len(shapes[0])
    if any(t.dim() != dims for t in tensors):
        kind = "batched 3-D" if dims == 3 else "unbatched 2-D"
        many = ", ".join(f"{t.dim()}-D" for t in tensors)
        said = f"hx should also be {dims}-D but got {many} tensor"
        if len(tensors) > 1:
            said = f"hx and cx should also be {dims}-D but got ({many}) tensors"
        _wrong(
            argument,
            f"states with {dims} axes for this input",
            many,
            "states are (layers * directions, batch, size); without the batch axis where the input has none",
            f"For {kind} input, {said}",
        )
    for i, (name, tensor, shape) in enumerate(zip(names, tensors, shapes, strict=True)):
        if tensor.shape != shape:
            which = "hidden size" if len(tensors) == 1 else f"hidden[{i}] size"
            _wrong(
                argument,
                f"the state {name} as (layers * directions, batch, size) = {shape}",
                f"{tuple(tensor.shape)}",
                "start from None for zeros; states are never batch_first",
                f"Expected {which} {shape}, got {list(tensor.shape)}",
            )


def as_lengths(
    lengths: object, batch: int, time: int, device: torch.device
) -> Int64[Tensor, " batch"]:
    """The lengths of ragged sequences as engines take them.

    Args:
        lengths: (batch,) integers in [0, time], a tensor on any device or a sequence of numbers.
        batch: Number of sequences.
        time: Number of steps of the padded input.
        device: Where the input is.

    Returns:
        int64 on ``device``. Values are checked where they come from: on a GPU that waits for it, so lengths
        are best given on the CPU.

    Raises:
        ArgumentTypeError: Not integers.
        ShapeError: Another count than the batch, or out of range.
    """
    remedy = "give one integer per sequence, its number of steps"
    if not isinstance(lengths, Tensor):
        good = isinstance(lengths, Sequence) and not isinstance(lengths, str | bytes)
        if not good or not all(type(n) is int for n in lengths):  # type: ignore[union-attr]
            raise ArgumentTypeError(
                f"lengths: expected integers of shape ({batch},), got {type(lengths).__name__}; {remedy}"
            )
        if any(not 0 <= n <= time for n in lengths):  # type: ignore[union-attr]
            _wrong("lengths", f"numbers of steps in [0, {time}]", f"{list(lengths)[:8]}", remedy)  # type: ignore[call-overload]
        lengths = torch.tensor(lengths, dtype=torch.int64)
    elif lengths.dtype.is_floating_point or lengths.dtype.is_complex or lengths.dtype == torch.bool:
        raise ArgumentTypeError(f"lengths: expected integers, got {lengths.dtype}; convert with .to(torch.int64)")
    if lengths.shape != (batch,):
        _wrong("lengths", f"shape ({batch},), one per sequence", _shape(lengths), remedy)
    _check_range(lengths, time)
    return lengths.to(device=device, dtype=torch.int64)


def _check_range(lengths: Integer[Tensor, " batch"], time: int) -> None:
    if torch.compiler.is_compiling() or lengths.numel() == 0 or torch._C._functorch.maybe_current_level() is not None:
        return
    if lengths.device.type == "meta" or type(lengths) is not Tensor:
        return
    least, most = torch.aminmax(lengths)
    if int(least) < 0 or int(most) > time:
        _wrong(
            "lengths",
            f"numbers of steps in [0, {time}], the input's time",
            f"values from {int(least)} to {int(most)}",
            "clamp them, or pad the input to the longest sequence",
        )


def check_flags(argument: str, flags: object, shape: tuple[int, ...], device: torch.device) -> None:
    """Checks a truth value per step (mask, resets) in the user's layout.

    Raises:
        ArgumentTypeError: Not a tensor.
        ShapeError: Another shape, dtype or device.
    """
    expect_tensor(argument, flags, "one truth value per step")
    tensor: Tensor = flags  # type: ignore[assignment]
    if tensor.shape != shape:
        _wrong(argument, f"shape {shape}, one per step", _shape(tensor), "drop the feature axis, follow batch_first")
    if tensor.dtype != torch.bool:
        _wrong(argument, "torch.bool", f"{tensor.dtype}", f"convert it with {argument}.bool() or a comparison")
    if tensor.device != device:
        _wrong(argument, f"device {device}, as the input", f"{tensor.device}", f"move it with .to({str(device)!r})")


def check_stream(name: str, stream: object, shape: tuple[int, ...]) -> None:
    """Checks a further input stream of a cell, in the user's layout.

    Raises:
        ArgumentTypeError: Not a tensor.
        ShapeError: Another shape.
    """
    expect_tensor(f"streams[{name!r}]", stream, "a further input of the cell")
    if stream.shape != shape:  # type: ignore[attr-defined]
        _wrong(f"streams[{name!r}]", f"shape {shape}", _shape(stream), "give it one row per step of the input")  # type: ignore[arg-type]


# --- what a single step is given


def check_row(owner: str, argument: str, row: object, input_size: int) -> bool:
    """Checks the input of one step, (batch, input_size) or (input_size,).

    Returns:
        Whether it has a batch axis.

    Raises:
        ArgumentTypeError: Not a tensor.
        ShapeError: Wrong number of axes or features.
    """
    expect_tensor(argument, row, "one step of the sequences")
    shape = row.shape  # type: ignore[attr-defined]
    dims = len(shape)
    if dims != 2 and dims != 1:
        _wrong(
            argument,
            "(batch, input_size) or, unbatched, (input_size,)",
            f"shape {tuple(shape)}",
            "give one step at a time; whole sequences go to the layer itself",
            f"{owner}: Expected input to be 1D or 2D, got {dims}D instead",
        )
    if shape[-1] != input_size:
        _wrong(
            argument,
            f"{input_size} features (input_size) on the last axis",
            f"shape {tuple(shape)}",
            f"give (batch, {input_size}), or make the module with input_size={shape[-1]}",
            f"input has inconsistent input_size: got {shape[-1]} expected {input_size}",
        )
    return dims == 2


def check_row_states(
    owner: str, states: Sequence[object], names: Sequence[str], widths: Sequence[int], batch: int | None
) -> None:
    """Checks the states of a cell module, (batch, width), or (width,) where ``batch`` is None.

    Raises:
        ArgumentTypeError: Not tensors.
        ShapeError: Wrong count or shapes.
    """
    if len(states) != len(widths):
        _wrong("hx", f"{len(widths)} states ({', '.join(names)})", f"{len(states)}", "pass one tensor per state")
    for i, (state, width) in enumerate(zip(states, widths, strict=True)):
        expected = (width,) if batch is None else (batch, width)
        if isinstance(state, Tensor) and _is_dense(state) and state.shape == expected:
            continue
        expect_tensor("hx", state, f"the state {names[i]}")
        shape: torch.Size = state.shape  # type: ignore[attr-defined]
        which = "hidden" if len(widths) == 1 else f"hx[{i}]"
        if len(shape) not in (1, 2) or len(shape) != len(expected):
            said = f"{owner}: Expected {which} to be 1D or 2D, got {len(shape)}D instead"
        elif shape[-1] != width:
            said = f"hidden{i} has inconsistent hidden_size: got {shape[-1]}, expected {width}"
        else:
            said = f"Input batch size {batch} doesn't match hidden{i} batch size {shape[0]}"
        _wrong(
            "hx",
            f"the state {names[i]} of shape {expected}, as the input has it",
            f"shape {tuple(shape)}",
            "start from None for zeros, or give it the input's batch",
            said,
        )


# --- what an engine is given


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
        _wrong("inputs[0]", "(batch, width)", _shape(first), "give one step at a time")
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
        _wrong("inputs[0]", axes, _shape(first), "engines take time first")
    lead: tuple[int, ...] = tuple(first.shape[:-1])
    batch = _check_batch_sizes("batch_sizes", call.batch_sizes, lead[0]) if packed else lead[1]
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
    plan = _PLANS.get(key)
    if plan is None or len(tensors) != rows or len(tensors[0]) != len(program.tensors):
        plan = _fresh_plan(program, inputs, states, tensors, num_layers, rows)
        shown = {member.width for member in (*program.inputs, *program.states)}
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
            _wrong(argument, f"{expected} for the cell {program.name!r}", f"{got}", "follow the program's own order")
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
            _wrong(spec.name, f"a {spec.kind}, {axes}", _shape(tensor), "restore the parameter's shape")
    for argument, group in (("inputs", inputs), ("states", states)):
        for i, tensor in enumerate(group):
            if tensor.dim() == 0:
                _wrong(f"{argument}[{i}]", "a last axis of features", _shape(tensor), "give it all its axes")
    return sizes_of(program, inputs, states, tensors)


def _check_group(
    argument: str, tensors: tuple[Tensor, ...], lead: tuple[int, ...], widths: tuple[int, ...], first: Tensor
) -> None:
    dtype, device = first.dtype, first.device
    if dtype not in FLOATS:
        _wrong("inputs", "a float dtype", f"{dtype}", "convert with .to(torch.float32)")
    for i, tensor in enumerate(tensors):
        if tensor.shape != (*lead, widths[i]):
            expected = f"shape {(*lead, widths[i])}"
            _wrong(f"{argument}[{i}]", expected, _shape(tensor), "all must share time, batch and sizes")
        if tensor.dtype is not dtype or tensor.device != device:
            _explain_kind(f"{argument}[{i}]", tensor, first)


def _explain_kind(argument: str, tensor: Tensor, first: Tensor) -> NoReturn:
    _wrong(
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
            _wrong("tensors", f"{len(expected)} for the cell {program.name!r}", f"{len(layer)}", "follow its order")
        for i, tensor in enumerate(layer):
            if tensor.shape != expected[i]:
                name = f"{program.tensors[i].name} (layer {row})"
                _wrong(name, f"shape {expected[i]}", _shape(tensor), "restore the parameter's shape")
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
        if call.lengths.dtype != torch.int64 or call.lengths.shape != lead[1:] or call.lengths.device != device:
            got = f"{call.lengths.dtype}, {_shape(call.lengths)} on {call.lengths.device}"
            _wrong("lengths", f"int64 of shape {lead[1:]} on {device}", got, "one number of steps per sequence")
        if device.type == "cpu":
            _check_range(call.lengths, lead[0])
    for name, flags in (("mask", call.mask), ("resets", call.resets)):
        if flags is not None:
            check_flags(name, flags, lead, device)
    if call.resets is not None:
        given = call.reset_states or ()
        if len(given) != len(widths):
            _wrong("reset_states", f"{len(widths)} states beside resets", f"{len(given)}", "give what a reset puts")
        once = all(state.shape[1:2] == (1,) for state in given)
        _check_group("reset_states", given, (state_lead[0], 1) if once else state_lead, widths, call.inputs[0])


def _check_rates(call: StackCall) -> None:
    zoneout = call.zoneout
    for name, rate in (("dropout", call.dropout), ("recurrent_dropout", call.recurrent_dropout)):
        if not 0.0 <= rate <= 1.0:
            raise ArgumentError(f"{name}: expected a probability in [0, 1], got {rate}; give a share of units")
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
