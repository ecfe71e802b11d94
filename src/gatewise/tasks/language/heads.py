"""From a state to the probabilities of the next token: one product, or the adaptive softmax of large vocabularies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

try:
    from torch.nn import LinearCrossEntropyOptions
except ImportError:  # torch before 2.13
    LinearCrossEntropyOptions = None

__all__ = ["AdaptiveHead", "FullHead", "cutoffs_of"]

# Grave et al. 2017 find few clusters enough; the head holds the words that make up most of a text.
_SHARES = (0.1, 0.4)
_DIVISOR = 4.0
_NARROWEST = 4  # features of the last cluster, so that a small network has some left there
# Rows whose loss and gradients are computed together: their logits stay in the cache. From so many tokens on it is
# quicker than all rows at once.
_CHUNK, _MANY_TOKENS = 256, 2000


class FullHead(nn.Module):
    """One product with a row for each token, which may be the embedding's own (Press & Wolf 2017; Inan et al. 2017).

    Args:
        features: of the state.
        tokens: in the vocabulary.
        tied: the embedding's weight, (tokens, features), or None for a matrix of its own.
    """

    def __init__(self, features: int, tokens: int, tied: nn.Parameter | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(tokens, features)) if tied is None else tied
        self.bias = nn.Parameter(torch.zeros(tokens))
        if tied is None:
            nn.init.uniform_(self.weight, -0.1, 0.1)

    def losses(
        self, states: Float[Tensor, "rows features"], targets: Int[Tensor, " rows"]
    ) -> Float[Tensor, " rows"]:
        """Minus the logarithm of each target's probability."""
        return F.cross_entropy(self.logits(states).float(), targets, reduction="none")

    def mean_loss(
        self, states: Float[Tensor, "rows features"], targets: Int[Tensor, " rows"]
    ) -> Float[Tensor, ""]:
        """The mean of `losses`."""
        if self._in_chunks(states):
            chunks = LinearCrossEntropyOptions(batch_chunk_size=_CHUNK)
            return F.linear_cross_entropy(states, self.weight, targets, linear_bias=self.bias, options=chunks)
        return F.cross_entropy(self.logits(states).float(), targets)

    def logits(self, states: Float[Tensor, "*rows features"]) -> Float[Tensor, "*rows tokens"]:
        """Logits of all tokens."""
        return F.linear(states, self.weight, self.bias)

    def log_probabilities(self, states: Float[Tensor, "rows features"]) -> Float[Tensor, "rows tokens"]:
        """Logarithms of all tokens' probabilities."""
        return F.log_softmax(self.logits(states).float(), dim=-1)

    def _in_chunks(self, states: Tensor) -> bool:
        """Whether torch can compute loss and gradients a chunk of rows at a time, and is quicker for it."""
        return (
            LinearCrossEntropyOptions is not None
            and len(self.bias) >= _MANY_TOKENS
            and len(states) > _CHUNK
            and states.device.type == "cpu"
            and states.dtype == self.weight.dtype in (torch.float32, torch.float64)
            and torch.is_grad_enabled()
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
        )


class AdaptiveHead(nn.Module):
    """The adaptive softmax (Grave et al. 2017): frequent tokens at once, rare ones in clusters, each narrower.

    Args:
        features: of the state.
        order: the tokens, the most frequent first.
        cutoffs: where the clusters begin, in that order.
    """

    order: Tensor
    rank: Tensor

    def __init__(self, features: int, order: Sequence[int], cutoffs: Sequence[int]) -> None:
        super().__init__()
        divisor = min(_DIVISOR, max(1.0, (features / _NARROWEST) ** (1 / max(len(cutoffs), 1))))
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(
            features, len(order), list(cutoffs), div_value=divisor, head_bias=True
        )
        ordered = torch.tensor(list(order), dtype=torch.int64)
        self.register_buffer("order", ordered)
        self.register_buffer("rank", torch.argsort(ordered))

    def losses(
        self, states: Float[Tensor, "rows features"], targets: Int[Tensor, " rows"]
    ) -> Float[Tensor, " rows"]:
        """Minus the logarithm of each target's probability."""
        return -self.softmax(states.float(), self.rank[targets]).output

    def mean_loss(
        self, states: Float[Tensor, "rows features"], targets: Int[Tensor, " rows"]
    ) -> Float[Tensor, ""]:
        """The mean of `losses`."""
        return self.softmax(states.float(), self.rank[targets]).loss

    def log_probabilities(self, states: Float[Tensor, "rows features"]) -> Float[Tensor, "rows tokens"]:
        """Logarithms of all tokens' probabilities."""
        return self.softmax.log_prob(states.float())[:, self.rank]

    def logits(self, states: Float[Tensor, "*rows features"]) -> Float[Tensor, "*rows tokens"]:
        """Logits of all tokens: here their log probabilities."""
        flat = self.log_probabilities(states.reshape(-1, states.shape[-1]))
        return flat.reshape(*states.shape[:-1], -1)


def cutoffs_of(tokens: int) -> list[int]:
    """Where the clusters of an adaptive softmax begin: a tenth of the vocabulary in the head, two clusters.

    Example:
        >>> cutoffs_of(100_000)
        [10000, 40000]
    """
    return sorted({max(1, int(share * tokens)) for share in _SHARES} - {tokens})
