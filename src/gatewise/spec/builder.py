"""Builds programs: widths are inferred, numbers folded, equal values shared, dead ones dropped."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace

from gatewise.errors import CellDefinitionError, no_type_check
from gatewise.spec.operations import OPERATIONS
from gatewise.spec.program import Label, Node, Program, State, Stream, Sum, TensorSpec, Width

__all__ = ["Builder", "below"]


# A step of more operations is a mistake in a count (rounds=2**31); a derivative has some three times its cell's.
MAX_NODES = 10_000


class Builder:
    """A graph under construction.

    Nodes are shared as they are made (common subexpressions), and simplified where the result is the same
    number: ``x + 0``, ``x * 1``, ``-(-x)``, operations on numbers. ``finish`` drops what no result needs and
    numbers the rest in a canonical order, so that equal programs have equal JSON.
    """

    def __init__(
        self, name: str, inputs: Sequence[Stream], states: Sequence[State], tensors: Iterable[TensorSpec] = ()
    ) -> None:
        self.name = name
        self.inputs = tuple(inputs)
        self.states = tuple(states)
        self.tensors: dict[str, TensorSpec] = {tensor.name: tensor for tensor in tensors}
        self._widths: dict[str, tuple[TensorSpec, dict[str, Width]]] = {}
        self.nodes: list[Node] = []
        self._index: dict[Node, int] = {}

    # --- leaves

    @no_type_check
    def const(self, value: float) -> int:
        """A number."""
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            got = "a whole number beyond float64" if isinstance(value, int) else repr(value)
            raise CellDefinitionError(f"{self.name}: expected finite numbers in a cell, got {got}")
        return self._add(Node("const", (), number, 1))

    def input(self, name: str) -> int:
        """The stream of that name at this step."""
        for stream in self.inputs:
            if stream.name == name:
                return self._add(Node("input", (), name, stream.width, stream.boolean))
        raise CellDefinitionError(
            f"{self.name}: unknown input {name!r}; it has {[s.name for s in self.inputs]}"
        )

    def state(self, name: str) -> int:
        """The previous value of a state."""
        for state in self.states:
            if state.name == name:
                return self._add(Node("state", (), name, state.width))
        raise CellDefinitionError(
            f"{self.name}: unknown state {name!r}; it has {[s.name for s in self.states]}. "
            'Name it in @cell(states="...")'
        )

    def param(self, reference: str) -> int:
        """One part of a vector parameter, by "tensor.part"."""
        spec, width = self.resolve(reference)
        if spec.kind != "vector":
            raise CellDefinitionError(f"{self.name}: {reference!r} is a matrix; use it through recur(...)")
        return self._add(Node("param", (), reference, width))

    def keep(self, site: int, probability: float, per: str, width: Width) -> int:
        """A random truth value per unit: true with ``1 - probability``."""
        return self._add(Node("keep", (), (site, float(probability), per), width, True))

    def inverse_width(self, width: Width) -> int:
        """One divided by the number of units of a width."""
        return self._add(Node("inverse_width", (), width if isinstance(width, str) else float(width), 1))

    # --- structure

    def declare(self, tensor: TensorSpec) -> TensorSpec:
        """Adds a parameter tensor, or a further part to a stacked one."""
        known = self.tensors.get(tensor.name)
        if known is not None and tensor.parts is known.parts and tensor == known:
            return known
        if known is None:
            self.tensors[tensor.name] = tensor
            return tensor
        if replace(tensor, parts=()) != replace(known, parts=()):
            raise CellDefinitionError(
                f"{self.name}: the weight {tensor.name!r} is used with two shapes or roles: columns "
                f"{known.columns!r} and {tensor.columns!r}; give the second use a name of its own"
            )
        known_parts = dict(known.parts)
        fresh = []
        for name, width in tensor.parts:
            if name not in known_parts:
                fresh.append((name, width))
            elif known_parts[name] != width:
                raise CellDefinitionError(
                    f"{self.name}: the weight '{tensor.name}.{name}' is used with widths "
                    f"{known_parts[name]!r} and {width!r}; give the second use a name of its own"
                )
        self.tensors[tensor.name] = replace(known, parts=known.parts + tuple(fresh))
        return self.tensors[tensor.name]

    def resolve(self, reference: str) -> tuple[TensorSpec, Width]:
        """The tensor and width behind "tensor.part"."""
        tensor, _, part = reference.partition(".")
        spec = self.tensors.get(tensor)
        known, widths = self._widths.get(tensor, (None, {}))
        if spec is not None and known is not spec:
            widths = dict(spec.parts)
            self._widths[tensor] = spec, widths
        if spec is None or part not in widths:
            raise CellDefinitionError(f"{self.name}: unknown weight {reference!r}")
        return spec, widths[part]

    def linear(self, vector: int, reference: str) -> int:
        """Weight part times vector."""
        spec, width = self.resolve(reference)
        if spec.kind != "matrix":
            raise CellDefinitionError(f"{self.name}: {reference!r} is a vector, expected a matrix")
        got = self.nodes[vector].width
        if got != spec.columns:
            raise CellDefinitionError(
                f"{self.name}: the weight {reference!r} multiplies vectors of width {spec.columns!r}, got one of "
                f"width {got!r}; use a weight with another name"
            )
        return self._add(Node("linear", (vector,), reference, width))

    def linear_t(self, vectors: Sequence[int], references: Sequence[str]) -> int:
        """Sum over parts of (transposed weight part) times vector; all parts are of one tensor."""
        spec, _ = self.resolve(references[0])
        if spec.columns is None:
            raise CellDefinitionError(f"{self.name}: {references[0]!r} is a vector, expected a matrix")
        vectors = [self.spread(v, self.resolve(r)[1]) for v, r in zip(vectors, references, strict=True)]
        order = sorted(range(len(references)), key=lambda k: spec.part_index(references[k].split(".")[1]))
        args = tuple(vectors[k] for k in order)
        return self._add(Node("linear_t", args, tuple(references[k] for k in order), spec.columns))

    def sum(self, vector: int) -> int:
        """Sum over the units of each row, width 1."""
        if self.nodes[vector].width == 1:
            return vector
        return self._add(Node("sum", (vector,), None, 1))

    def spread(self, value: int, width: Width) -> int:
        """One value a row, repeated over the units of a width."""
        if self.nodes[value].width == width:
            return value
        return self._add(Node("spread", (value,), None, width))

    # --- pointwise

    def apply(self, op: str, *args: int) -> int:
        """A row of the operation table, simplified where the number is the same."""
        row = OPERATIONS[op]
        simple = self._simplify(op, args)
        if simple is not None:
            return simple
        nodes = [self.nodes[i] for i in args]
        if all(node.op == "const" for node in nodes) and not row.boolean and op != "select":
            return self._fold(op, [float(node.attribute) for node in nodes])  # type: ignore[arg-type]
        if row.commutative:
            args = tuple(sorted(args))
        self._check_truth(op, nodes)
        return self._add(Node(op, tuple(args), None, self._width(op, nodes), row.boolean))

    def _fold(self, op: str, numbers: list[float]) -> int:
        try:
            return self.const(float(OPERATIONS[op].number(*numbers)))
        except (ValueError, ZeroDivisionError, OverflowError) as error:
            raise CellDefinitionError(f"{self.name}: {op}{tuple(numbers)} is not a number: {error}") from None

    def _width(self, op: str, nodes: list[Node]) -> Width:
        widths = {node.width for node in nodes} - {1}
        if len(widths) > 1:
            listed = " and ".join(repr(w) for w in sorted(widths, key=str))
            raise CellDefinitionError(
                f"{self.name}: {op} of values of widths {listed}: a shape that cannot be. "
                "Bring one to the other's width with recur(vector, weight, width)"
            )
        return widths.pop() if widths else 1

    def _check_truth(self, op: str, nodes: list[Node]) -> None:
        truth = [node.boolean for node in nodes]
        expected = [True, False, False] if op == "select" else [False] * len(nodes)
        if truth != expected:
            raise CellDefinitionError(
                f"{self.name}: {op} got {'a truth value' if any(truth) else 'a number'} where it expects the "
                "other kind; use select(condition, a, b) with condition = greater(a, b)"
            )

    def _is(self, index: int, number: float) -> bool:
        node = self.nodes[index]
        return node.op == "const" and node.attribute == number

    def _simplify(self, op: str, args: tuple[int, ...]) -> int | None:
        if op == "neg" and self.nodes[args[0]].op == "neg":
            return self.nodes[args[0]].args[0]
        if op == "select" and args[1] == args[2]:
            return args[1]
        if op in ("add", "mul"):
            unit = 0.0 if op == "add" else 1.0
            for one, other in (args, args[::-1]):
                if self._is(one, unit):
                    return other
                if op == "mul" and self._is(one, 0.0):
                    return one
        if op in ("sub", "div") and self._is(args[1], 0.0 if op == "sub" else 1.0):
            return args[0]
        if op == "sub" and self._is(args[0], 0.0):
            return self.apply("neg", args[1])
        return None

    def _add(self, node: Node) -> int:
        found = self._index.get(node)
        if found is None:
            if len(self.nodes) >= MAX_NODES:
                raise CellDefinitionError(
                    f"{self.name}: expected at most {MAX_NODES} operations in a step, got more; "
                    "give fewer rounds or terms"
                )
            found = self._index[node] = len(self.nodes)
            self.nodes.append(node)
        return found

    # --- the result

    def finish(
        self,
        *,
        output: int | None,
        next: Sequence[int],
        emits: Sequence[tuple[str, int]] = (),
        sums: Sequence[Sum] = (),
        labels: Sequence[Label] = (),
        like: Program | None = None,
        retain: str | None = None,
        admit: str | None = None,
        title: str = "",
        cite: str = "",
        doc: str = "",
    ) -> Program:
        """The program: dead values dropped, the rest numbered in the order in which the results need them."""
        roots = [*next, *([] if output is None else [output]), *(node for _, node in emits)]
        roots += [argument for entry in sums for argument in entry.args]
        order: dict[int, int] = {}
        for root in roots:
            self._visit(root, order)
        nodes = tuple(
            replace(self.nodes[old], args=tuple(order[i] for i in self.nodes[old].args)) for old in order
        )
        used = {ref.split(".")[0] for node in nodes for ref in _references(node)}
        read = {str(node.attribute) for node in nodes if node.op == "input"}
        if like is not None:
            retain, admit, title, cite, doc = like.retain, like.admit, like.title, like.cite, like.doc
        return Program(
            name=self.name,
            inputs=self.inputs if output is not None else tuple(s for s in self.inputs if s.name in read),
            states=self.states,
            tensors=tuple(sorted((t for t in self.tensors.values() if t.name in used), key=_torch_order)),
            nodes=nodes,
            output=None if output is None else order[output],
            next=tuple(order[i] for i in next),
            emits=tuple((name, order[i]) for name, i in emits),
            gradients=tuple(t for t in self.tensors.values() if t.name in {entry.tensor for entry in sums}),
            sums=tuple(replace(s, args=tuple(order[i] for i in s.args)) for s in sums),
            labels=tuple(Label(label.name, order[label.node]) for label in labels if label.node in order),
            retain=retain, admit=admit, title=title, cite=cite, doc=doc,
        )  # fmt: skip

    def _visit(self, root: int, order: dict[int, int]) -> None:
        for index in below(root, lambda i: self.nodes[i].args, order):
            order[index] = len(order)

    def copy_node(self, node: Node, args: Sequence[int]) -> int:
        """The same node over other arguments (for transforms); leaves must exist in this builder."""
        if node.op in OPERATIONS:
            return self.apply(node.op, *args)
        if node.op == "linear":
            return self.linear(args[0], str(node.attribute))
        if node.op == "linear_t":
            return self.linear_t(args, node.attribute)  # type: ignore[arg-type]
        if node.op == "sum":
            return self.sum(args[0])
        if node.op == "spread":
            return self.spread(args[0], node.width)
        if node.op == "input":
            return self.input(str(node.attribute))
        return self._add(node)


def below(root: int, arguments: Callable[[int], Sequence[int]], done: Container[int]) -> Iterator[int]:
    """A node and what it is made of, arguments first, each once: without recursion, however long the chain.

    Args:
        root: The node.
        arguments: What a node is made of.
        done: What needs no visit; the caller puts each node that it was given into it.
    """
    stack = [(root, False)]
    while stack:
        index, ready = stack.pop()
        if index in done:
            continue
        if ready:
            yield index
            continue
        stack.append((index, True))
        stack.extend((argument, False) for argument in reversed(arguments(index)))


TORCH_ORDER = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def _torch_order(tensor: TensorSpec) -> int:
    """torch's order of a layer's parameters first, others as they came."""
    return TORCH_ORDER.index(tensor.name) if tensor.name in TORCH_ORDER else len(TORCH_ORDER)


def _references(node: Node) -> tuple[str, ...]:
    if node.op in ("param", "linear"):
        return (str(node.attribute),)
    if node.op == "linear_t":
        return node.attribute  # type: ignore[return-value]
    return ()
