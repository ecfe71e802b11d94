"""The network of a comparison: recurrent layers of a cell and a linear output; and the width that a budget allows."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gatewise.compare.variants import Variant
from gatewise.errors import ArgumentError
from gatewise.nn import Recurrent
from gatewise.spec import Program
from gatewise.spec.program import bind

__all__ = ["Network", "count_parameters", "nearest_width", "solve_width", "width_step"]

_WIDEST = 1 << 16
# Beyond the budget by so much, the narrowest network is no longer within it.
_SLACK = 1.1


class Network(nn.Module):
    """Recurrent layers and a linear output, at every step or after the last one.

    Args:
        variant: the cell and how it starts.
        inputs, outputs: numbers at each step, and of an answer.
        hidden_size, num_layers: of the recurrent layers.
        by_step: whether it answers at every step.
        span: steps of the longest dependency, for chrono initialisation.
        dropout: in training, between layers and before the output.
    """

    def __init__(
        self, variant: Variant, inputs: int, outputs: int, hidden_size: int, *, num_layers: int = 1,
        by_step: bool, span: int, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.by_step = by_step
        proj = _projected(variant.program, hidden_size)
        self.recurrent = Recurrent(
            variant.program, inputs, hidden_size, num_layers, proj_size=proj, init=variant.init,
            chrono_steps=variant.chrono_steps(span), dropout=dropout if num_layers > 1 else 0.0,
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        sizes = {"input": inputs, "hidden": hidden_size, "proj": proj}
        self.out = nn.Linear(int(bind(variant.program.output_width, sizes)), outputs)

    def forward(
        self, steps: Float[Tensor, "batch time inputs"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch *rest"]:
        """Answers, (batch, time, outputs) or (batch, outputs)."""
        whole = bool((lengths == steps.shape[1]).all())
        output, _ = self.recurrent(steps.transpose(0, 1), lengths=None if whole else lengths)
        if self.by_step:
            return self.out(self.dropout(output)).transpose(0, 1)
        last = output[-1] if whole else output[lengths - 1, torch.arange(len(lengths), device=output.device)]
        return self.out(self.dropout(last))


def count_parameters(
    program: Program, inputs: int, outputs: int, hidden_size: int, num_layers: int = 1
) -> int:
    """How many numbers `Network` learns, from the program's own shapes.

    Example:
        >>> from gatewise import cells
        >>> count_parameters(cells.get("gru"), 2, 1, 10)
        431
    """
    sizes = {"input": inputs, "hidden": hidden_size, "proj": _projected(program, hidden_size)}
    width = int(bind(program.output_width, sizes))
    layers = [sizes, *([{**sizes, "input": width}] * (num_layers - 1))]
    recurrent = sum(math.prod(program.shape(spec, own)) for own in layers for spec in program.tensors)
    return recurrent + (width + 1) * outputs


def solve_width(program: Program, inputs: int, outputs: int, parameters: int, num_layers: int = 1) -> int:
    """The hidden size whose network comes nearest to a number of parameters.

    A cell of several heads gets a multiple of their number. The count grows with the width, so that halving finds it;
    of two widths that are equally near, the narrower is taken.

    Raises:
        ArgumentError: the narrowest network is more than a tenth too large, or the budget is beyond 65,536 units.

    Example:
        >>> from gatewise import cells
        >>> [solve_width(cells.get(name), 2, 1, 10_000) for name in ("rnn_tanh", "gru", "lstm")]
        [98, 56, 48]
    """

    def count(width: int) -> int:
        return count_parameters(program, inputs, outputs, width, num_layers)

    return nearest_width(count, parameters, step=width_step(program), name=program.name)


def width_step(program: Program) -> int:
    """What a cell's hidden size must be a multiple of: the number of its heads, or 1."""
    return math.lcm(*(spec.blocks for spec in program.tensors))


def nearest_width(count: Callable[[int], int], parameters: int, *, step: int, name: str) -> int:
    """The width whose count comes nearest to a number; of two equally near, the narrower.

    Args:
        count: the parameters of a network of some width; it never falls.
        parameters: how many are wanted.
        step: widths are multiples of it.
        name: of the cell, for the message.

    Raises:
        ArgumentError: as `solve_width`.

    Example:
        >>> nearest_width(lambda width: width * width, 50, step=1, name="square")
        7
    """
    low, high = 1, 2
    if count(step) > _SLACK * parameters:
        raise ArgumentError(
            f"budget: {parameters:,} parameters are too few for {name!r}: its narrowest network has {count(step):,}; "
            "give more, or leave this cell out"
        )
    while count(high * step) < parameters:
        low, high = high, 2 * high
        if high * step > _WIDEST:
            raise ArgumentError(
                f"budget: {parameters:,} parameters need more than {_WIDEST:,} units; give fewer"
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle * step) <= parameters else (low, middle)
    nearer = low if parameters - count(low * step) <= count(high * step) - parameters else high
    return nearer * step


def _projected(program: Program, hidden_size: int) -> int:
    """The width of the projection, for a cell that has one: half of the units."""
    widths = [state.width for state in (*program.inputs, *program.states)]
    widths += [width for tensor in program.tensors for _, width in tensor.parts]
    return max(1, hidden_size // 2) if "proj" in widths else 0
