"""Sample paths: uniform numbers for ancestral sampling, and a Gaussian copula over the horizon for quantile forecasts.

A quantile forecast says what each step's distribution is and not how the steps hang together. The copula adds that: on
held-out windows every value is turned into its normal score under the forecast's own quantiles, and the scores'
correlation over the horizon is learned (shrunk by Ledoit & Wolf 2004, since windows are few and overlap). Paths are
correlated normal scores turned back by each step's quantiles (Sklar 1959; for forecasts, Pinson et al. 2009,
"From probabilistic forecasts to statistical scenarios", wind energy 12). Series are independent of each other.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

__all__ = ["from_scores", "normal_scores", "score_correlation", "sorted_quantiles", "uniforms"]

Array = NDArray[np.float64]
# Scores beyond this say no more than that a value was far outside.
_FARTHEST = 6.0
_LEAST_GAP = 1e-9


def uniforms(seed: int, keys: list[str] | None, samples: int, horizon: int, each: int = 2) -> Tensor:
    """Uniform numbers in 0 to 1, stratified over the samples at every step (Latin hypercube, McKay et al. 1979).

    A row of numbers depends on the seed and its own key alone, so a series' paths depend on neither its
    neighbours nor its place in a table.

    Args:
        seed: at least 0.
        keys: a text for each row; None: one row for all.
        samples, horizon, each: the other dimensions.

    Returns:
        float32 of shape (rows, samples, horizon, each).

    Example:
        >>> uniforms(0, ["a", "b"], 10, 3).shape
        torch.Size([2, 10, 3, 2])
    """
    rows = np.empty((1 if keys is None else len(keys), samples, horizon, each), dtype=np.float32)
    for row, key in enumerate([""] if keys is None else keys):
        number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
        generator = np.random.default_rng((seed, number))
        strata = generator.random((samples, horizon, each)).argsort(axis=0)
        rows[row] = (strata + generator.random(strata.shape)) / samples
    return torch.from_numpy(rows)


def sorted_quantiles(
    samples: Float[Tensor, "rows samples horizon"], levels: tuple[float, ...]
) -> Float[Tensor, "rows horizon levels"]:
    """Empirical quantiles, between neighbouring samples by a straight line; they cannot cross."""
    ordered = samples.sort(dim=1).values
    place = torch.tensor(levels, dtype=torch.float64) * samples.shape[1] - 0.5
    below = place.floor().clamp(0, samples.shape[1] - 1).long()
    above = (below + 1).clamp(max=samples.shape[1] - 1)
    share = (place - below).clamp(0, 1).to(samples)[:, None]
    return torch.lerp(ordered[:, below], ordered[:, above], share).transpose(1, 2).contiguous()


def normal_scores(
    quantiles: Float[np.ndarray, "*lead levels"],
    values: Float[np.ndarray, "*lead"],
    levels: tuple[float, ...],
) -> Float[np.ndarray, "*lead"]:
    """Each value's normal score.

    Straight lines through the points (quantile, normal quantile of its level), going on beyond both ends.

    Args:
        quantiles: rising along the levels, of which there are at least two.
        values: what came.
        levels: rising.
    """
    knots = _knots(quantiles)
    at = special.ndtri(np.array(levels))
    index = (values[..., None] > knots[..., 1:-1]).sum(-1)
    low, high = _pair(knots, index)
    return np.clip(
        at[index] + (values - low) / (high - low) * (at[index + 1] - at[index]), -_FARTHEST, _FARTHEST
    )


def from_scores(
    quantiles: Float[np.ndarray, "windows horizon levels"],
    scores: Float[np.ndarray, "windows samples horizon"],
    levels: tuple[float, ...],
) -> Float[np.ndarray, "windows samples horizon"]:
    """Undo `normal_scores`: values from normal scores."""
    knots = _knots(quantiles)[:, None]
    at = special.ndtri(np.array(levels))
    index = (scores[..., None] > at[1:-1]).sum(-1)
    low, high = _pair(np.broadcast_to(knots, (*scores.shape, knots.shape[-1])), index)
    return low + (scores - at[index]) / (at[index + 1] - at[index]) * (high - low)


def score_correlation(
    scores: Float[np.ndarray, "windows horizon"], counts: Bool[np.ndarray, "windows horizon"]
) -> Float[np.ndarray, "horizon horizon"]:
    """Correlation of the scores over the horizon; missing ones count as the middle.

    The Ledoit-Wolf estimate is positive definite however few the windows.
    """
    horizon = scores.shape[1]
    if len(scores) < 2 or not counts.any():
        return np.eye(horizon)
    from sklearn.covariance import ledoit_wolf  # slow to load

    covariance = ledoit_wolf(np.where(counts, scores, 0.0))[0]
    deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    return covariance / np.outer(deviation, deviation)


def _knots(quantiles: Array) -> Array:
    """The quantiles, strictly rising."""
    return quantiles + _LEAST_GAP * np.arange(quantiles.shape[-1])


def _pair(knots: Array, index: NDArray[np.int64]) -> tuple[Array, Array]:
    low = np.take_along_axis(knots, index[..., None], axis=-1)[..., 0]
    return low, np.take_along_axis(knots, index[..., None] + 1, axis=-1)[..., 0]
