"""Programs that are linear in their states, and the coefficients that a parallel scan needs.

Where every next state is ``a * state + b`` with a and b free of states (minGRU, minLSTM, and their derivatives),
all steps can be computed at once by a scan (Martin & Cundy 2018, "Parallelizing Linear Recurrent Neural Nets").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from gatewise.spec.builder import Builder, below
from gatewise.spec.program import Program

__all__ = ["coefficients"]


@lru_cache(maxsize=1024)
def coefficients(program: Program) -> Program | None:
    """The program without states that emits ``a:<state>`` and ``b:<state>``, or None where there is none.

    Example:
        >>> from gatewise import cells
        >>> coefficients(cells.get("lstm")) is None
        True
        >>> [name for name, _ in coefficients(cells.get("min_gru")).emits]
        ['a:h', 'b:h']
    """
    if not program.states:
        return None
    builder = Builder(f"{program.name}.coefficients", program.inputs, (), program.tensors)
    walk = _Affine(program, builder)
    emits: list[tuple[str, int]] = []
    for state, node in zip(program.states, program.next, strict=True):
        pair = walk.affine(node, state.name)
        if pair is None:
            return None
        a, b = pair
        emits += [
            (f"a:{state.name}", builder.spread(a, state.width)),
            (f"b:{state.name}", builder.spread(b, state.width)),
        ]
    return builder.finish(output=None, next=(), emits=emits)


class _Affine:
    """Splits values into a * state + b."""

    def __init__(self, program: Program, builder: Builder) -> None:
        self.program, self.builder = program, builder
        self.copies: dict[int, int] = {}
        self.pairs: dict[str, dict[int, tuple[int, int] | None]] = {s.name: {} for s in program.states}

    def copy(self, index: int) -> int:
        """A state-free value in the new program."""
        for current in below(index, lambda i: self.program.nodes[i].args, self.copies):
            node = self.program.nodes[current]
            self.copies[current] = self.builder.copy_node(node, [self.copies[i] for i in node.args])
        return self.copies[index]

    def affine(self, index: int, state: str) -> tuple[int, int] | None:
        """(a, b) of a value with respect to one state, or None."""
        pairs = self.pairs[state]
        depends = self.program.depends_on_state

        def within(current: int) -> tuple[int, ...]:
            return self.program.nodes[current].args if depends[current] else ()

        for current in below(index, within, pairs):
            pairs[current] = self._affine(current, state)
        return pairs[index]

    def _affine(self, index: int, state: str) -> tuple[int, int] | None:
        builder, node = self.builder, self.program.nodes[index]
        if not self.program.depends_on_state[index]:
            return builder.const(0.0), self.copy(index)
        if node.op == "state":
            return (builder.const(1.0), builder.const(0.0)) if node.attribute == state else None
        free = [not self.program.depends_on_state[i] for i in node.args]
        if node.op in ("add", "sub"):
            return self._both(node.op, node.args, state)
        if node.op == "neg":
            return self._map(node.args[0], state, lambda v: builder.apply("neg", v))
        if node.op == "mul" and any(free):
            other, factor = (node.args[1], node.args[0]) if free[0] else (node.args[0], node.args[1])
            return self._map(other, state, lambda v: builder.apply("mul", v, self.copy(factor)))
        if node.op == "div" and free[1]:
            return self._map(node.args[0], state, lambda v: builder.apply("div", v, self.copy(node.args[1])))
        if node.op == "select" and free[0]:
            condition = self.copy(node.args[0])
            one, two = self.affine(node.args[1], state), self.affine(node.args[2], state)
            if one is None or two is None:
                return None
            return (
                builder.apply("select", condition, one[0], two[0]),
                builder.apply("select", condition, one[1], two[1]),
            )
        return None

    def _both(self, op: str, args: tuple[int, ...], state: str) -> tuple[int, int] | None:
        one, two = self.affine(args[0], state), self.affine(args[1], state)
        if one is None or two is None:
            return None
        return self.builder.apply(op, one[0], two[0]), self.builder.apply(op, one[1], two[1])

    def _map(self, index: int, state: str, function: Callable[[int], int]) -> tuple[int, int] | None:
        pair = self.affine(index, state)
        return None if pair is None else (function(pair[0]), function(pair[1]))
