"""Where a score becomes an alarm: by extreme-value theory (SPOT, DSPOT), by a target false-alarm rate, or fixed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewise.tasks.anomaly.extremes import shrunk_tail, tail_quantile

__all__ = ["DriftSpot", "Fixed", "Spot", "Threshold", "fit_spot", "rate_threshold", "threshold_from_state"]

Values = NDArray[np.float64]
# Siffer et al. start the tail at the 98 % quantile; fewer rows need a lower start for enough excesses.
_TAIL_SHARE, _FEWEST_PEAKS = 0.02, 10
# The tail is fitted again when so many new excesses, a share of those known, have come.
_REFIT_SHARE = 0.05


@dataclass
class Fixed:
    """A threshold that stays where it is."""

    value: float

    def step(self, score: float) -> tuple[bool, float]:
        """Whether this score is an alarm, and the threshold it was held against."""
        return score > self.value, self.value

    def fresh(self) -> Fixed:
        """One for a new stream."""
        return self

    def state(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {"kind": "fixed", "value": self.value}


@dataclass
class Spot:
    """SPOT (Siffer et al. 2017, algorithm 2): the tail above a level is Pareto, and is learned on as scores come.

    One thing differs. The paper learns from no alarm at all, which cuts off the tail at the threshold, and with each
    refit lowers it: on exponential scores the false-alarm rate came out near three times the risk. Here as many
    alarms as the risk lets expect of normal scores enter the tail, each no further out than the tail's own mean beyond
    the threshold.

    Args:
        risk: the probability that a normal score is an alarm.
        level: where the tail begins.
        peaks: excesses over it so far.
        count: scores so far.
        value: the present threshold.
        fitted: how many excesses the present tail was fitted to.
        taken: how many alarms entered the tail.
        reach: the mean of scores above the threshold, as the tail has it.
    """

    risk: float
    level: float
    peaks: list[float]
    count: int
    value: float = float("inf")
    fitted: int = 0
    taken: int = 0
    reach: float = float("inf")

    def __post_init__(self) -> None:
        """Fit the tail, unless that was done."""
        if not self.fitted:
            self._fit()

    def _fit(self) -> None:
        tail = shrunk_tail(np.array(self.peaks))
        share = len(self.peaks) / self.count
        self.value = max(
            tail_quantile(tail, level=self.level, share=share, risk=min(self.risk, share)), self.level
        )
        self.fitted = len(self.peaks)
        shape = min(tail.shape, 0.9)  # a heavier tail has no mean
        self.reach = self.value + (tail.scale + shape * (self.value - self.level)) / (1 - shape)

    def step(self, score: float) -> tuple[bool, float]:
        """Whether this score is an alarm, and the threshold it was held against."""
        held = self.value
        alarm = score > held
        if score != score or (alarm and self.taken >= self.risk * self.count):
            return alarm, held
        self.count += 1
        self.taken += alarm
        if score > self.level:
            self.peaks.append((min(score, self.reach) if alarm else score) - self.level)
            if len(self.peaks) >= self.fitted * (1 + _REFIT_SHARE):
                self._fit()
        return alarm, held

    def fresh(self) -> Spot:
        """One for a new stream."""
        return Spot(
            self.risk,
            self.level,
            list(self.peaks),
            self.count,
            self.value,
            self.fitted,
            self.taken,
            self.reach,
        )

    def state(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "kind": "spot", "risk": self.risk, "level": self.level, "peaks": list(self.peaks), "count": self.count,
            "value": self.value, "fitted": self.fitted, "taken": self.taken, "reach": self.reach,
        }  # fmt: skip


@dataclass
class DriftSpot:
    """DSPOT (Siffer et al. 2017, algorithm 3): SPOT on the score less its mean over the last normal scores.

    Args:
        spot: on what is left of the score.
        recent: the last normal scores.
        depth: how many of them.
    """

    spot: Spot
    recent: deque[float]
    depth: int

    @property
    def value(self) -> float:
        """The present threshold."""
        return self.spot.value + self._mean()

    def _mean(self) -> float:
        return float(np.mean(self.recent)) if self.recent else 0.0

    def step(self, score: float) -> tuple[bool, float]:
        """Whether this score is an alarm, and the threshold it was held against."""
        mean = self._mean()
        alarm, held = self.spot.step(score - mean)
        if not alarm and score == score:
            self.recent.append(score)
        return alarm, held + mean

    def fresh(self) -> DriftSpot:
        """One for a new stream."""
        return DriftSpot(self.spot.fresh(), deque(self.recent, maxlen=self.depth), self.depth)

    def state(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "kind": "dspot",
            "spot": self.spot.state(),
            "recent": list(self.recent),
            "depth": self.depth,
        }


Threshold = Fixed | Spot | DriftSpot


def fit_spot(scores: Values, risk: float, *, depth: int | None = None) -> Spot | DriftSpot:
    """Start SPOT from scores of normal rows; with `depth`, DSPOT over that many of them.

    Args:
        scores: (rows,), NaN where there is none; at least 3.
        risk: in 0 to 1.
        depth: rows of the moving mean, or None.
    """
    scores = scores[~np.isnan(scores)]
    recent: deque[float] = deque(maxlen=depth or 1)
    if depth is not None:
        depth = min(depth, max(1, len(scores) // 2))
        recent = deque(maxlen=depth)
        sums = np.concatenate([[0.0], np.cumsum(scores)])
        means = (sums[depth:-1] - sums[:-depth - 1]) / depth  # fmt: skip
        recent.extend(scores[-depth:].tolist())
        scores = scores[depth:] - means
    share = min(max(_TAIL_SHARE, _FEWEST_PEAKS / len(scores)), 0.5)
    level = float(np.quantile(scores, 1 - share))
    peaks = (scores[scores > level] - level).tolist()
    if not peaks:  # all scores alike
        peaks = [max(abs(level), 1e-12) * 1e-3]
    spot = Spot(risk, level, peaks, len(scores))
    return spot if depth is None else DriftSpot(spot, recent, depth)


def rate_threshold(scores: Values, rate: float) -> Fixed:
    """The score that a share `rate` of these scores exceeds.

    With n scores, the k-th largest, k = floor(rate (n + 1)), is exceeded by a new one of the same distribution with
    probability at most `rate` (the conformal argument, Vovk et al. 2005). Where that would be less than one
    score, the tail is extrapolated as in SPOT.
    """
    scores = np.sort(scores[~np.isnan(scores)])
    place = int(rate * (len(scores) + 1))
    if place >= 1:
        return Fixed(float(scores[-min(place, len(scores))]))
    return Fixed(float(fit_spot(scores, rate).value))


def threshold_from_state(state: dict[str, Any]) -> Threshold:
    """A threshold from its JSON; KeyError or TypeError where that is none."""
    kind = state["kind"]
    if kind == "fixed":
        return Fixed(float(state["value"]))
    if kind == "spot":
        return Spot(
            float(state["risk"]), float(state["level"]), [float(one) for one in state["peaks"]], int(state["count"]),
            float(state["value"]), int(state["fitted"]), int(state["taken"]), float(state["reach"]),
        )  # fmt: skip
    if kind == "dspot":
        spot = threshold_from_state(state["spot"])
        if not isinstance(spot, Spot):
            raise TypeError("a drifting threshold needs a SPOT inside")
        return DriftSpot(spot, deque(state["recent"], maxlen=int(state["depth"])), int(state["depth"]))
    raise KeyError(f"threshold kind {kind!r}")
