"""What each past input contributes to what a network says now: by gradients, or exactly by what a state retained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatewise.errors import ArgumentError, ShapeError
from gatewise.inspect.recording import Trace
from gatewise.nn.arguments import no_type_check

__all__ = ["Contributions", "integrated_gradients", "retained_contributions"]

# Points on the way: doubled until the parts add up to this share of the whole, or to this much where it is small.
_FEWEST, _MOST = 16, 256
_SHARE, _LEAST = 0.01, 0.01
# Steps times points of one call.
_TOGETHER = 4096

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Contributions:
    """What the inputs of each step add to one number.

    Attributes:
        scores: (time,) what each step adds.
        value: the number that is explained.
        base: what it is without the inputs: of inputs that are all zero, or of the state that it started from.
        gap: value - base - the scores' sum. Completeness asks for 0.
        points: at how many points a gradient was taken; 0 where the parts are exact.
        tolerance: the largest gap that counts as none.
    """

    scores: Scores
    value: float
    base: float
    gap: float
    points: int
    tolerance: float

    @property
    def complete(self) -> bool:
        """Whether the scores add up to what is to be explained."""
        return abs(self.gap) <= self.tolerance


@no_type_check
def integrated_gradients(
    function: Callable[[Tensor], Tensor], vectors: Float[Tensor, "time 1 width"], *,
    baseline: Tensor | None = None,
) -> Contributions:  # fmt: skip
    """Integrate the gradient of a number on the straight way from a baseline to the inputs.

    The integral is taken by Gauss and Legendre's rule, at as many points as completeness within 1 % needs, 256 at most.

    Args:
        function: (time, batch, width) vectors to (batch,) numbers, one for each sequence of the batch alone.
        vectors: (time, 1, width) the inputs of one sequence.
        baseline: of the same shape: inputs that say nothing; None for zeros.

    Raises:
        ShapeError: the vectors, the baseline or what the function gives are of another shape.

    Example:
        >>> from gatewise import nn
        >>> _ = torch.manual_seed(0)
        >>> lstm = nn.LSTM(3, 5).eval()
        >>> found = integrated_gradients(lambda x: lstm(x)[0][-1, :, 2], torch.randn(7, 1, 3))
        >>> found.scores.shape, found.complete
        ((7,), True)

    References:
        Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks", eq. 1 and proposition 1.
    """
    if not isinstance(vectors, Tensor) or vectors.dim() != 3 or vectors.shape[1] != 1 or not len(vectors):
        raise ShapeError(
            f"vectors: (time, 1, width) of at least one step is expected, came "
            f"{tuple(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__}"
        )
    start = torch.zeros_like(vectors) if baseline is None else baseline
    if start.shape != vectors.shape:
        raise ShapeError(f"baseline: {tuple(vectors.shape)} is expected, came {tuple(start.shape)}")
    with torch.no_grad():
        ends = function(torch.cat([start, vectors], dim=1))
        if ends.shape != (2,):
            raise ShapeError(
                f"function: (batch,) numbers, here (2,), are expected of it, came {tuple(ends.shape)}"
            )
        base, value = ends.double().tolist()
    tolerance = max(_SHARE * abs(value - base), _LEAST)
    points = _FEWEST
    while True:
        scores = _integral(function, start, vectors - start, points)
        gap = value - base - float(scores.sum())
        if abs(gap) <= tolerance or points >= _MOST:
            return Contributions(scores, value, base, gap, points, tolerance)
        points *= 2


@no_type_check
def retained_contributions(
    trace: Trace, state: str, unit: int, *, at: int = -1, row: int = 0
) -> Contributions:
    """Split a unit's state exactly into what each step wrote and what of that was retained.

    s_T = sum over t of (r_T ... r_(t+1)) u_t + (r_T ... r_1) s_0, with r_t the share retained (an LSTM's forget gate)
    and u_t = s_t - r_t s_(t-1) what the step wrote. It says when what is held was written, not why: gates
    count as given.

    Args:
        trace: of one call (`gatewise.inspect.trace`).
        state: a state of which a share is retained: c of an LSTM, h of a GRU.
        unit: its number.
        at: the step that is explained, among those that count; -1: the last in the layer's own direction.
        row: which sequence of the batch.

    Returns:
        A score for each step of the sequence that counts, in the order of time; those after `at` are 0.

    Raises:
        ArgumentError: there is no such state, unit, step or sequence.

    Example:
        >>> from gatewise import inspect, nn
        >>> _ = torch.manual_seed(0)
        >>> [one] = inspect.trace(nn.LSTM(3, 5), torch.randn(7, 1, 3))
        >>> found = retained_contributions(one, "c", 2)
        >>> (
        ...     found.complete,
        ...     bool(np.isclose(found.base + found.scores.sum(), one.states["c"][-1, 0, 2].item())),
        ... )
        (True, True)

    References:
        Murdoch & Szlam 2017, "Automatic rule extraction from long short term memory networks", eq. 8-10.
    """
    if state not in trace.retained:
        known = ", ".join(map(repr, trace.retained)) or "none"
        raise ArgumentError(
            f"state: one of which a share is retained ({known} in the cell {trace.layer.program.name!r}) is expected, "
            f"came {state!r}; use integrated_gradients, which needs none"
        )
    _check_place("row", row, trace.valid.shape[1])
    counts = trace.valid[:, row]
    values, share = (
        of[state][:, row][counts].double().cpu().numpy() for of in (trace.states, trace.retained)
    )
    _check_place("unit", unit, values.shape[1])
    if not -len(values) <= at < len(values):
        raise ArgumentError(f"at: a step of the sequence, {len(values)} long, is expected, came {at}")
    s, r = values[:, unit], share[:, unit]
    first = float(trace.start[state][row, unit])
    backward = bool(trace.layer.direction)
    if backward:
        s, r = s[::-1], r[::-1]
    place = at % len(s)
    if backward:
        # The last step of a layer that runs backwards is the first in time.
        place = len(s) - 1 if at == -1 else len(s) - 1 - place
    own, kept = s[: place + 1], r[: place + 1]
    wrote = own - kept * np.concatenate([[first], own[:-1]])
    later = np.concatenate([np.cumprod(kept[::-1])[::-1][1:], [1.0]])
    scores = np.zeros(len(s))
    scores[: place + 1] = later * wrote
    base, value = float(np.prod(kept) * first), float(own[-1])
    gap = value - base - float(scores.sum())
    # Each of the products and the sum rounds once a step, in double precision.
    size = float(np.abs(scores).sum()) + abs(base)
    tolerance = 4 * len(own) * float(np.finfo(np.float64).eps) * max(size, 1e-300)
    return Contributions(scores[::-1] if backward else scores, value, base, gap, 0, tolerance)


def _check_place(name: str, value: Any, count: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < count:
        raise ArgumentError(f"{name}: 0 to {count - 1} is expected, came {value!r}")


def _integral(function: Callable[[Tensor], Tensor], start: Tensor, way: Tensor, points: int) -> Scores:
    places, weights = np.polynomial.legendre.leggauss(points)
    share = torch.tensor((places + 1) / 2, dtype=way.dtype, device=way.device)
    own = torch.tensor(weights / 2, dtype=way.dtype, device=way.device)
    total = torch.zeros_like(way[:, 0])
    # A few points at a time: a long sequence is not held at all of them.
    size = max(1, _TOGETHER // len(way))
    for some, weight in zip(share.split(size), own.split(size), strict=True):
        with torch.enable_grad():
            on = (start + way * some[None, :, None]).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(function(on).sum(), on)
        total += (gradient * weight[None, :, None]).sum(1)
    return (total * way[:, 0]).sum(-1).double().cpu().numpy()
