"""What each word adds to a decision: integrated gradients (Sundararajan, Taly & Yan 2017), checked for completeness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatewise.tasks.text_classification.network import TextReader

__all__ = ["Attribution", "attribute"]

# Points on the way: doubled until the parts add up to this share of the whole, or to this much where it is small.
_FEWEST, _MOST = 16, 256
_SHARE, _LEAST = 0.01, 0.01


@dataclass(frozen=True)
class Attribution:
    """What the words of a text add to one class's log odds.

    Args:
        words: of the text.
        scores: (words,) what each adds; above 0 it speaks for the class.
        target: the class.
        value: the class's log odds, log p / (1 - p), of the text (before calibration).
        base: those of a text of as many empty words.
        gap: value - base - the scores' sum: what the numerical integral misses. Completeness (their axiom, section 3)
            asks for 0.
        points: at how many points the gradient was taken.
    """

    words: tuple[str, ...]
    scores: NDArray[np.float64]
    target: str
    value: float
    base: float
    gap: float
    points: int

    @property
    def complete(self) -> bool:
        """Whether the scores add up to what is to be explained, within 1 %."""
        return abs(self.gap) <= max(_SHARE * abs(self.value - self.base), _LEAST)


def attribute(
    network: TextReader, words: Sequence[str], codes: NDArray[np.int64], target: int, name: str
) -> Attribution:
    """Integrate the gradient of the target's log odds on the straight way from empty words to the text.

    The integral is taken by Gauss and Legendre's rule, at as many points as it needs.

    Args:
        network: in eval mode.
        words: of the text, as they are shown.
        codes: (words,) their numbers.
        target: the class's number.
        name: the class.

    References:
        Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks", eq. 1 and proposition 1.
    """
    device = next(network.parameters()).device
    with torch.no_grad():
        vectors = network.vectors(torch.from_numpy(codes).to(device))[:, None]
        ends = torch.cat([torch.zeros_like(vectors), vectors], dim=1)
        base, value = _log_odds(network, ends, target).double().tolist()
    points = _FEWEST
    while True:
        scores = _integral(network, vectors, target, points)
        gap = value - base - float(scores.sum())
        found = Attribution(tuple(words), scores, name, value, base, gap, points)
        if found.complete or points >= _MOST:
            return found
        points *= 2


def _integral(
    network: TextReader, vectors: Float[Tensor, "time 1 width"], target: int, points: int
) -> NDArray[np.float64]:
    places, weights = np.polynomial.legendre.leggauss(points)
    share = torch.tensor((places + 1) / 2, dtype=vectors.dtype, device=vectors.device)
    total = torch.zeros_like(vectors[:, 0])
    # A few points at a time: a long text is not held at all of them.
    size = max(1, 4096 // len(vectors))
    own = torch.tensor(weights / 2, dtype=vectors.dtype, device=vectors.device)
    for some, weight in zip(share.split(size), own.split(size), strict=True):
        with torch.enable_grad():
            way = (vectors * some[None, :, None]).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(_log_odds(network, way, target).sum(), way)
        total += (gradient * weight[None, :, None]).sum(1)
    return (total * vectors[:, 0]).sum(-1).double().cpu().numpy()


def _log_odds(
    network: TextReader, vectors: Float[Tensor, "time batch width"], target: int
) -> Float[Tensor, " batch"]:
    lengths = torch.full((vectors.shape[1],), len(vectors), device=vectors.device)
    logits = network.of_vectors(vectors, lengths).float()
    others = torch.cat([logits[:, :target], logits[:, target + 1 :]], dim=1)
    return logits[:, target] - torch.logsumexp(others, dim=1)
