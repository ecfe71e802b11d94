"""What a channel did over a sequence, in seven numbers that stand beside the recurrent layer's at the network's head.

A network of a few thousand sequences learns slowly that a mean or an extreme matters; gradient boosting is given them.
Here the network is given them too, through a layer of its own (after "wide and deep", Cheng et al. 2016).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gatewise.tasks.classify.pooling import valid_steps

__all__ = ["STATISTICS", "SummaryLayer", "summary_by_step", "summary_of", "summary_step"]

# First, last, mean, deviation, least and largest observed value, and the logarithm of how many.
STATISTICS = 7
_LEAST = 1e-6
# Standardised numbers beyond this are cut.
_CLIP = 5.0

Values = Float[Tensor, "time batch channels"]
Summary = Float[Tensor, "batch statistics"]


class SummaryLayer(nn.Module):
    """Standardises a summary, drops a part of it in training, and mixes it: a layer with a rectifier.

    Args:
        channels: of the sequences.
        width: numbers that come out.
        dropout: probability, in training.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(STATISTICS * channels))
        self.register_buffer("spread", torch.ones(STATISTICS * channels))
        self.dropout = nn.Dropout(dropout)
        self.inner = nn.Linear(STATISTICS * channels, width)

    def forward(self, summary: Float[Tensor, "*shape statistics"]) -> Float[Tensor, "*shape width"]:
        """The mixed numbers."""
        scaled = ((summary - self.centre) / self.spread).clamp(-_CLIP, _CLIP)
        return F.relu(self.inner(self.dropout(scaled)))

    def standardise(self, summaries: Float[Tensor, "sequences statistics"]) -> None:
        """Take mean and deviation from the training sequences' summaries."""
        self.centre.copy_(summaries.mean(0))
        spread = summaries.std(0, correction=0)
        self.spread.copy_(torch.where(spread > _LEAST, spread, 1.0))


def summary_of(values: Values, seen: Values, lengths: Tensor) -> Summary:
    """The numbers of whole sequences, (batch, 7 * channels); 0 for a channel of which nothing was observed.

    Args:
        values: scaled, carried forward where missing.
        seen: 1 where observed, else 0.
        lengths: (batch,).
    """
    own = (seen > 0) & valid_steps(lengths, len(values))[..., None]
    count = own.sum(0)
    known = torch.where(own, values, 0.0)
    first = values.gather(0, own.to(torch.uint8).argmax(0, keepdim=True))[0]
    last = values.gather(0, (lengths - 1).clamp(min=0)[None, :, None].expand(1, -1, values.shape[2]))[0]
    least = torch.where(own, values, torch.inf).amin(0)
    largest = torch.where(own, values, -torch.inf).amax(0)
    return _joined(first, last, least, largest, known.sum(0), known.square().sum(0), count)


def summary_step(values: Float[Tensor, "batch channels"], seen: Tensor, carry: Any) -> tuple[Summary, Any]:
    """The numbers of all that came so far, one step at a time; `carry` is None at the beginning."""
    own = seen > 0
    if carry is None:
        zero = torch.zeros_like(values)
        carry = (
            zero,
            torch.full_like(values, torch.inf),
            torch.full_like(values, -torch.inf),
            zero,
            zero,
            zero,
        )
    first, least, largest, total, squares, count = carry
    first = torch.where(own & (count == 0), values, first)
    least = torch.where(own, torch.minimum(least, values), least)
    largest = torch.where(own, torch.maximum(largest, values), largest)
    known = torch.where(own, values, 0.0)
    total, squares, count = total + known, squares + known.square(), count + own
    return _joined(first, values, least, largest, total, squares, count), (
        first, least, largest, total, squares, count,
    )  # fmt: skip


def summary_by_step(values: Values, seen: Values) -> Float[Tensor, "time batch statistics"]:
    """The numbers of every prefix."""
    carry: Any = None
    found = []
    for one, own in zip(values, seen, strict=True):
        numbers, carry = summary_step(one, own, carry)
        found.append(numbers)
    return torch.stack(found)


def _joined(
    first: Tensor, last: Tensor, least: Tensor, largest: Tensor, total: Tensor, squares: Tensor, count: Tensor
) -> Summary:
    some = count.clamp(min=1)
    mean = total / some
    # Values lie within 10 deviations, so that the difference of squares loses at most three of seven digits.
    spread = (squares / some - mean.square()).clamp(min=_LEAST).sqrt()
    there = count > 0
    parts = [torch.where(there, one, 0.0) for one in (first, last, mean, spread, least, largest)]
    return torch.cat([*parts, torch.log1p(count.to(mean.dtype))], dim=-1)
