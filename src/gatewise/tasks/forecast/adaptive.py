"""Calibration that follows a drift: on the latest windows whose outcome is known, at every forecast anew.

Split calibration promises coverage for values like those of the rows that were held back in `fit`. Where a series has
moved on since, the latest windows say more (conformal prediction beyond exchangeability, Barber et al. 2023, with
equal weights on a window of time and none before it). Measured in docs/results/forecast-sets.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatewise.tasks.forecast.batches import Origins
from gatewise.tasks.forecast.calibration import calibrate, fit_calibration
from gatewise.tasks.forecast.encoding import Encoded
from gatewise.tasks.forecast.ensemble import Forecasting
from gatewise.tasks.forecast.inference import forecast_scaled

__all__ = ["Recent", "adapted"]

Whole = NDArray[np.int64]
# Fewer values than this tell less than the factors from `fit`.
_FEWEST = 100
_MOST_WINDOWS = 20_000
# The factors are learned anew after a horizon, or after this part of the window of time.
_PARTS = 50


@dataclass(frozen=True)
class Recent:
    """Which windows calibrate a forecast.

    Args:
        rows: how many rows back their origins lie at most, counted from the latest whose outcome is known; 0: the
            factors from `fit` serve all forecasts.
    """

    rows: int = 0

    def reach(self, horizon: int) -> int:
        """How many rows before its own origin a forecast's calibration begins."""
        return self.rows + horizon if self.rows else 0


def adapted(
    network: Forecasting,
    encoded: Encoded,
    origins: Origins,
    recent: Recent,
    factors: tuple[float, ...],
    levels: tuple[float, ...],
) -> NDArray[np.float64]:
    """Scaled quantiles of shape (origins, horizon, levels), each calibrated on windows that ended before it began.

    Args:
        network, encoded, origins: what is forecast.
        recent: which windows calibrate.
        factors: what serves where these hold too few values.
        levels: rising, 0.5 among them.
    """
    scaled = forecast_scaled(network, encoded, origins)
    panel, horizon = encoded.panel, encoded.encoder.horizon
    windows = _candidates(encoded, origins, recent)
    before = forecast_scaled(network, encoded, windows)
    target, counts = encoded.targets(windows.series, windows.rows[None], panel.lengths[windows.series])
    made = panel.stamps[panel.starts[:-1][windows.series] + windows.rows]
    now = panel.stamps[panel.starts[:-1][origins.series] + origins.rows]
    moments, block = _blocks(encoded, now, max(horizon, recent.rows // _PARTS))
    latest = panel.frequency.ahead(moments, np.full(moments.shape, -horizon))
    oldest = panel.frequency.ahead(moments, np.full(moments.shape, -recent.reach(horizon)))
    for index in range(len(moments)):
        known = (made > oldest[index]) & (made <= latest[index])
        own = factors
        if known.any() and counts[0][known].sum() >= _FEWEST:
            own = fit_calibration(before[known], target[0][known], counts[0][known], levels)
        ours = block == index
        scaled[ours] = calibrate(scaled[ours], own, levels)
    return scaled


def _candidates(encoded: Encoded, origins: Origins, recent: Recent) -> Origins:
    """Origins of each series whose outcome is known before its last forecast and not too long before its first."""
    horizon, count = encoded.encoder.horizon, len(encoded.panel)
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
    np.minimum.at(first, origins.series, origins.rows)
    np.maximum.at(last, origins.series, origins.rows)
    begin = np.where(last >= 0, np.maximum(first - recent.reach(horizon), 0), 0)
    counts = np.where(last >= 0, np.maximum(last - horizon + 1 - begin, 0), 0)
    # Every so many rows, counted from the series' beginning, so that what came later changes none of them.
    every = max(1, -(-int(counts.sum()) // _MOST_WINDOWS))
    series = np.repeat(np.arange(count), counts)
    rows = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + begin[series]
    chosen = rows % every == 0
    return Origins(series[chosen].astype(np.int64), rows[chosen].astype(np.int64))


def _blocks(encoded: Encoded, now: Whole, steps: int) -> tuple[Whole, Whole]:
    """The moments at which factors are learned, and for each forecast which of them serves it: the last before it."""
    frequency = encoded.panel.frequency
    begin = np.broadcast_to(now.min(), now.shape)
    place = frequency.position(now, begin)[0] // steps
    used, block = np.unique(place, return_inverse=True)
    moments = np.array([now[place == one].min() for one in used], dtype=np.int64)
    return moments, block
