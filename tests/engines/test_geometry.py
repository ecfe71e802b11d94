"""The checks: every kind of misfit is named, a good call costs microseconds, and tracing is not disturbed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gatewise import cells
from gatewise.engines import StackCall, geometry
from gatewise.errors import ArgumentError, ArgumentTypeError, GatewiseError, ShapeError

TIME, BATCH, INPUT, HIDDEN = 5, 3, 4, 6


def good(cell: str = "lstm", layers: int = 2, bidirectional: bool = True, **options) -> StackCall:
    program = cells.get(cell)
    directions = 2 if bidirectional else 1
    sizes = {"input": INPUT, "hidden": HIDDEN, "proj": 2}
    tensors = []
    for layer in range(layers):
        own = dict(sizes)
        if layer:
            own["input"] = sizes[str(program.output_width)] * directions
        tensors += [tuple(torch.zeros(program.shape(t, own)) for t in program.tensors)] * directions
    return StackCall(
        program=program,
        inputs=tuple(torch.zeros(TIME, BATCH, sizes[str(s.width)]) for s in program.inputs),
        states=tuple(torch.zeros(layers * directions, BATCH, sizes[str(s.width)]) for s in program.states),
        tensors=tuple(tensors),
        num_layers=layers,
        bidirectional=bidirectional,
        **options,
    )


@pytest.mark.parametrize("cell", cells.names())
def test_good_calls_pass(cell) -> None:
    layers = 1 if len(cells.get(cell).inputs) > 1 else 3
    call = good(cell, layers)
    geometry.check_call(call)
    geometry.check_call(call._replace(lengths=torch.tensor([5, 0, 1])))
    flags = torch.zeros(TIME, BATCH, dtype=torch.bool)
    for batch in (1, BATCH):
        begin = tuple(torch.zeros(s.shape[0], batch, s.shape[2]) for s in call.states)
        geometry.check_call(call._replace(mask=flags, resets=flags, reset_states=begin))
    step = (call.program, tuple(x[0] for x in call.inputs), tuple(s[0] for s in call.states), call.tensors[0])
    geometry.check_step(*step)


def packed() -> StackCall:
    call = good()
    return call._replace(inputs=(torch.zeros(8, INPUT),), batch_sizes=torch.tensor([3, 3, 1, 1]))


def test_packed_calls_pass() -> None:
    geometry.check_call(packed())


def swap(call: StackCall, field: str, index: int, change) -> StackCall:
    group = list(getattr(call, field))
    group[index] = change(group[index])
    return call._replace(**{field: tuple(group)})


def weight(call: StackCall, row: int, index: int, change) -> StackCall:
    rows = [list(row) for row in call.tensors]
    rows[row][index] = change(rows[row][index])
    return call._replace(tensors=tuple(tuple(r) for r in rows))


FLAGS = torch.zeros(TIME, BATCH, dtype=torch.bool)
SEED = torch.tensor(1)
BAD = {
    "input axes": (
        swap(good(), "inputs", 0, lambda x: x[0]),
        r"inputs\[0\]: expected \(time, batch, width\)",
    ),
    "input width": (
        swap(good(), "inputs", 0, lambda x: x[..., :2]),
        r"weight_ih \(layer 0\): expected shape \(24, 2\)",
    ),
    "input dtype": (
        swap(good(), "inputs", 0, lambda x: x.long()),
        "inputs: expected a float dtype, got torch.int64",
    ),
    "input mix": (
        swap(good(), "inputs", 0, lambda x: x.double()),
        r"states\[0\]: expected torch.float64 on cpu",
    ),
    "input device": (
        swap(good(), "inputs", 0, lambda x: x.to("meta")),
        r"states\[0\]: expected torch.float32 on meta",
    ),
    "input count": (good()._replace(inputs=()), "inputs: expected 1 for the cell 'lstm', got 0"),
    "stream width": (
        swap(good("gru_d", 1), "inputs", 1, lambda x: x[..., :1]),
        r"inputs\[1\]: expected shape \(5, 3, 4\)",
    ),
    "stream time": (
        swap(good("gru_d", 1), "inputs", 2, lambda x: x[1:]),
        r"inputs\[2\]: expected shape \(5, 3, 4\)",
    ),
    "state count": (
        good()._replace(states=good().states[:1]),
        "states: expected 2 for the cell 'lstm', got 1",
    ),
    "state rows": (
        swap(good(), "states", 0, lambda s: s[:1]),
        r"states\[0\]: expected shape \(4, 3, 6\), got shape \(1, 3, 6\)",
    ),
    "state batch": (
        swap(good(), "states", 1, lambda s: s[:, :2]),
        r"states\[1\]: expected shape \(4, 3, 6\)",
    ),
    "state width": (
        swap(good(), "states", 1, lambda s: s[..., :2]),
        r"states\[0\]: expected shape \(4, 3, 2\)",
    ),
    "state scalar": (swap(good(), "states", 1, lambda s: s.sum()), r"states\[1\]: expected a last axis"),
    "state dtype": (
        swap(good(), "states", 1, lambda s: s.half()),
        r"states\[1\]: expected torch.float32 on cpu",
    ),
    "layers": (good()._replace(num_layers=1), "tensors: expected 2 for the cell 'lstm', got 4"),
    "tensors": (
        swap(good(), "tensors", 1, lambda t: t[:3]),
        "tensors: expected 4 for the cell 'lstm', got 3",
    ),
    "weight shape": (
        weight(good(), 0, 1, lambda w: w[:, :3]),
        r"weight_hh \(layer 0\): expected shape \(24, 6\)",
    ),
    "weight axes": (
        weight(good(), 0, 1, lambda w: w[0]),
        r"weight_hh( \(layer 0\))?: expected (a matrix|shape)",
    ),
    "upper weight axes": (
        weight(good(), 3, 1, lambda w: w[0]),
        r"weight_hh \(layer 3\): expected shape \(24, 6\)",
    ),
    "upper weight": (
        weight(good(), 3, 0, lambda w: w[:, :4]),
        r"weight_ih \(layer 3\): expected shape \(24, 12\)",
    ),
    "bias shape": (weight(good(), 2, 2, lambda b: b[:3]), r"bias_ih \(layer 2\): expected shape \(24,\)"),
    "weight dtype": (
        weight(good(), 2, 2, lambda b: b.double()),
        r"bias_ih \(layer 2\): expected torch.float32 on cpu",
    ),
    "weight device": (
        weight(good(), 2, 2, lambda b: b.to("meta")),
        r"bias_ih \(layer 2\): expected torch.float32 on cpu",
    ),
    "lengths dtype": (good(lengths=torch.tensor([1.0, 1, 1])), "lengths: expected int64"),
    "lengths shape": (good(lengths=torch.tensor([1, 1])), r"lengths: expected int64 of shape \(3,\)"),
    "lengths above": (
        good(lengths=torch.tensor([1, 6, 1])),
        r"lengths: expected numbers of steps in \[0, 5\].* from 1 to 6",
    ),
    "lengths below": (good(lengths=torch.tensor([1, -1, 1])), "from -1 to 1"),
    "mask dtype": (good(mask=FLAGS.int()), "mask: expected torch.bool, got torch.int32"),
    "mask shape": (good(mask=FLAGS.T), r"mask: expected shape \(5, 3\)"),
    "mask device": (good(mask=FLAGS.to("meta")), "mask: expected device cpu"),
    "resets alone": (good(resets=FLAGS), "reset_states: expected 2 states"),
    "reset shape": (
        good(resets=FLAGS, reset_states=(torch.zeros(4, 2, 6),) * 2),
        r"reset_states\[0\]: expected shape \(4, 3, 6\)",
    ),
    "reset dtype": (
        good(resets=FLAGS, reset_states=(torch.zeros(4, 1, 6).double(),) * 2),
        r"reset_states\[0\]: expected torch.float32",
    ),
    "packed axes": (
        packed()._replace(inputs=good().inputs),
        r"inputs\[0\]: expected \(rows, width\), packed",
    ),
    "packed sum": (packed()._replace(batch_sizes=torch.tensor([3, 3])), "sum to the 8 packed rows"),
    "packed rising": (packed()._replace(batch_sizes=torch.tensor([3, 1, 3, 1])), "falling batch_sizes"),
    "packed zero": (
        packed()._replace(batch_sizes=torch.tensor([3, 3, 2, 0])),
        "positive, falling batch_sizes",
    ),
    "packed none": (
        packed()._replace(batch_sizes=torch.zeros(0, dtype=torch.int64)),
        "one-dimensional int64",
    ),
    "packed dtype": (packed()._replace(batch_sizes=torch.tensor([3.0, 3, 1, 1])), "one-dimensional int64"),
    "packed lengths": (
        packed()._replace(lengths=torch.tensor([1, 1, 1])),
        "batch_sizes: expected no lengths",
    ),
    "dropout": (good(dropout=1.5), r"dropout: expected a probability in \[0, 1\], got 1.5"),
    "recurrent dropout": (good(recurrent_dropout=-0.5), "recurrent_dropout: expected a probability"),
    "zoneout count": (good(zoneout=(0.5,)), "zoneout: expected 2 probabilities"),
    "zoneout range": (good(zoneout=(0.5, 2.0)), "zoneout: expected 2 probabilities"),
    "no seed": (good(zoneout=(0.5, 0.5), training=True), "seed: expected an int64 tensor"),
    "seed shape": (
        good(recurrent_dropout=0.5, training=True, seed=SEED.expand(2)),
        "seed: expected an int64 tensor",
    ),
    "seed dtype": (
        good(recurrent_dropout=0.5, training=True, seed=SEED.float()),
        "seed: expected an int64 tensor",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_bad_calls_say_what_is_wrong(call, message) -> None:
    with pytest.raises(GatewiseError) as caught:
        geometry.check_call(call)
    text = str(caught.value)
    assert re.search(message, text), text
    assert re.match(r"^[a-z_]+(\[\d\])?( \(layer \d\))?: expected .+, got .+; .+", text), text
    assert isinstance(caught.value, ArgumentError | ArgumentTypeError)


def test_shape_errors_are_what_callers_catch() -> None:
    for kind in (ValueError, RuntimeError, ShapeError):
        with pytest.raises(kind):
            geometry.check_call(BAD["state rows"][0])


def test_a_step_is_checked() -> None:
    call = good(layers=1, bidirectional=False)
    x, states, tensors = (torch.zeros(BATCH, INPUT),), tuple(s[0] for s in call.states), call.tensors[0]
    for inputs, own in (
        ((x[0][0],), states),
        ((torch.zeros(BATCH, INPUT + 1),), states),
        (x, (states[0], states[1][:1])),
    ):
        with pytest.raises(ShapeError):
            geometry.check_step(call.program, inputs, own, tensors)


def test_a_good_call_costs_microseconds() -> None:
    """The layers promise to be no slower than torch's within 20 us; the check may take a share of that.

    Timed in a process of its own, without the suite's run-time type checks: 8 us on an idle core where this was
    written.
    """
    code = (
        "import timeit; from tests.engines.test_geometry import geometry, good;"
        "call = good(layers=1, bidirectional=False);"
        "print(min(timeit.repeat(lambda: geometry.check_call(call), number=200, repeat=20)) / 200)"
    )
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, f"{root}/src"])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 100e-6


@pytest.mark.parametrize("dynamic", [False, True])
def test_it_leaves_no_trace_in_a_graph(dynamic) -> None:
    torch._dynamo.reset()
    call = good(layers=1, bidirectional=False)

    def run(x, lengths, h, c):
        geometry.check_call(call._replace(inputs=(x,), states=(h, c), lengths=lengths))
        return x + 1

    compiled = torch.compile(run, fullgraph=True, backend="eager", dynamic=dynamic)
    for batch in (BATCH, BATCH + 1):
        x, h = torch.zeros(TIME, batch, INPUT), torch.zeros(1, batch, HIDDEN)
        lengths = torch.full((batch,), 99)  # values are not looked at while a graph is traced
        assert torch.equal(compiled(x, lengths, h, h), x + 1)
