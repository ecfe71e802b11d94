"""Runs any program over time in torch: input products before the loop, gradients after it, scans where allowed.

Used inside the operator, where autograd does not look; derivatives come as programs of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatewise.engines.generate import loop_function, step_function
from gatewise.engines.reference import random_masks
from gatewise.engines.scan import linear_scan
from gatewise.engines.schedule import schedule
from gatewise.engines.sizes import sizes_of, template
from gatewise.spec.linearity import coefficients
from gatewise.spec.program import Program, TensorSpec, bind

__all__ = ["RunResult", "gradient", "run", "run_step"]


@dataclass(frozen=True)
class RunResult:
    """What a run gives.

    Attributes:
        sequences: "output" and "emit:<name>" to (time, batch, width).
        states: The final states, (batch, width).
        gradients: The sums, one for each of the program's gradient tensors.
        fresh: Whether every tensor is contiguous and has memory of its own.
    """

    sequences: dict[str, Tensor]
    states: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]
    fresh: bool = False


def run(
    program: Program,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    tensors: Sequence[Tensor],
    *,
    reverse: bool = False,
    seed: Tensor | None = None,
    stream: int = 0,
    start: int = 0,
    allow_scan: bool = True,
) -> RunResult:
    """Runs a program over all steps; arguments as in :func:`gatewise.engines.reference.unroll`."""
    sizes = sizes_of(program, inputs, states, tensors)
    steps, rows = _extent(inputs, states)
    like = template(inputs, states)
    drawn = random_masks(program, seed, stream, start, steps, rows, sizes)
    masks = {node: mask.expand(steps, -1, -1) for node, mask in drawn.items()}
    scan = allow_scan and steps > 1 and bool(program.states) and program.is_linear_in_state
    plan = schedule(program, scan)
    final: tuple[Tensor, ...]
    if steps == 0:
        values: dict[int, Tensor] = {}
        final = tuple(states)
    else:
        order = range(steps - 1, -1, -1) if reverse else range(steps)
        previous: list[Tensor] = []
        following: list[Tensor] = []
        if scan:
            previous, following = _scan(program, inputs, states, tensors, sizes, masks, order, steps, reverse)
        function = loop_function(program, scan)
        wanted, final = function(
            inputs, states, tensors, masks, sizes, like, order, steps, previous, following
        )
        if scan:
            final = tuple(sequence[0 if reverse else -1] for sequence in following)
        values = dict(zip(plan.wanted, wanted, strict=True))

    def full(node: int) -> Tensor:
        """A wanted value with its time and batch axes, also where it is the same at every step."""
        width = bind(program.nodes[node].width, sizes)
        if steps == 0:
            return like.new_zeros((0, rows, width))
        value, shape = values[node], (steps, rows, width)
        return value if value.shape == shape else value.expand(shape)  # a view could not be changed in place

    given = [] if program.output is None else [("output", program.output)]
    given += [(f"emit:{name}", node) for name, node in program.emits]
    widths = [bind(state.width, sizes) for state in program.states]
    return RunResult(
        {name: full(node) for name, node in given},
        tuple(value.expand(rows, width) for value, width in zip(final, widths, strict=True)),
        tuple(gradient(program, spec, sizes, full, like) for spec in program.gradients),
    )


def _extent(inputs: Sequence[Tensor], states: Sequence[Tensor]) -> tuple[int, int]:
    if inputs:
        return inputs[0].shape[0], inputs[0].shape[1]
    return 0, states[0].shape[0]


def _scan(
    program: Program, inputs: Sequence[Tensor], states: Sequence[Tensor], tensors: Sequence[Tensor],
    sizes: Mapping[str, Any], masks: Mapping[int, Tensor], order: range, steps: int, reverse: bool,
) -> tuple[list[Tensor], list[Tensor]]:  # fmt: skip
    """The states before and after every step, by a parallel scan over their coefficients."""
    pair = coefficients(program)
    if pair is None:
        raise ValueError(f"program {program.name!r} is not linear in its states")
    used = {stream.name: x for stream, x in zip(program.inputs, inputs, strict=True)}
    known = {spec.name: tensor for spec, tensor in zip(program.tensors, tensors, strict=True)}
    pair_masks = _masks_of(program, pair, masks)
    rows = _extent(inputs, states)[1]
    wanted, _ = loop_function(pair)(
        [used[stream.name] for stream in pair.inputs] or inputs, (),
        [known[spec.name] for spec in pair.tensors], pair_masks, sizes, template(inputs, states), order, steps, (), (),
    )  # fmt: skip
    by_node = dict(zip(schedule(pair).wanted, wanted, strict=True))
    cuts = any(node.op == "select" for node in pair.nodes)
    previous, following = [], []
    for k, (state, first) in enumerate(zip(program.states, states, strict=True)):
        shape = (steps, rows, bind(state.width, sizes))
        a, b = (by_node[pair.emits[2 * k + j][1]].expand(shape) for j in (0, 1))
        sequence = linear_scan(a, b, first, reverse=reverse, cuts=cuts)
        shifted = [sequence[1:], first[None]] if reverse else [first[None], sequence[:-1]]
        previous.append(torch.cat(shifted))
        following.append(sequence)
    return previous, following


def _masks_of(program: Program, other: Program, masks: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """The same random masks under the node numbers of another program."""
    by_attribute = {program.nodes[node].attribute: mask for node, mask in masks.items()}
    return {k: by_attribute[n.attribute] for k, n in enumerate(other.nodes) if n.op == "keep"}


def gradient(
    program: Program, spec: TensorSpec, sizes: Mapping[str, Any], full: Callable[[int], Tensor], like: Tensor
) -> Tensor:
    """One parameter's gradient: outer products or values, summed over time and batch."""
    parts = [name for name, _ in spec.parts]
    entries = [entry for entry in program.sums if entry.tensor == spec.name]
    entries.sort(key=lambda entry: parts.index(entry.part))
    whole = [entry.part for entry in entries] == parts
    if spec.kind == "matrix" and spec.blocks == 1 and whole and len({e.args[1] for e in entries}) == 1:
        left = torch.cat([full(entry.args[0]) for entry in entries], -1).flatten(0, 1)
        return outer_products(left, full(entries[0].args[1]).flatten(0, 1))
    result = like.new_zeros(program.shape(spec, sizes))
    start = 0
    for part, width in spec.parts:
        rows = slice(start, start + bind(width, sizes))
        start = rows.stop
        for entry in entries:
            if entry.part == part:
                result[rows] += _summed([full(i).flatten(0, 1) for i in entry.args], spec.blocks)
    return result


def outer_products(left: Tensor, right: Tensor) -> Tensor:
    """The sum over rows of left's outer with right's: (rows, m) and (rows, n) to (m, n).

    BLAS is 5 to 25 times slower where the second factor of the product is a few columns wide, as an input of a few
    features is, so the wider one comes second (39,000 rows, 256 and 3 wide, one Zen 4 core: 64 ms and 16 ms).
    """
    if right.shape[1] < left.shape[1]:
        return (right.t() @ left).t().contiguous()
    return left.t() @ right


def _summed(values: list[Tensor], blocks: int) -> Tensor:
    if len(values) == 1:
        return values[0].sum(0)
    u, v = values
    if blocks == 1:
        return outer_products(u, v)
    outer = torch.einsum("nbi,nbj->bij", u.unflatten(-1, (blocks, -1)), v.unflatten(-1, (blocks, -1)))
    return outer.flatten(0, 1)


def run_step(
    program: Program, inputs: Sequence[Tensor], states: Sequence[Tensor], tensors: Sequence[Tensor],
    sizes: Mapping[str, Any], masks: Mapping[int, Tensor],
) -> tuple[Tensor, tuple[Tensor, ...]]:  # fmt: skip
    """One step of a program that has an output: (output, next states)."""
    output, _, following = step_function(program)(
        inputs, states, tensors, masks, sizes, template(inputs, states)
    )
    return output[0], following
