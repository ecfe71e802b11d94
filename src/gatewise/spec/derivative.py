"""The derivative of a program is again a program.

Backpropagation through time is itself a recurrence: it runs the other way, its states are the cotangents of
the states, its inputs are the cotangents of the outputs and what the forward run left behind, its outputs
are the cotangents of the inputs, and the gradients of the weights are sums over its steps. So it is written
as a program too, every engine runs it as it runs any other, and the second derivative is the derivative of
the derivative.

Two functions do the work: :func:`recorded` adds to a program what its derivative will read, and
:func:`differentiate` builds that derivative from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from gatewise.spec import expression
from gatewise.spec.builder import Builder, below
from gatewise.spec.expression import Value
from gatewise.spec.operations import OPERATIONS
from gatewise.spec.program import Node, Program, State, Stream, Sum, Width

__all__ = ["OUTPUT", "Names", "differentiate", "recorded", "saved_values"]

OUTPUT = "output"


@dataclass(frozen=True)
class Names:
    """How a derivative calls what it reads and gives; each order of derivative has names of its own."""

    tag: str

    @classmethod
    def of(cls, program: Program) -> Names:
        """The names in the derivative of a program."""
        return cls(str(program.order + 1) if program.order else "")

    def previous(self, state: str) -> str:
        """The stream of a state's values before each step."""
        return f"prev{self.tag}:{state}"

    def saved(self, node: int) -> str:
        """The stream of a saved value."""
        return f"saved{self.tag}:{node}"

    def cotangent(self, name: str) -> str:
        """The cotangent of a stream, a state, "output", "emit:<name>" or "sum:<tensor>"."""
        return f"d{self.tag}:{name}"


LEAVES = ("const", "input", "state", "param", "keep", "inverse_width")


@lru_cache(maxsize=1024)
def saved_values(program: Program) -> tuple[int, ...]:
    """Which values the forward run should save: those that the derivative reads and that are dear to recompute.

    Results of matrix products, sums over units and transcendental functions are saved; sums, products and
    selections of them are recomputed from what is there.
    """
    needed = _read_by_derivative(program)
    saved: set[int] = set()
    seen: set[int] = set()
    stack = sorted(needed)
    while stack:
        index = stack.pop()
        node = program.nodes[index]
        if index in seen or node.op in LEAVES:
            continue
        seen.add(index)
        if not program.varies[index] or (node.op in OPERATIONS and OPERATIONS[node.op].cheap):
            stack.extend(node.args)
        else:
            saved.add(index)
    return tuple(sorted(saved))


def _read_by_derivative(program: Program) -> set[int]:
    """Forward values that the derivative's formulas mention."""
    trace = _Backward(program, saved=(), cotangents=_all_results(program))
    trace.walk()
    return trace.mentioned


def _all_results(program: Program) -> tuple[str, ...]:
    names = [f"emit:{name}" for name, _ in program.emits]
    names += sorted({f"sum:{entry.tensor}" for entry in program.sums})
    return (OUTPUT, *names) if program.output is not None else tuple(names)


@lru_cache(maxsize=1024)
def recorded(program: Program) -> Program:
    """The program that also emits what its derivative reads: saved values and next states.

    Node numbers stay the same. What is not given out already is emitted as ``saved:<node>`` and ``next:<state>``.
    """
    trace = _Backward(program, saved=saved_values(program), cotangents=_all_results(program))
    trace.walk()
    held = set(program.held)
    extra: list[tuple[str, int]] = []
    for state, node in zip(program.states, program.next, strict=True):
        if state.name in trace.states_read and node not in held:
            extra.append((f"next:{state.name}", node))
            held.add(node)
    extra += [(f"saved:{node}", node) for node in trace.saved_read if node not in held]
    return replace(program, emits=program.emits + tuple(extra))


@lru_cache(maxsize=4096)
def differentiate(
    program: Program, cotangents: tuple[str, ...], inputs: tuple[str, ...], tensors: tuple[str, ...]
) -> Program:
    """The derivative of a recorded program.

    Args:
        program: A program as :func:`recorded` gives it.
        cotangents: Which results have a cotangent: "output", "emit:<name>", "sum:<tensor>". The final states
            always have one: it is the initial state of the derivative.
        inputs: Names of the streams whose cotangent is wanted.
        tensors: Names of the tensors whose gradient is wanted.

    Returns:
        A program to be run the other way in time. Its streams are those of ``program`` that it reads, and
        ``prev:<state>``, ``saved:<node>``, ``d:output``, ``d:emit:<name>``; its states ``d:<state>``; its
        tensors those of ``program`` and ``d:sum:<tensor>``; its emits ``d:<stream>``
        where not zero; its sums the gradients.
        See :class:`Names` for the names in higher orders.
    """
    saved = frozenset(node for node in program.held if program.nodes[node].op not in LEAVES)
    trace = _Backward(program, saved=saved, cotangents=cotangents, inputs=inputs, tensors=tensors)
    return trace.run()


@dataclass
class _Backward:
    """One walk from the results back to the leaves."""

    program: Program
    saved: Collection[int]
    cotangents: Iterable[str]
    inputs: tuple[str, ...] | None = None
    tensors: tuple[str, ...] | None = None
    mentioned: set[int] = field(default_factory=set)
    states_read: set[str] = field(default_factory=set)
    saved_read: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        program = self.program
        names = self.names = Names.of(program)
        streams = list(program.inputs)
        streams += [Stream(names.previous(s.name), s.width) for s in program.states]
        streams += [
            Stream(names.saved(i), program.nodes[i].width, program.nodes[i].boolean) for i in self.saved
        ]
        if program.output is not None:
            streams.append(Stream(names.cotangent(OUTPUT), program.output_width))
        streams += [Stream(names.cotangent(f"emit:{n}"), program.nodes[i].width) for n, i in program.emits]
        tensors = list(program.tensors)
        for name in {entry.tensor: None for entry in program.sums}:
            tensors.append(replace(program.tensor(name), name=names.cotangent(f"sum:{name}")))
        states = [State(names.cotangent(s.name), s.width) for s in program.states]
        self.builder = Builder(f"d({program.name})", streams, states, tensors)
        self.forward: dict[int, int] = {}
        self.cotangent: dict[int, list[Value]] = {}
        self.products: dict[tuple[int, str], dict[str, list[Value]]] = {}
        self.gradients: list[Sum] = []
        self.useful = self._useful()

    def _useful(self) -> list[bool]:
        """Which nodes lead to something whose cotangent is wanted."""
        flags: list[bool] = []
        for node in self.program.nodes:
            useful = node.op == "state" or any(flags[i] for i in node.args)
            if node.op == "input":
                stream = next(s for s in self.program.inputs if s.name == node.attribute)
                useful = not stream.boolean and (self.inputs is None or stream.name in self.inputs)
            for reference in _tensor_references(node):
                useful = useful or self.tensors is None or reference.split(".")[0] in self.tensors
            flags.append(useful and not node.boolean)
        return flags

    # --- forward values inside the derivative

    def value(self, index: int) -> Value:
        """The forward value of a node: a leaf, something saved, or recomputed."""
        self.mentioned.add(index)
        return Value(self.builder, self._forward(index))

    def _forward(self, root: int) -> int:
        nodes = self.program.nodes
        for index in below(root, lambda i: () if i in self.saved else nodes[i].args, self.forward):
            node = nodes[index]
            if index in self.saved:
                self.saved_read.append(index)
                made = self.builder.input(self.names.saved(index))
            elif node.op == "state":
                self.states_read.add(str(node.attribute))
                made = self.builder.input(self.names.previous(str(node.attribute)))
            else:
                made = self.builder.copy_node(node, [self.forward[i] for i in node.args])
            self.forward[index] = made
        return self.forward[root]

    # --- the walk

    def run(self) -> Program:
        """The derivative program."""
        self.walk()
        return self._finish()

    def walk(self) -> None:
        """Builds its values."""
        self._seed()
        for index in range(len(self.program.nodes) - 1, -1, -1):
            total = self._total(index)
            if total is not None and self.useful[index]:
                node = self.program.nodes[index]
                if node.op not in OPERATIONS:
                    total = self._wide(total, node.width)
                self._pull(index, node, total)

    def _seed(self) -> None:
        program, builder = self.program, self.builder
        present = set(self.cotangents)
        for state, index in zip(program.states, program.next, strict=True):
            self._give(index, Value(builder, builder.state(self.names.cotangent(state.name))))
        if OUTPUT in present and program.output is not None:
            self._give(program.output, Value(builder, builder.input(self.names.cotangent(OUTPUT))))
        for name, index in program.emits:
            if f"emit:{name}" in present and not program.nodes[index].boolean:
                self._give(index, Value(builder, builder.input(self.names.cotangent(f"emit:{name}"))))
        for entry in program.sums:
            if f"sum:{entry.tensor}" in present:
                self._seed_sum(entry)

    def _seed_sum(self, entry: Sum) -> None:
        """The cotangent G of a summed outer product u v^T: G v for u, G^T u for v."""
        reference = self.names.cotangent(f"sum:{entry.tensor}.{entry.part}")
        if len(entry.args) == 1:
            self._give(entry.args[0], Value(self.builder, self.builder.param(reference)))
            return
        u, v = entry.args
        self._give(u, Value(self.builder, self.builder.linear(self.value(v).index, reference)))
        self._give_product(v, reference, self.value(u))

    def _give(self, index: int, value: Value) -> None:
        """Adds a contribution to a node's cotangent, summed over units where the node has one value a row."""
        if self.program.nodes[index].width == 1 and value.width != 1:
            value = Value(self.builder, self.builder.sum(value.index))
        self.cotangent.setdefault(index, []).append(value)

    def _wide(self, value: Value, width: Width) -> Value:
        return value if width == 1 else Value(self.builder, self.builder.spread(value.index, width))

    def _give_product(self, index: int, reference: str, value: Value) -> None:
        """A contribution W^T value, merged with others of the same tensor into one product."""
        tensor = reference.rpartition(".")[0]
        self.products.setdefault((index, tensor), {}).setdefault(reference, []).append(value)

    def _total(self, index: int) -> Value | None:
        parts = self.cotangent.pop(index, [])
        for key in [key for key in self.products if key[0] == index]:
            group = self.products.pop(key)
            vectors = [self._sum(values).index for values in group.values()]
            parts.append(Value(self.builder, self.builder.linear_t(vectors, list(group))))
        if not parts:
            return None
        total = self._sum(parts)
        return None if self.builder._is(total.index, 0.0) else total

    @staticmethod
    def _sum(values: list[Value]) -> Value:
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total

    def _pull(self, index: int, node: Node, g: Value) -> None:
        if node.op == "linear":
            self._pull_linear(node, g)
        elif node.op == "linear_t":
            self._pull_linear_t(node, g)
        elif node.op == "sum":
            self._give(node.args[0], self._wide(g, self.program.nodes[node.args[0]].width))
        elif node.op == "spread":
            self._give(node.args[0], g)
        elif node.op == "param":
            self._gradient(str(node.attribute), g)
        elif node.op in ("input", "state"):
            self.cotangent[index] = [g]
        elif node.op in OPERATIONS:
            self._pull_pointwise(index, node, g)

    def _pull_pointwise(self, index: int, node: Node, g: Value) -> None:
        row = OPERATIONS[node.op]
        lazy = _Lazy(self)
        pulled = row.derivative(expression, g, lazy.at(index), *(lazy.at(i) for i in node.args))
        for argument, contribution in zip(node.args, pulled, strict=True):
            if contribution is not None and self.useful[argument]:
                if isinstance(contribution, _LazyValue):
                    contribution = contribution.value
                self._give(argument, contribution)

    def _pull_linear(self, node: Node, g: Value) -> None:
        reference = str(node.attribute)
        if self.useful[node.args[0]]:
            self._give_product(node.args[0], reference, g)
        if self._wants(reference):
            self._gradient(reference, g, self.value(node.args[0]))

    def _pull_linear_t(self, node: Node, g: Value) -> None:
        references: tuple[str, ...] = node.attribute  # type: ignore[assignment]
        for reference, argument in zip(references, node.args, strict=True):
            if self.useful[argument]:
                self._give(argument, Value(self.builder, self.builder.linear(g.index, reference)))
            if self._wants(reference):
                self._gradient(reference, self.value(argument), g)

    def _wants(self, reference: str) -> bool:
        return self.tensors is None or reference.rpartition(".")[0] in self.tensors

    def _gradient(self, reference: str, *values: Value) -> None:
        if self._wants(reference):
            tensor, _, part = reference.rpartition(".")
            self.gradients.append(Sum(tensor, part, tuple(value.index for value in values)))

    def _finish(self) -> Program:
        builder, program = self.builder, self.program
        zero = Value(builder, builder.const(0.0))
        leaf = {(n.op, n.attribute): i for i, n in enumerate(program.nodes) if n.op in ("input", "state")}

        def total(kind: str, name: str) -> Value:
            index = leaf.get((kind, name))
            parts = self.cotangent.get(index, []) if index is not None else []
            return self._sum(parts) if parts else zero

        wanted = [s for s in program.inputs if not s.boolean]
        if self.inputs is not None:
            wanted = [s for s in wanted if s.name in self.inputs]
        return builder.finish(
            output=None,
            next=[self._wide(total("state", state.name), state.width).index for state in program.states],
            emits=[
                (self.names.cotangent(s.name), self._wide(value, s.width).index)
                for s, value in ((s, total("input", s.name)) for s in wanted)
                if value is not zero
            ],
            sums=self.gradients,
        )


def _tensor_references(node: Node) -> tuple[str, ...]:
    if node.op in ("param", "linear"):
        return (str(node.attribute),)
    return node.attribute if node.op == "linear_t" else ()  # type: ignore[return-value]


class _LazyValue(expression.Arithmetic):
    """A forward value that enters the derivative only where a formula really uses it."""

    def __init__(self, backward: _Backward, index: int) -> None:
        self._backward, self._index = backward, index

    @property
    def value(self) -> Value:
        return self._backward.value(self._index)


@dataclass
class _Lazy:
    backward: _Backward

    def at(self, index: int) -> _LazyValue:
        return _LazyValue(self.backward, index)
