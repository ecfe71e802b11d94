"""What a user gives a layer: sequences, padded or packed, states, lengths, masks and resets."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from jaxtyping import Int64, Integer
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor
from torch.nn.utils.rnn import PackedSequence

from gatewise.engines.geometry.common import (
    check_like,
    expect_tensor,
    is_dense,
    listed_numbers,
    shape_of,
    wrong,
)
from gatewise.errors import ArgumentTypeError

__all__ = [
    "as_lengths",
    "check_batch_sizes",
    "check_flags",
    "check_packed",
    "check_range",
    "check_sequence",
    "check_states",
    "check_stream",
]


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
    shape = expect_tensor("input", input, "the sequences").shape
    dims = len(shape)
    axes = "(batch, time, input_size)" if batch_first else "(time, batch, input_size)"
    if dims != 3 and dims != 2:
        wrong(
            "input",
            f"{axes} or, unbatched, (time, input_size)",
            f"shape {tuple(shape)}",
            "add or remove axes with unsqueeze, squeeze or flatten",
            f"{owner}: Expected input to be 2D or 3D, got {dims}D instead",
        )
    if shape[-1] != input_size:
        wrong(
            "input",
            f"{input_size} features (input_size) on the last axis",
            f"shape {tuple(shape)}",
            f"give it as {axes}, or make the module with input_size={shape[-1]}",
            f"input.size(-1) must be equal to input_size. Expected {input_size}, got {shape[-1]}",
        )
    if shape[1 if batch_first and dims == 3 else 0] == 0:
        wrong(
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
        wrong(
            "input",
            f"packed rows of shape (rows, {input_size})",
            shape_of(data),
            "pack with torch.nn.utils.rnn.pack_padded_sequence sequences of input_size features",
            f"input must have 2 dimensions, got {data.dim()}"
            if data.dim() != 2
            else f"input.size(-1) must be equal to input_size. Expected {input_size}, got {data.shape[1]}",
        )
    batch = check_batch_sizes("input", batch_sizes, data.shape[0])
    for name, indices in (("sorted_indices", sorted_indices), ("unsorted_indices", unsorted_indices)):
        if indices is not None:
            given = expect_tensor(f"input.{name}", indices, "an order of the sequences")
            _check_permutation(f"input.{name}", given, batch, data.device)
    return batch


def check_batch_sizes(argument: str, sizes: object, rows: int) -> int:
    """The number of sequences of a packed input, whose batch sizes must suit its rows."""
    remedy = "make it with torch.nn.utils.rnn.pack_padded_sequence or pack_sequence"
    tensor = sizes if isinstance(sizes, Tensor) and is_dense(sizes) and sizes.device.type == "cpu" else None
    if tensor is None or tensor.dim() != 1 or tensor.dtype != torch.int64 or tensor.shape[0] == 0:
        got = f"{sizes.dtype}, {shape_of(sizes)}" if isinstance(sizes, Tensor) else type(sizes).__name__
        wrong(argument, "batch_sizes as a one-dimensional int64 tensor on the CPU", got, remedy)
    if torch.compiler.is_compiling():
        return int(tensor[0])
    listed = listed_numbers(tensor)
    if sum(listed) != rows or listed[-1] < 1 or listed != sorted(listed, reverse=True):
        shown = f"{listed}" if len(listed) <= 8 else f"{str(listed[:8])[:-1]}, ...]"
        wrong(argument, f"positive, falling batch_sizes that sum to the {rows} packed rows", shown, remedy)
    return listed[0]


def _check_permutation(argument: str, indices: Tensor, batch: int, device: torch.device) -> None:
    good = indices.dtype == torch.int64 and indices.shape == (batch,) and indices.device == device
    if good and device.type == "cpu" and not torch.compiler.is_compiling():
        good = sorted(listed_numbers(indices)) == list(range(batch))
    if not good:
        wrong(
            argument,
            f"each of 0 .. {batch - 1} once, as int64 on {device}",
            f"{indices.dtype}, {shape_of(indices)}, {indices.device}",
            "make it with torch.nn.utils.rnn.pack_padded_sequence",
        )


def check_states(
    argument: str,
    states: Sequence[object],
    names: Sequence[str],
    shapes: Sequence[tuple[int, ...]],
    like: Tensor | None = None,
) -> None:
    """Checks the states that a layer starts from against the exact shapes expected.

    Args:
        argument: What the user calls them.
        states: One tensor per state of the cell.
        names: The states' names.
        shapes: (layers * directions, batch, width) per state; without the batch axis for unbatched input.
        like: A tensor of the dtype and device expected; None where they are cast.

    Raises:
        ArgumentTypeError: Not tensors.
        ShapeError: Wrong count, shapes, dtype or device.
    """
    if len(states) != len(shapes):
        wrong(
            argument,
            f"{len(shapes)} states ({', '.join(names)})",
            f"{len(states)}",
            "pass a tuple with one tensor per state, as the layer returns it",
        )
    for i, state in enumerate(states):
        if not isinstance(state, Tensor) or not is_dense(state) or state.shape != shapes[i]:
            _explain_states(argument, states, names, shapes)
        elif like is not None and (state.dtype is not like.dtype or state.device != like.device):
            check_like(argument, state, like)


def _explain_states(
    argument: str, states: Sequence[object], names: Sequence[str], shapes: Sequence[tuple[int, ...]]
) -> None:
    tensors = [
        expect_tensor(argument, state, f"the state {name}") for name, state in zip(names, states, strict=True)
    ]
    dims = len(shapes[0])
    if any(t.dim() != dims for t in tensors):
        kind = "batched 3-D" if dims == 3 else "unbatched 2-D"
        many = ", ".join(f"{t.dim()}-D" for t in tensors)
        said = f"hx should also be {dims}-D but got {many} tensor"
        if len(tensors) > 1:
            said = f"hx and cx should also be {dims}-D but got ({many}) tensors"
        wrong(
            argument,
            f"states with {dims} axes for this input",
            many,
            "states are (layers * directions, batch, size); without the batch axis where the input has none",
            f"For {kind} input, {said}",
        )
    for i, (name, tensor, shape) in enumerate(zip(names, tensors, shapes, strict=True)):
        if tensor.shape != shape:
            which = "hidden size" if len(tensors) == 1 else f"hidden[{i}] size"
            wrong(
                argument,
                f"the state {name} as (layers * directions, batch, size) = {shape}",
                f"{tuple(tensor.shape)}",
                "start from None for zeros; states are never batch_first",
                f"Expected {which} {shape}, got {list(tensor.shape)}",
            )


def as_lengths(lengths: object, batch: int, time: int, device: torch.device) -> Int64[Tensor, " batch"]:
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
    if isinstance(lengths, Tensor):
        lengths = expect_tensor("lengths", lengths, "one number of steps per sequence")
        if lengths.device.type == "meta" and device.type != "meta":
            wrong("lengths", f"numbers on {device}", "a tensor on meta, which holds none", remedy)
    else:
        # numpy's arrays and whole numbers count as Python's.
        given = lengths.tolist() if hasattr(lengths, "__array__") and hasattr(lengths, "tolist") else lengths
        listed: list[object] = list(given) if isinstance(given, list | tuple | range) else [None]
        numbers = [
            operator.index(n) for n in listed if hasattr(n, "__index__") and not isinstance(n, bool | Tensor)
        ]
        if len(numbers) != len(listed):
            raise ArgumentTypeError(
                f"lengths: expected integers of shape ({batch},), got {type(lengths).__name__}; {remedy}"
            )
        if any(not 0 <= n <= time for n in numbers):
            wrong("lengths", f"numbers of steps in [0, {time}]", f"{numbers[:8]}", remedy)
        lengths = torch.tensor(numbers, dtype=torch.int64, device="cpu")
    if lengths.dtype.is_floating_point or lengths.dtype.is_complex or lengths.dtype == torch.bool:
        raise ArgumentTypeError(
            f"lengths: expected integers, got {lengths.dtype}; convert with .to(torch.int64)"
        )
    if lengths.shape != (batch,):
        wrong("lengths", f"shape ({batch},), one per sequence", shape_of(lengths), remedy)
    check_range(lengths, time)
    return lengths.to(device=device, dtype=torch.int64)


# Tensors of a tracer, which hold no values.
_VALUELESS = (FakeTensor, FunctionalTensor)


def check_range(lengths: Integer[Tensor, " batch"], time: int) -> None:
    """Raises ShapeError for a length outside [0, time], wherever values can be looked at."""
    traced = torch.compiler.is_compiling() or torch._C._functorch.maybe_current_level() is not None
    if traced or lengths.numel() == 0 or lengths.device.type == "meta" or isinstance(lengths, _VALUELESS):
        return
    least, most = torch.aminmax(lengths)
    if int(least) < 0 or int(most) > time:
        wrong(
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
    tensor = expect_tensor(argument, flags, "one truth value per step")
    if tensor.shape != shape:
        wrong(
            argument,
            f"shape {shape}, one per step",
            shape_of(tensor),
            "drop the feature axis, follow batch_first",
        )
    if tensor.dtype != torch.bool:
        wrong(argument, "torch.bool", f"{tensor.dtype}", f"convert it with {argument}.bool() or a comparison")
    if tensor.device != device:
        wrong(
            argument,
            f"device {device}, as the input",
            f"{tensor.device}",
            f"move it with .to({str(device)!r})",
        )


def check_stream(name: str, stream: object, shape: tuple[int, ...]) -> Tensor:
    """A further input stream of a cell, checked in the user's layout.

    Raises:
        ArgumentTypeError: Not a tensor.
        ShapeError: Another shape.
    """
    tensor = expect_tensor(f"streams[{name!r}]", stream, "a further input of the cell")
    if tensor.shape != shape:
        wrong(
            f"streams[{name!r}]", f"shape {shape}", shape_of(tensor), "give it one row per step of the input"
        )
    return tensor
