"""Conformal calibration of the quantiles on windows that were not trained on.

Each gap between neighbouring quantiles is stretched by one factor, chosen so that on the validation windows the
share of values below the quantile is its level, with the correction for their finite number (split conformal
prediction, Vovk et al. 2005; on the scale of the model's own spread as in Romano et al. 2019). So a quantile above the
median holds its share of exchangeable values, at least, whatever the model; likewise below. Factors are not negative,
so quantiles still do not cross.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

__all__ = ["calibrate", "fit_calibration"]

Quantiles = Float[np.ndarray, "windows horizon levels"]
# Quantiles neither meet nor run away: a factor outside these would say that the model is none.
_LEAST, _MOST = 1e-3, 1e3
# Fewer values than this say too little about a quantile.
_FEWEST = 30


def fit_calibration(
    scaled: Quantiles,
    target: Float[np.ndarray, "windows horizon"],
    counts: NDArray[np.bool_],
    levels: tuple[float, ...],
) -> tuple[float, ...]:
    """Learn one factor per gap, in rising order of the levels (the median has none).

    Args:
        scaled: the model's quantiles on the validation windows, scaled.
        target: what came, scaled.
        counts: whether a value counts.
        levels: rising, 0.5 among them.
    """
    middle = levels.index(0.5)
    quantiles, values = scaled[counts], target[counts]
    factors = np.ones(len(levels))
    if len(values) < _FEWEST:
        return tuple(np.delete(factors, middle).tolist())
    for step, order in ((1, range(middle + 1, len(levels))), (-1, range(middle - 1, -1, -1))):
        inner = quantiles[:, middle]
        for index in order:
            gap = np.abs(quantiles[:, index] - quantiles[:, index - step])
            ratio = step * (values - inner) / np.maximum(gap, 1e-12)
            level = levels[index] if step == 1 else 1 - levels[index]
            # The rank among n values and one more that is to come.
            rank = min(len(ratio), int(np.ceil(level * (len(ratio) + 1))))
            factors[index] = np.clip(np.partition(ratio, rank - 1)[rank - 1], _LEAST, _MOST)
            inner = inner + step * factors[index] * gap
    return tuple(np.delete(factors, middle).tolist())


def calibrate(scaled: Quantiles, factors: tuple[float, ...], levels: tuple[float, ...]) -> Quantiles:
    """Stretch the gaps by the factors."""
    middle = levels.index(0.5)
    gaps = np.diff(scaled, axis=-1) * np.array(factors)
    median = scaled[..., middle : middle + 1]
    below = median - np.cumsum(gaps[..., :middle][..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate([below, median, median + np.cumsum(gaps[..., middle:], axis=-1)], axis=-1)
