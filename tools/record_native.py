"""Records what the native library is asked and answers, for programs in C++ that replay it without torch or Python.

``python tools/record_native.py`` writes native/tests/cases again: for every registered cell a forward run and its
derivative, in float32 and float64, with ragged rows, resets, zoneout and recurrent dropout, and large calls without
numbers that show that threads change no bits. ``--seeds FOLDER`` writes the plans as inputs of the fuzzer instead.

A file of cases is text and bytes. A case begins with lines that describe it; ``bytes N`` ends them, and N bytes
follow: the plan's words (each as a zigzag number of 7 bits a byte, the low ones first), the weights (rows after rows),
and of each buffer what is read (role "in"), written ("out") or both, element after element in the order of steps, rows
and units, before and then after the run. A case that is "made" has words alone: the replay makes its numbers.
"""

from __future__ import annotations

import argparse
import ctypes
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gatewise import cells
from gatewise.engines import native, recurrence
from gatewise.engines.native.library import Call
from gatewise.engines.native.words import Words
from gatewise.spec.program import Program, bind
from gatewise.spec.transforms import prepared

CASES = Path(__file__).resolve().parent.parent / "native" / "tests" / "cases"
SEED = torch.tensor(20221122)
# What gatewise_buffer and gatewise_weight are made of: numbers of 64 bits.
BUFFER_FIELDS, WEIGHT_FIELDS = 4, 3
HEAD_BYTES = 64
"""Of an input of the fuzzer: native/fuzz/input.h."""


@dataclass
class Buffer:
    """One buffer of a call: where its elements are, and what was in them."""

    address: int
    item: int
    step: int
    row: int
    units: int
    steps: int
    rows: int
    role: str = "in"
    before: bytes = b""
    after: bytes = b""

    @property
    def extent(self) -> int:
        """Elements from the first to the last that may be touched."""
        return (self.steps - 1) * self.step + (self.rows - 1) * self.row + self.units

    def places(self) -> Iterator[int]:
        """The byte at which each run of units begins."""
        for t in range(self.steps):
            for r in range(self.rows):
                yield (t * self.step + r * self.row) * self.item

    def read(self, memory: bytes) -> bytes:
        """Its elements, one after the other."""
        return b"".join(memory[at : at + self.units * self.item] for at in self.places())


@dataclass
class Case:
    """One call and its outcome."""

    name: str
    words: Words
    numbers: list[int]
    call: dict[str, int]
    buffers: list[Buffer]
    weights: list[bytes]
    leading: list[int]
    made: bool = False

    def to_bytes(self) -> bytes:
        """The case as it stands in a file."""
        lines = [f"case {self.name}", f"element {self.words.element}", f"made {int(self.made)}"]
        lines += [f"{key} {value}" for key, value in self.call.items()]
        data = b"".join(_zigzag(word) for word in self.numbers)
        lines.append(f"words {len(self.numbers)}")
        for (rows, columns, *_), leading, values in zip(
            self.words.weights, self.leading, self.weights, strict=True
        ):
            lines.append(f"weight {rows} {columns} {leading}")
            data += b"" if self.made else values
        for b in self.buffers:
            lines.append(f"buffer {b.role} {b.item} {b.step} {b.row} {b.steps} {b.rows} {b.units}")
            if not self.made:
                data += (b.before if b.role != "out" else b"") + (b.after if b.role != "in" else b"")
        return "\n".join([*lines, f"bytes {len(data)}", ""]).encode() + data


def _zigzag(word: int) -> bytes:
    rest = (word << 1) ^ (word >> 31) if word < 0 else word << 1
    found = bytearray()
    while rest > 127:
        found.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*found, rest])


@dataclass
class Recorder:
    """Stands before the library's functions; what it does not know goes through."""

    handle: Any
    plans: dict[int, tuple[Words, list[int]]] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    written: dict[bytes, Words] = field(default_factory=dict)
    title: str = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handle, name)

    def gatewise_plan_make(self, address: int, count: int, out: Any) -> int:
        """Remembers the words of a plan."""
        code: int = self.handle.gatewise_plan_make(address, count, out)
        raw = ctypes.string_at(address, 4 * count)
        self.plans[out._obj.value] = self.written[raw], list(memoryview(raw).cast("i"))
        return code

    def gatewise_run(self, plan: Any, call: Any) -> int:
        """Runs a call and remembers all that went in and came out."""
        words, numbers = self.plans[plan.value]
        given: Call = call._obj
        fields = {
            name: getattr(given, name) for name in ("steps", "rows", "start", "seed", "stream", "reverse")
        }
        pointers = _numbers(given.buffers, BUFFER_FIELDS * len(words.buffers))
        buffers = []
        for k, (truth, width, unit, per_step, *_) in enumerate(words.buffers):
            address, step, row, _ = pointers[BUFFER_FIELDS * k : BUFFER_FIELDS * (k + 1)]
            item = 1 if truth else words.element
            steps = given.steps if per_step and step else 1
            rows = given.rows if row or width == 1 else 1
            buffers.append(Buffer(address, item, step, row, width if unit else 1, steps, rows))
        matrices = _numbers(given.weights, WEIGHT_FIELDS * len(words.weights))
        weights, leading = [], []
        for k, (height, width, *_) in enumerate(words.weights):
            address, across, _ = matrices[WEIGHT_FIELDS * k : WEIGHT_FIELDS * (k + 1)]
            values = Buffer(address, words.element, 0, across, width, 1, height)
            weights.append(values.read(ctypes.string_at(address, values.extent * values.item)))
            leading.append(across)
        self._find_roles(plan, given, buffers)
        for b in buffers:
            b.before = b.read(ctypes.string_at(b.address, b.extent * b.item))
        code: int = self.handle.gatewise_run(plan, call)
        for b in buffers:
            b.after = b.read(ctypes.string_at(b.address, b.extent * b.item))
        self.cases.append(Case(self.title, words, numbers, fields, buffers, weights, leading))
        return code

    def _find_roles(self, plan: Any, call: Call, buffers: list[Buffer]) -> None:
        """Finds what a run writes, on copies: an element that is written loses what was put there before.

        One buffer after the other begins with all bits turned, the others as they are: a result that happens to
        equal what lay there before does not equal both.
        """
        memory = [ctypes.string_at(b.address, b.extent * b.item) for b in buffers]
        copies = [ctypes.create_string_buffer(len(now)) for now in memory]
        array = (ctypes.c_int64 * (BUFFER_FIELDS * len(buffers)))()
        for k, (copy, b) in enumerate(zip(copies, buffers, strict=True)):
            fields = (ctypes.addressof(copy), b.step, b.row, b.extent)
            array[BUFFER_FIELDS * k : BUFFER_FIELDS * (k + 1)] = fields
        again = Call.from_buffer_copy(call)
        again.buffers = ctypes.addressof(array)

        def changed(buffer: int, first: bytes) -> tuple[list[bool], bytes]:
            for copy, now in zip(copies, memory, strict=True):
                ctypes.memmove(copy, now, len(now))
            ctypes.memmove(copies[buffer], first, len(first))
            native.loaded().check(self.handle.gatewise_run(plan, ctypes.byref(again)))
            b = buffers[buffer]
            old, new = b.read(first), b.read(copies[buffer].raw)
            return [old[at : at + b.item] != new[at : at + b.item] for at in range(0, len(old), b.item)], new

        for k, (b, now) in enumerate(zip(buffers, memory, strict=True)):
            turned, other = changed(k, bytes(byte ^ 255 for byte in now))
            plain, result = changed(k, now)
            written = [x or y for x, y in zip(plain, turned, strict=True)]
            # A total over time is written everywhere and read first.
            alone = all(written) and other == result
            b.role = "out" if alone else "both" if any(written) else "in"


def _numbers(address: int | None, count: int) -> list[int]:
    return list((ctypes.c_int64 * count).from_address(address)) if address and count else []


@contextmanager
def recording() -> Iterator[Recorder]:
    """Puts a recorder before the library's functions."""
    library = native.loaded()
    if library is None:
        raise SystemExit(f"record_native: {native.reason_absent()}")
    recorder, to_array = Recorder(library.handle), Words.to_array

    def remembered(words: Words) -> Any:
        numbers = to_array(words)
        recorder.written[numbers.tobytes()] = words
        return numbers

    before = torch.get_num_threads()
    Words.to_array = remembered  # type: ignore[method-assign]
    object.__setattr__(library, "handle", recorder)
    torch.set_num_threads(1)
    native.memory._plans.clear()
    try:
        yield recorder
    finally:
        torch.set_num_threads(before)
        native.memory._plans.clear()
        object.__setattr__(library, "handle", recorder.handle)
        Words.to_array = to_array  # type: ignore[method-assign]


def run(
    program: Program, sizes: dict[str, int], dtype: torch.dtype, steps: int, rows: int, reverse: bool
) -> None:
    """A forward run and its derivative."""
    generator = torch.Generator().manual_seed(0)

    def number(*shape: int) -> torch.Tensor:
        return (torch.rand(*shape, generator=generator, dtype=torch.float64) - 0.5).to(dtype)

    inputs = []
    for stream in program.inputs:
        shape = (steps, rows, bind(stream.width, sizes))
        if stream.name == "mask":
            # Rows of different lengths, as a packed batch has them.
            lengths = torch.tensor([max(steps - r, 1) for r in range(rows)])
            inputs.append((torch.arange(steps)[:, None] < lengths)[..., None].expand(shape).contiguous())
        else:
            inputs.append(torch.rand(shape, generator=generator) < 0.3 if stream.boolean else number(*shape))
    states = [number(rows, bind(state.width, sizes)) for state in program.states]
    if program.name == "slstm":
        states[2] = states[2].abs() + 0.5  # a sum of exponentials
    scale = 2.0 / max(sizes.values()) ** 0.5
    tensors = [number(*program.shape(spec, sizes)) * scale for spec in program.tensors]
    leaves = [x for x in (*inputs, *states, *tensors) if x.is_floating_point()]
    for leaf in leaves:
        leaf.requires_grad_()
    result = recurrence(
        program, inputs, states, tensors, reverse=reverse, seed=SEED, stream=3, start=2, engine="native"
    )
    total = result.sequences["output"].square().sum() + sum(s.square().sum() for s in result.states)
    total.backward()


def variants(program: Program) -> dict[str, tuple[Program, torch.dtype, bool]]:
    """How each cell is recorded: the program, the kind of number, the direction."""
    states = len(program.states)
    dropout = 0.3 if program.has_recurrent_product else 0.0
    everything = prepared(
        program, masked=True, resets=True, recurrent_dropout=dropout, zoneout=(0.2,) * states, training=True
    )
    return {
        "plain float64": (program, torch.float64, False),
        "everything float32": (everything, torch.float32, True),
        "masked float32": (prepared(program, masked=True), torch.float32, False),
    }


def record(recorder: Recorder, name: str) -> list[Case]:
    """The cases of one cell: the variants at a small size, and one at sizes around those of vectors and panels."""
    program = cells.get(name, **({"heads": 1} if name == "slstm" else {}))
    sizes = {"input": 2, "hidden": 3, "proj": 2}
    for title, (variant, dtype, reverse) in variants(program).items():
        recorder.title = f"{name} {title}"
        run(variant, sizes, dtype, 3, 2, reverse)
    found, recorder.cases = recorder.cases, []
    return found


LARGE = {"lstm": (1, 8, 200), "gru": (40, 9, 48), "gru_layer_norm": (2, 4, 272), "min_gru": (1, 300, 260)}
"""Calls that a team of threads shares, by slices of the batch or of the units: rows, steps, hidden size."""


def record_large(recorder: Recorder, name: str) -> list[Case]:
    """Cases without numbers."""
    rows, steps, hidden = LARGE[name]
    recorder.title = f"{name} large float32"
    program = prepared(cells.get(name), masked=True)
    run(program, {"input": 2, "hidden": hidden}, torch.float32, steps, rows, False)
    found, recorder.cases = recorder.cases, []
    for case in found:
        case.made = True
    return found


def write_seeds(folder: Path, cases: list[Case]) -> None:
    """Plans as inputs of the fuzzer, each with choices for the call."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, case in enumerate(cases):
        choice = random.Random(k)
        head = bytearray(HEAD_BYTES)
        head[1], head[2], head[3] = choice.randrange(7), choice.choice([0, 1, 2, 6, 210]), choice.randrange(4)
        head[4], head[5], head[7] = choice.randrange(5), choice.randrange(4), choice.randrange(256)
        words = b"".join(word.to_bytes(4, "little", signed=True) for word in case.numbers)
        (folder / f"{k:03}-{case.name.replace(' ', '-')}").write_bytes(bytes(head) + words)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Records calls of the native library.")
    parser.add_argument("--seeds", type=Path, help="write the plans as inputs of the fuzzer into this folder")
    parser.add_argument("--into", type=Path, default=CASES, help="the folder of the cases")
    options = parser.parse_args()
    found: dict[str, list[Case]] = {}
    with recording() as recorder:
        for name in cells.names():
            found[name] = record(recorder, name)
        found["large"] = [case for name in LARGE for case in record_large(recorder, name)]
    if options.seeds:
        write_seeds(options.seeds, [case for cases in found.values() for case in cases])
        return
    options.into.mkdir(parents=True, exist_ok=True)
    for name, cases in found.items():
        (options.into / f"{name}.cases").write_bytes(b"".join(case.to_bytes() for case in cases))


if __name__ == "__main__":
    main()
