"""The readable time loop: what every other engine is tested against.

One step is evaluated node by node in the order of the program, in torch operations that autograd follows, so it
runs any float dtype on any device and is differentiable as often as torch is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from gatewise.engines.philox import keep_mask
from gatewise.engines.sizes import sizes_of, template
from gatewise.spec.operations import OPERATIONS
from gatewise.spec.program import Node, Program, TensorSpec, bind

__all__ = ["evaluate", "product", "random_masks", "torch_form", "unroll", "weight_part"]


@cache
def torch_form(op: str) -> Any:
    """The table's torch form as a function."""
    row = OPERATIONS[op]
    return eval(f"lambda {', '.join(row.arguments)}: {row.torch}", {"torch": torch, "F": F})


def weight_part(tensor: Tensor, spec: TensorSpec, part: str, sizes: Mapping[str, Any]) -> Tensor:
    """The rows of one named part of a parameter tensor."""
    start = 0
    for name, width in spec.parts:
        rows = bind(width, sizes)
        if name == part:
            return tensor[start : start + rows]
        start += rows
    raise KeyError(part)


def product(vector: Tensor, weight: Tensor, blocks: int, transposed: bool = False) -> Tensor:
    """Weight times vector over the last axis, block by block where the matrix is block-diagonal."""
    if blocks == 1:
        return vector @ weight if transposed else F.linear(vector, weight)
    rows, columns = weight.shape
    blocked = weight.view(blocks, rows // blocks, columns)
    split = vector.unflatten(-1, (blocks, -1))
    pattern = "...bi,bij->...bj" if transposed else "...bj,bij->...bi"
    return torch.einsum(pattern, split, blocked).flatten(-2)


def evaluate(
    program: Program,
    inputs: Mapping[str, Tensor],
    states: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    sizes: Mapping[str, Any],
    masks: Mapping[int, Tensor],
) -> list[Tensor]:
    """All values of one step.

    Args:
        program: The step.
        inputs, states: By name, (batch, width).
        tensors: Parameters by name.
        sizes: What the symbolic widths stand for.
        masks: The random truth values by node.

    Returns:
        One tensor a node; parameters and numbers have no batch axis.
    """
    like = template(list(inputs.values()), list(states.values()))
    values: list[Tensor] = []
    for index, node in enumerate(program.nodes):
        args = [values[i] for i in node.args]
        values.append(_value(program, index, node, args, inputs, states, tensors, sizes, masks, like))
    return values


def _value(
    program: Program, index: int, node: Node, args: list[Tensor], inputs: Mapping[str, Tensor],
    states: Mapping[str, Tensor], tensors: Mapping[str, Tensor], sizes: Mapping[str, Any],
    masks: Mapping[int, Tensor], like: Tensor,
) -> Tensor:  # fmt: skip
    op, attribute = node.op, node.attribute
    if op in OPERATIONS:
        result: Tensor = torch_form(op)(*args)
        return result
    if op == "const":
        return like.new_tensor(attribute)
    if op == "input":
        return inputs[str(attribute)]
    if op == "state":
        return states[str(attribute)]
    if op == "keep":
        return masks[index]
    if op == "inverse_width":
        return like.new_tensor(1.0 / bind(_width(attribute), sizes))
    if op == "sum":
        return args[0].sum(-1, keepdim=True)
    if op == "spread":
        return (
            args[0].expand(*args[0].shape[:-1], bind(node.width, sizes))
            if args[0].dim()
            else args[0].expand(*like.shape[:-1], bind(node.width, sizes))
        )
    references = (str(attribute),) if isinstance(attribute, str) else tuple(map(str, attribute))  # type: ignore[arg-type]
    spec = program.tensor(references[0].split(".")[0])
    parts = [weight_part(tensors[spec.name], spec, r.split(".")[1], sizes) for r in references]
    if op == "param":
        return parts[0]
    if op == "linear":
        return product(args[0], parts[0], spec.blocks)
    terms = [product(a, part, spec.blocks, transposed=True) for a, part in zip(args, parts, strict=True)]
    return torch.stack(terms).sum(0) if len(terms) > 1 else terms[0]


def _width(attribute: object) -> str | int:
    return attribute if isinstance(attribute, str) else int(attribute)  # type: ignore[call-overload]


def random_masks(
    program: Program,
    seed: Tensor | None,
    stream: int,
    start: int,
    steps: int,
    rows: int,
    sizes: Mapping[str, Any],
) -> dict[int, Tensor]:
    """The random truth values of a run, (steps, rows, units) by node; (1, rows, units) for one a sequence."""
    masks: dict[int, Tensor] = {}
    for index, node in enumerate(program.nodes):
        if node.op == "keep":
            if seed is None:
                raise ValueError("seed: expected a tensor, since the program draws random masks")
            site, probability, per = cast(tuple[int, float, str], node.attribute)
            number = (site << 24) | stream
            once = per == "sequence"
            masks[index] = keep_mask(
                seed, number, probability, 0 if once else start, 1 if once else steps, rows,
                bind(node.width, sizes),
            )  # fmt: skip
    return masks


def unroll(
    program: Program,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    tensors: Sequence[Tensor],
    *,
    reverse: bool = False,
    seed: Tensor | None = None,
    stream: int = 0,
    start: int = 0,
) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
    """Runs a program over time, one step after the other.

    Args:
        program: What to run.
        inputs: One (time, batch, width) for each of its inputs.
        states: One (batch, width) for each of its states.
        tensors: Its parameters in their order.
        reverse: Whether to run from the last step to the first.
        seed: int64 tensor of shape (), for random masks.
        stream: Layer and direction in one number, for random masks.
        start: The time of the first step, for random masks.

    Returns:
        The output and emits as (time, batch, width), by "output" and "emit:<name>", and the final states.
    """
    sizes = sizes_of(program, inputs, states, tensors)
    by_name = dict(zip((t.name for t in program.tensors), tensors, strict=True))
    steps = inputs[0].shape[0]
    masks = random_masks(program, seed, stream, start, steps, inputs[0].shape[1], sizes)
    given = ([("output", program.output)] if program.output is not None else []) + [
        (f"emit:{name}", node) for name, node in program.emits
    ]
    rows: dict[str, list[Tensor]] = {name: [] for name, _ in given}
    current = dict(zip((s.name for s in program.states), states, strict=True))
    order = range(steps - 1, -1, -1) if reverse else range(steps)
    for t in order:
        step_inputs = {s.name: x[t] for s, x in zip(program.inputs, inputs, strict=True)}
        step_masks = {node: mask[t if mask.shape[0] > 1 else 0] for node, mask in masks.items()}
        values = evaluate(program, step_inputs, current, by_name, sizes, step_masks)
        for name, node in given:
            rows[name].append(values[node])
        current = {s.name: values[node] for s, node in zip(program.states, program.next, strict=True)}
    if reverse:
        rows = {name: listed[::-1] for name, listed in rows.items()}
    sequences = {
        name: torch.stack(rows[name])
        if steps
        else inputs[0].new_zeros(0, inputs[0].shape[1], bind(program.nodes[node].width, sizes))
        for name, node in given
    }
    return sequences, tuple(current[state.name] for state in program.states)
