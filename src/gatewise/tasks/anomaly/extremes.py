"""The tail of a distribution: generalised Pareto by maximum likelihood, and quantiles beyond the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

__all__ = ["Tail", "fit_tail", "log_likelihood", "shrunk_tail", "tail_quantile"]

Values = NDArray[np.float64]
_GRID = 64
_PRIOR_DEVIATION = 0.2


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto distribution of excesses: shape (gamma) and scale (sigma, above 0)."""

    shape: float
    scale: float


def log_likelihood(excesses: Values, tail: Tail) -> float:
    """The log-likelihood of excesses above 0; minus infinity where one lies outside the support."""
    if abs(tail.shape) < 1e-12:
        return float(-len(excesses) * np.log(tail.scale) - excesses.sum() / tail.scale)
    inside = 1 + tail.shape * excesses / tail.scale
    if inside.min() <= 0:
        return -np.inf
    return float(-len(excesses) * np.log(tail.scale) - (1 + 1 / tail.shape) * np.log(inside).sum())


def fit_tail(excesses: Values) -> Tail:
    """Fit by maximum likelihood, reduced to one unknown (Grimshaw 1993; Siffer et al. 2017, sec. 3.2).

    With x = shape / scale, the likelihood's stationary points solve u(x) v(x) = 1, where u(x) is the mean of
    1 / (1 + x y) and v(x) = 1 + the mean of log(1 + x y). All roots within Grimshaw's bounds are bracketed on a grid
    and compared, the exponential distribution (x = 0) among them; a shape below -1, where the likelihood has no
    maximum, is left out.

    Args:
        excesses: at least one, above 0.

    Example:
        >>> excesses = np.random.default_rng(0).exponential(3.0, size=5000)
        >>> tail = fit_tail(excesses)
        >>> abs(tail.shape) < 0.05 and abs(tail.scale - 3) < 0.2
        True
    """
    mean, least, most = float(excesses.mean()), float(excesses.min()), float(excesses.max())
    best = Tail(0.0, mean)
    if len(excesses) < 3 or most <= least:
        return best
    best_value = log_likelihood(excesses, best)
    # In units of the mean, so that nothing under- or overflows.
    scaled = excesses / mean
    low, high = -1.0 / scaled.max(), 2.0 * (1.0 - scaled.min()) / scaled.min() ** 2
    high = min(max(high, 1e-3), 1e6)
    below = low * (1 - np.geomspace(1e-8, 1 - 1e-6, _GRID))
    above = np.geomspace(1e-6, high, _GRID)
    for grid in (below, above):
        signs = np.array([_condition(x, scaled) for x in grid])
        for left in np.flatnonzero(np.diff(np.sign(signs)) != 0):
            x = brentq(_condition, grid[left], grid[left + 1], args=(scaled,), xtol=1e-12)
            shape = float(np.log1p(x * scaled).mean())
            if shape <= -1 or x == 0 or shape == 0:
                continue
            tail = Tail(shape, shape / x * mean)
            value = log_likelihood(excesses, tail)
            if value > best_value:
                best, best_value = tail, value
    return best


def shrunk_tail(excesses: Values) -> Tail:
    """The fit with its shape drawn towards 0, the exponential tail, the more so the fewer excesses there are.

    From ten excesses the shape is known to about 0.3, and a shape too low by that sets thresholds far too low. The
    fitted shape, of variance (1 + shape)^2 / n (Smith 1987), is averaged with a prior of mean 0 and deviation 0.2;
    the scale keeps the excesses' mean, scale / (1 - shape).

    Args:
        excesses: at least one, above 0.
    """
    tail = fit_tail(excesses)
    variance = (1 + tail.shape) ** 2 / len(excesses)
    shape = tail.shape * _PRIOR_DEVIATION**2 / (_PRIOR_DEVIATION**2 + variance)
    if tail.shape >= 0.9:  # hardly a mean to be kept
        return Tail(shape, tail.scale)
    return Tail(shape, tail.scale / (1 - tail.shape) * (1 - shape))


def _condition(x: float, excesses: Values) -> float:
    inside = 1 + x * excesses
    return float((1 / inside).mean() * (1 + np.log(inside).mean()) - 1)


def tail_quantile(tail: Tail, *, level: float, share: float, risk: float) -> float:
    """The value that is exceeded with probability `risk` (Siffer et al. 2017, eq. 1).

    Args:
        tail: of the excesses over `level`.
        level: what the excesses were counted from.
        share: the probability of exceeding `level`.
        risk: above 0; the value lies above `level` where it is below `share`.
    """
    ratio = risk / share
    if abs(tail.shape) < 1e-12:
        return level - tail.scale * float(np.log(ratio))
    return level + tail.scale / tail.shape * float(ratio**-tail.shape - 1)
