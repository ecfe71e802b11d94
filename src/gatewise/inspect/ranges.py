"""Between which numbers a cell's gates and states stay, read off its equations by interval arithmetic.

A sigmoid gives 0 to 1 whatever it is fed, a tanh -1 to 1, and a mixture ``z * a + (1 - z) * b`` what lies between a
and b. A state's range is the least one that a step does not leave, from zero on (the fixed point of the step).

References:
    Moore 1966, "Interval analysis".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from gatewise.spec import Program

__all__ = ["Range", "gate_ranges", "state_ranges"]

Range = tuple[float, float]
_ALL: Range = (-math.inf, math.inf)
# Steps after which a state's range counts as unbounded.
_STEPS = 8


@lru_cache(maxsize=512)
def gate_ranges(program: Program) -> dict[str, Range]:
    """The range of each gate.

    Example:
        >>> from gatewise import cells
        >>> gate_ranges(cells.get("lstm"))["f"], gate_ranges(cells.get("lstm"))["g"]
        ((0.0, 1.0), (-1.0, 1.0))
    """
    ranges = _nodes(program, _settled(program))
    return {label.name: ranges[label.node] for label in program.labels}


def state_ranges(program: Program) -> dict[str, Range]:
    """The range of each state that starts at zero.

    Example:
        >>> from gatewise import cells
        >>> state_ranges(cells.get("gru")), state_ranges(cells.get("lstm"))
        ({'h': (-1.0, 1.0)}, {'h': (-1.0, 1.0), 'c': (-inf, inf)})
    """
    found = _settled(program)
    return {state.name: found[state.name] for state in program.states}


@lru_cache(maxsize=512)
def _settled(program: Program) -> dict[str, Range]:
    """The states' ranges: widened step by step; what has not settled by then is unbounded on that side."""
    held: dict[str, Range] = {state.name: (0.0, 0.0) for state in program.states}
    for step in range(2 * _STEPS):
        ranges = _nodes(program, held)
        new = {}
        for state, node in zip(program.states, program.next, strict=True):
            (low, high), (under, over) = held[state.name], ranges[node]
            if step >= _STEPS:
                under = -math.inf if under < low else under
                over = math.inf if over > high else over
            new[state.name] = (min(low, under), max(high, over))
        if new == held:
            return held
        held = new
    return {state.name: _ALL for state in program.states}


def _nodes(program: Program, states: dict[str, Range]) -> list[Range]:
    found: list[Range] = []
    for node in program.nodes:
        given = [found[i] for i in node.args]
        if node.op == "const":
            found.append((float(node.attribute), float(node.attribute)))  # type: ignore[arg-type]
        elif node.op == "state":
            found.append(states[str(node.attribute)])
        elif node.op == "spread":
            found.append(given[0])
        else:
            mixed = _mixture(program, len(found), found)
            found.append(_apply(node.op, given) if mixed is None else mixed)
    return found


def _apply(op: str, given: Sequence[Range]) -> Range:
    if op == "sigmoid":
        return (0.0, 1.0)
    if op == "tanh":
        return (-1.0, 1.0)
    if op in ("exp", "softplus"):
        return (0.0, math.inf)
    if op in ("add", "sub", "mul", "div"):
        return _binary(op, *given)
    if op == "neg":
        return (-given[0][1], -given[0][0])
    if op in ("relu", "sqrt", "abs"):
        low, high = given[0]
        return (max(low, 0.0), max(high, 0.0)) if op == "relu" else (0.0, math.inf)
    if op == "maximum":
        return (max(given[0][0], given[1][0]), max(given[0][1], given[1][1]))
    if op == "minimum":
        return (min(given[0][0], given[1][0]), min(given[0][1], given[1][1]))
    if op == "select":
        return (min(given[1][0], given[2][0]), max(given[1][1], given[2][1]))
    return _ALL


def _binary(op: str, one: Range, two: Range) -> Range:
    if op == "add":
        return (one[0] + two[0], one[1] + two[1])
    if op == "sub":
        return (one[0] - two[1], one[1] - two[0])
    if op == "div":
        return (0.0, math.inf) if one[0] >= 0 and two[0] >= 0 else _ALL
    ends = [_times(a, b) for a in one for b in two]
    return (min(ends), max(ends))


def _times(a: float, b: float) -> float:
    """A product in which nothing times anything is nothing."""
    return 0.0 if a == 0 or b == 0 else a * b


def _mixture(program: Program, index: int, found: list[Range]) -> Range | None:
    """The hull of a and b where a value is ``b + z * (a - b)`` or ``z * a + (1 - z) * b`` with z from 0 to 1."""
    nodes, node = program.nodes, program.nodes[index]
    if node.op != "add":
        return None
    for base, product in (node.args, node.args[::-1]):
        if nodes[product].op != "mul":
            continue
        for share, other in (nodes[product].args, nodes[product].args[::-1]):
            if not _is_share(found[share]):
                continue
            if nodes[other].op == "sub" and nodes[other].args[1] == base:
                return _hull(found[nodes[other].args[0]], found[base])
            if nodes[base].op == "mul":
                for rest, second in (nodes[base].args, nodes[base].args[::-1]):
                    if _is_rest(program, rest, share):
                        return _hull(found[other], found[second])
    return None


def _is_share(one: Range) -> bool:
    return one[0] >= 0.0 and one[1] <= 1.0


def _is_rest(program: Program, rest: int, share: int) -> bool:
    node = program.nodes[rest]
    if node.op != "sub" or node.args[1] != share:
        return False
    first = program.nodes[node.args[0]]
    return first.op == "const" and first.attribute == 1.0


def _hull(one: Range, two: Range) -> Range:
    return (min(one[0], two[0]), max(one[1], two[1]))
