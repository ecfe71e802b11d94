"""Learning rates as a function of how far the run is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gatewise.train.config import TrainConfig

__all__ = ["Schedule"]

# Smith & Topin 2018: start at 1/25 of the peak, rise over 30 % of the run, end far below the start.
_RISE = 0.3
_START = 1 / 25
_END = 1e-4 / 25
_PLATEAU_FACTOR = 0.5
_PLATEAU_EPOCHS = 3
_PLATEAU_LEAST = 1e-3


@dataclass
class Schedule:
    """The learning rate of each step.

    All but "plateau" are functions of the step alone; "plateau" carries how long it has waited.

    Args:
        config: names the schedule, the peak and the warm-up.
        total_steps: how many steps the run has at most.

    Example:
        >>> schedule = Schedule(TrainConfig(schedule="cosine", learning_rate=1.0), total_steps=100)
        >>> [round(schedule.rate(step), 3) for step in (0, 50, 99)]
        [1.0, 0.5, 0.0]
    """

    config: TrainConfig
    total_steps: int
    factor: float = 1.0
    least: float = math.inf
    waited: int = 0

    def rate(self, step: int, progress: float = 0.0) -> float:
        """Return the learning rate of a step.

        Args:
            step: counted from 0.
            progress: the part of `max_time` that is over, 0 to 1; the schedule follows whichever is further.

        Returns:
            The rate, in the units of `config.learning_rate`.
        """
        done = max(step / self.total_steps, min(progress, 1.0))
        if self.config.schedule == "cosine":
            factor = 0.5 * (1 + math.cos(math.pi * done))
        elif self.config.schedule == "one_cycle":
            factor = _one_cycle(done)
        else:
            factor = self.factor
        if step < self.config.warmup_steps:
            factor *= (step + 1) / (self.config.warmup_steps + 1)
        return self.config.learning_rate * factor

    def validated(self, loss: float) -> None:
        """Tell the schedule an epoch's validation loss; "plateau" may lower the rate."""
        if self.config.schedule != "plateau":
            return
        if loss < self.least:
            self.least, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited >= _PLATEAU_EPOCHS:
            self.factor, self.waited = max(self.factor * _PLATEAU_FACTOR, _PLATEAU_LEAST), 0

    def state(self) -> dict[str, Any]:
        """Return what "plateau" carries, as plain JSON."""
        least = None if math.isinf(self.least) else self.least
        return {"factor": self.factor, "least": least, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.factor, self.waited = float(state["factor"]), int(state["waited"])
        self.least = math.inf if state["least"] is None else float(state["least"])


def _one_cycle(done: float) -> float:
    """Cosine up from `_START` to 1, then cosine down to `_END`."""
    if done < _RISE:
        return _START + (1 - _START) * 0.5 * (1 - math.cos(math.pi * done / _RISE))
    return _END + (1 - _END) * 0.5 * (1 + math.cos(math.pi * (done - _RISE) / (1 - _RISE)))
