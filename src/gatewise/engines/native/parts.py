"""Which part of a program runs where: large products in torch before and after, everything else in the kernel.

A product that depends on no state is taken out of the time loop and done for all steps at once; so are the products
that only follow from the loop (the cotangent of the input) and the sums over time (the gradients of weights).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from gatewise.engines.schedule import POST, PRE, STATIC, schedule
from gatewise.spec.derivative import LEAVES
from gatewise.spec.program import Program

__all__ = ["PRODUCTS", "InputProduct", "Member", "Parts", "parts"]

PRODUCTS = ("linear", "linear_t")


@dataclass(frozen=True)
class Member:
    """One part of an input product.

    Attributes:
        part: The part's name.
        chain: The product's node and those of the additions that follow; the last is what comes out.
        biases: What is added, as "tensor.part".
    """

    part: str
    chain: tuple[int, ...]
    biases: tuple[str, ...]


@dataclass(frozen=True)
class InputProduct:
    """Products of one vector with parts of one matrix, and the biases that are added to them.

    Attributes:
        vector: The node that is multiplied.
        tensor: The matrix.
        members: Its parts.
        ahead: Whether the kernel computes them, a block of steps ahead of the loop, because nothing else reads them;
            otherwise torch does, as one product over all steps.
    """

    vector: int
    tensor: str
    members: tuple[Member, ...]
    ahead: bool = False


@dataclass(frozen=True)
class Parts:
    """Where each node of a program is computed.

    Attributes:
        static: Nodes without a batch axis that are needed.
        front: Nodes computed in torch before the loop, in order; members of input products are left out.
        inputs: The products that open the front part or stand alone, in order of their vectors.
        kernel: Nodes of the time loop.
        back: Nodes computed in torch after the loop, in order.
        ready: Nodes whose values are there before the kernel runs, as (time, batch, width).
    """

    static: tuple[int, ...]
    front: tuple[int, ...]
    inputs: tuple[InputProduct, ...]
    kernel: tuple[int, ...]
    back: tuple[int, ...]
    ready: frozenset[int]


@lru_cache(maxsize=1024)
def parts(program: Program) -> Parts:
    """Divides a program."""
    nodes, phases = program.nodes, schedule(program).phases
    needed = _ancestors(program, _results(program))
    early = [i for i in needed if phases[i] == PRE and nodes[i].op in PRODUCTS]
    front = {i for i in _ancestors(program, early) if phases[i] == PRE and nodes[i].op not in LEAVES}
    back: set[int] = set()
    for i in sorted(needed):
        if phases[i] == POST and (nodes[i].op in PRODUCTS or back.intersection(nodes[i].args)):
            back.add(i)
    inputs = _input_products(program, needed, front)
    absorbed = {i for product in inputs for member in product.members for i in member.chain}
    streams = {i for i in needed if nodes[i].op == "input"}
    fixed = {i for i in needed if phases[i] == STATIC}
    rest = needed - absorbed - fixed
    static = _ancestors(program, ({i for k in rest for i in nodes[k].args} | _results(program)) & fixed)
    ready = (
        {member.chain[-1] for product in inputs for member in product.members} | (front - absorbed) | streams
    )
    inside = rest - front - back - streams
    there = {i for i in streams if not nodes[i].boolean} | (front - absorbed)
    inputs = tuple(replace(group, ahead=_may_run_ahead(program, group, there, inside)) for group in inputs)
    return Parts(
        tuple(sorted(static)), tuple(sorted(front - absorbed)), inputs, tuple(sorted(inside)),
        tuple(sorted(back)), frozenset(ready),
    )  # fmt: skip


def _may_run_ahead(program: Program, group: InputProduct, there: set[int], inside: set[int]) -> bool:
    """Whether pointwise operations of the loop alone read what a group gives, and its vector is there before."""
    ends, wanted, users = {member.chain[-1] for member in group.members}, _results(program), program.users()
    readers = {user for end in ends for user in users[end]}
    pointwise = all(program.nodes[user].op not in PRODUCTS for user in readers)
    return group.vector in there and not ends & wanted and readers <= inside and pointwise


def _results(program: Program) -> set[int]:
    found = set(program.next) | {node for _, node in program.emits}
    found |= {i for entry in program.sums for i in entry.args}
    return found if program.output is None else found | {program.output}


def _ancestors(program: Program, roots: object) -> set[int]:
    found: set[int] = set()
    stack = list(roots)  # type: ignore[call-overload]
    while stack:
        index = stack.pop()
        if index not in found:
            found.add(index)
            stack.extend(program.nodes[index].args)
    return found


def _input_products(program: Program, needed: set[int], front: set[int]) -> tuple[InputProduct, ...]:
    """The linear nodes of the front part by vector and matrix, each followed along the biases that are added."""
    groups: dict[tuple[int, str], list[tuple[int, Member]]] = {}
    wanted = _results(program)
    users = [[user for user in listed if user in needed] for listed in program.users()]
    for index in sorted(front):
        node = program.nodes[index]
        if node.op != "linear":
            continue
        tensor, _, part = str(node.attribute).partition(".")
        spec = program.tensor(tensor)
        if spec.blocks > 1:
            continue
        chain, biases = [index], list[str]()
        while len(users[chain[-1]]) == 1 and chain[-1] not in wanted:
            user = users[chain[-1]][0]
            other = [program.nodes[i] for i in program.nodes[user].args if i != chain[-1]]
            if program.nodes[user].op != "add" or len(other) != 1 or other[0].op != "param":
                break
            if other[0].width != node.width:
                break
            biases.append(str(other[0].attribute))
            chain.append(user)
        member = Member(part, tuple(chain), tuple(biases))
        groups.setdefault((node.args[0], tensor), []).append((spec.part_index(part), member))
    found = [
        InputProduct(vector, tensor, tuple(member for _, member in sorted(listed, key=lambda pair: pair[0])))
        for (vector, tensor), listed in groups.items()
    ]
    return tuple(sorted(found, key=lambda product: min(member.chain[0] for member in product.members)))
