"""What the AWD-LSTM adds to a loss and drops of an embedding; its other dropout is `gatewise.nn.dropout`.

References:
    Gal & Ghahramani 2016, "A theoretically grounded application of dropout in recurrent neural networks"; Merity,
    Keskar & Socher 2018, "Regularizing and optimizing LSTM language models", sections 2 to 4.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["activation_penalty", "embed", "slowness_penalty"]


def embed(
    tokens: Int[Tensor, "time batch"], weight: Float[Tensor, "tokens features"], rate: float, training: bool
) -> Float[Tensor, "time batch features"]:
    """Vectors of tokens; in training, some tokens' are zero wherever they come (Merity et al. 2018, section 4.3).

    Args:
        tokens: (time, batch) numbers.
        weight: (tokens, features) their vectors.
        rate: probability that a token of the vocabulary is dropped, 0 to 1 (exclusive).
        training: whether anything is dropped at all.

    Returns:
        (time, batch, features).
    """
    found = F.embedding(tokens, weight)
    if not training or rate == 0.0:
        return found
    kept = F.dropout(weight.new_ones(weight.shape[0]), rate)
    return found * kept[tokens].unsqueeze(-1)


def activation_penalty(dropped: Float[Tensor, "time batch features"]) -> Float[Tensor, ""]:
    """Mean square of the last layer's output after dropout (Merity et al. 2018, section 4.6: AR)."""
    return dropped.square().mean()


def slowness_penalty(output: Float[Tensor, "time batch features"]) -> Float[Tensor, ""]:
    """Mean square of what the last layer's output changes by in a step (Merity et al. 2018, section 4.6: TAR)."""
    if output.shape[0] < 2:
        return torch.zeros((), dtype=output.dtype, device=output.device)
    return (output[1:] - output[:-1]).square().mean()
