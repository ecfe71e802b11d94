"""How much of its old state a unit keeps: read off the cell's equations, for every cell.

Where the next state is ``r * state + u``, r is the share that is retained: the forget gate of an LSTM, the update gate
of a GRU, one minus the input gate of a coupled LSTM. What stands inside a nonlinear function or behind a matrix (the
gates themselves) counts as a number of that step, so that r is exact, and so is the sum that it gives:

    s_T = sum over t of (r_T ... r_(t+1)) u_t  +  (r_T ... r_1) s_0,    u_t = s_t - r_t s_(t-1)
"""

from __future__ import annotations

from functools import lru_cache

from gatewise.spec import Program
from gatewise.spec.builder import Builder
from gatewise.spec.program import Label

__all__ = ["retained_gate", "retained_states", "with_retention"]


@lru_cache(maxsize=512)
def with_retention(program: Program) -> Program:
    """The program that also gives ``retained_<state>`` with its gates, for each state that has a share retained.

    Example:
        >>> from gatewise import cells
        >>> [name for name, _ in with_retention(cells.get("gru")).emits]
        ['gate:retained_h']
    """
    builder = Builder(program.name, program.inputs, program.states, program.tensors)
    walk = _Walk(program, builder)
    emits = [(name, walk.copies[node]) for name, node in program.emits]
    for state, share in walk.shares().items():
        width = next(one.width for one in program.states if one.name == state)
        emits.append((f"gate:retained_{state}", builder.spread(share, width)))
    return builder.finish(
        output=None if program.output is None else walk.copies[program.output],
        next=[walk.copies[node] for node in program.next],
        emits=emits,
        labels=[Label(label.name, walk.copies[label.node]) for label in program.labels],
        like=program,
    )


def retained_states(program: Program) -> tuple[str, ...]:
    """The states of which a share is retained, by name.

    Example:
        >>> from gatewise import cells
        >>> retained_states(cells.get("lstm")), retained_states(cells.get("rnn_tanh"))
        (('c',), ())
    """
    prefix = "gate:retained_"
    return tuple(
        name.removeprefix(prefix) for name, _ in with_retention(program).emits if name.startswith(prefix)
    )


def retained_gate(program: Program, state: str) -> str | None:
    """The gate that is the share of a state retained, where one gate alone is it; None: a formula of several.

    Example:
        >>> from gatewise import cells
        >>> retained_gate(cells.get("lstm"), "c"), retained_gate(cells.get("lstm_coupled"), "c")
        ('f', None)
    """
    own = with_retention(program)
    nodes = [node for name, node in own.emits if name == f"gate:retained_{state}"]
    return next((label.name for label in own.labels if nodes and label.node == nodes[0]), None)


class _Walk:
    """Copies a program into a builder, and finds the factor of a state in its next value."""

    def __init__(self, program: Program, builder: Builder) -> None:
        self.program, self.builder = program, builder
        self.copies: dict[int, int] = {}
        for index, node in enumerate(program.nodes):
            self.copies[index] = builder.copy_node(node, [self.copies[i] for i in node.args])

    def shares(self) -> dict[str, int]:
        """The factor of each state that has one, as a value of the builder."""
        found = {}
        for state, node in zip(self.program.states, self.program.next, strict=True):
            share = self._share(node, state.name)
            if share is not None:
                found[state.name] = share
        return found

    def _share(self, index: int, state: str) -> int | None:
        """The factor of the state in a value; None where it is 0."""
        node, builder = self.program.nodes[index], self.builder
        if node.op == "state":
            return builder.const(1.0) if node.attribute == state else None
        shares = [self._share(i, state) for i in node.args] if node.op in _LINEAR else []
        if not any(share is not None for share in shares):
            return None
        zero = builder.const(0.0)
        one, two = ([zero if share is None else share for share in shares[-2:]] + [zero])[:2]
        if node.op in ("add", "sub"):
            return builder.apply(node.op, one, two)
        if node.op == "neg":
            return builder.apply("neg", one)
        if node.op == "select":
            return builder.apply("select", self.copies[node.args[0]], one, two)
        if node.op == "div":
            return builder.apply("div", one, self.copies[node.args[1]]) if shares[0] is not None else None
        if None not in shares:
            return None  # a square: no single factor
        factor = node.args[1] if shares[0] is not None else node.args[0]
        return builder.apply("mul", one if shares[0] is not None else two, self.copies[factor])


_LINEAR = ("add", "sub", "neg", "mul", "div", "select")
