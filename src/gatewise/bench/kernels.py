"""The native engine's kernels beside torch.nn's and beside each other: `gatewise bench kernels`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from gatewise import cells, nn
from gatewise.bench.timing import copy_rate, in_turns, product_rate
from gatewise.engines import recurrence
from gatewise.engines.reference import unroll
from gatewise.errors import EngineError

__all__ = ["GRID", "Report", "Row", "measure_kernels"]

Shape = tuple[int, int, int, int]

GRID: tuple[Shape, ...] = (
    (1, 128, 64, 128), (1, 128, 256, 256), (4, 64, 64, 96), (8, 128, 128, 128), (32, 128, 128, 128),
    (64, 100, 128, 256), (32, 100, 512, 512), (64, 35, 650, 650), (16, 50, 1024, 1024),
)  # fmt: skip
"""(batch, steps, input, hidden)."""

HEAD = "| what | batch, steps, input, hidden | job | threads | peer | peer ms | ours ms | ratio | of peak |"
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        table: Which table it belongs to.
        name: What ran.
        shape: (batch, steps, input, hidden).
        job: "infer" or "train".
        threads: How many.
        peer: What it is compared with.
        peer_ms, ours_ms: Medians.
        ratio: The peer's time over ours.
        of_peak: Our share of the machine's matrix-product rate (or of its copy rate), where that says something.
    """

    table: str
    name: str
    shape: Shape
    job: str
    threads: int
    peer: str
    peer_ms: float
    ours_ms: float
    ratio: float
    of_peak: float | None = None


@dataclass(frozen=True)
class Report:
    """All rows, and what they come to."""

    rows: tuple[Row, ...]

    def summary(self) -> dict[str, float]:
        """Geometric mean of the ratios by what ran beside what, and the worst of them."""
        found: dict[str, list[float]] = {}
        for row in self.rows:
            what = f"torch.nn, {row.name}" if row.table == "torch.nn" else f"{row.table} beside {row.peer}"
            key = f"{what}, {row.job}, {row.threads} thread{'s' * (row.threads > 1)}"
            found.setdefault(key, []).append(row.ratio)
        means = {key: math.exp(sum(map(math.log, ratios)) / len(ratios)) for key, ratios in found.items()}
        return means | {f"{key}, worst": min(ratios) for key, ratios in found.items()}

    def markdown(self) -> str:
        """The rows as tables, the summary first."""
        lines = ["| | ratio |", "| --- | --- |"]
        lines += [f"| {key} | {value:.2f} |" for key, value in self.summary().items()]
        for table in dict.fromkeys(row.table for row in self.rows):
            lines += ["", f"## {table}", "", HEAD, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
            for row in self.rows:
                if row.table == table:
                    share = "" if row.of_peak is None else f"{100 * row.of_peak:.0f} %"
                    lines.append(
                        f"| {row.name} | {', '.join(map(str, row.shape))} | {row.job} | {row.threads} | {row.peer} "
                        f"| {row.peer_ms:.3f} | {row.ours_ms:.3f} | {row.ratio:.2f} | {share} |"
                    )
        return "\n".join(lines) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"summary": self.summary(), "rows": [asdict(row) for row in self.rows]}


def measure_kernels(
    *, seconds: float = 1.0, threads: Sequence[int] | None = None, shapes: Sequence[Shape] = GRID,
    tables: Sequence[str] | None = None, tell: Callable[[Row], None] = lambda row: None,
) -> Report:  # fmt: skip
    """Measures all tables.

    Args:
        seconds: About how long each comparison takes.
        threads: Numbers of threads; None for one and all.
        shapes: (batch, steps, input, hidden) of the comparison with torch.nn.
        tables: Names of the tables; None for all.
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
        "step by step": lambda: _by_steps(seconds),
        "cells": lambda: _variants(shapes, seconds),
        "extras": lambda: _extras(shapes, seconds),
        "ragged": lambda: _ragged(seconds),
        "linear recurrences": lambda: _linear(shapes, seconds),
    }
    before = torch.get_num_threads()
    rows = []
    try:
        for count in threads if threads is not None else sorted({1, before}):
            torch.set_num_threads(count)
            for name in tables if tables is not None else measured:
                for row in measured[name]():
                    tell(row)
                    rows.append(row)
    finally:
        torch.set_num_threads(before)
    return Report(tuple(rows))


def _row(
    table: str, name: str, shape: Shape, job: str, peer: str, times: tuple[float, float], of_peak: float | None = None
) -> Row:  # fmt: skip
    one, two = times
    return Row(
        table, name, shape, job, torch.get_num_threads(), peer, one * 1e3, two * 1e3, one / two, of_peak
    )


def _agree(ours: Tensor, theirs: Tensor, what: str) -> None:
    """Raises unless two results are the same up to the rounding of float32 over long sequences."""
    scale = max(1.0, float(theirs.abs().max()))
    error = float((ours - theirs).abs().max()) / scale
    if not error < 1e-4:
        raise EngineError(
            f"engine: {what}: the outputs differ by {error:.2g}; no speed is reported for wrong numbers"
        )


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
                _agree(jobs[1](), jobs[0](), f"{kind} {batch, steps, width, hidden}")
                if train:
                    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
                        _agree(mine.grad, other.grad, f"{kind} {batch, steps, width, hidden}: gradients")
                times = in_turns(*jobs, seconds)
                work = (3 if train else 1) * 2 * batch * steps * GATES[kind] * hidden * (width + hidden)
                shape = (batch, steps, width, hidden)
                job = "train" if train else "infer"
                yield _row("torch.nn", kind, shape, job, "torch.nn", times, work / times[1] / product_rate())


def _by_steps(seconds: float) -> Iterator[Row]:
    """Cells called step by step from Python, as a decoder does, and a stream of single steps."""
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
        yield _row("step by step", f"{kind}Cell", (batch, steps, size, size), "train", "torch.nn", times)
    for hidden in (128, 1024):
        cell, layer = torch.nn.LSTMCell(hidden, hidden), nn.LSTM(hidden, hidden).eval()
        x = torch.randn(1, hidden)
        with torch.no_grad():
            state, ours_state = cell(x), layer.step(x)[1]
            times = in_turns(
                lambda c=cell, x=x, s=state: c(x, s),
                lambda m=layer, x=x, s=ours_state: m.step(x, s),
                seconds / 2,
            )  # type: ignore[misc]
        yield _row("step by step", "LSTM.step", (1, 1, hidden, hidden), "infer", "torch.nn.LSTMCell", times)


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
        yield _row("cells", name, shape, "train", "lstm, per gate", (lstm / 4 * gates, own))
        tensors = [t.detach().requires_grad_() for t in layer._tensors(None)[0]]
        states = [torch.zeros(batch, hidden) for _ in layer.program.states]

        def eager(layer: Any = layer, tensors: Any = tensors, states: Any = states) -> None:
            unroll(layer.program, [x], states, tensors)[0]["output"].sum().backward()

        def native(layer: Any = layer, tensors: Any = tensors, states: Any = states) -> None:
            recurrence(layer.program, [x], states, tensors, engine="native").sequences[
                "output"
            ].sum().backward()

        yield _row("cells", name, shape, "train", "eager loop", in_turns(eager, native, seconds))


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
        yield _row("extras", name, shape, "train", "lstm without", times)


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
    _agree(job(), packed(), "ragged LSTM")
    yield _row("ragged", "LSTM, 2 layers, 2 directions", (batch, steps, width, hidden), "train", "torch.nn packed",
               in_turns(packed, job, seconds))  # fmt: skip


def _linear(shapes: Sequence[Shape], seconds: float) -> Iterator[Row]:
    """Recurrences without a product, as a share of what a large copy moves."""
    batch, steps, hidden = (32, 512, 512) if tuple(shapes) == GRID else (2, 64, 32)
    for name in ("indrnn", "sru", "min_gru", "min_lstm"):
        program = cells.get(name, bias=False)
        layer = nn.Recurrent(name, hidden, hidden, engine="native", bias=False)
        x = torch.randn(steps, batch, hidden)
        gates = sum(len(t.parts) for t in program.tensors if t.role == "input")
        weight = torch.randn(gates * hidden, hidden)
        product = torch.empty(steps * batch, gates * hidden)

        def whole(layer: Any = layer, x: Tensor = x) -> Tensor:
            with torch.no_grad():
                output: Tensor = layer(x)[0]
            return output

        def products(x: Tensor = x, weight: Tensor = weight, product: Tensor = product) -> None:
            torch.mm(x.view(steps * batch, hidden), weight.t(), out=product)

        only, all_of_it = in_turns(products, whole, seconds)
        rest = max(all_of_it - only, 1e-9)
        moved = 4 * steps * batch * hidden * (gates + 1)
        shape = (batch, steps, hidden, hidden)
        share = moved / rest / copy_rate()
        yield _row(
            "linear recurrences", name, shape, "infer", "its input product alone", (only, all_of_it), share
        )
