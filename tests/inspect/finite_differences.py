"""An oracle for gradient flow: the readable time loop, its states moved by a little, and the quotient.

Each sequence is cut to its own length and run alone, layer by layer, so that nothing of masks, batches or
derivatives is shared with what is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gatewise import nn
from gatewise.engines.reference import unroll

STEP = 2e-6
"""Central differences in float64 err by STEP^2 / 6 = 7e-13 of the third derivative and, by rounding, by about
1e-16 / STEP = 5e-11 of the loss, which is of size 10."""


@dataclass(frozen=True)
class Push:
    """Which state is moved: of a layer and direction, after a step in time (-1 or the length: the first state)."""

    layer: int
    direction: int
    time: int


def is_output(module: nn.Recurrent) -> int | None:
    """Which state of a cell is its output: the first, except for SRU, whose output h is no state."""
    return None if module.program.name == "sru" else 0


def run(
    module: nn.Recurrent, x: Tensor, streams: Mapping[str, Tensor] | None, hx: tuple[Tensor, ...], push: Push | None,
    deltas: list[Tensor],
) -> tuple[Tensor, list[list[Tensor]]]:  # fmt: skip
    """One sequence, as often as there are deltas, each with its state moved by its own.

    Args:
        x: (time, input).
        hx: (layers * directions, width) for each state.
        push: Where.
        deltas: (copies, width) for each state.

    Returns:
        The output (time, copies, features) and by layer * directions + direction the final states.
    """
    copies = deltas[0].shape[0]
    inputs = [x, *(streams or {}).values()]
    current = [stream[:, None].expand(-1, copies, -1) for stream in inputs]
    directions, finals = 2 if module.bidirectional else 1, []
    for layer in range(module.num_layers):
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            states = [h[index].expand(copies, -1) for h in hx]
            here = push is not None and (push.layer, push.direction) == (layer, direction)
            output, states = _layer(module, index, current, states, push.time if here else None, deltas)
            outputs.append(output)
            finals.append(states)
        joined = torch.cat(outputs, -1)
        current = [joined + current[0] if module.residual and layer else joined]
    return current[0], finals


def _layer(
    module: nn.Recurrent, index: int, inputs: list[Tensor], states: list[Tensor], pushed: int | None,
    deltas: list[Tensor],
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    backwards = module.reverse or (module.bidirectional and index % 2 == 1)
    steps = inputs[0].shape[0]
    order = range(steps - 1, -1, -1) if backwards else range(steps)
    rows: dict[int, Tensor] = {}
    if pushed == (steps if backwards else -1):
        states = [s + d for s, d in zip(states, deltas, strict=True)]
    for t in order:
        piece = [x[t : t + 1] for x in inputs]
        sequences, new = unroll(
            module.program, piece, states, [w.detach() for w in module.all_weights[index]]
        )
        states, rows[t] = list(new), sequences["output"][0]
        if t == pushed:
            states = [s + d for s, d in zip(states, deltas, strict=True)]
            which = is_output(module)
            if which is not None:
                rows[t] = states[which]
    return torch.stack([rows[t] for t in range(steps)]), states


def moves(widths: list[int]) -> list[Tensor]:
    """One copy for each unit of all states and each sign: (2 * width, width of the state) for each state."""
    eye = STEP * torch.eye(sum(widths), dtype=torch.float64)
    return list(torch.cat([eye, -eye]).split(widths, -1))


def quotient(values: Tensor) -> Tensor:
    """(width, ...) central differences of (2 * width, ...) values."""
    ahead, behind = values.chunk(2)
    return (ahead - behind) / (2 * STEP)


def loss_gradient(
    module: nn.Recurrent, x: Tensor, streams: Mapping[str, Tensor] | None, hx: tuple[Tensor, ...], push: Push,
    loss: Callable[[Tensor, list[list[Tensor]]], Tensor],
) -> list[Tensor]:  # fmt: skip
    """d loss / d state for one sequence; the loss is (copies,) from the output and the final states."""
    widths = [h.shape[-1] for h in hx]
    output, finals = run(module, x, streams, hx, push, moves(widths))
    return list(quotient(loss(output, finals)).split(widths))


def jacobian(
    module: nn.Recurrent, x: Tensor, streams: Mapping[str, Tensor] | None, hx: tuple[Tensor, ...], push: Push
) -> Tensor:
    """d h_T / d h_t for one sequence, all states together: (after, before)."""
    widths = [h.shape[-1] for h in hx]
    directions = 2 if module.bidirectional else 1
    _, finals = run(module, x, streams, hx, push, moves(widths))
    return quotient(torch.cat(finals[push.layer * directions + push.direction], -1)).T
