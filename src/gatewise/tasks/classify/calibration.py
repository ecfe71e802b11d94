"""Calibrated probabilities by one temperature (Guo et al. 2017), learned on sequences that were not trained on."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

__all__ = ["fit_temperature", "reliability", "softmax"]

# Outside of these something other than the temperature is wrong.
_COLDEST, _HOTTEST = 0.05, 20.0
_HALVINGS = 60
# Fewer labels than this say too little about a temperature.
_FEWEST = 20


def softmax(logits: Float[np.ndarray, "*shape classes"]) -> Float[np.ndarray, "*shape classes"]:
    """Probabilities from logits, over the last dimension."""
    risen = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return risen / risen.sum(axis=-1, keepdims=True)


def fit_temperature(logits: Float[np.ndarray, "labels classes"], labels: NDArray[np.int64]) -> float:
    """The temperature T with the least log loss of softmax(logits / T).

    The log loss is convex in 1 / T, so that the zero of its derivative is found by halving.

    Args:
        logits: of labels that were not trained on.
        labels: the right classes.

    Returns:
        T, in 0.05 to 20; 1 where there are fewer than 20 labels.

    Example:
        >>> logits = np.log(np.array([[0.9, 0.1]] * 100))
        >>> labels = np.array([0] * 70 + [1] * 30)
        >>> round(float(softmax(logits / fit_temperature(logits, labels))[0, 0]), 3)
        0.7
    """
    if len(labels) < _FEWEST:
        return 1.0
    right = logits[np.arange(len(labels)), labels]

    def slope(inverse: float) -> float:
        """The log loss's derivative in 1 / T: the expected logit less the right one's."""
        return float(((softmax(logits * inverse) * logits).sum(-1) - right).mean())

    low, high = 1 / _HOTTEST, 1 / _COLDEST
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        if slope(middle) > 0:
            high = middle
        else:
            low = middle
    return float(1 / (low * high) ** 0.5)


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
