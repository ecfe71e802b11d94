"""Which forecasts a report shows: by rule, so that nobody picks the prettiest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatewise.tasks.forecast.evaluation import NAIVE, SEASONAL, BackTest

__all__ = ["Choice", "chained_windows", "chosen_windows", "window_errors"]

_MOST_CHAINED = 14
_COMPLETE = 0.9


@dataclass(frozen=True)
class Choice:
    """A window, the rule that picked it, and its mean absolute error."""

    window: int
    title: str
    error: float


def window_errors(test: BackTest, method: str) -> NDArray[np.float64]:
    """Mean absolute error of each window, NaN where nothing was observed.

    Args:
        test: the back-test.
        method: "model", "last value" or "seasonal naive".
    """
    forecast = {"model": test.median, NAIVE: test.naive, SEASONAL: test.seasonal}[method]
    counts = test.counts
    total = np.where(counts, np.abs(forecast - test.actual), 0.0).sum(axis=1)
    number = counts.sum(axis=1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def chosen_windows(test: BackTest) -> list[Choice]:
    """The forecasts whose error is the median, the first quartile and the 95th percentile of all, and the worst.

    Only windows with nine values in ten observed are eligible, where there are such.
    """
    errors = window_errors(test, "model")
    complete = test.counts.mean(axis=1) >= _COMPLETE
    eligible = np.flatnonzero(np.isfinite(errors) & (complete if complete.any() else True))
    order = eligible[np.argsort(errors[eligible], kind="stable")]
    rules = (
        (0.5, "Typical: median error"),
        (0.25, "Good: one in four is better"),
        (0.95, "Bad: one in twenty is worse"),
        (1.0, "The worst of all"),
    )
    found: list[Choice] = []
    for share, title in rules:
        window = int(order[min(len(order) - 1, int(share * len(order)))])
        if window not in [choice.window for choice in found]:
            found.append(Choice(window, title, float(errors[window])))
    return found


def chained_windows(test: BackTest) -> NDArray[np.int64]:
    """Windows of one series that follow each other without a gap, up to fourteen.

    Of all such chains the one is taken whose mean error is the median: a typical stretch, not the best one.
    """
    horizon = test.actual.shape[1]
    place = {int(row): index for index, row in enumerate(test.rows)}
    errors = window_errors(test, "model")
    chains: list[list[int]] = []
    for start in range(0, len(test.rows), max(1, len(test.rows) // 500)):
        chain, row = [start], int(test.rows[start]) + horizon
        while len(chain) < _MOST_CHAINED and row in place and test.series[place[row]] == test.series[start]:
            chain.append(place[row])
            row += horizon
        chains.append(chain)
    longest = max(len(chain) for chain in chains)
    full = [chain for chain in chains if len(chain) == longest]
    means = np.array(
        [np.nanmean(errors[chain]) if np.isfinite(errors[chain]).any() else np.inf for chain in full]
    )
    return np.array(full[int(np.argsort(means, kind="stable")[len(full) // 2])], dtype=np.int64)
