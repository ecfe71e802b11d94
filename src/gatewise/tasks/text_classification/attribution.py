"""What each word adds to a decision: integrated gradients (Sundararajan, Taly & Yan 2017), checked for completeness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatewise.inspect.contributions import integrated_gradients
from gatewise.tasks.text_classification.network import TextReader

__all__ = ["Attribution", "attribute"]


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
        complete: whether the scores add up to what is to be explained, within 1 %.
    """

    words: tuple[str, ...]
    scores: NDArray[np.float64]
    target: str
    value: float
    base: float
    gap: float
    points: int
    complete: bool


def attribute(
    network: TextReader, words: Sequence[str], codes: NDArray[np.int64], target: int, name: str
) -> Attribution:
    """Integrate the gradient of the target's log odds on the straight way from empty words to the text.

    Args:
        network: in eval mode.
        words: of the text, as they are shown.
        codes: (words,) their numbers.
        target: the class's number.
        name: the class.
    """
    device = next(network.parameters()).device
    with torch.no_grad():
        vectors = network.vectors(torch.from_numpy(codes).to(device))[:, None]
    found = integrated_gradients(lambda some: _log_odds(network, some, target), vectors)
    return Attribution(
        tuple(words), found.scores, name, found.value, found.base, found.gap, found.points, found.complete
    )


def _log_odds(
    network: TextReader, vectors: Float[Tensor, "time batch width"], target: int
) -> Float[Tensor, " batch"]:
    lengths = torch.full((vectors.shape[1],), len(vectors), device=vectors.device)
    logits = network.of_vectors(vectors, lengths).float()
    others = torch.cat([logits[:, :target], logits[:, target + 1 :]], dim=1)
    return logits[:, target] - torch.logsumexp(others, dim=1)
