"""The sum over the tags before, for each tag: exact whatever its size, and as a matrix product where that is exact.

With 159 tags (flight information, say) the plain sum handles 25,281 numbers a step and sequence. A matrix product of
exponentials does the same much faster, but loses a tag whose few allowed tags before are all far less probable than
the most probable one. So a tag that may follow few others (the inside of a span) is summed over these one by one; tags
that may follow many share most of them: these are summed by one product, scaled by the largest, the others one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["ILLEGAL", "GroupedSum", "PlainSum", "sum_over_sources"]

# The score of what is not allowed. Finite, so that no gradient is inf - inf; exp() of it is exactly 0 in float32.
ILLEGAL = -1e4
# Up to so many tags the plain sum is as quick; up to so many tags before count as few.
_FEW_TAGS, _FEW_SOURCES = 32, 8
# The least sum of exponentials of which a logarithm is taken: scores that lie more than 85 apart end here.
_LEAST = 1e-37
# Numbers that are held at once where a gradient is summed.
_MOST_NUMBERS = 2**21


Step = Callable[[Tensor], Tensor]


class PlainSum(nn.Module):
    """log sum_i exp(carried_i + moves_ij), all at once."""

    def over(self, moves: Float[Tensor, "tags tags"]) -> Step:
        """What takes (batch, tags) carried logarithms to their sums, (batch, tags)."""
        return lambda carried: torch.logsumexp(carried[:, :, None] + moves, dim=1)

    def gradient(
        self, moves: Float[Tensor, "tags tags"], before: Float[Tensor, "steps tags"], weights: Tensor
    ) -> Float[Tensor, "tags tags"]:
        """How the sums of many steps, each weighted, change with the scores of moves.

        Args:
            moves: the scores.
            before: what was carried into each step.
            weights: (steps, tags) of the sums.
        """
        found = torch.zeros_like(moves)
        size = max(1, _MOST_NUMBERS // moves.numel())
        for own, weight in zip(before.split(size), weights.split(size), strict=True):
            shares = torch.softmax(own[:, :, None] + moves, dim=1)
            found += torch.einsum("sij,sj->ij", shares, weight)
        return found


class GroupedSum(nn.Module):
    """The same by a product over shared sources, and one by one over the few others.

    Args:
        shared: (sources,) that all targets with many sources have.
        wide: (tags,) bool, which targets these are.
        few: (tags, at most 8) further sources of each target, -1 where there are fewer.
    """

    def __init__(self, shared: Tensor, wide: Tensor, few: Tensor) -> None:
        super().__init__()
        self.register_buffer("shared", shared, persistent=False)
        self.register_buffer("only", torch.where(wide, 0.0, ILLEGAL), persistent=False)
        self.register_buffer("few", few.clamp(min=0), persistent=False)
        self.register_buffer("fill", torch.where(few < 0, ILLEGAL, 0.0), persistent=False)
        self.register_buffer(
            "targets", torch.arange(len(wide))[:, None].expand_as(few).clone(), persistent=False
        )

    def over(self, moves: Float[Tensor, "tags tags"]) -> Step:
        """What takes (batch, tags) carried logarithms to their sums; what no step changes is done once, here."""
        shares, heaviest, into = self._prepared(moves)

        def step(carried: Tensor) -> Tensor:
            return torch.logsumexp(self._values(carried, shares, heaviest, into)[0], dim=2)

        return step

    def gradient(
        self, moves: Float[Tensor, "tags tags"], before: Float[Tensor, "steps tags"], weights: Tensor
    ) -> Float[Tensor, "tags tags"]:
        """How the sums of many steps, each weighted, change with the scores of moves; see `PlainSum.gradient`."""
        shares, heaviest, into = self._prepared(moves)
        values, risen, total = self._values(before, shares, heaviest, into)
        parts = torch.softmax(values, dim=2) * weights[..., None]
        found = torch.zeros_like(moves)
        found[self.shared] = shares * (risen.T @ (parts[..., 0] / total))
        # Places that only fill up have parts of exactly 0.
        found.index_put_((self.few, self.targets), parts[..., 1:].sum(0), accumulate=True)
        return found

    def _prepared(self, moves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weights = moves[self.shared]
        # A constant, as the largest below: its own derivative cancels.
        heaviest = weights.detach().max(0).values
        return torch.exp(weights - heaviest), heaviest + self.only, moves[self.few, self.targets] + self.fill

    def _values(
        self, carried: Tensor, shares: Tensor, heaviest: Tensor, into: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, tags, 1 + few) logarithms whose sum is meant, and the product's two sides."""
        own = carried[:, self.shared]
        most = own.detach().max(1, keepdim=True).values
        risen = torch.exp(own - most)
        total = (risen @ shares).clamp(min=_LEAST)
        many = torch.log(total) + (most + heaviest)
        return torch.cat([many[..., None], carried[:, self.few] + into], dim=2), risen, total


def sum_over_sources(allowed: Tensor) -> PlainSum | GroupedSum:
    """What sums over the tags before.

    Args:
        allowed: (tags, tags) bool, whether the column may follow the row.

    Returns:
        A module whose `over` takes the (tags, tags) scores of moves.
    """
    wide = allowed.sum(0) > _FEW_SOURCES
    if len(allowed) <= _FEW_TAGS or not bool(wide.any()):
        return PlainSum()
    shared = allowed[:, wide].all(1)
    others = allowed & ~(shared[:, None] & wide)
    if not bool(shared.any()) or int(others.sum(0).max()) > _FEW_SOURCES:
        return PlainSum()
    few = torch.full((len(allowed), max(1, int(others.sum(0).max()))), -1)
    for target in range(len(allowed)):
        own = others[:, target].nonzero()[:, 0]
        few[target, : len(own)] = own
    return GroupedSum(shared.nonzero()[:, 0], wide, few)
