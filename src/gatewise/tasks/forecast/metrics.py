"""Errors of forecasts, over the values that were observed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

__all__ = [
    "Errors",
    "coverage",
    "crps_from_quantiles",
    "crps_from_samples",
    "mase_scale",
    "measure",
    "owa",
    "pinball_loss",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """Errors of one method.

    Args:
        mae: mean absolute error, in the target's unit.
        rmse: root of the mean squared error, in the target's unit.
        mase: MAE by the in-sample MAE of the seasonal naive method, series by series (Hyndman & Koehler 2006).
        smape: mean of 200 |error| / (|value| + |forecast|), in percent; 0 where both are 0.
        pinball: mean pinball loss over the quantiles' levels, in the target's unit; None for point forecasts.
        crps: continuous ranked probability score, in the target's unit (of a point forecast: its MAE).
        owa: mean of sMAPE and MASE by those of Naive2 (Makridakis et al. 2020); None where there is no Naive2.
    """

    mae: float
    rmse: float
    mase: float
    smape: float
    pinball: float | None = None
    crps: float | None = None
    owa: float | None = None


def measure(
    forecast: Float[np.ndarray, "windows horizon"],
    actual: Float[np.ndarray, "windows horizon"],
    counts: Bool[np.ndarray, "windows horizon"],
    scale: Float[np.ndarray, " windows"],
) -> Errors:
    """Errors of point forecasts over the values that count.

    Args:
        forecast, actual: in the target's unit.
        counts: whether a value counts.
        scale: the MASE scale of each window's series.

    Example:
        >>> one = np.array([[1.0, 2.0]])
        >>> measure(one, one + 1, one > 0, np.array([0.5])).mase
        2.0
    """
    if not counts.any():
        return Errors(*(float("nan"),) * 4)
    error = np.abs(np.where(counts, forecast - actual, 0.0))
    size = np.abs(forecast) + np.abs(np.where(counts, actual, 0.0))
    smape = np.divide(200 * error, size, out=np.zeros_like(error), where=size > 0)
    total = counts.sum()
    return Errors(
        mae=float(error.sum() / total),
        rmse=float(np.sqrt((error**2).sum() / total)),
        mase=float((error / scale[:, None]).sum() / total),
        smape=float(smape[counts].sum() / total),
    )


def pinball_loss(
    quantiles: Float[np.ndarray, "windows horizon levels"],
    actual: Float[np.ndarray, "windows horizon"],
    counts: Bool[np.ndarray, "windows horizon"],
    levels: tuple[float, ...],
) -> float:
    """Mean pinball loss (Koenker & Bassett 1978) over levels and the values that count, in the target's unit."""
    if not counts.any():
        return float("nan")
    level = np.array(levels)
    error = actual[counts][:, None] - quantiles[counts]
    return float(np.maximum(level * error, (level - 1) * error).mean())


def crps_from_quantiles(
    quantiles: Float[np.ndarray, "windows horizon levels"],
    actual: Float[np.ndarray, "windows horizon"],
    counts: Bool[np.ndarray, "windows horizon"],
    levels: tuple[float, ...],
) -> float:
    """Mean continuous ranked probability score of the distribution that the quantiles draw.

    The distribution function is taken as linear between neighbouring quantiles, with what lies beyond the outermost
    two in these; its score, the integral of (F(x) - 1[actual <= x])^2 (Gneiting & Raftery 2007, eq. 20), is exact.

    Args:
        quantiles: rising along the last dimension.
        actual, counts: what came, and whether it counts.
        levels: rising, in 0 to 1.

    Example:
        >>> crps_from_quantiles(np.full((1, 1, 1), 3.0), np.ones((1, 1)), np.ones((1, 1), dtype=bool), (0.5,))
        2.0
    """
    if not counts.any():
        return float("nan")
    knots, value = quantiles[counts], actual[counts][:, None]
    level = np.array(levels)
    low, high, rise = knots[:, :-1], knots[:, 1:], np.diff(level)
    cut = np.clip(value, low, high)
    width = np.where(high > low, high - low, 1.0)
    middle = level[:-1] + rise * (cut - low) / width
    below = (cut - low) * _mean_square(level[:-1], middle)
    above = (high - cut) * _mean_square(middle - 1, level[1:] - 1)
    outside = np.maximum(knots[:, :1] - value, 0) + np.maximum(value - knots[:, -1:], 0)
    return float(((below + above).sum(axis=1) + outside[:, 0]).mean())


def _mean_square(begin: Array, end: Array) -> Array:
    """Mean of a square whose root goes linearly from `begin` to `end`."""
    return (begin**2 + begin * end + end**2) / 3


def crps_from_samples(
    samples: Float[np.ndarray, "windows horizon samples"],
    actual: Float[np.ndarray, "windows horizon"],
    counts: Bool[np.ndarray, "windows horizon"],
) -> float:
    """Mean continuous ranked probability score of samples: E|x - actual| - E|x - x'| / 2 (Gneiting & Raftery 2007).

    Args:
        samples: draws from each forecast, in the last dimension.
        actual, counts: what came, and whether it counts.

    Example:
        >>> crps_from_samples(np.array([[[0.0, 2.0]]]), np.ones((1, 1)), np.ones((1, 1), dtype=bool))
        0.5
    """
    if not counts.any():
        return float("nan")
    drawn, value = np.sort(samples[counts], axis=-1), actual[counts][:, None]
    number = drawn.shape[-1]
    # Of sorted draws, the sum of all |x - x'| is a weighted sum of the draws.
    weights = 2 * np.arange(1, number + 1) - number - 1
    spread = (drawn * weights).sum(axis=-1) / number**2
    return float((np.abs(drawn - value).mean(axis=-1) - spread).mean())


def owa(errors: Errors, naive2: Errors) -> float:
    """Overall weighted average of M4: the mean of sMAPE and MASE, each by Naive2's.

    Example:
        >>> owa(Errors(1, 1, mase=0.5, smape=5.0), Errors(1, 1, mase=1.0, smape=20.0))
        0.375
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.divide([errors.smape, errors.mase], [naive2.smape, naive2.mase])
    return float(parts.mean())


def coverage(
    quantiles: Float[np.ndarray, "windows horizon levels"],
    actual: Float[np.ndarray, "windows horizon"],
    counts: Bool[np.ndarray, "windows horizon"],
) -> Float[np.ndarray, " levels"]:
    """Share of the values that count which lie at or below each quantile."""
    if not counts.any():
        return np.full(quantiles.shape[-1], np.nan)
    return (actual[counts][:, None] <= quantiles[counts]).mean(axis=0)


def mase_scale(values: Array, starts: NDArray[np.int64], season_length: int) -> Array:
    """In-sample MAE of the seasonal naive method for each series; 1 where a series has none or repeats itself.

    Args:
        values: the training values of all series one after another, NaN where missing.
        starts: where each series begins, and the total at the end.
        season_length: steps.
    """
    scales = np.ones(len(starts) - 1)
    for index in range(len(scales)):
        own = values[starts[index] : starts[index + 1]]
        lag = season_length if len(own) > season_length else 1
        steps = np.abs(own[lag:] - own[:-lag])
        steps = steps[~np.isnan(steps)]
        # Below this it is rounding: the series repeats itself.
        if len(steps) and steps.mean() > 1e-9 * np.nanmean(np.abs(own)):
            scales[index] = steps.mean()
    return scales
