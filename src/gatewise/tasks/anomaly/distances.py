"""From errors to strangeness, channel by channel: a Gaussian of error vectors, or how far outside a band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

__all__ = ["ErrorGaussian", "exceedance", "fit_gaussian", "with_level"]

Values = NDArray[np.float64]
# The least half width of a band of quantiles, in spreads of the training rows.
_FLOOR = 1e-3
# Errors further out than this many robust deviations enter the fit drawn in: training rows may hold anomalies.
_FAR = 5.0


@dataclass(frozen=True)
class ErrorGaussian:
    """A Gaussian of error vectors (Malhotra et al. 2015, sec. 2.2).

    Args:
        mean: (dimensions,)
        precision: (dimensions, dimensions), the inverse covariance.
    """

    mean: Values
    precision: Values

    def contributions(
        self, errors: Float[np.ndarray, "rows steps channels"]
    ) -> Float[np.ndarray, "rows channels"]:
        """What each channel adds to the squared Mahalanobis distance; they sum to it.

        Errors that are missing (NaN) count as average. A share may be negative where a channel's error is what
        the other channels' errors made likely.
        """
        rows, steps, channels = errors.shape
        deviation = errors.reshape(rows, steps * channels) - self.mean
        deviation = np.where(np.isnan(deviation), 0.0, deviation)
        parts = deviation * (deviation @ self.precision)
        return parts.reshape(rows, steps, channels).sum(axis=1)


def fit_gaussian(errors: Float[np.ndarray, "rows steps channels"], tolerance: float) -> ErrorGaussian:
    """Mean and shrunk covariance (Ledoit & Wolf 2004) of error vectors, those far out drawn in first.

    Args:
        errors: in spreads of the training rows; rows with NaN are left out, unless none is whole.
        tolerance: added to the deviation of every error, in squares; above 0.
    """
    flat = errors.reshape(len(errors), -1)
    whole = flat[~np.isnan(flat).any(axis=1)]
    if len(whole) < 2:
        whole = np.nan_to_num(flat)
    centre = np.median(whole, axis=0)
    robust = 1.4826 * np.median(np.abs(whole - centre), axis=0)
    robust = np.where(robust > 0, robust, whole.std(axis=0))
    drawn = np.clip(whole, centre - _FAR * robust, centre + _FAR * robust)
    from sklearn.covariance import ledoit_wolf  # slow to load

    covariance = np.atleast_2d(ledoit_wolf(drawn)[0]) if len(drawn) > 1 else np.zeros((flat.shape[1],) * 2)
    covariance = covariance + tolerance**2 * np.eye(flat.shape[1])
    return ErrorGaussian(drawn.mean(axis=0), np.linalg.inv(covariance))


def with_level(
    contributions: Float[np.ndarray, "*rows channels"], scaled: Float[np.ndarray, "*rows channels"]
) -> Float[np.ndarray, "*rows channels"]:
    """Errors and the values' own distance from their level, as one: (1 + error) (1 + distance^2) - 1 by channel.

    So a value that is far out counts though it was foretold, and one that is both counts for more than the sum.

    Args:
        contributions: of the errors; shares below 0 count as 0.
        scaled: values less their level, in spreads, of the moment before each row.

    Example:
        >>> with_level(np.array([[3.0], [3.0]]), np.array([[0.0], [2.0]])).tolist()
        [[3.0], [19.0]]
    """
    return np.asarray((1 + np.maximum(contributions, 0.0)) * (1 + scaled.astype(np.float64) ** 2) - 1)


def exceedance(
    values: Float[np.ndarray, "rows channels"], quantiles: Float[np.ndarray, "rows channels levels"]
) -> Float[np.ndarray, "rows channels"]:
    """How far a value lies from the median, in units of the distance from the median to the band's edge on its side.

    1 is the edge of the band. NaN where value or quantiles are missing.

    Args:
        values: what came.
        quantiles: lowest, median and highest, along the last dimension.
    """
    low, middle, high = (quantiles[..., index] for index in (0, 1, 2))
    edge = np.where(values >= middle, high - middle, middle - low)
    return np.asarray(np.abs(values - middle) / np.maximum(edge, _FLOOR))
