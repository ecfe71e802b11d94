"""Calibrated probabilities by one temperature (Guo et al. 2017), learned on sequences that were not trained on."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

__all__ = ["fit_temperature", "reliability", "softmax"]

# The temperatures that are tried, and how far from 1 one is expected to lie: a factor of 1.65, one standard deviation.
_COLDEST, _HOTTEST, _TRIED = 0.1, 10.0, 401
_PRIOR = 0.5
# Fewer labels than this say too little about a temperature.
_FEWEST = 20


def softmax(logits: Float[np.ndarray, "*shape classes"]) -> Float[np.ndarray, "*shape classes"]:
    """Probabilities from logits, over the last dimension."""
    risen = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return risen / risen.sum(axis=-1, keepdims=True)


def fit_temperature(logits: Float[np.ndarray, "labels classes"], labels: NDArray[np.int64]) -> float:
    """The temperature T with the least log loss of softmax(logits / T), held near 1 where labels are few.

    Held-back labels that are all right would ask for probabilities of exactly 0 and 1. So log T is given a normal
    prior around 0 with deviation 0.5, which a hundred labels outweigh.

    Args:
        logits: of labels that were not trained on.
        labels: the right classes.

    Returns:
        T, in 0.1 to 10; 1 where there are fewer than 20 labels.

    Example:
        >>> logits = np.log(np.array([[0.9, 0.1]] * 1000))
        >>> labels = np.array([0] * 700 + [1] * 300)
        >>> round(float(softmax(logits / fit_temperature(logits, labels))[0, 0]), 2)
        0.7
    """
    if len(labels) < _FEWEST:
        return 1.0
    right = logits[np.arange(len(labels)), labels]
    tried = np.geomspace(_COLDEST, _HOTTEST, _TRIED)
    losses = []
    for temperature in tried:
        scaled = logits / temperature
        top = scaled.max(axis=1)
        logs = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - right / temperature
        losses.append(logs.sum() + np.log(temperature) ** 2 / (2 * _PRIOR**2))
    return float(tried[int(np.argmin(losses))])


def reliability(
    probability: Float[np.ndarray, " labels"], right: NDArray[np.bool_], bins: int = 10
) -> list[tuple[float, float, int]]:
    """Mean stated probability, share that was right, and how many, in bins of equally many.

    Args:
        probability: stated.
        right: whether it came so.
        bins: the most bins; values that are alike stay together.
    """
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, bins + 1)))
    place = (
        np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, max(len(edges) - 2, 0))
        if len(edges) > 1
        else np.zeros(len(probability), dtype=np.int64)
    )
    found = []
    for one in np.unique(place):
        inside = place == one
        found.append((float(probability[inside].mean()), float(right[inside].mean()), int(inside.sum())))
    return found
