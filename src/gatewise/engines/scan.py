"""The recurrence h_t = a_t * h_{t-1} + b_t for all steps at once.

A scan over pairs (a, b) by recursive doubling (Blelloch 1990, "Prefix sums and their applications"). It goes over
blocks of a fixed number of steps, one after the other, so that a product of coefficients never spans more than one
block: coefficients above one would overflow over long sequences where the loop would not.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["BLOCK", "linear_scan"]

BLOCK = 64


def linear_scan(
    a: Float[Tensor, "time batch width"],
    b: Float[Tensor, "time batch width"],
    first: Float[Tensor, "batch width"],
    *,
    reverse: bool = False,
    cuts: bool = False,
) -> Float[Tensor, "time batch width"]:
    """All values of h_t = a_t * h_{t-1} + b_t.

    Args:
        a, b: The coefficients of each step.
        first: The value before the first step (after the last one in reverse).
        reverse: Whether time runs from the last step to the first.
        cuts: Whether a coefficient of zero may stand for a value that was not chosen (a reset): then nothing passes it,
            an infinity or NaN neither.

    Example:
        >>> ones = torch.ones(4, 1, 1)
        >>> linear_scan(ones, ones, torch.zeros(1, 1)).flatten().tolist()
        [1.0, 2.0, 3.0, 4.0]
    """
    if reverse:
        return linear_scan(a.flip(0), b.flip(0), first, cuts=cuts).flip(0)
    times = _passed if cuts else torch.mul
    blocks = []
    for start in range(0, a.shape[0], BLOCK):
        block_a, block_b = a[start : start + BLOCK], b[start : start + BLOCK]
        head = block_b[:1] + times(block_a[:1], first)
        block = _scan(block_a, torch.cat([head, block_b[1:]]), times)
        blocks.append(block)
        first = block[-1]
    return torch.cat(blocks)


def _passed(a: Tensor, h: Tensor) -> Tensor:
    """The product, where a factor of zero lets nothing through."""
    return torch.where(a == 0, torch.zeros_like(a), a * h)


def _scan(a: Tensor, b: Tensor, times: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """h_t = a_t h_{t-1} + b_t with h_{-1} = 0: pairs are joined, scanned, and the steps between filled in."""
    steps = a.shape[0]
    if steps == 1:
        return b
    even_a, odd_a = a[0 : steps - 1 : 2], a[1::2]
    even_b, odd_b = b[0 : steps - 1 : 2], b[1::2]
    odd = _scan(times(odd_a, even_a), times(odd_a, even_b) + odd_b, times)
    result = torch.empty_like(b)
    result[1::2] = odd
    result[0] = b[0]
    if steps > 2:
        count = (steps - 1) // 2
        result[2::2] = times(a[2::2], odd[:count]) + b[2::2]
    return result
