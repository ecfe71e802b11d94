"""Errors of forecasts, over the values that were observed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

__all__ = ["Errors", "coverage", "mase_scale", "measure", "pinball_loss"]

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
    """

    mae: float
    rmse: float
    mase: float
    smape: float
    pinball: float | None = None


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
    """In-sample MAE of the seasonal naive method for each series; 1 where a series has none or is constant.

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
        if len(steps) and steps.mean() > 0:
            scales[index] = steps.mean()
    return scales
