"""The tangent of a program is again a program.

Forward-mode differentiation goes along with the run: beside each value goes its change under a change of the inputs,
the first states and the weights. A pointwise operation's change follows from the one derivative that the operation
table has: the cotangent that it gives an argument for a cotangent of its result is a multiple of the latter, and the
change that it passes on from that argument is the same multiple. So no operation says anything twice, and since the
tangent is a program, every engine runs it and it can be differentiated again, either way.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from gatewise.spec import expression
from gatewise.spec.builder import Builder
from gatewise.spec.expression import Value
from gatewise.spec.operations import OPERATIONS
from gatewise.spec.program import Node, Program, State, Stream, Sum, TensorSpec, Width

__all__ = ["tangent", "tangent_name"]


def tangent_name(program: Program, name: str) -> str:
    """What the tangent of a stream, state, tensor, "output" or "emit:<name>" is called in a program's tangent.

    Example:
        >>> from gatewise import cells
        >>> tangent_name(cells.get("gru"), "h")
        't:h'
    """
    order = program.name.count("t(")
    return f"t{order + 1 if order else ''}:{name}"


@lru_cache(maxsize=1024)
def tangent(program: Program, inputs: tuple[str, ...], tensors: tuple[str, ...]) -> Program:
    """The tangent of a program, which runs in the same direction of time.

    Args:
        program: Any program, a derivative too.
        inputs: Names of the streams that have a tangent.
        tensors: Names of the tensors that have one. The first states always have one.

    Returns:
        A program over the streams that it reads, of ``program`` and their tangents; its states are those of
        ``program`` and then their tangents, its tensors likewise; it emits the tangents of the output, of the emits
        that are numbers, and of the sums, as far as they are not zero.

    Example:
        >>> from gatewise import cells
        >>> found = tangent(cells.get("gru"), ("input",), ())
        >>> [state.name for state in found.states], [name for name, _ in found.emits]
        (['h', 't:h'], ['t:output'])
    """
    return _Forward(program, inputs, tensors).run()


class _Forward:
    """One walk from the leaves to the results."""

    def __init__(self, program: Program, inputs: tuple[str, ...], tensors: tuple[str, ...]) -> None:
        self.program, self.moving = program, frozenset(tensors)
        specs = {spec.name: spec for spec in (*program.tensors, *program.gradients)}
        self.builder = Builder(
            f"t({program.name})",
            [*program.inputs, *(Stream(self._name(s.name), s.width) for s in program.inputs if s.name in inputs)],
            [*program.states, *(State(self._name(s.name), s.width) for s in program.states)],
            [*program.tensors, *(self._renamed(spec) for spec in specs.values())],
        )  # fmt: skip
        self.inputs = frozenset(inputs)
        self.values: dict[int, Value] = {}
        self.changes: dict[int, Value] = {}

    def _name(self, name: str) -> str:
        return tangent_name(self.program, name)

    def _renamed(self, spec: TensorSpec) -> TensorSpec:
        return replace(spec, name=self._name(spec.name))

    def run(self) -> Program:
        for index, node in enumerate(self.program.nodes):
            made = self.builder.copy_node(node, [self.values[i].index for i in node.args])
            self.values[index] = Value(self.builder, made)
            change = None if node.boolean else self._change(index, node)
            if change is not None and not self.builder._is(change.index, 0.0):
                self.changes[index] = change
        program, builder = self.program, self.builder
        emits = [] if program.output is None else [("output", program.output)]
        emits += [(f"emit:{name}", node) for name, node in program.emits]
        zero = Value(builder, builder.const(0.0))
        return builder.finish(
            output=None,
            next=[
                *(self.values[node].index for node in program.next),
                *(
                    self._wide(self.changes.get(node, zero), state.width).index
                    for state, node in zip(program.states, program.next, strict=True)
                ),
            ],
            emits=[
                (self._name(name), self._wide(self.changes[node], program.nodes[node].width).index)
                for name, node in emits
                if node in self.changes
            ],
            sums=[entry for given in program.sums for entry in self._sums(given)],
        )

    def _wide(self, value: Value, width: Width) -> Value:
        return Value(self.builder, self.builder.spread(value.index, width))

    def _sums(self, entry: Sum) -> list[Sum]:
        """The change of a sum of products, u v: (change of u) v and u (change of v)."""
        found = []
        for place, changed in enumerate(entry.args):
            if changed in self.changes:
                args = [self.values[one] for one in entry.args]
                args[place] = self._wide(self.changes[changed], self.program.nodes[changed].width)
                found.append(Sum(self._name(entry.tensor), entry.part, tuple(one.index for one in args)))
        return found

    def _change(self, index: int, node: Node) -> Value | None:
        builder = self.builder
        if node.op == "input":
            known = str(node.attribute) in self.inputs
            return Value(builder, builder.input(self._name(str(node.attribute)))) if known else None
        if node.op == "state":
            return Value(builder, builder.state(self._name(str(node.attribute))))
        if node.op == "param":
            moved = self._moved(str(node.attribute))
            return None if moved is None else Value(builder, builder.param(moved))
        if node.op in ("linear", "linear_t"):
            return self._product(node)
        if not any(argument in self.changes for argument in node.args):
            return None
        if node.op == "sum":
            [argument] = node.args
            change = self._wide(self.changes[argument], self.program.nodes[argument].width)
            return Value(builder, builder.sum(change.index))
        if node.op == "spread":
            return self._wide(self.changes[node.args[0]], node.width)
        return self._pointwise(index, node)

    def _moved(self, reference: str) -> str | None:
        """The tangent of a part of a tensor, if it has one."""
        return self._name(reference) if reference.partition(".")[0] in self.moving else None

    def _product(self, node: Node) -> Value | None:
        """The change of W v: W (change of v) + (change of W) v."""
        builder = self.builder
        single = node.op == "linear"
        references: Any = (str(node.attribute),) if single else node.attribute
        parts: list[Value] = []
        for argument, reference in zip(node.args, references, strict=True):
            moved = self._moved(reference)
            pairs = [(self.changes.get(argument), reference)]
            pairs += [] if moved is None else [(self.values[argument], moved)]
            for vector, own in pairs:
                if vector is not None:
                    wide = self._wide(vector, self.program.nodes[argument].width)
                    made = (
                        builder.linear(wide.index, own) if single else builder.linear_t([wide.index], [own])
                    )
                    parts.append(Value(builder, made))
        return _sum(parts)

    def _pointwise(self, index: int, node: Node) -> Value | None:
        row = OPERATIONS[node.op]
        arguments = [self.values[one] for one in node.args]
        parts = []
        for place, argument in enumerate(node.args):
            change = self.changes.get(argument)
            if change is not None:
                part = row.derivative(expression, change, self.values[index], *arguments)[place]
                if part is not None:
                    parts.append(part)
        return _sum(parts)


def _sum(parts: list[Value]) -> Value | None:
    if not parts:
        return None
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
