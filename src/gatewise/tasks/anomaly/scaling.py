"""Channels in units of their own: fixed, or moving with the level and spread of the rows so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

__all__ = ["ScaleState", "Scaler", "fit_scaler", "squash"]

Values = NDArray[np.float64]
# A value further out than this many spreads moves the running level and spread no further.
_CLIP = 4.0
# The running spread never falls below this share of the one that was fitted.
_LEAST_SHARE = 0.05
# Inputs of the network are as they are up to here and grow with the logarithm beyond.
_LINEAR = 5.0


def squash(values: Values) -> Values:
    """Values up to five spreads unchanged, those beyond by their logarithm, so that no outlier floods a network."""
    size = np.abs(values)
    far = np.maximum(size - _LINEAR, 0.0)
    return np.sign(values) * (np.minimum(size, _LINEAR) + np.log1p(far))


@dataclass(frozen=True)
class ScaleState:
    """Level and squared spread of each channel at one moment, of shape (series, channels)."""

    level: Values
    power: Values


@dataclass(frozen=True)
class Scaler:
    """Level and spread of each channel.

    Args:
        level, spread: (channels,), of the rows that were fitted; spread is above 0.
        span: rows over which level and spread forget (exponentially); None keeps them as they were fitted.
    """

    level: Values
    spread: Values
    span: float | None

    def begin(self, series: int) -> ScaleState:
        """The state before the first row of so many series."""
        shape = (series, len(self.level))
        return ScaleState(
            np.broadcast_to(self.level, shape).copy(), np.broadcast_to(self.spread**2, shape).copy()
        )

    def spread_of(self, state: ScaleState) -> Values:
        """The spread, (series, channels)."""
        return np.maximum(np.sqrt(state.power), _LEAST_SHARE * self.spread)

    def advance(self, state: ScaleState, row: Float[np.ndarray, "series channels"]) -> ScaleState:
        """The state after one more row; missing values leave it as it was.

        An exponentially weighted mean and variance (West 1979), with what lies far out drawn in, so that the very
        anomaly that is looked for does not become the new normal at once.
        """
        if self.span is None:
            return state
        rate = 2.0 / (self.span + 1.0)
        spread = self.spread_of(state)
        step = np.clip((row - state.level) / spread, -_CLIP, _CLIP) * spread
        step = np.where(np.isnan(step), 0.0, step)
        seen = ~np.isnan(row)
        level = state.level + rate * step
        power = np.where(seen, (1 - rate) * (state.power + rate * step**2), state.power)
        return ScaleState(level, power)

    def run(
        self, values: Float[np.ndarray, "time series channels"]
    ) -> tuple[Float[np.ndarray, "moments series channels"], Float[np.ndarray, "moments series channels"]]:
        """Level and spread before the first row and after each: time + 1 moments, as `advance` gives them."""
        state = self.begin(values.shape[1])
        if self.span is None:
            shape = (len(values) + 1, *state.level.shape)
            return np.broadcast_to(state.level, shape), np.broadcast_to(self.spread_of(state), shape)
        levels, spreads = [state.level], [self.spread_of(state)]
        for row in values:
            state = self.advance(state, row)
            levels.append(state.level)
            spreads.append(self.spread_of(state))
        return np.stack(levels), np.stack(spreads)


def fit_scaler(values: Float[np.ndarray, "rows channels"], span: float | None) -> Scaler:
    """Median and spread of each channel; the spread is the deviation of the values between the 1 and 99 % quantile.

    A channel that is constant in these rows has spread 1 in its own unit, and so every change of it stands out.
    """
    level, spread = np.zeros(values.shape[1]), np.ones(values.shape[1])
    for index, channel in enumerate(values.T):
        seen = channel[~np.isnan(channel)]
        if not len(seen):
            continue
        level[index] = np.median(seen)
        low, high = np.quantile(seen, [0.01, 0.99])
        for deviation in (np.clip(seen, low, high).std(), seen.std()):
            if deviation > 1e-9 * max(1.0, abs(level[index])):
                spread[index] = deviation
                break
    return Scaler(level, spread, span)
