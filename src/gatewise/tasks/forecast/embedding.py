"""What a network reads beside its numbers: vectors in place of categories, and what stands for a whole series."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gatewise.tasks.forecast.encoding import Windows

__all__ = ["CategoryEmbedding", "EmbeddingPlan"]

# Half as many numbers as there are categories, and no more than so many.
_WIDEST = 16
# In training, this part of the dropout rate is the probability that a category is hidden behind the unknown's vector,
# which so learns to stand for any.
_HIDDEN_SHARE = 0.2


@dataclass(frozen=True)
class EmbeddingPlan:
    """Sizes.

    Args:
        categories: how many codes each categorical column has, the unknown's included.
        known: places, among these, of the columns that are known for the future.
        static: numeric features of a series.
        static_categories: as `categories`, of a series.
        dropout: the network's, in 0 to 1.
    """

    categories: tuple[int, ...] = ()
    known: tuple[int, ...] = ()
    static: int = 0
    static_categories: tuple[int, ...] = ()
    dropout: float = 0.0


class CategoryEmbedding(nn.Module):
    """Put into a batch's inputs the vectors of its categories and the features of its series.

    What is known for the future, and so all that is said of a series, stands last in the inputs and is in `known` too,
    in the same order.

    Args:
        plan: its sizes.

    Attributes:
        inputs: how many features each step gains.
        known: how many features each step of the horizon gains.
    """

    def __init__(self, plan: EmbeddingPlan) -> None:
        super().__init__()
        self.plan = plan
        self.tables = nn.ModuleList(_table(size) for size in plan.categories)
        self.static_tables = nn.ModuleList(_table(size) for size in plan.static_categories)
        widths = [_width(size) for size in plan.categories]
        standing = plan.static + sum(_width(size) for size in plan.static_categories)
        self.inputs = sum(widths) + standing
        self.known = sum(widths[place] for place in plan.known) + standing

    def forward(self, windows: Windows) -> Windows:
        """The windows with `inputs` and `known` widened."""
        if not self.inputs:
            return windows
        known = windows.known.shape[-1]
        before = windows.inputs.shape[-1] - known
        vectors = [self._vectors(table, windows.categories[..., i]) for i, table in enumerate(self.tables)]
        past = [one for place, one in enumerate(vectors) if place not in self.plan.known]
        both = [vectors[place] for place in self.plan.known]
        ahead = [
            self._vectors(self.tables[place], windows.known_categories[..., i])
            for i, place in enumerate(self.plan.known)
        ]
        series = self._series(windows)
        own, future = windows.inputs[..., :before], windows.inputs[..., before:]
        steps = series.expand(len(windows.inputs), -1, -1)
        positions, _, horizon, _ = windows.known.shape
        return dataclasses.replace(
            windows,
            inputs=torch.cat([own, *past, future, *both, steps], dim=-1),
            known=torch.cat(
                [windows.known, *ahead, series[None, :, None].expand(positions, -1, horizon, -1)], dim=-1
            ),
        )

    def _series(self, windows: Windows) -> Float[Tensor, "batch features"]:
        """What is said of each series."""
        codes = windows.static_categories
        vectors = [self._vectors(table, codes[..., i]) for i, table in enumerate(self.static_tables)]
        return torch.cat([windows.static, *vectors], dim=-1)

    def _vectors(self, table: nn.Module, codes: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape width"]:
        rate = self.plan.dropout * _HIDDEN_SHARE
        if self.training and rate > 0:
            codes = codes.masked_fill(torch.rand(codes.shape, device=codes.device) < rate, 0)
        vectors: Tensor = table(codes)
        return vectors


def _width(size: int) -> int:
    return min(_WIDEST, max(1, size // 2))


def _table(size: int) -> nn.Embedding:
    table = nn.Embedding(size, _width(size))
    with torch.no_grad():
        table.weight[0].zero_()
    return table
