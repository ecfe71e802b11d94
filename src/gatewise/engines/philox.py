"""Random masks from a counter: the same in every engine, on every device, in every order of time.

Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). The key is the seed, the
counter says which mask, step, row and unit, so that a mask can be made again in the backward pass, or by another
engine, without being stored.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["keep_mask", "philox"]

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Ten rounds of Philox 4x32 on int64 tensors that hold unsigned 32-bit numbers.

    Args:
        counter: Four broadcastable tensors.
        key: Two broadcastable tensors.

    Returns:
        Four tensors of 32 random bits each.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        # The low 64 bits of a product are right even where int64 wraps around.
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            ((p1 >> 32) & _LOW) ^ c1 ^ k0, p1 & _LOW, ((p0 >> 32) & _LOW) ^ c3 ^ k1, p0 & _LOW,
        )  # fmt: skip
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return c0, c1, c2, c3


def keep_mask(
    seed: Tensor, stream: int, probability: float, first_step: int, steps: int, rows: int, units: int
) -> Tensor:
    """Truth values that are false with the given probability.

    Args:
        seed: int64, shape ().
        stream: Which mask: site, layer and direction in one number below 2**32.
        probability: Of false, in [0, 1].
        first_step: Time of the first step.
        steps, rows, units: The shape.

    Returns:
        Boolean tensor (steps, rows, units).
    """
    device = seed.device
    quads = (units + 3) // 4
    time = torch.arange(first_step, first_step + steps, device=device).view(-1, 1, 1)
    row = torch.arange(rows, device=device).view(1, -1, 1)
    quad = torch.arange(quads, device=device).view(1, 1, -1)
    which = torch.full((1, 1, 1), stream, dtype=torch.int64, device=device)
    bits = philox((quad, row, time & _LOW, which), (seed & _LOW, (seed >> 32) & _LOW))
    number = torch.stack(torch.broadcast_tensors(*bits), dim=-1).reshape(steps, rows, quads * 4)[..., :units]
    return number >= round(probability * 2**32)
