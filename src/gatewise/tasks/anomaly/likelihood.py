"""How unlikely the last errors are among those before them (Ahmad et al. 2017)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

__all__ = ["TAIL_WINDOW", "Likelihood", "TailLikelihood"]

# Errors that a tail is fitted to at most.
TAIL_WINDOW = 10_000
# The tail is the upper fifth; it is fitted to a hundred errors at least, and again after so many more.
_TAIL_SHARE, _LEAST_ERRORS, _REFIT_ROWS = 0.2, 100, 25
_LEAST_SCALE = 0.02


class Likelihood:
    """The tail probability of the short mean of errors under a Gaussian of the errors of a long window.

    Errors enter as log(1 + error), which keeps one large error from hiding all that follow it in the window. The
    result is -log10 Q((short mean - long mean) / long deviation), Q the upper tail of the standard Gaussian:
    Ahmad et al. 2017, eq. 5 and 6, on the logarithmic scale that they recommend for thresholds.

    Args:
        window: errors in the long window.
        short: errors in the short one.
        history: errors that came before the stream.

    References:
        Ahmad, Lavin, Purdy & Agha 2017, "Unsupervised real-time anomaly detection for streaming data",
        Neurocomputing 262.
    """

    def __init__(self, window: int, short: int, history: Iterable[float] = ()) -> None:
        self.window, self.short = window, short
        self._long: deque[float] = deque(maxlen=window)
        self._recent: deque[float] = deque(maxlen=short)
        self._sum = self._squares = 0.0
        self._since = 0
        for error in history:
            self._push(float(np.log1p(error)))

    def step(self, error: float) -> float:
        """The score of one more error, at least 0; NaN for NaN, which leaves the windows as they were."""
        if error != error:
            return float("nan")
        value = float(np.log1p(error))
        count = len(self._long)
        mean = self._sum / count if count else 0.0
        variance = max(self._squares / count - mean**2, 0.0) if count else 0.0
        self._push(value)
        if count < 2:
            return 0.0
        deviation = max(float(np.sqrt(variance)), 1e-3)
        z = (sum(self._recent) / len(self._recent) - mean) / deviation
        return float(-log_ndtr(-z) / np.log(10.0))

    def run(self, errors: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scores of errors one after another."""
        return np.array([self.step(float(error)) for error in errors])

    def _push(self, value: float) -> None:
        if len(self._long) == self.window:
            oldest = self._long[0]
            self._sum -= oldest
            self._squares -= oldest**2
        self._long.append(value)
        self._recent.append(value)
        self._sum += value
        self._squares += value**2
        self._since += 1
        if self._since >= self.window:  # sums anew, so that rounding does not pile up
            self._since = 0
            self._sum = sum(self._long)
            self._squares = sum(one**2 for one in self._long)

    def state(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "window": self.window, "short": self.short, "long": list(self._long), "recent": list(self._recent),
            "sum": self._sum, "squares": self._squares, "since": self._since,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Likelihood:
        """One that goes on where another was."""
        own = cls(int(state["window"]), int(state["short"]))
        own._long.extend(float(one) for one in state["long"])
        own._recent.extend(float(one) for one in state["recent"])
        own._sum, own._squares, own._since = float(state["sum"]), float(state["squares"]), int(state["since"])
        return own


class TailLikelihood:
    """The probability that an error is at least so large, by the tail of the errors before it.

    The upper fifth of the errors is taken to be Pareto, which makes log(1 + error) exponential beyond a level; the
    scale is the mean excess (Hill 1975). Where errors have heavy tails a Gaussian calls many of them all but
    impossible; a tail of their own does not. The result is -log10 of the probability, and 0 below the level.

    Args:
        window: errors that are remembered.
        history: errors that came before the stream.

    References:
        Hill 1975, "A simple general approach to inference about the tail of a distribution", Annals of Statistics 3.
    """

    def __init__(self, window: int, history: Iterable[float] = ()) -> None:
        self._long: deque[float] = deque((float(np.log1p(error)) for error in history), maxlen=window)
        self._level, self._scale = float("inf"), 1.0
        self._since = _REFIT_ROWS

    def step(self, error: float) -> float:
        """The score of one more error, at least 0; NaN for NaN, which leaves the tail as it was."""
        if error != error:
            return float("nan")
        value = float(np.log1p(error))
        if self._since >= _REFIT_ROWS and len(self._long) >= _LEAST_ERRORS:
            self._fit()
        score = 0.0
        if value > self._level:
            score = float(-np.log10(_TAIL_SHARE) + (value - self._level) / self._scale / np.log(10.0))
        self._long.append(value)
        self._since += 1
        return score

    def run(self, errors: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scores of errors one after another."""
        return np.array([self.step(float(error)) for error in errors])

    def _fit(self) -> None:
        values = np.array(self._long)
        self._level = float(np.quantile(values, 1 - _TAIL_SHARE))
        beyond = values[values > self._level]
        self._scale = max(float((beyond - self._level).mean()) if len(beyond) else 0.0, _LEAST_SCALE)
        self._since = 0

    def state(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "window": self._long.maxlen, "long": list(self._long), "since": self._since, "scale": self._scale,
            "level": None if self._level == float("inf") else self._level,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TailLikelihood:
        """One that goes on where another was."""
        own = cls(int(state["window"]))
        own._long.extend(float(one) for one in state["long"])
        own._since, own._scale = int(state["since"]), float(state["scale"])
        own._level = float("inf") if state["level"] is None else float(state["level"])
        return own
