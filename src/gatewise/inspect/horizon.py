"""How far back a layer remembers: the effective memory horizon, read off the norms of d h_T / d h_t by lag."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

__all__ = ["SHARES", "HorizonEstimate", "Reach", "estimate_horizon"]

SHARES = (math.exp(-1), 0.01)
"""What is left of a gradient at the horizon: 1/e, the time constant of an exponential decay, and 1 %."""


@dataclass(frozen=True)
class Reach:
    """The lag from which on no more than a share arrives.

    Attributes:
        share: Between 0 and 1.
        lag: In steps; infinite where the norm does not decay.
        extrapolated: Whether the lag lies beyond the window and follows from the fitted rate.
    """

    share: float
    lag: float
    extrapolated: bool

    def __str__(self) -> str:
        share = "1/e" if math.isclose(self.share, SHARES[0]) else f"{self.share:.3g}".rstrip()
        share = f"{100 * self.share:g} %" if share != "1/e" else share
        if math.isinf(self.lag):
            return f"{share} at no lag: the norm does not decay"
        return f"{share} at lag {self.lag:.3g}{' (extrapolated)' if self.extrapolated else ''}"


@dataclass(frozen=True)
class HorizonEstimate:
    """The effective memory horizon of a layer.

    The horizon at a share s is the smallest lag k such that the largest singular value of d h_T / d h_(T-k) is at most
    s at k and at every longer lag of the window; at lag 0 it is 1. Between two measured lags its logarithm is taken as
    linear in the lag. Where the window ends before, the horizon is extrapolated by the fitted rate, and says so.
    The rate is the slope of the logarithm over the second half of the window (least squares), an estimate of the
    largest Lyapunov exponent of the layer under its input (Engelken, Wolf & Abbott 2023); that products of Jacobians
    decay or grow exponentially is Bengio, Simard & Frasconi 1994 and Pascanu, Mikolov & Bengio 2013, eq. 5-7.

    Attributes:
        window: The longest lag measured, in steps.
        rate: Change of the logarithm of the norm per step; NaN where there are too few lags.
        reaches: One for each share, in the order asked for.
    """

    window: int
    rate: float
    reaches: tuple[Reach, ...]

    @property
    def time_constant(self) -> float:
        """Steps in which the norm falls to 1/e at the fitted rate: -1 / rate; infinite where it does not fall."""
        return -1.0 / self.rate if self.rate < 0 else (math.nan if math.isnan(self.rate) else math.inf)

    def reach(self, share: float) -> Reach:
        """The horizon of one of the shares asked for.

        Raises:
            KeyError: It was not asked for.
        """
        for reach in self.reaches:
            if math.isclose(reach.share, share):
                return reach
        raise KeyError(share)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; None for what is infinite or unknown."""
        return {
            "window": self.window,
            "rate": _finite(self.rate),
            "time_constant": _finite(self.time_constant),
            "reaches": [
                {"share": r.share, "lag": _finite(r.lag), "extrapolated": r.extrapolated}
                for r in self.reaches
            ],
        }


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def estimate_horizon(
    lags: Int[np.ndarray, " lags"], log_norm: Float[np.ndarray, " lags"], shares: Sequence[float] = SHARES
) -> HorizonEstimate:
    """The horizon from norms by lag.

    Args:
        lags: Increasing, from 1 on.
        log_norm: Natural logarithm of the norm at each; -inf where nothing arrives.
        shares: Between 0 and 1.

    Example:
        >>> lags = np.array([1, 2, 4, 8])
        >>> found = estimate_horizon(lags, lags * math.log(0.9))
        >>> round(found.time_constant, 3), [(round(r.lag, 3), r.extrapolated) for r in found.reaches]
        (9.491, [(9.491, True), (43.709, True)])
    """
    known = ~np.isnan(log_norm)
    steps = np.concatenate([[0.0], lags[known].astype(np.float64)])
    logs = np.concatenate([[0.0], log_norm[known]])
    rate = _rate(steps, logs)
    reaches = tuple(_reach(steps, logs, rate, float(share)) for share in shares)
    return HorizonEstimate(int(steps[-1]), rate, reaches)


def _rate(steps: np.ndarray, logs: np.ndarray) -> float:
    """Slope of the logarithm over the second half of the lags at which something arrives."""
    finite = np.isfinite(logs)
    steps, logs = steps[finite], logs[finite]
    if len(steps) < 2:
        return -math.inf if not finite.all() else math.nan
    late = steps >= steps[-1] / 2
    if late.sum() < 2:
        late[-2:] = True
    x = steps[late] - steps[late].mean()
    return float((x * logs[late]).sum() / (x * x).sum())


def _reach(steps: np.ndarray, logs: np.ndarray, rate: float, share: float) -> Reach:
    level = math.log(share)
    above = np.flatnonzero(logs > level)  # never empty: at lag 0 the logarithm is 0
    last = int(above[-1])
    if last + 1 < len(steps):
        down, up = logs[last] - level, logs[last] - logs[last + 1]
        part = down / up if np.isfinite(up) else 1.0
        return Reach(share, float(steps[last] + part * (steps[last + 1] - steps[last])), False)
    if rate < 0:
        return Reach(share, float(steps[-1] + (level - logs[-1]) / rate), True)
    return Reach(share, math.inf, True)
