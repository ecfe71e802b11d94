"""One alarm per event: a score counts only where it is the highest for a while."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Onset"]


class Onset:
    """Lets a score pass where it is above all of the last `quiet` scores, and gives 0 elsewhere.

    Args:
        quiet: rows, at least 1.
        recent: scores that came before.

    Example:
        >>> onset = Onset(2)
        >>> [onset.step(score) for score in (1.0, 3.0, 2.0, 2.5, 2.6)]
        [1.0, 3.0, 0.0, 0.0, 2.6]
    """

    def __init__(self, quiet: int, recent: Iterable[float] = ()) -> None:
        self.quiet = quiet
        self.recent: deque[float] = deque(recent, maxlen=quiet)

    def step(self, score: float) -> float:
        """The score, or 0; NaN passes and is forgotten."""
        if score != score:
            return score
        highest = max(self.recent, default=-np.inf)
        self.recent.append(score)
        return score if score > highest else 0.0

    def run(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores one after another."""
        return np.array([self.step(float(score)) for score in scores])
