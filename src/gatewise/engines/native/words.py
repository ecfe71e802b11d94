"""The words of a plan: what one step computes, in the form that the library reads (native/src/plan.cpp)."""

from __future__ import annotations

import array
from dataclasses import dataclass, field

from gatewise.spec.operations import OPERATIONS

__all__ = ["ABI", "CODES", "Block", "Instruction", "Segment", "Slot", "Words"]

MAGIC = 0x47575031
ABI = 2
"""The version of the library's interface and of the words."""
_EXTRA = ("copy", "load_truth", "store_truth", "keep", "sum", "multiply_add", "multiply_subtract")
CODES = {name: code for code, name in enumerate((*OPERATIONS, *_EXTRA))}
"""The number of each operation: the table's rows in order, then what only the interpreter knows."""


COPIES = {"one": 0, "two": 1, "ahead": 2}
"""How many copies of a scratch value there are: one, one for even and odd steps, one for each step of a block."""


@dataclass(frozen=True)
class Slot:
    """A place for a value: ``kind`` is "buffer", "scratch", "state", "temporary" or "row"."""

    kind: str
    number: int


Product = tuple[Slot, int, int, Slot | None, list[tuple[Slot, int, int, int, int, int, int]], int]


@dataclass(frozen=True)
class Instruction:
    """One operation on a chunk of units. ``result`` and operands are slots; of ``keep`` and ``sum`` entries."""

    operation: str
    result: Slot | int
    operands: tuple[Slot | int, ...]


@dataclass
class Block:
    """Instructions over values of one width; ``per_row`` where there is one value a row."""

    width: int
    per_row: bool
    instructions: list[Instruction] = field(default_factory=list)


@dataclass
class Segment:
    """What runs between two points where values of other units are read: sums, products, then blocks."""

    sums: list[int] = field(default_factory=list)
    products: list[int] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)


@dataclass
class Words:
    """A plan in the making; each entry holds the fields of the library's structure of that name.

    Attributes:
        element: Bytes of a number.
        buffers: (truth, width, unit, per step).
        scratch: (width, unit, copies); see COPIES.
        states: (width, unit, initial buffer, write slot, final buffer).
        keeps: (threshold, site, per step).
        sums: (row temporary, width).
        weights: (rows, columns).
        ahead: Products that depend on no state, run for a block of steps at once; as ``products``.
        products: (out, out offset, columns, base or None, terms, width); a term is (vector, vector offset, length,
            weight, row, column, transposed).
    """

    element: int
    buffers: list[tuple[int, int, int, int]] = field(default_factory=list)
    scratch: list[tuple[int, int, int]] = field(default_factory=list)
    states: list[tuple[int, int, int, Slot, int]] = field(default_factory=list)
    keeps: list[tuple[int, int, int]] = field(default_factory=list)
    sums: list[tuple[Slot, int]] = field(default_factory=list)
    weights: list[tuple[int, int]] = field(default_factory=list)
    ahead: list[Product] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    temporaries: int = 0
    row_temporaries: int = 0

    def number(self, slot: Slot) -> int:
        """The number of a slot among all."""
        sizes = {
            "buffer": len(self.buffers), "scratch": len(self.scratch), "state": len(self.states),
            "temporary": self.temporaries, "row": self.row_temporaries,
        }  # fmt: skip
        first = 0
        for kind, size in sizes.items():
            if kind == slot.kind:
                return first + slot.number
            first += size
        raise KeyError(slot.kind)

    def to_array(self) -> array.array[int]:
        """All words."""
        products = [*self.ahead, *(self.products[k] for s in self.segments for k in s.products)]
        sums = [self.sums[k] for s in self.segments for k in s.sums]
        # Sums are named by their position among all.
        position = {k: n for n, k in enumerate([k for s in self.segments for k in s.sums])}
        blocks = [block for segment in self.segments for block in segment.blocks]
        instructions = [i for block in blocks for i in block.instructions]
        terms = [term for *_, listed, _ in products for term in listed]
        body: list[int] = []
        for row in (*self.buffers, *self.scratch):
            body += row
        for width, unit, initial, write, final in self.states:
            body += (width, unit, initial, self.number(write), final)
        for threshold, site, per_step in self.keeps:
            body += (_signed(threshold & 0xFFFFFFFF), threshold >> 32, site, per_step)
        for slot, width in sums:
            body += (self.number(slot), width)
        for weight in self.weights:
            body += weight
        for vector, *rest in terms:
            body += (self.number(vector), *rest)
        first = 0
        for out, offset, columns, base, listed, width in products:
            number = -1 if base is None else self.number(base)
            body += (self.number(out), offset, columns, number, first, len(listed), width)
            first += len(listed)
        for instruction in instructions:
            body += self._instruction(instruction, position)
        first = 0
        for block in blocks:
            body += (block.width, int(block.per_row), first, len(block.instructions))
            first += len(block.instructions)
        firsts = [0, len(self.ahead), 0]
        for segment in self.segments:
            for k, length in enumerate((len(segment.sums), len(segment.products), len(segment.blocks))):
                body += (firsts[k], length)
                firsts[k] += length
        head = [
            MAGIC, ABI, self.element, len(self.buffers), len(self.scratch), len(self.states), self.temporaries,
            self.row_temporaries, len(self.keeps), len(sums), len(self.weights), len(terms), len(products),
            len(instructions), len(blocks), len(self.segments), len(self.ahead),
        ]  # fmt: skip
        return array.array("i", head + body)

    def _instruction(self, instruction: Instruction, position: dict[int, int]) -> list[int]:
        result = instruction.result
        number = self.number(result) if isinstance(result, Slot) else position[result]
        operands = [self.number(o) if isinstance(o, Slot) else o for o in instruction.operands]
        return [CODES[instruction.operation], number, *operands, *[0] * (3 - len(operands))]


def _signed(word: int) -> int:
    return word - (1 << 32) if word >= 1 << 31 else word
