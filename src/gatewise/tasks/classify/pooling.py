"""From the steps of a sequence to one vector: the last step, mean, largest, attention, or several of these.

Each way also gives what it would give if the sequence ended at each step (`by_step`), and takes one step at a time
(`step`), with the same numbers: that is what streams need.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gatewise.errors import ArgumentError, ArgumentTypeError

__all__ = [
    "POOLINGS",
    "AttentionPooling",
    "LargestPooling",
    "LastPooling",
    "MeanPooling",
    "Pooling",
    "SeveralPoolings",
    "make_pooling",
    "pooling_names",
    "valid_steps",
]

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


class LargestPooling(Pooling):
    """The largest value of each feature over a sequence's steps."""

    def forward(self, steps: Steps, lengths: Tensor) -> Float[Tensor, "batch width"]:
        """Pool whole sequences."""
        there = valid_steps(lengths, steps.shape[0])[..., None]
        return torch.where(there, steps, -torch.inf).amax(0)

    def step(self, one: Float[Tensor, "batch width"], carry: Any) -> tuple[Float[Tensor, "batch width"], Any]:
        """The largest so far."""
        most = one if carry is None else torch.maximum(carry, one)
        return most, most


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


class SeveralPoolings(Pooling):
    """Several ways side by side.

    Args:
        parts: the ways.
    """

    def __init__(self, parts: list[Pooling]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, steps: Steps, lengths: Tensor) -> Float[Tensor, "batch several"]:
        """Pool whole sequences in each way."""
        return torch.cat([part(steps, lengths) for part in self.parts], dim=-1)

    def by_step(self, steps: Steps) -> Float[Tensor, "time batch several"]:
        """Every prefix, in each way."""
        return torch.cat([part.by_step(steps) for part in self.parts], dim=-1)  # type: ignore[operator]

    def step(self, one: Float[Tensor, "batch width"], carry: Any) -> tuple[Tensor, Any]:
        """One more step, in each way."""
        carries = [None] * len(self.parts) if carry is None else carry
        both = [part.step(one, own) for part, own in zip(self.parts, carries, strict=True)]  # type: ignore[operator]
        return torch.cat([pooled for pooled, _ in both], dim=-1), [own for _, own in both]


POOLINGS = ("last", "mean", "max", "attention")


def pooling_names(pooling: str) -> tuple[str, ...]:
    """The ways that a pooling such as "last+mean" names.

    Raises:
        ArgumentError, ArgumentTypeError: it names none, an unknown one, or one twice.

    Example:
        >>> pooling_names("last+max")
        ('last', 'max')
    """
    if not isinstance(pooling, str):
        raise ArgumentTypeError(f"pooling: text is expected, came {pooling!r}")
    names = tuple(pooling.split("+"))
    if not set(names) <= set(POOLINGS) or len(set(names)) < len(names):
        raise ArgumentError(
            f"pooling: one of {', '.join(map(repr, POOLINGS))} is expected, or several different ones joined by +, "
            f"such as 'last+mean', came {pooling!r}"
        )
    return names


def make_pooling(pooling: str, width: int, *, backward: int = 0) -> tuple[Pooling, int]:
    """The module, and how many numbers come out of it.

    Args:
        pooling: as in `pooling_names`.
        width: of a step.
        backward: how many of the features, the last ones, run backwards.
    """
    ways = {
        "last": lambda: LastPooling(backward),
        "mean": MeanPooling,
        "max": LargestPooling,
        "attention": lambda: AttentionPooling(width),
    }
    parts: list[Pooling] = [ways[name]() for name in pooling_names(pooling)]
    return (parts[0] if len(parts) == 1 else SeveralPoolings(parts)), width * len(parts)
