"""The sum over the tags before, for each tag: exact whatever its size, and as a matrix product where that is exact.

With 127 tags (flight information, say) the plain sum handles 16,129 numbers a step and sequence. A matrix product of
exponentials does the same much faster, but loses a tag whose few allowed tags before are all far less probable than
the most probable one. So tags are sorted by what may stand before them: those with few tags before (the inside of a
span) are summed one by one, those that share the same many are summed by one product, scaled by the largest of these.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["ILLEGAL", "GroupedSum", "PlainSum", "sum_over_sources"]

# The score of what is not allowed. Finite, so that no gradient is inf - inf; exp() of it is exactly 0 in float32.
ILLEGAL = -1e4
# Up to so many tags the plain sum is as quick; up to so many tags before count as few; more groups do not pay.
_FEW_TAGS, _FEW_SOURCES, _MOST_GROUPS = 32, 8, 3
# The least sum of exponentials of which a logarithm is taken: scores that lie more than 85 apart end here.
_LEAST = 1e-37


Step = Callable[[Tensor], Tensor]


class PlainSum(nn.Module):
    """log sum_i exp(carried_i + moves_ij), all at once."""

    def over(self, moves: Float[Tensor, "tags tags"]) -> Step:
        """What takes (batch, tags) carried logarithms to their sums, (batch, tags)."""
        return lambda carried: torch.logsumexp(carried[:, :, None] + moves, dim=1)


class GroupedSum(nn.Module):
    """The same by groups of tags.

    Args:
        groups: (targets, sources) that share their sources: one product each.
        narrow: targets with few sources.
        sources: (narrow, at most 8) these sources, -1 where there are fewer.
    """

    def __init__(self, groups: list[tuple[Tensor, Tensor]], narrow: Tensor, sources: Tensor) -> None:
        super().__init__()
        self.count = len(groups)
        for index, (targets, own) in enumerate(groups):
            self.register_buffer(f"targets_{index}", targets, persistent=False)
            self.register_buffer(f"sources_{index}", own, persistent=False)
        self.register_buffer("narrow", narrow, persistent=False)
        self.register_buffer("few", sources.clamp(min=0), persistent=False)
        self.register_buffer("fill", torch.where(sources < 0, ILLEGAL, 0.0), persistent=False)
        order = torch.cat([*(targets for targets, _ in groups), narrow])
        self.register_buffer("place", torch.argsort(order), persistent=False)

    def over(self, moves: Float[Tensor, "tags tags"]) -> Step:
        """What takes (batch, tags) carried logarithms to their sums; what no step changes is done once, here."""
        wide = []
        for index in range(self.count):
            targets, sources = getattr(self, f"targets_{index}"), getattr(self, f"sources_{index}")
            weights = moves[sources][:, targets]
            # Constants, here and below: their own derivatives cancel.
            heaviest = weights.detach().max(0).values
            wide.append((sources, torch.exp(weights - heaviest), heaviest))
        into = moves[self.few, self.narrow[:, None]] + self.fill

        def step(carried: Tensor) -> Tensor:
            found = []
            for sources, shares, heaviest in wide:
                own = carried if len(sources) == carried.shape[1] else carried[:, sources]
                most = own.detach().max(1, keepdim=True).values
                total = torch.exp(own - most) @ shares
                found.append(torch.log(total.clamp(min=_LEAST)) + (most + heaviest))
            if len(self.narrow):
                found.append(torch.logsumexp(carried[:, self.few] + into, dim=2))
            return torch.cat(found, dim=1)[:, self.place]

        return step


def sum_over_sources(allowed: Tensor) -> PlainSum | GroupedSum:
    """What sums over the tags before.

    Args:
        allowed: (tags, tags) bool, whether the column may follow the row.

    Returns:
        A module whose `over` takes the (tags, tags) scores of moves.
    """
    tags = len(allowed)
    if tags <= _FEW_TAGS:
        return PlainSum()
    by_sources: dict[tuple[bool, ...], list[int]] = {}
    narrow: list[int] = []
    for target, sources in enumerate(allowed.T.tolist()):
        if sum(sources) <= _FEW_SOURCES:
            narrow.append(target)
        else:
            by_sources.setdefault(tuple(sources), []).append(target)
    if len(by_sources) > _MOST_GROUPS:
        return PlainSum()
    groups = [
        (torch.tensor(targets), torch.tensor(sources).nonzero()[:, 0])
        for sources, targets in by_sources.items()
    ]
    few = torch.full((len(narrow), _FEW_SOURCES), -1)
    for row, target in enumerate(narrow):
        own = allowed[:, target].nonzero()[:, 0]
        few[row, : len(own)] = own
    return GroupedSum(groups, torch.tensor(narrow, dtype=torch.int64), few)
