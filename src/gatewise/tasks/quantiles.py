"""Quantiles as networks give and learn them: assembled so that they never cross, and the loss over those that count."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["assemble", "mean_counted", "pinball"]


def assemble(
    median: Float[Tensor, "*shape"], gaps: Float[Tensor, "*shape gaps"], levels: tuple[float, ...]
) -> Float[Tensor, "*shape levels"]:
    """Quantiles from the median and the gaps between neighbours: those below it from the median down, then up.

    Args:
        median: the quantile of level 0.5.
        gaps: positive, one per further level, in rising order of the levels.
        levels: rising, 0.5 among them.
    """
    middle = levels.index(0.5)
    below = median[..., None] - gaps[..., :middle].flip(-1).cumsum(-1).flip(-1)
    above = median[..., None] + gaps[..., middle:].cumsum(-1)
    return torch.cat([below, median[..., None], above], dim=-1)


def pinball(
    quantiles: Float[Tensor, "*shape levels"],
    target: Float[Tensor, "*shape"],
    counts: Bool[Tensor, "*shape"],
    levels: tuple[float, ...],
) -> Float[Tensor, ""]:
    """Mean pinball loss (Koenker & Bassett 1978) over the levels and the values that count.

    Args:
        quantiles: one per level, last dimension.
        target: what came.
        counts: whether a value counts; missing ones do not.
        levels: in 0 to 1.
    """
    level = torch.tensor(levels, dtype=quantiles.dtype, device=quantiles.device)
    error = target[..., None] - quantiles
    return mean_counted(torch.maximum(level * error, (level - 1) * error).mean(-1), counts)


def mean_counted(loss: Float[Tensor, "*shape"], counts: Bool[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """The mean over the values that count; 0 where none does."""
    return torch.where(counts, loss, 0.0).sum() / counts.sum().clamp(min=1)
