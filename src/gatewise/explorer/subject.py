"""What a page explains: a program with its weights, a sequence, and which of its units are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gatewise import cells, nn
from gatewise.engines.reference import unroll
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn.arguments import no_type_check
from gatewise.spec import Cell, Program
from gatewise.spec.program import Width, bind
from gatewise.spec.transforms import prepared, with_state_trace

__all__ = ["Subject", "of_cell", "of_layer"]

MAX_STEPS = 512
MAX_HIDDEN = 64
MAX_NUMBERS = 2_000_000
"""Weights beyond this make a page of more than some 11 MB, which no reader of it wants to open."""


@dataclass(frozen=True)
class Subject:
    """A cell at work, ready to be put into a page.

    Attributes:
        title: the page's heading.
        origin: where weights and sequence come from, in one or two sentences.
        program: one step of the cell, as it is at inference.
        sizes: what its symbolic widths stand for.
        tensors: its weights by name.
        inputs: by stream, (time, width).
        initial: the states before the first step by name, (width,).
        shown: by width, the places of a vector that the page shows.
    """

    title: str
    origin: str
    program: Program
    sizes: dict[str, int]
    tensors: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]
    initial: dict[str, np.ndarray]
    shown: dict[str, tuple[int, ...]]

    @property
    def steps(self) -> int:
        """Length of the sequence."""
        return len(next(iter(self.inputs.values())))


@no_type_check
def of_cell(
    cell: str | Cell | Program,
    hidden_size: int = 4,
    input_size: int = 1,
    steps: int = 24,
    *,
    seed: int = 0,
    **options: Any,
) -> Subject:
    """A small cell with drawn weights and a wave as its input.

    Args:
        cell: a registered name, a cell of your own, or a program.
        hidden_size: units, 1 to 64.
        input_size: features of the input, 1 to 16.
        steps: length of the sequence, 2 to 512.
        seed: of the weights, drawn as ``nn.Recurrent(..., init="orthogonal")`` draws them.
        **options: what ``nn.Recurrent`` takes besides, the cell's own options among them.

    Raises:
        ArgumentError: an unknown cell, or a number out of range.
        ArgumentTypeError: a number that is none.

    Example:
        >>> subject = of_cell("gru", hidden_size=3)
        >>> subject.steps, subject.tensors["weight_hh"].shape
        (24, (9, 3))
    """
    _check("hidden_size", hidden_size, 1, MAX_HIDDEN)
    _check("input_size", input_size, 1, 16)
    _check("steps", steps, 2, MAX_STEPS)
    _check("seed", seed, 0, 2**63 - 1)
    program = cells.get(cell) if isinstance(cell, str) else None
    found = program or (cell.program() if isinstance(cell, Cell) else cell)
    if isinstance(found, Program):
        _check_program(found)
        if "proj" in _widths(found):
            options.setdefault("proj_size", max(1, hidden_size // 2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = nn.Recurrent(cell, input_size, hidden_size, init="orthogonal", **options)
    inputs = [
        torch.ones(steps, bind(stream.width, {"input": input_size, **layer._sizes}))
        for stream in layer.program.inputs
    ]
    # Not from 0: at the first step there would be nothing but zeros to see.
    wave = torch.sin(2 * torch.pi * torch.arange(1, steps + 1) / 12).round(decimals=4)
    inputs[0] = wave[:, None].expand_as(inputs[0]).contiguous()
    origin = (
        f"A layer of {_count(hidden_size, 'unit')} with weights from seed {seed}, drawn as Gatewise's "
        "“orthogonal” initialiser draws them."
    )
    title = layer.program.title or layer.program.name
    further = {stream.name: x for stream, x in zip(layer.program.inputs[1:], inputs[1:], strict=True)}
    return of_layer(
        layer, inputs[0], streams=further or None, steps=steps, units=hidden_size, title=title, origin=origin
    )


@no_type_check
def of_layer(
    layer: nn.Recurrent,
    input: Any = None,
    hx: Any = None,
    *,
    streams: Sequence[Tensor] | Mapping[str, Tensor] | None = None,
    lengths: Any = None,
    row: int | None = None,
    steps: int = 48,
    units: int = 6,
    title: str = "",
    origin: str = "",
) -> Subject:
    """A layer with its own weights: the first of its stack, in its own direction (the forward one of two).

    Args:
        layer: the layer; it is computed as at inference.
        input: what it would be called with; None for numbers drawn from a normal distribution.
        hx, streams, lengths: as the layer takes them.
        row: which sequence of the batch; None for the longest.
        steps: at most so many steps from its beginning, 2 to 512.
        units: at most so many units are shown, those that move most; all are computed.
        title, origin: what the page says of it.

    Raises:
        ArgumentError: a number out of range, or a layer too large for a page.
        ArgumentTypeError: no layer.
        ShapeError: input and layer do not fit.

    Example:
        >>> subject = of_layer(nn.LSTM(3, 100), torch.randn(30, 2, 3))
        >>> subject.steps, len(subject.shown["hidden"])
        (30, 6)
    """
    if not isinstance(layer, nn.Recurrent):
        raise ArgumentTypeError(
            f"layer: expected a gatewise.nn.Recurrent or one of its kin, got {type(layer).__name__}; "
            "pass the recurrent layer itself"
        )
    _check("steps", steps, 2, MAX_STEPS)
    _check("units", units, 1, MAX_HIDDEN)
    program = prepared(layer.program, zoneout=layer.zoneout, training=False)
    _check_program(program)
    drawn = input is None
    if drawn:
        input, streams = _drawn(layer, steps)
    with torch.no_grad():
        call, _ = layer._call(input, hx, streams, lengths)
    sequences, row = _sequences(call, row)
    if layer.reverse:
        sequences = [x.flip(0) for x in sequences]
    sequences = [x[:steps].double() for x in sequences]
    if len(sequences[0]) < 2:
        raise ArgumentError(
            f"input: expected a sequence of at least 2 steps, got {len(sequences[0])}; pass a longer one"
        )
    states = [state[0, row].detach().cpu().double() for state in call.states]
    tensors = [getattr(layer, f"{spec.name}_l0").detach().cpu().double() for spec in program.tensors]
    numbers = sum(tensor.numel() for tensor in tensors)
    if numbers > MAX_NUMBERS:
        raise ArgumentError(
            f"layer: expected at most {MAX_NUMBERS:,} weights in one layer, got {numbers:,}; a page that holds them "
            "all would be too large to open: explain the cell by its name instead"
        )
    subject = Subject(
        title=title or program.title or program.name,
        origin=origin or _origin(layer, drawn),
        program=program,
        sizes=dict(layer._sizes),
        tensors=_named(program.tensors, tensors),
        inputs=_named(program.inputs, sequences),
        initial=_named(program.states, states),
        shown={},
    )
    subject.shown.update(_most_moving(subject, units))
    return subject


def _check(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: expected a whole number, got {value!r:.60}; pass an int")
    if not least <= value <= most:
        raise ArgumentError(f"{name}: expected {least} to {most}, got {value}; pass a number in that range")


def _check_program(program: Program) -> None:
    """Raises where a program is not a cell's own: derivatives, masks and random draws have no page."""
    drawn = any(node.op == "keep" for node in program.nodes)
    flags = [stream.name for stream in program.inputs if stream.boolean]
    if program.output is None or drawn or flags:
        raise ArgumentError(
            f"cell: expected a cell's own program, got {program.name!r} as a call has prepared it; pass the cell, or "
            "the program that it was prepared from"
        )


def _widths(program: Program) -> set[Width]:
    return {width for tensor in program.tensors for _, width in tensor.parts}


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _drawn(layer: nn.Recurrent, steps: int) -> tuple[Tensor, dict[str, Tensor] | None]:
    """A sequence for a layer of which nothing is known: normal numbers, further streams one."""
    like = next(layer.parameters())
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(steps, layer.input_size, generator=generator).to(like)
    further = {
        stream.name: torch.ones(steps, bind(stream.width, layer._sizes)).to(like)
        for stream in layer.program.inputs[1:]
    }
    return x, further or None


def _sequences(call: Any, row: int | None) -> tuple[list[Tensor], int]:
    """The streams of one sequence of a call's batch, (time, width), and its row."""
    if call.batch_sizes is not None:
        # Packed sequences are sorted: the first of each step's rows belongs to the longest one.
        first = torch.cat([torch.zeros(1, dtype=torch.long), call.batch_sizes.cumsum(0)[:-1]])
        return [x[first.to(x.device)].detach().cpu() for x in call.inputs], 0
    batch = call.inputs[0].shape[1]
    if row is None:
        row = 0 if call.lengths is None else int(call.lengths.argmax())
    if not isinstance(row, int) or isinstance(row, bool) or not 0 <= row < batch:
        raise ArgumentError(f"row: expected 0 to {batch - 1}, got {row!r:.60}; pass a row of the batch")
    end = call.inputs[0].shape[0] if call.lengths is None else int(call.lengths[row])
    return [x[:end, row].detach().cpu() for x in call.inputs], row


def _named(specs: Sequence[Any], values: Sequence[Tensor]) -> dict[str, np.ndarray]:
    return {spec.name: value.numpy() for spec, value in zip(specs, values, strict=True)}


def _origin(layer: nn.Recurrent, drawn: bool) -> str:
    place = f"layer 1 of {layer.num_layers}" if layer.num_layers > 1 else "one layer"
    direction = ", forward direction" if layer.bidirectional else ""
    source = "normal random numbers" if drawn else "a sequence that it was given"
    size = f"{_count(layer.hidden_size, 'unit')}, {_count(layer.input_size, 'input feature')}"
    return f"A layer as it is ({place}{direction}; {size}), on {source}."


def _most_moving(subject: Subject, units: int) -> dict[str, tuple[int, ...]]:
    """By width, the places of a vector that vary most over the sequence: of states, then of inputs."""
    moved = _runs(subject) | {
        stream.width: subject.inputs[stream.name] for stream in reversed(subject.program.inputs)
    }
    shown = {}
    for width in {node.width for node in subject.program.nodes} - {1}:
        size = bind(width, subject.sizes)
        order = np.arange(size)
        if size > units and width in moved:
            order = np.argsort(-moved[width].std(0), kind="stable")
        shown[str(width)] = tuple(int(place) for place in np.sort(order[:units]))
    return shown


def _runs(subject: Subject) -> dict[Width, np.ndarray]:
    """The states over time, (time, width), the first of each width."""
    program = with_state_trace(subject.program)
    with torch.no_grad():
        found, _ = unroll(
            program,
            [torch.from_numpy(x)[:, None] for x in subject.inputs.values()],
            [torch.from_numpy(state)[None] for state in subject.initial.values()],
            [torch.from_numpy(tensor) for tensor in subject.tensors.values()],
        )
    return {
        state.width: found[f"emit:state:{state.name}"][:, 0].numpy() for state in reversed(program.states)
    }
