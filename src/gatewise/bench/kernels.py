"""The native engine's kernels beside torch.nn's and beside each other: `gatewise bench kernels`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gatewise import cells, nn
from gatewise.bench import peers
from gatewise.bench.errors import errors
from gatewise.bench.rows import GATES, GRID, Report, Row, Shape, agree, row
from gatewise.bench.timing import copy_rate, in_turns, product_rate
from gatewise.engines import recurrence
from gatewise.engines.reference import unroll

__all__ = ["GRID", "Report", "Row", "measure_kernels"]


def measure_kernels(
    *, seconds: float = 1.0, threads: Sequence[int] | None = None, shapes: Sequence[Shape] = GRID,
    tables: Sequence[str] | None = None, tell: Callable[[Row], None] = lambda row: None,
) -> Report:  # fmt: skip
    """Measures all tables.

    Args:
        seconds: About how long each comparison takes.
        threads: Numbers of threads; None for one and all.
        shapes: (batch, steps, input, hidden) of the comparison with torch.nn.
        tables: Names of the tables, "errors" among them; None for all.
        tell: Called with each row as it comes.

    Raises:
        EngineError: The native engine is not there, or its numbers are not those of the peer.

    Example:
        >>> report = measure_kernels(seconds=0.01, threads=[1], shapes=[(2, 8, 4, 8)], tables=["torch.nn"])
        >>> {row.name for row in report.rows} == {"LSTM", "GRU", "RNN"}
        True
    """
    measured: dict[str, Callable[[], Iterator[Row]]] = {
        "torch.nn": lambda: _layers(shapes, seconds),
        "onnxruntime": lambda: peers.onnxruntime(shapes, seconds),
        "step by step": lambda: _by_steps(seconds),
        "streams": lambda: peers.streams(seconds),
        "cells": lambda: _variants(shapes, seconds),
        "extras": lambda: _extras(shapes, seconds),
        "ragged": lambda: _ragged(seconds),
        "linear recurrences": lambda: _linear(shapes, seconds),
        "end to end": lambda: peers.end_to_end(seconds),
    }
    before = torch.get_num_threads()
    rows = []
    try:
        for count in threads if threads is not None else sorted({1, before}):
            torch.set_num_threads(count)
            for name in [name for name in measured if tables is None or name in tables]:
                for row in measured[name]():
                    tell(row)
                    rows.append(row)
    finally:
        torch.set_num_threads(before)
    # The engine's numbers do not depend on the number of threads.
    found = tuple(errors(shapes)) if tables is None or "errors" in tables else ()
    return Report(tuple(rows), found)


def _job(module: Any, x: Tensor, train: bool, **extras: Any) -> Callable[[], Tensor]:
    def step() -> Tensor:
        module.zero_grad(set_to_none=True)
        output: Tensor = module(x, **extras)[0]
        output.sum().backward()
        return output

    def infer() -> Tensor:
        with torch.no_grad():
            output: Tensor = module(x, **extras)[0]
        return output

    return step if train else infer


def _layers(shapes: Sequence[Shape], seconds: float) -> Iterator[Row]:
    """LSTM, GRU and RNN against torch.nn's."""
    for kind in GATES:
        for batch, steps, width, hidden in shapes:
            theirs = getattr(torch.nn, kind)(width, hidden)
            ours = getattr(nn, kind)(width, hidden, engine="native")
            ours.load_state_dict(theirs.state_dict())
            for train in (False, True):
                x = torch.randn(steps, batch, width, requires_grad=train)
                jobs = _job(theirs, x, train), _job(ours, x, train)
                agree(jobs[1](), jobs[0](), f"{kind} {batch, steps, width, hidden}")
                if train:
                    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
                        agree(mine.grad, other.grad, f"{kind} {batch, steps, width, hidden}: gradients")
                times = in_turns(*jobs, seconds)
                work = (3 if train else 1) * 2 * batch * steps * GATES[kind] * hidden * (width + hidden)
                shape = (batch, steps, width, hidden)
                job = "train" if train else "infer"
                yield row("torch.nn", kind, shape, job, "torch.nn", times, work / times[1] / product_rate())


def _by_steps(seconds: float) -> Iterator[Row]:
    """Cells called step by step from Python, as a decoder does."""
    for kind in ("LSTM", "GRU"):
        batch, steps, size = 64, 10, 512
        theirs, ours = getattr(torch.nn, f"{kind}Cell")(size, size), getattr(nn, f"{kind}Cell")(size, size)
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(batch, size)

        def train(module: Any, x: Tensor = x, steps: int = steps) -> None:
            module.zero_grad(set_to_none=True)
            state = None
            for _ in range(steps):
                state = module(x, state)
            last = state[0] if isinstance(state, tuple) else state
            last.sum().backward()  # type: ignore[union-attr]

        times = in_turns(lambda t=theirs: train(t), lambda o=ours: train(o), seconds)  # type: ignore[misc]
        yield row("step by step", f"{kind}Cell", (batch, steps, size, size), "train", "torch.nn", times)


def _variants(shapes: Sequence[Shape], seconds: float) -> Iterator[Row]:
    """Every gated cell's training step by the plain LSTM's, gate by gate, and by an eager loop of the same cell."""
    shape = (32, 64, 128, 128) if tuple(shapes) == GRID else next(iter(shapes))
    batch, steps, width, hidden = shape
    x = torch.randn(steps, batch, width, requires_grad=True)
    plain = nn.Recurrent("lstm", width, hidden, engine="native")
    for name in cells.names():
        if name in ("gru_d", "lstm_mogrifier", "lstm_projected"):
            continue
        layer = nn.Recurrent(name, width, hidden, engine="native")
        gates = sum(len(t.parts) for t in layer.program.tensors if t.role == "input")
        jobs = _job(plain, x, True), _job(layer, x, True)
        lstm, own = in_turns(*jobs, seconds)
        yield row("cells", name, shape, "train", "lstm, per gate", (lstm / 4 * gates, own))
        tensors = [t.detach().requires_grad_() for t in layer._tensors(None)[0]]
        states = [torch.zeros(batch, hidden) for _ in layer.program.states]

        def eager(layer: Any = layer, tensors: Any = tensors, states: Any = states) -> None:
            unroll(layer.program, [x], states, tensors)[0]["output"].sum().backward()

        def native(layer: Any = layer, tensors: Any = tensors, states: Any = states) -> None:
            recurrence(layer.program, [x], states, tensors, engine="native").sequences[
                "output"
            ].sum().backward()

        yield row("cells", name, shape, "train", "eager loop", in_turns(eager, native, seconds))


def _extras(shapes: Sequence[Shape], seconds: float) -> Iterator[Row]:
    """What masks, lengths, zoneout and recurrent dropout cost."""
    shape = (32, 64, 128, 128) if tuple(shapes) == GRID else next(iter(shapes))
    batch, steps, width, hidden = shape
    x = torch.randn(steps, batch, width, requires_grad=True)
    plain = nn.LSTM(width, hidden, engine="native")
    given: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "zoneout": ({"zoneout": 0.1}, {}),
        "recurrent_dropout": ({"recurrent_dropout": 0.2}, {}),
        "lengths": ({}, {"lengths": torch.full((batch,), steps)}),
        "mask": ({}, {"mask": torch.ones(steps, batch, dtype=torch.bool)}),
        "return_gates": ({}, {"return_gates": True}),
    }
    for name, (options, arguments) in given.items():
        layer = nn.LSTM(width, hidden, engine="native", **options)
        times = in_turns(_job(plain, x, True), _job(layer, x, True, **arguments), seconds)
        yield row("extras", name, shape, "train", "lstm without", times)


def _ragged(seconds: float) -> Iterator[Row]:
    """A tagger's encoder: two layers, both directions, sentences of a mean length of 20."""
    batch, width, hidden = 32, 128, 128
    lengths = torch.randint(3, 38, (batch,), generator=torch.Generator().manual_seed(0))
    steps = int(lengths.max())
    theirs = torch.nn.LSTM(width, hidden, 2, bidirectional=True)
    ours = nn.LSTM(width, hidden, 2, bidirectional=True, engine="native")
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(steps, batch, width)

    def packed() -> Tensor:
        theirs.zero_grad(set_to_none=True)
        rows = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(rows)[0])
        output.sum().backward()
        return output

    job = _job(ours, x, True, lengths=lengths)
    agree(job(), packed(), "ragged LSTM")
    yield row("ragged", "LSTM, 2 layers, 2 directions", (batch, steps, width, hidden), "train", "torch.nn packed",
               in_turns(packed, job, seconds))  # fmt: skip


def _linear(shapes: Sequence[Shape], seconds: float) -> Iterator[Row]:
    """Recurrences without a product: beside their input product alone, and where that is next to nothing a copy.

    The second kind of row has one input feature, so that little is left but the recurrence itself; its last column is
    what it writes, and as much for what is read, as a share of the rate of a large copy. Its output is small enough
    for the allocator to keep: the pages of a new one cost ten times what the copy does.
    """
    batch, long, hidden = (32, 512, 512) if tuple(shapes) == GRID else (2, 64, 32)
    for name in ("indrnn", "sru", "min_gru", "min_lstm"):
        program = cells.get(name, bias=False)
        gates = sum(len(t.parts) for t in program.tensors if t.role == "input")
        for width in (hidden,) if name == "sru" else (hidden, 1):
            steps = long if width > 1 else min(long, 224)
            layer = nn.Recurrent(name, width, hidden, engine="native", bias=False)
            x = torch.randn(steps, batch, width)
            weight, product = torch.randn(gates * hidden, width), torch.empty(steps * batch, gates * hidden)
            source, target = torch.randn(steps, batch, hidden), torch.empty(steps, batch, hidden)

            def whole(layer: Any = layer, x: Tensor = x) -> Tensor:
                with torch.no_grad():
                    output: Tensor = layer(x)[0]
                return output

            def products(x: Tensor = x, weight: Tensor = weight, product: Tensor = product) -> None:
                torch.mm(x.flatten(0, 1), weight.t(), out=product)

            def copy(target: Tensor = target, source: Tensor = source) -> None:
                target.copy_(source)

            peer, job = (
                ("a copy of its output", copy) if width == 1 else ("its input product alone", products)
            )
            times = in_turns(job, whole, seconds)
            share = 8 * steps * batch * hidden / times[1] / copy_rate() if width == 1 else None
            yield row("linear recurrences", name, (batch, steps, width, hidden), "infer", peer, times, share)
