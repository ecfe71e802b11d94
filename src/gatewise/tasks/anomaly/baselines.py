"""Trivial detectors, shown beside every network: a Gaussian of the last rows, and the last value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from gatewise.tasks.anomaly.series import Series

__all__ = ["GAUSSIAN", "LAST_VALUE", "baseline_scores", "last_value_scores", "windowed_gaussian_scores"]

Values = NDArray[np.float64]
GAUSSIAN, LAST_VALUE = "windowed Gaussian", "last value"
_WINDOW = 1000


def windowed_gaussian_scores(values: Values, window: int = _WINDOW) -> Values:
    """How unlikely each value is under a Gaussian of the `window` values before it: -log10 of its tail probability.

    The detector that NAB calls windowed Gaussian, on the logarithm of the tail, which does not end at 1.

    Args:
        values: (rows,) of one channel, NaN where missing.
        window: rows.

    Example:
        >>> scores = windowed_gaussian_scores(np.array([0.0, 1.0, 0.0, 1.0, 9.0]))
        >>> int(scores.argmax())
        4
    """
    seen = ~np.isnan(values)
    # About the median, so that squares of large values do not eat up the digits.
    filled = np.where(seen, values - (np.median(values[seen]) if seen.any() else 0.0), 0.0)
    counts, sums, squares = (
        np.concatenate([[0.0], np.cumsum(part)]) for part in (seen.astype(float), filled, filled**2)
    )
    end = np.arange(len(values))
    begin = np.maximum(end - window, 0)
    count = np.maximum(counts[end] - counts[begin], 1.0)
    mean = (sums[end] - sums[begin]) / count
    variance = np.maximum((squares[end] - squares[begin]) / count - mean**2, 0.0)
    deviation = np.maximum(np.sqrt(variance), 1e-6)
    scores = -log_ndtr(-np.abs(filled - mean) / deviation) / np.log(10.0)
    scores[(count < 2) | ~seen] = 0.0  # one value has no spread
    return np.asarray(scores)


def last_value_scores(values: Values) -> Values:
    """How far each value lies from the last one before it; 0 for the first and where either is missing."""
    steps = np.abs(np.diff(values, prepend=values[:1]))
    return np.nan_to_num(steps)


def baseline_scores(series: Series, spread: Values) -> dict[str, Values]:
    """Scores of the trivial detectors, (rows,) each; of several channels the strangest counts.

    Args:
        series: what is scored.
        spread: (channels,), the unit that makes the channels' last-value errors comparable.
    """
    ways: dict[str, Callable[[Values], Values]] = {
        GAUSSIAN: windowed_gaussian_scores,
        LAST_VALUE: last_value_scores,
    }
    found = {}
    for name, score in ways.items():
        scores = np.zeros(series.rows)
        for index in range(len(series)):
            rows = series.of(index)
            columns = [
                score(series.values[rows, channel] / spread[channel]) for channel in range(len(spread))
            ]
            scores[rows] = np.max(columns, axis=0)
        found[name] = scores
    return found
