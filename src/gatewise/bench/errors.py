"""How far float32 is from float64: the native engine's numbers and torch.nn's, on the same inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gatewise import nn
from gatewise.bench.rows import GATES, Error, Shape

__all__ = ["errors"]


def errors(shapes: Sequence[Shape]) -> Iterator[Error]:
    """Whole sequences, forward and backward, from random weights and a random cotangent.

    Args:
        shapes: (batch, steps, input, hidden) of each comparison.

    Example:
        >>> {found.result for found in errors([(2, 8, 4, 8)])} >= {
        ...     "output",
        ...     "input's gradient",
        ...     "weight_hh_l0",
        ... }
        True
    """
    for kind in GATES:
        for batch, steps, width, hidden in shapes:
            generator = torch.Generator().manual_seed(0)
            theirs = getattr(torch.nn, kind)(width, hidden)
            ours = getattr(nn, kind)(width, hidden, engine="native")
            exact = getattr(torch.nn, kind)(width, hidden).double()
            ours.load_state_dict(theirs.state_dict())
            exact.load_state_dict(theirs.state_dict())
            x = torch.randn(steps, batch, width, generator=generator)
            cotangent = torch.randn(steps, batch, hidden, generator=generator)
            truth = _results(exact, x.double(), cotangent.double())
            found = [_results(module, x, cotangent) for module in (ours, theirs)]
            for result, value in truth.items():
                mine, other = (_distance(one[result], value) for one in found)
                yield Error(kind, (batch, steps, width, hidden), result, mine, other)


def _results(module: Any, x: Tensor, cotangent: Tensor) -> dict[str, Tensor]:
    x = x.clone().requires_grad_()
    output: Tensor = module(x)[0]
    output.backward(cotangent)
    gradients = {name: weight.grad for name, weight in module.named_parameters()}
    return {"output": output.detach(), "input's gradient": x.grad, **gradients}  # type: ignore[dict-item]


def _distance(found: Tensor, truth: Tensor) -> float:
    return float((found.double() - truth).square().mean().sqrt() / truth.square().mean().sqrt())
