"""Places every value of the time loop: in which segment it is computed, and in which memory it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from gatewise.engines.native.parts import PRODUCTS, parts
from gatewise.engines.native.words import COPIES, Slot, Words
from gatewise.spec.program import Node, Program, TensorSpec, bind

__all__ = ["Placement", "Source"]


@dataclass(frozen=True)
class Source:
    """Where a buffer of the plan comes from.

    ``kind`` is "input" (index: the stream), "initial" or "final" (the state), "value" (the node: something that is
    ready before the kernel), "static" (the node), "bias" (index: the group of products that run ahead; column: where
    in its biases), "const" (number: its value), "sequence" (the node: a new result), "panel" (index: the panel;
    column: where in its rows) or "total" (the node: its sum over time, for each row of the batch).
    """

    kind: str
    index: int = 0
    column: int = 0
    number: float = 0.0


class Placement:
    """The places of one program's values for given sizes and bytes of a number."""

    def __init__(self, program: Program, sizes: Mapping[str, int], element: int) -> None:
        self.program, self.sizes = program, sizes
        self.nodes, self.parts = program.nodes, parts(program)
        self.words = Words(element)
        self.sources: list[Source] = []
        self.known: dict[Source, Slot] = {}
        self.weights: list[int] = []
        self.state_slots = {state.name: Slot("state", k) for k, state in enumerate(program.states)}
        self.inside = set(self.parts.kernel)
        self.users = self._users()
        self.panels = self._panels()
        self.totals = self._totals()
        self.fused = self._fused_bases()
        self.segment = self._segments()
        self.homes: dict[int, list[Slot]] = {}
        self.row_slots: dict[int, Slot] = {}
        self.ahead = {
            member.chain[-1]: (g, group, k)
            for g, group in enumerate(self.parts.inputs) if group.ahead for k, member in enumerate(group.members)
        }  # fmt: skip
        self.ahead_slots: dict[int, Slot] = {}

    def width(self, index: int) -> int:
        """Units a row of a value."""
        return bind(self.nodes[index].width, self.sizes)

    # --- what there is

    def _users(self) -> list[list[int]]:
        """For each node the kernel's nodes that read it."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for index in self.parts.kernel:
            for argument in self.nodes[index].args:
                found[argument].append(index)
        return found

    def _wanted(self) -> set[int]:
        """Kernel values that leave the program as whole sequences, or that torch needs afterwards."""
        program = self.program
        found = {node for _, node in program.emits}
        if program.output is not None:
            found.add(program.output)
        found |= {i for entry in program.sums for i in entry.args}
        found |= {i for node in self.parts.back for i in self.nodes[node].args}
        return (found & self.inside) - self.totals

    def _totals(self) -> set[int]:
        """Kernel values of which nothing but the sum over time and batch is needed: gradients of vectors.

        They are added up over time in the kernel, row by row, so that the order does not depend on the threads.
        """
        program = self.program
        elsewhere = {node for _, node in program.emits} | set(program.next) | {program.output}
        elsewhere |= {i for entry in program.sums if len(entry.args) > 1 for i in entry.args}
        elsewhere |= {i for node in self.parts.back for i in self.nodes[node].args}
        elsewhere |= {i for group in self.panels for i in group}
        return {
            entry.args[0] for entry in program.sums
            if entry.args[0] in self.inside - elsewhere
            and self.nodes[entry.args[0]].op not in ("state", *PRODUCTS) and not self.nodes[entry.args[0]].boolean
            and self.nodes[entry.args[0]].width != 1
        }  # fmt: skip

    def _outgoing(self) -> set[int]:
        """Kernel values that are results by themselves: output and emits."""
        found = {node for _, node in self.program.emits}
        return (found if self.program.output is None else found | {self.program.output}) & self.inside

    def _fused_bases(self) -> dict[int, int]:
        """Products that an addition follows at once: by the addition's node the product's; it starts from the rest."""
        wanted = self._wanted() | set(self.program.next)
        found: dict[int, int] = {}
        for index in self.parts.kernel:
            node = self.nodes[index]
            if node.op != "add" or node.width == 1:
                continue
            for product, base in (node.args, node.args[::-1]):
                alone = self.users[product] == [index] and product not in wanted and product in self.inside
                if self.nodes[product].op in PRODUCTS and alone and self._is_plain_number(base):
                    found[index] = product
                    break
        return found

    def _is_plain_number(self, index: int) -> bool:
        """Whether a value lies in memory before the step."""
        return index not in self.inside and not self.nodes[index].boolean

    def _segments(self) -> dict[int, int]:
        """The segment in which each kernel value is there."""
        found: dict[int, int] = {}
        for index in self.parts.kernel:
            node = self.nodes[index]
            before = [found[i] for i in node.args if i in found]
            if node.op in PRODUCTS:
                computed = [found[i] + 1 for i in node.args if i in found and self.nodes[i].op != "state"]
                found[index] = max(computed, default=0)
            elif node.op == "sum":
                found[index] = max(before, default=0) + 1
            else:
                found[index] = max(before, default=0)
        for index, product in self.fused.items():
            found[index] = found[product]
        return found

    def _panels(self) -> tuple[tuple[int, ...], ...]:
        """Values that enter one large product or sum together, and so should lie side by side."""
        program = self.program
        groups: list[tuple[int, ...]] = []
        for spec in program.gradients:
            if spec.kind != "matrix":
                continue
            entries = {entry.part: entry.args for entry in program.sums if entry.tensor == spec.name}
            several = sum(entry.tensor == spec.name for entry in program.sums) > len(entries)
            if len(entries) == len(spec.parts) and not several and spec.blocks == 1:
                groups.append(tuple(entries[part][0] for part, _ in spec.parts))
        for index in self.parts.back:
            if self.nodes[index].op == "linear_t":
                groups.append(self.nodes[index].args)
        kept = []
        for group in dict.fromkeys(groups):
            if all(
                i in self.inside and self.nodes[i].op != "state" and self.nodes[i].width != 1 for i in group
            ):
                kept.append(group)
        return tuple(kept)

    # --- places

    def buffer(self, source: Source, width: int, unit: int, per_step: bool, truth: bool = False) -> Slot:
        """The slot of a source."""
        if source not in self.known:
            self.known[source] = Slot("buffer", len(self.sources))
            self.sources.append(source)
            self.words.buffers.append((int(truth), width, unit, int(per_step)))
        return self.known[source]

    def scratch(self, width: int, unit: int, copies: str) -> Slot:
        """Memory of the kernel's own; ``copies`` as in COPIES."""
        self.words.scratch.append((width, unit, COPIES[copies]))
        return Slot("scratch", len(self.words.scratch) - 1)

    def row_slot(self, index: int) -> Slot:
        """The row temporary of a value."""
        if index not in self.row_slots:
            self.row_slots[index] = Slot("row", self.words.row_temporaries)
            self.words.row_temporaries += 1
        return self.row_slots[index]

    def leaf(self, index: int) -> Slot:
        """The slot of a number that lies in memory before the step: streams, ready values, states, constants."""
        node, width = self.nodes[index], self.width(index)
        unit = 0 if node.width == 1 else 1
        if node.op == "const":
            return self.buffer(Source("const", number=float(cast(float, node.attribute))), 1, 0, False)
        if node.op == "state":
            return self.state_slots[str(node.attribute)]
        if node.op == "input":
            return self.buffer(Source("input", self._stream(node)), width, unit, True)
        if index in self.ahead:
            return self._look_ahead(index)
        if index in self.parts.ready:
            return self.buffer(Source("value", index), width, unit, True)
        return self.buffer(Source("static", index), width, unit, False)

    def _look_ahead(self, index: int) -> Slot:
        """The slot of a product that runs ahead; its words are written when it is first asked for."""
        if index not in self.ahead_slots:
            group, product, number = self.ahead[index]
            spec, width = self.program.tensor(product.tensor), self.width(index)
            column = sum(self.width(member.chain[-1]) for member in product.members[:number])
            biased = any(member.biases for member in product.members)
            base = self.buffer(Source("bias", group, column), width, 1, False) if biased else None
            part = product.members[number].part
            start = sum(bind(w, self.sizes) for _, w in spec.parts[: spec.part_index(part)])
            term = (self.leaf(product.vector), 0, self.width(product.vector), self.weight(spec), start, 0, 0)
            slot = self.ahead_slots[index] = self.scratch(width, 1, "ahead")
            self.words.ahead.append((slot, 0, width, base, [term], width))
        return self.ahead_slots[index]

    def weight(self, spec: TensorSpec) -> int:
        """The number of a matrix in the plan."""
        position = [tensor.name for tensor in self.program.tensors].index(spec.name)
        if position not in self.weights:
            self.weights.append(position)
            shape = self.program.shape(spec, self.sizes)
            self.words.weights.append((int(shape[0]), int(shape[1])))
        return self.weights.index(position)

    def _stream(self, node: Node) -> int:
        return [stream.name for stream in self.program.inputs].index(str(node.attribute))

    def _find_homes(self) -> None:
        """Memory for every wide kernel value that must outlive its block."""
        outgoing, wanted = self._outgoing(), self._wanted()
        in_panel = {i for group in self.panels for i in group}
        for index in self.parts.kernel:
            node = self.nodes[index]
            if node.op == "state" or index in self.fused.values():
                if index in wanted and node.op == "state":
                    self.homes[index] = [self._sequence(index)]
                continue
            homes: list[Slot] = []
            if index in outgoing or (index in wanted and index not in in_panel):
                homes.append(self._sequence(index))
            column_of = [
                (p, sum(self.width(i) for i in group[:k]))
                for p, group in enumerate(self.panels) for k, i in enumerate(group) if i == index
            ]  # fmt: skip
            for p, column in column_of:
                source = Source("panel", p, column)
                homes.append(self.buffer(source, self.width(index), 1, True))
            if not node.boolean and not homes and self._needs_memory(index):
                copies = "two" if index in self.program.next or self._is_vector(index) else "one"
                homes.append(self.scratch(self.width(index), 0 if node.width == 1 else 1, copies))
            self.homes[index] = homes

    def _sequence(self, index: int) -> Slot:
        node = self.nodes[index]
        unit = 0 if node.width == 1 else 1
        return self.buffer(Source("sequence", index), self.width(index), unit, True, node.boolean)

    def _is_vector(self, index: int) -> bool:
        return any(self.nodes[user].op in PRODUCTS for user in self.users[index])

    def _needs_memory(self, index: int) -> bool:
        """Whether a value without a sequence of its own must lie in memory."""
        node = self.nodes[index]
        if index in self.program.next or self._is_vector(index) or node.op in PRODUCTS or index in self.fused:
            return True
        if node.width == 1 or node.op == "keep":
            return False
        later = [user for user in self.users[index] if self._runs_in(user) != self.segment[index]]
        return bool(later)

    def _runs_in(self, index: int) -> int:
        """The segment whose instructions read the arguments of a node."""
        node = self.nodes[index]
        return self.segment[index] - 1 if node.op == "sum" else self.segment[index]
