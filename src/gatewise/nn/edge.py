"""The edge of a layer: from the user's layout (batch_first, unbatched, packed) to time first, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatewise.engines import geometry
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn.arguments import no_type_check
from gatewise.spec.program import Program, bind

__all__ = ["Form", "enter", "enter_flags", "enter_streams", "leave", "leave_states", "split_state"]


class Form(NamedTuple):
    """How the user laid out the input, so that the output can follow."""

    batch_first: bool
    batched: bool
    packed: PackedSequence | None


def enter(x: Tensor, form: Form) -> Tensor:
    """A padded input, or anything with its axes, as (time, batch, ...)."""
    if not form.batched:
        return x.unsqueeze(1)
    return x.transpose(0, 1) if form.batch_first else x


def leave(y: Tensor, form: Form) -> Tensor:
    """The other way round."""
    if not form.batched:
        return y.squeeze(1)
    return y.transpose(0, 1) if form.batch_first else y


def leave_states(states: tuple[Tensor, ...], form: Form) -> tuple[Tensor, ...]:
    """Final states without the batch axis, or in the order in which a packed input's sequences came."""
    if form.packed is not None:
        order = form.packed.unsorted_indices
        return states if order is None else tuple(state.index_select(1, order) for state in states)
    return states if form.batched else tuple(state.squeeze(1) for state in states)


@no_type_check
def enter_flags(
    name: str, flags: Tensor | None, form: Form, lead: tuple[int, int], device: torch.device
) -> Tensor | None:
    """A mask or resets as (time, batch), checked in the user's layout."""
    if flags is None:
        return None
    time, batch = lead
    shape: tuple[int, ...] = (batch, time) if form.batch_first else (time, batch)
    geometry.check_flags(name, flags, shape if form.batched else (time,), device)
    return enter(flags, form)


def split_state(argument: str, hx: object, program: Program) -> tuple[object, ...]:
    """The states that a user passed, one per state of the cell; not checked further.

    Raises:
        ArgumentTypeError: Neither a tuple, nor a tensor for a cell with one state.
    """
    if isinstance(hx, tuple | list):
        return tuple(hx)
    if isinstance(hx, Tensor) and len(program.states) == 1:
        return (hx,)
    names = ", ".join(state.name for state in program.states)
    one = len(program.states) == 1
    raise ArgumentTypeError(
        f"{argument}: expected {'a tensor' if one else f'a tuple of {len(program.states)} tensors'} ({names}), got "
        f"{type(hx).__name__}; pass the state that the layer returned, or None for its initial state"
    )


def _by_name(program: Program, streams: object) -> tuple[object, ...]:
    names = [stream.name for stream in program.inputs[1:]]
    listed = ", ".join(names) or "none"
    if streams is None:
        if not names:
            return ()
        raise ArgumentError(
            f"streams: expected {listed} for the cell {program.name!r}, got None; pass streams={{name: tensor}}"
        )
    if isinstance(streams, Mapping):
        if set(streams) != set(names):
            raise ArgumentError(
                f"streams: expected {listed} for the cell {program.name!r}, got {sorted(map(str, streams))}; "
                "name each further input of the cell once"
            )
        return tuple(streams[name] for name in names)
    if not isinstance(streams, Sequence) or isinstance(streams, str | bytes):
        raise ArgumentTypeError(
            f"streams: expected a tuple or a mapping ({listed}), got {type(streams).__name__}; pass {{name: tensor}}"
        )
    if len(streams) != len(names):
        raise ArgumentError(
            f"streams: expected {len(names)} ({listed}) for the cell {program.name!r}, got {len(streams)}; "
            "pass one tensor per further input"
        )
    return tuple(streams)


def enter_streams(
    program: Program,
    streams: object,
    form: Form | None,
    lead: tuple[int, ...],
    sizes: Mapping[str, int],
    like: Tensor,
) -> tuple[Tensor, ...]:
    """The further inputs of a cell with several (GRU-D's mask and interval), checked and time first.

    Args:
        program: The cell.
        streams: A tuple in the program's order, or a mapping by name; None for a cell with one input.
        form: The input's layout; None for the rows of one step.
        lead: The input's axes but the last, in the user's layout.
        sizes: The layer's sizes.
        like: A tensor of the dtype and device expected.
    """
    result: list[Tensor] = []
    for spec, given in zip(program.inputs[1:], _by_name(program, streams), strict=True):
        tensor: object = given
        if form is not None and form.packed is not None and isinstance(given, PackedSequence):
            if not torch.equal(given.batch_sizes, form.packed.batch_sizes):
                raise ArgumentError(
                    f"streams[{spec.name!r}]: expected the input's batch_sizes, got others; pack both alike"
                )
            tensor = given.data
        row = geometry.check_stream(spec.name, tensor, (*lead, bind(spec.width, sizes)))
        geometry.check_like(f"streams[{spec.name!r}]", row, like)
        result.append(row if form is None or form.packed is not None else enter(row, form))
    return tuple(result)
