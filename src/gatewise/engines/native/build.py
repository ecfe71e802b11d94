"""Writes the kernel part of a program as a plan for the library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from gatewise.engines.native.parts import PRODUCTS
from gatewise.engines.native.placement import Placement, Source
from gatewise.engines.native.words import COPIES, Block, Instruction, Segment, Slot, Words
from gatewise.spec.program import Node, Program, TensorSpec, Width, bind

__all__ = ["Kernel", "build"]


@dataclass(frozen=True)
class Kernel:
    """A plan and what goes with it.

    Attributes:
        words: The plan.
        sources: Of each buffer.
        weights: Of each weight: the position of its tensor.
        panels: Nodes whose values lie side by side in one new array, by panel.
    """

    words: Words
    sources: tuple[Source, ...]
    weights: tuple[int, ...]
    panels: tuple[tuple[int, ...], ...]


def build(program: Program, sizes: Mapping[str, int], element: int) -> Kernel:
    """The kernel of a program for given sizes and bytes of a number."""
    return _Builder(program, sizes, element).kernel()


class _Builder(Placement):
    """Writes the instructions."""

    def __init__(self, program: Program, sizes: Mapping[str, int], element: int) -> None:
        super().__init__(program, sizes, element)
        self.blocks: dict[tuple[int, Width], Block] = {}
        self.temporaries: dict[tuple[int, int], Slot] = {}
        self.segments = [Segment() for _ in range(1 + max(self.segment.values(), default=0))]

    def kernel(self) -> Kernel:
        """All of it."""
        for k, _ in enumerate(self.program.states):
            self._state_buffers(k)
        self._find_homes()
        for index in self.parts.kernel:
            self._write(index)
        self._finish_states()
        for (segment, _), block in sorted(
            self.blocks.items(), key=lambda item: (item[0][0], not item[1].per_row)
        ):
            self.segments[segment].blocks.append(block)
        self.words.temporaries = max((_reuse_temporaries(block) for block in self.blocks.values()), default=0)
        self.words.segments = self.segments
        return Kernel(self.words, tuple(self.sources), tuple(self.weights), self.panels)

    def _state_buffers(self, k: int) -> None:
        state = self.program.states[k]
        width, unit = bind(state.width, self.sizes), 0 if state.width == 1 else 1
        self.buffer(Source("initial", k), width, unit, False)
        self.buffer(Source("final", k), width, unit, False)

    def _finish_states(self) -> None:
        for k, (state, index) in enumerate(zip(self.program.states, self.program.next, strict=True)):
            width, unit = bind(state.width, self.sizes), 0 if state.width == 1 else 1
            write = self._next_home(index, width, unit)
            first = self.known[Source("initial", k)].number
            last = self.known[Source("final", k)].number
            self.words.states.append((width, unit, first, write, last))

    def _next_home(self, index: int, width: int, unit: int) -> Slot:
        """Where a next state lies after the step, and is read from at the next one."""
        if index in self.homes and self.nodes[index].op != "state":
            for slot in self.homes[index]:
                if slot.kind == "buffer" or self.words.scratch[slot.number][2] == COPIES["two"]:
                    return slot
        plain = not self.nodes[index].boolean and self.nodes[index].width != 1
        if index in self.parts.ready and index not in self.ahead and plain:
            return self.leaf(index)
        # Something that is not computed in the step: it is copied.
        slot = self.scratch(width, unit, "two")
        block = self.block(0, self.nodes[index].width)
        block.instructions.append(Instruction("copy", slot, (self.read(index, 0, block),)))
        return slot

    def block(self, segment: int, width: Width) -> Block:
        """The instructions of one width in a segment."""
        key = (segment, width)
        if key not in self.blocks:
            self.blocks[key] = Block(bind(width, self.sizes), width == 1)
        return self.blocks[key]

    def _write(self, index: int) -> None:
        """The instructions of one node."""
        node = self.nodes[index]
        if node.op == "state":
            block = self.block(0, node.width)
            for slot in self.homes.get(index, []):
                block.instructions.append(Instruction("copy", slot, (self.leaf(index),)))
        elif node.op in PRODUCTS:
            if index not in self.fused.values():
                self._product(index, index, None)
        elif index in self.fused:
            base = next(i for i in node.args if i != self.fused[index])
            self._product(self.fused[index], index, self.leaf(base))
        elif node.op == "sum":
            self._sum(index)
        elif node.op == "keep":
            if node.width == 1 or self.homes[index]:
                self._pointwise(index)
        else:
            self._pointwise(index)

    def _product(self, product: int, index: int, base: Slot | None) -> None:
        """One product, into the memory of node ``index``."""
        node = self.nodes[product]
        references = (
            [str(node.attribute)] if node.op == "linear" else [str(r) for r in cast(Any, node.attribute)]
        )
        spec = self.program.tensor(references[0].split(".")[0])
        out, *copies = self.homes[index]
        width = self.width(index)
        here = self.segments[self.segment[index]]
        for block in range(spec.blocks):
            columns = width // spec.blocks
            terms = [
                self._term(node, spec, reference, argument, block)
                for reference, argument in zip(references, node.args, strict=True)
            ]
            self.words.products.append((out, block * columns, columns, base, terms, width))
            here.products.append(len(self.words.products) - 1)
        instructions = self.block(self.segment[index], self.nodes[index].width)
        for slot in copies:
            instructions.instructions.append(Instruction("copy", slot, (out,)))
        if self.nodes[index].width == 1:
            row = self.row_slot(index)
            instructions.instructions.append(Instruction("copy", row, (out,)))

    def _term(
        self, node: Node, spec: TensorSpec, reference: str, argument: int, block: int
    ) -> tuple[Slot, int, int, int, int, int, int]:
        """One matrix and the vector that it meets; of a block-diagonal matrix one block."""
        start = 0
        for part, width in spec.parts:
            rows = bind(width, self.sizes)
            if part == reference.split(".")[1]:
                break
            start += rows
        columns = bind(spec.columns, self.sizes) // spec.blocks  # type: ignore[arg-type]
        own_rows = rows // spec.blocks
        weight = self.weight(spec)
        vector = self.vector(argument)
        if node.op == "linear":
            return (vector, block * columns, columns, weight, start + block * own_rows, 0, 0)
        return (vector, block * own_rows, own_rows, weight, start + block * own_rows, 0, 1)

    def vector(self, index: int) -> Slot:
        """The memory of a value that a matrix multiplies."""
        if index in self.inside and self.nodes[index].op != "state":
            return self.homes[index][0]
        return self.leaf(index)

    def _sum(self, index: int) -> None:
        argument = self.nodes[index].args[0]
        segment = self.segment[index]
        block = self.block(segment - 1, self.nodes[argument].width)
        self.words.sums.append((self.row_slot(index), self.width(argument)))
        number = len(self.words.sums) - 1
        operand = self.read(argument, segment - 1, block)
        block.instructions.append(Instruction("sum", number, (operand,)))
        self.segments[segment].sums.append(number)
        if self.homes[index]:
            after = self.block(segment, 1)
            for slot in self.homes[index]:
                after.instructions.append(Instruction("copy", slot, (self.row_slot(index),)))

    def _pointwise(self, index: int) -> None:
        """An operation of the table, and copies of its result to all of its homes."""
        node = self.nodes[index]
        segment = self.segment[index]
        block = self.block(segment, node.width)
        homes = list(self.homes[index])
        if node.op == "spread" and not homes and index not in self.totals:
            return
        total = (
            self.buffer(Source("total", index), self.width(index), 1, False) if index in self.totals else None
        )
        if total is not None and node.op == "mul" and not self.users[index] and not homes:
            operands = tuple(self.read(i, segment, block) for i in node.args)
            block.instructions.append(Instruction("multiply_add", total, (*operands, total)))
            return
        if node.width == 1:
            result = self.row_slot(index)
        elif homes and not node.boolean:
            result = homes.pop(0)
        else:
            result = self.temporary(index, block)
        block.instructions.append(self._instruction(index, node, result, segment, block))
        if total is not None:
            block.instructions.append(Instruction("add", total, (total, result)))
        store = "store_truth" if node.boolean else "copy"
        for slot in homes:
            truth = self.words.buffers[slot.number][0] if slot.kind == "buffer" else 0
            block.instructions.append(Instruction(store if truth else "copy", slot, (result,)))

    def _instruction(self, index: int, node: Node, result: Slot, segment: int, block: Block) -> Instruction:
        if node.op == "keep":
            return Instruction("keep", result, (self._keep(node),))
        if node.op == "spread":
            return Instruction("copy", result, (self.read(node.args[0], segment, block),))
        fused = self._multiply_add(index, node, segment, block)
        if fused is not None:
            return Instruction(fused[0], result, fused[1])
        operands = tuple(self.read(i, segment, block) for i in node.args)
        return Instruction(node.op, result, operands)

    def _multiply_add(
        self, index: int, node: Node, segment: int, block: Block
    ) -> tuple[str, tuple[Slot, ...]] | None:
        """a * b + c, or c - a * b, where the product has no other use: it was just written and is taken back."""
        if node.op not in ("add", "sub") or node.width == 1:
            return None
        candidates = (node.args, node.args[::-1]) if node.op == "add" else (node.args[::-1],)
        for product, other in candidates:
            inner = self.nodes[product]
            if product in self.totals:
                continue
            if inner.op != "mul" or product not in self.inside or self.users[product] != [index]:
                continue
            if self.homes.get(product) or self.segment[product] != segment or inner.width != node.width:
                continue
            last = next(
                (i for i in block.instructions if i.result == self.temporaries.get((id(block), product))),
                None,
            )
            if last is None:
                continue
            block.instructions.remove(last)
            third = self.read(other, segment, block)
            name = "multiply_add" if node.op == "add" else "multiply_subtract"
            return name, (*cast(tuple[Slot, Slot], last.operands), third)
        return None

    def _keep(self, node: Node) -> int:
        site, probability, per = cast(tuple[int, float, str], node.attribute)
        entry = (round(probability * 2**32), site, int(per == "step"))
        if entry not in self.words.keeps:
            self.words.keeps.append(entry)
        return self.words.keeps.index(entry)

    # --- reading

    def temporary(self, index: int, block: Block) -> Slot:
        """A new temporary; they are shared out again at the end."""
        slot = Slot("temporary", self.words.temporaries)
        self.words.temporaries += 1
        self.temporaries[(id(block), index)] = slot
        return slot

    def read(self, index: int, segment: int, block: Block) -> Slot:
        """The slot from which an instruction of a block reads a value."""
        node = self.nodes[index]
        if node.op == "spread" and index in self.inside and not self.homes[index]:
            return self.read(node.args[0], segment, block)
        if index in self.inside and node.op not in ("state",):
            if node.width == 1:
                return self.row_slot(index)
            if self.homes[index] and not node.boolean:
                return self.homes[index][0]
            if (id(block), index) not in self.temporaries:
                # A random mask is made again in each segment that needs it.
                result = self.temporary(index, block)
                block.instructions.append(self._instruction(index, node, result, segment, block))
            return self.temporaries[(id(block), index)]
        if node.boolean:
            return self._truth(index, segment, block)
        return self.leaf(index)

    def _truth(self, index: int, segment: int, block: Block) -> Slot:
        """A truth value from memory, as the interpreter has it."""
        node, width = self.nodes[index], self.width(index)
        stream = node.op == "input"
        source = Source("input", self._stream(node)) if stream else Source("value", index)
        if not stream and index not in self.parts.ready:
            source = Source("static", index)
        per_step = source.kind != "static"
        buffer = self.buffer(source, width, 0 if node.width == 1 else 1, per_step, True)
        if node.width == 1:
            if index not in self.row_slots:
                rows = self.block(0, 1)
                rows.instructions.insert(0, Instruction("load_truth", self.row_slot(index), (buffer,)))
            return self.row_slots[index]
        if (id(block), index) not in self.temporaries:
            block.instructions.append(Instruction("load_truth", self.temporary(index, block), (buffer,)))
        return self.temporaries[(id(block), index)]


def _reuse_temporaries(block: Block) -> int:
    """Gives temporaries whose value is no longer needed to later results, so that few of them fill the first cache.

    Returns:
        How many are left.
    """
    last = {
        slot: k for k, instruction in enumerate(block.instructions) for slot in instruction.operands
        if isinstance(slot, Slot) and slot.kind == "temporary"
    }  # fmt: skip
    free: list[Slot] = []
    given: dict[Slot, Slot] = {}
    used = 0
    for k, instruction in enumerate(block.instructions):
        operands = tuple(given.get(o, o) if isinstance(o, Slot) else o for o in instruction.operands)
        free += [given[o] for o in dict.fromkeys(instruction.operands) if o in given and last[o] == k]
        result = instruction.result
        if isinstance(result, Slot) and result.kind == "temporary":
            if not free:
                free.append(Slot("temporary", used))
                used += 1
            given[result] = free.pop()
            if result not in last:
                free.append(given[result])
            result = given[result]
        block.instructions[k] = Instruction(instruction.operation, result, operands)
    return used
