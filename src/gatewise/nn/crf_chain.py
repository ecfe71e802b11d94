"""A CRF's recursions over time, scaled at each step, and their gradient in closed form.

Recorded step by step, the gradient of log Z takes most of a tagger's training time: a dozen small operations a step,
both ways. It is known, though: the score of a tag at a step changes log Z by the tag's marginal probability, that of
a move by the move's. So forward and backward recursions run without a record, and all moves are summed at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gatewise.nn.crf_sums import GroupedSum, PlainSum

__all__ = ["carried", "chain_norms", "marginals", "norms_by_step", "steps_there"]

Sum = PlainSum | GroupedSum
Step = Callable[[Tensor], Tensor]
Scores = Float[Tensor, "time batch tags"]


def steps_there(scores: Scores, lengths: Tensor) -> Bool[Tensor, "time batch"]:
    """Which steps of a padded batch are there."""
    return torch.arange(scores.shape[0], device=scores.device)[:, None] < lengths


def norms_by_step(scores: Scores, start: Tensor, end: Tensor, lengths: Tensor, summed: Step) -> Any:
    """What is taken off at each step and at the end, (batch,), whose sum is log Z; and what is carried."""
    own = steps_there(scores, lengths)
    value, norms = _scaled(start + scores[0])
    values, taken = [value], [torch.where(own[0], norms, 0.0)]
    for step in range(1, scores.shape[0]):
        new, norms = _scaled(summed(value) + scores[step])
        value = torch.where(own[step][:, None], new, value)
        values.append(value)
        taken.append(torch.where(own[step], norms, 0.0))
    final = torch.where(lengths > 0, torch.logsumexp(value + end, dim=1), 0.0)
    return torch.stack(taken), final, torch.stack(values)


def carried(scores: Scores, start: Tensor, lengths: Tensor, summed: Step) -> Scores:
    """What is carried at each step: logarithms of the tags' shares in all paths so far."""
    own = steps_there(scores, lengths)
    values = [_scaled(start + scores[0])[0]]
    for step in range(1, scores.shape[0]):
        new, _ = _scaled(summed(values[-1]) + scores[step])
        values.append(torch.where(own[step][:, None], new, values[-1]))
    return torch.stack(values)


def marginals(scores: Scores, ahead: Scores, end: Tensor, lengths: Tensor, summed: Step) -> Scores:
    """The tags' probabilities, 0 where there is no step, from what is carried ahead.

    Args:
        scores: of the network.
        ahead: as `carried` gives it.
        end: scores of the last tag.
        lengths: (batch,).
        summed: over the tags behind.
    """
    behind = _turned(carried(_turned(scores, lengths), end, lengths, summed), lengths)
    # Both hold the step's own score; what each took off does not matter to a softmax.
    found = torch.softmax(ahead + behind - scores, dim=-1)
    return torch.where(steps_there(scores, lengths)[..., None], found, 0.0)


def chain_norms(
    scores: Scores, moves: Tensor, start: Tensor, end: Tensor, lengths: Tensor, forward: Sum, backward: Sum
) -> tuple[Tensor, Tensor]:
    """What is taken off at each step and at the end, with a gradient of their sum only: they must be used summed.

    Args:
        scores: (time, batch, tags).
        moves: (tags, tags), what is not allowed included.
        start, end: (tags,).
        lengths: (batch,).
        forward, backward: sums over the tags before, and over the tags behind.
    """
    norms, final, _ = _ChainNorms.apply(scores, moves, start, end, lengths, forward, backward)
    return norms, final


class _ChainNorms(torch.autograd.Function):
    @staticmethod
    def forward(
        scores: Tensor,
        moves: Tensor,
        start: Tensor,
        end: Tensor,
        lengths: Tensor,
        forward: Sum,
        backward: Sum,
    ) -> tuple[Tensor, Tensor, Tensor]:
        return norms_by_step(scores, start, end, lengths, forward.over(moves))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        scores, moves, start, end, lengths, ctx.forward_sum, ctx.backward_sum = inputs
        ctx.mark_non_differentiable(output[2])
        ctx.save_for_backward(scores, moves, start, end, lengths, output[2])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, _: Tensor, weight: Tensor, __: Tensor) -> tuple[Tensor | None, ...]:
        scores, moves, start, end, lengths, ahead = ctx.saved_tensors
        own = steps_there(scores, lengths)
        shares = marginals(scores, ahead, end, lengths, ctx.backward_sum.over(moves.T)) * weight[:, None]
        last = torch.gather(
            shares, 0, (lengths - 1).clamp(min=0)[None, :, None].expand(1, -1, shares.shape[2])
        )[0]
        before = ahead[:-1].flatten(0, 1)[own[1:].flatten()]
        moved = ctx.forward_sum.gradient(moves, before.to(moves.dtype), shares[1:][own[1:]].to(moves.dtype))
        return (
            shares, moved, shares[0].sum(0).to(start.dtype), last.sum(0).to(end.dtype), None, None, None,
        )  # fmt: skip


def _scaled(
    values: Float[Tensor, "batch tags"],
) -> tuple[Float[Tensor, "batch tags"], Float[Tensor, " batch"]]:
    """Values minus the logarithm of the sum of their exponentials, and that logarithm."""
    norms = torch.logsumexp(values, dim=1)
    return values - norms[:, None], norms


def _turned(values: Scores, lengths: Tensor) -> Scores:
    """Each sequence from its end to its beginning; what lies behind it stays where it is."""
    steps = torch.arange(values.shape[0], device=values.device)[:, None]
    place = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return values.gather(0, place[..., None].expand_as(values))
