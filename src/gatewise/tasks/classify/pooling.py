"""From the steps of a sequence to one vector: the last step, the mean of all, or attention.

Each way also gives what it would give if the sequence ended at each step (`by_step`), and takes one step at a time
(`step`), with the same numbers: that is what streams need.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = ["POOLINGS", "AttentionPooling", "LastPooling", "MeanPooling", "Pooling", "valid_steps"]

Steps = Float[Tensor, "time batch width"]


def valid_steps(lengths: Tensor, time: int) -> Bool[Tensor, "time batch"]:
    """Which steps of a padded batch are there.

    Args:
        lengths: (batch,).
        time: of the padded batch.
    """
    return torch.arange(time, device=lengths.device)[:, None] < lengths


class Pooling(nn.Module):
    """Base: `forward` for whole sequences, `by_step` for every prefix, `step` for streams."""

    def forward(self, steps: Steps, lengths: Tensor) -> Float[Tensor, "batch width"]:
        """Pool whole sequences of (batch,) lengths."""
        raise NotImplementedError

    def by_step(self, steps: Steps) -> Steps:
        """Pool every prefix: entry t is of the steps up to t."""
        carry: Any = None
        pooled = []
        for one in steps:
            own, carry = self.step(one, carry)
            pooled.append(own)
        return torch.stack(pooled)

    def step(self, one: Float[Tensor, "batch width"], carry: Any) -> tuple[Float[Tensor, "batch width"], Any]:
        """Take one more step; `carry` is None at the beginning."""
        raise NotImplementedError


class LastPooling(Pooling):
    """The last step of each sequence; of the half that runs backwards in time, the first.

    Args:
        backward: how many of the features, the last ones, run backwards.
    """

    def __init__(self, backward: int = 0) -> None:
        super().__init__()
        self.backward = backward

    def forward(self, steps: Steps, lengths: Tensor) -> Float[Tensor, "batch width"]:
        """Pool whole sequences."""
        last = (lengths - 1).clamp(min=0)
        found = steps.gather(0, last[None, :, None].expand(1, -1, steps.shape[2]))[0]
        if not self.backward:
            return found
        cut = steps.shape[2] - self.backward
        return torch.cat([found[:, :cut], steps[0, :, cut:]], dim=1)

    def by_step(self, steps: Steps) -> Steps:
        """Every step is the last of its prefix."""
        return steps

    def step(self, one: Float[Tensor, "batch width"], carry: Any) -> tuple[Float[Tensor, "batch width"], Any]:
        """This step."""
        return one, None


class MeanPooling(Pooling):
    """The mean over a sequence's steps."""

    def forward(self, steps: Steps, lengths: Tensor) -> Float[Tensor, "batch width"]:
        """Pool whole sequences."""
        there = valid_steps(lengths, steps.shape[0])[..., None]
        return torch.where(there, steps, 0.0).sum(0) / lengths.clamp(min=1)[:, None]

    def step(self, one: Float[Tensor, "batch width"], carry: Any) -> tuple[Float[Tensor, "batch width"], Any]:
        """The mean so far."""
        total, count = (one, 1) if carry is None else (carry[0] + one, carry[1] + 1)
        return total / count, (total, count)


class AttentionPooling(Pooling):
    """A weighted mean whose weights are learned: softmax of v tanh(W h + b) (Yang et al. 2016, eq. 5 to 7).

    Args:
        width: of a step.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, steps: Steps, lengths: Tensor) -> Float[Tensor, "batch width"]:
        """Pool whole sequences."""
        there = valid_steps(lengths, steps.shape[0])[..., None]
        scores = torch.where(there, self._scores(steps), -torch.inf)
        return (torch.softmax(scores, dim=0) * torch.where(there, steps, 0.0)).sum(0)

    def step(self, one: Float[Tensor, "batch width"], carry: Any) -> tuple[Float[Tensor, "batch width"], Any]:
        """The weighted mean so far, by a softmax that is carried on (Milakov & Gimelshein 2018)."""
        score = self._scores(one)
        if carry is None:
            return one, (score, one, torch.ones_like(score))
        most, total, weight = carry
        new = torch.maximum(most, score)
        keep, take = torch.exp(most - new), torch.exp(score - new)
        total, weight = total * keep + one * take, weight * keep + take
        return total / weight, (new, total, weight)

    def _scores(self, steps: Float[Tensor, "*shape width"]) -> Float[Tensor, "*shape 1"]:
        return self.score(torch.tanh(self.inner(steps)))


POOLINGS = ("last", "mean", "attention")
