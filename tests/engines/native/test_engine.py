"""Runs of the native engine: any size, any number of threads, blocks of steps, forked children."""

from __future__ import annotations

import multiprocessing

import pytest
import torch

from gatewise import cells, nn
from gatewise.engines import native
from gatewise.engines.native import memory
from gatewise.engines.reference import unroll
from gatewise.spec.derivative import recorded
from gatewise.spec.program import bind
from gatewise.spec.transforms import prepared

SEED = torch.tensor(31337)
OPTIONS = {"slstm": {"heads": 1}}


def problem(program, steps, rows, sizes, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def number(*shape):
        return (torch.rand(*shape, generator=generator, dtype=torch.float64) - 0.5).to(dtype)

    inputs = [
        torch.rand(steps, rows, bind(s.width, sizes), generator=generator) < 0.7
        if s.boolean
        else number(steps, rows, bind(s.width, sizes))
        for s in program.inputs
    ]
    states = [number(rows, bind(s.width, sizes)) for s in program.states]
    if program.name == "slstm":
        states[2] = states[2].abs() + 0.5
    scale = 2.0 / max(sizes.values()) ** 0.5
    return inputs, states, [number(*program.shape(t, sizes)) * scale for t in program.tensors]


def outcome(result):
    return [*result.sequences.values(), *result.states, *result.gradients]


@pytest.mark.parametrize(("hidden", "rows"), [(1, 1), (7, 2), (17, 3), (33, 7), (300, 5), (40, 80), (16, 13)])
@pytest.mark.parametrize(
    "name", ["lstm", "gru", "gru_reset_before", "lstm_layer_norm", "min_lstm", "lstm_mogrifier"]
)
def test_any_size(library, kernel, name, hidden, rows):
    """Widths around the sizes of vectors, panels and chunks; rows around those of tiles and slices."""
    program = recorded(
        prepared(cells.get(name), masked=True, zoneout=(0.2,) * len(cells.get(name).states), training=True)
    )
    given = problem(program, 9, rows, {"input": 5, "hidden": hidden})
    for reverse in (False, True):
        expected, final = unroll(program, *given, reverse=reverse, seed=SEED, stream=2)
        got = native.run(program, *given, reverse=reverse, seed=SEED, stream=2)
        for key, value in expected.items():
            torch.testing.assert_close(got.sequences[key], value, rtol=1e-11, atol=1e-11)
        for ours, theirs in zip(got.states, final, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", [name for name in cells.names() if name != "lstm_projected"])
@pytest.mark.parametrize(("steps", "rows", "hidden"), [(12, 1, 272), (40, 9, 64), (6, 150, 32)])
def test_bits_do_not_depend_on_threads(library, name, steps, rows, hidden):
    program = recorded(cells.get(name, **OPTIONS.get(name, {})))
    given = problem(program, steps, rows, {"input": 24, "hidden": hidden}, torch.float32)
    found = {}
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 2):
            torch.set_num_threads(1)
            front = [x.clone() for x in given[0]]
            torch.set_num_threads(threads)
            found.setdefault(threads, []).append(outcome(kernel_only(program, front, *given[1:])))
    finally:
        torch.set_num_threads(before)
    first = found[1][0]
    assert all(torch.isfinite(x).all() for x in first)
    for results in found.values():
        for result in results:
            assert all(torch.equal(ours, theirs) for ours, theirs in zip(result, first, strict=True))


def kernel_only(program, inputs, states, tensors):
    """A run whose products outside the kernel use one thread: torch's own depend on the number."""
    wanted = torch.get_num_threads()
    original = memory.Job.run

    def run(self):
        torch.set_num_threads(wanted)
        try:
            original(self)
        finally:
            torch.set_num_threads(1)

    torch.set_num_threads(1)
    memory.Job.run = run
    try:
        return native.run(program, inputs, states, tensors)
    finally:
        memory.Job.run = original


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize("name", ["lstm", "gru", "sru"])
def test_blocks_of_steps_change_nothing(library, name, rows, reverse):
    """Input products run ahead in blocks; where these begin leaves no trace in the bits."""
    program = prepared(
        cells.get(name), masked=True, zoneout=(0.3,) * len(cells.get(name).states), training=True
    )
    steps, cut = 300, 131
    inputs, states, tensors = problem(program, steps, rows, {"input": 4, "hidden": 24})
    whole = native.run(program, inputs, states, tensors, reverse=reverse, seed=SEED)
    parts, current = {}, states
    for first, last in [(cut, steps), (0, cut)] if reverse else [(0, cut), (cut, steps)]:
        pieces = [x[first:last] for x in inputs]
        parts[first] = native.run(program, pieces, current, tensors, reverse=reverse, seed=SEED, start=first)
        current = parts[first].states
    for sequence in whole.sequences:
        joined = torch.cat([parts[first].sequences[sequence] for first in (0, cut)])
        assert torch.equal(joined, whole.sequences[sequence])
    for ours, theirs in zip(current, whole.states, strict=True):
        assert torch.equal(ours, theirs)


def test_operands_of_any_layout(library):
    """Expanded, transposed and sliced operands give what contiguous ones give."""
    program = prepared(cells.get("gru"), masked=True, resets=True)
    inputs, states, tensors = problem(program, 6, 4, {"input": 5, "hidden": 8})
    expected = outcome(native.run(program, inputs, states, tensors))
    strange = [
        torch.stack([x, x], -1)[..., 0] if k == 0 else x.transpose(0, 1).contiguous().transpose(0, 1)
        for k, x in enumerate(inputs)
    ]
    wide = [torch.cat([t, t], -1)[..., : t.shape[-1]] for t in tensors]
    bent = [torch.stack([s, s], -1)[..., 1] for s in states]
    assert not any(x.is_contiguous() for x in [*strange, *bent])
    for ours, theirs in zip(outcome(native.run(program, strange, bent, wide)), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def _in_child(queue, layer, x):
    with torch.no_grad():
        queue.put(layer(x)[0].sum().item())


def test_a_forked_child_runs_by_itself(library):
    """A DataLoader's worker is a fork of a process whose threads it does not have."""
    layer = nn.GRU(16, 64, engine="native")
    x = torch.randn(200, 32, 16)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.no_grad():
            expected = layer(x)[0].sum().item()
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        # What torch itself does outside the kernel must not start its pool in the child either.
        child = context.Process(target=_in_child_on_one_thread, args=(queue, layer, x))
        child.start()
        got = queue.get(timeout=60)
        child.join(60)
    finally:
        torch.set_num_threads(before)
    assert child.exitcode == 0
    assert got == pytest.approx(expected, rel=1e-5)


def _in_child_on_one_thread(queue, layer, x):
    torch.set_num_threads(1)
    # The library decides by itself: it is told that there are two.
    torch.get_num_threads = lambda: 2
    _in_child(queue, layer, x)


def test_bfloat16_says_why_not(library):
    program = cells.get("lstm")
    given = problem(program, 3, 2, {"input": 4, "hidden": 4}, torch.bfloat16)
    assert "bfloat16" in native.can_run(program, *given)
