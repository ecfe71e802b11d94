"""The stages of a step: where pointwise work is not enough and a product or a sum over units comes between.

A kernel runs a stage tile by tile; between two stages the values that one writes and another reads must be whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatewise.spec.program import Program

__all__ = ["Stage", "stages"]

BARRIERS = ("linear", "linear_t", "sum")


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        hoisted: Whether it depends on no state and can run for all steps before the loop.
        nodes: The nodes computed in it, products and sums that open it first.
        reads: Nodes of earlier stages, states and inputs that it reads.
        writes: Nodes that a later stage or a result needs.
        products: The weights of the products that open it.
        sums: How many sums over units open it.
    """

    hoisted: bool
    nodes: tuple[int, ...]
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    products: tuple[str, ...]
    sums: int


def stages(program: Program) -> tuple[Stage, ...]:
    """The stages of a program in the order in which they run: the hoisted one first, if there is one.

    Example:
        >>> from gatewise import cells
        >>> [len(stage.products) for stage in stages(cells.get("gru_reset_before"))]
        [3, 2, 1]
    """
    level = _levels(program)
    results = {*program.next, *(node for _, node in program.emits)}
    results |= {argument for entry in program.sums for argument in entry.args}
    if program.output is not None:
        results.add(program.output)
    found = []
    for number in sorted(set(level) - {None}, key=lambda item: -1 if item is None else item):
        nodes = tuple(i for i, own in enumerate(level) if own == number)
        inside = set(nodes)
        reads = {a for i in nodes for a in program.nodes[i].args if a not in inside}
        used_later = {a for i, own in enumerate(level) if own != number for a in program.nodes[i].args}
        opening = [i for i in nodes if program.nodes[i].op in BARRIERS]
        products = [_weights(program, i) for i in opening if program.nodes[i].op != "sum"]
        found.append(
            Stage(
                number == 0,
                nodes,
                tuple(sorted(a for a in reads if program.varies[a])),
                tuple(i for i in nodes if i in results or i in used_later),
                tuple(name for names in products for name in names),
                sum(program.nodes[i].op == "sum" for i in opening),
            )
        )
    return tuple(found)


def _levels(program: Program) -> list[int | None]:
    """Stage number of each node: 0 hoisted, 1 and up in the loop; None for leaves, parameters and numbers."""
    level: list[int | None] = []
    for index, node in enumerate(program.nodes):
        if not node.args or not program.varies[index]:
            level.append(None)
        elif not program.depends_on_state[index]:
            level.append(0)
        else:
            before = max([level[i] or 0 for i in node.args if program.depends_on_state[i]], default=0)
            level.append(before + 1 if node.op in BARRIERS else max(before, 1))
    return level


def _weights(program: Program, index: int) -> tuple[str, ...]:
    attribute = program.nodes[index].attribute
    return (attribute,) if isinstance(attribute, str) else tuple(str(item) for item in attribute or ())  # type: ignore[union-attr]
