"""Dropout with one mask for all steps of a sequence."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["locked_dropout"]


def locked_dropout(
    x: Float[Tensor, "time batch features"], rate: float, training: bool
) -> Float[Tensor, "time batch features"]:
    """Drop the same features of a sequence at every step (Gal & Ghahramani 2016).

    Args:
        x: (time, batch, features).
        rate: probability of dropping, 0 to 1 (exclusive).
        training: whether anything is dropped at all.

    Returns:
        (time, batch, features), kept features scaled so that the mean stays.
    """
    if not training or rate == 0.0:
        return x
    return x * F.dropout(x.new_ones(1, *x.shape[1:]), rate)
