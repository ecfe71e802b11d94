"""The C interface refuses what does not fit: torn and hostile plans, memory that is too small."""

from __future__ import annotations

import array
import ctypes
import random

import pytest
import torch

from gatewise import cells
from gatewise.engines.native import build
from gatewise.engines.native.library import Call
from gatewise.spec.derivative import recorded
from gatewise.spec.transforms import prepared
from tools import generate_operations

BAD_PLAN, BAD_CALL, NO_KERNEL = 2, 3, 4
SIZES = {"input": 4, "hidden": 4, "proj": 3}


def make(library, words):
    handle = ctypes.c_void_p()
    listed = array.array("i", words)
    code = library.handle.gatewise_plan_make(listed.buffer_info()[0], len(listed), ctypes.byref(handle))
    return code, handle


def words_of(name: str) -> list[int]:
    program = recorded(prepared(cells.get(name), masked=True, resets=True))
    return build.build(program, SIZES, 4).words.to_array().tolist()


def test_the_table_in_the_library_is_the_table():
    assert generate_operations.TARGET.read_text(encoding="utf-8") == generate_operations.text()


@pytest.mark.parametrize("name", ["lstm", "lstm_layer_norm", "gru_d"])
def test_plans_that_are_torn(library, name):
    words = words_of(name)
    for length in range(1, len(words)):
        assert make(library, words[:length])[0] == BAD_PLAN
    assert make(library, [*words, 0])[0] == BAD_PLAN
    code, handle = make(library, words)
    assert code == 0
    library.handle.gatewise_plan_free(handle)


@pytest.mark.parametrize("name", ["lstm", "lstm_layer_norm", "slstm", "gru_d"])
def test_plans_with_wrong_words_fail_or_run_inside_their_memory(library, name):
    """Whatever passes the check runs within the memory that it was given: guards around it stay as they were."""
    words, generator = words_of(name), random.Random(7)
    ran = 0
    for _ in range(1500):
        changed = list(words)
        for _ in range(generator.randint(1, 3)):
            place = generator.randrange(3, len(changed))
            changed[place] = generator.choice(
                [0, 1, -1, 2, 3, 7, 255, changed[place] + 1, changed[place] - 1, 1 << 20]
            )
        code, handle = make(library, changed)
        assert code in (0, BAD_PLAN)
        if code == 0:
            ran += run_guarded(library, handle, changed)
            library.handle.gatewise_plan_free(handle)
    assert ran > 20


def run_guarded(library, handle, words) -> bool:
    """Runs a plan on memory with guards on both sides; whether it ran."""
    steps, rows, guard = 3, 2, 64
    counts = words[3:17]
    if counts[0] > 200 or max(words[17 : 17 + 4 * counts[0] : 1], default=0) > 1000:
        return False
    blocks, described, kept = [], [], []
    for k in range(counts[0]):
        truth, width, unit, per_step = words[17 + 4 * k : 21 + 4 * k]
        row = width if unit else 1
        extent = (steps if per_step else 1) * rows * row
        memory = (
            torch.full((extent + 2 * guard,), 1, dtype=torch.uint8)
            if truth
            else torch.full((extent + 2 * guard,), 0.5)
        )
        memory[:guard] = memory[-guard:] = 77
        blocks.append(memory)
        described += (memory[guard:].data_ptr(), rows * row if per_step else 0, row, extent)
    first = 17 + 4 * counts[0] + 3 * counts[1] + 5 * counts[2] + 4 * counts[5] + 2 * counts[6]
    matrices = []
    for k in range(counts[7]):
        height, width = words[first + 2 * k : first + 2 * k + 2]
        if height * width > 1 << 20:
            return False
        kept.append(torch.full((height * width,), 0.1))
        matrices += (kept[-1].data_ptr(), width, height * width)
    buffers, weights = array.array("q", described), array.array("q", matrices)
    if any(w > 1 << 16 for w in words[17 + 4 * counts[0] :]):
        return False
    call = Call(buffers.buffer_info()[0], weights.buffer_info()[0], steps, rows, 0, 1, 0, 0, 1, None)
    code = library.handle.gatewise_run(handle, ctypes.byref(call))
    assert code in (0, 1, BAD_CALL)
    for memory in blocks:
        assert (memory[:guard] == 77).all()
        assert (memory[-guard:] == 77).all()
    return code == 0


def test_memory_that_is_too_small_is_refused(library):
    words = words_of("lstm")
    code, handle = make(library, words)
    assert code == 0
    counts = words[3:17]
    memory = torch.zeros(4096)
    described = array.array("q", [memory.data_ptr(), 8, 4, 4096] * counts[0])
    weights = array.array("q", [memory.data_ptr(), 4, 4096] * counts[7])

    def run(steps=3, rows=2, **changes):
        call = Call(described.buffer_info()[0], weights.buffer_info()[0], steps, rows, 0, 1, 0, 0, 1, None)
        for name, value in changes.items():
            setattr(call, name, value)
        return library.handle.gatewise_run(handle, ctypes.byref(call))

    for changes in ({"steps": 0}, {"rows": 0}, {"steps": 1 << 41}, {"stream": 1 << 24}, {"stream": -1},
                    {"buffers": None}, {"weights": None}, {"steps": 100_000}, {"rows": 100_000}):  # fmt: skip
        assert run(**changes) == BAD_CALL, changes
    for position, value in ((0, 0), (1, -1), (2, -8), (3, 1)):
        kept, described[position] = described[position], value
        assert run() == BAD_CALL
        described[position] = kept
    weights[1] = 3
    assert run() == BAD_CALL
    library.handle.gatewise_plan_free(handle)


def test_a_kernel_that_cannot_run_is_refused(library):
    assert library.handle.gatewise_choose_kernel(7) == NO_KERNEL
    with pytest.raises(RuntimeError, match="cannot run that kernel"):
        library.check(NO_KERNEL)
    with pytest.raises(MemoryError, match="smaller batches"):
        library.check(1)
