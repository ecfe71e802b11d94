"""Scores of different makes on one scale: how rare each is among harmless records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Float

__all__ = ["Tail"]

Scores = Float[np.ndarray, " records"]
# The highest scores, this share of them and at least so many, give the tail; below, the scores are taken as they came.
_TAIL, _FEWEST = 0.02, 10
_POINTS = 256


@dataclass(frozen=True)
class Tail:
    """-log of the share of harmless records that score at least as high, in nats.

    As counted where many records lie, and exponential beyond: the mean excess over a high level is the one parameter of
    that tail (a generalised Pareto tail of shape 0; Pickands 1975), which does not end at the highest score that came.

    Args:
        levels: rising scores.
        nats: what each is worth, rising.
        spread: how much more score one nat is beyond the last level.

    Example:
        >>> tail = Tail.fit(np.arange(1000.0))
        >>> round(float(np.exp(-tail(np.array([900.0])))[0]), 2)
        0.1
    """

    levels: tuple[float, ...]
    nats: tuple[float, ...]
    spread: float

    @classmethod
    def fit(cls, harmless: Scores) -> Self:
        """Learn it from the scores of harmless records that nothing was fitted to."""
        share = float(np.clip(_FEWEST / len(harmless), _TAIL, 0.5))
        shares = np.linspace(0.0, 1.0 - share, _POINTS)
        levels = np.quantile(harmless, shares)
        # Records of one score: each of them is as high as all of them.
        levels, first = np.unique(levels, return_index=True)
        over = harmless[harmless > levels[-1]] - levels[-1]
        least = 1e-3 * float(harmless.std()) + 1e-9
        spread = max(float(over.mean()) if len(over) else 0.0, least)
        return cls(tuple(levels.tolist()), tuple((-np.log1p(-shares[first])).tolist()), spread)

    def __call__(self, scores: Scores) -> Scores:
        """What scores are worth, nats; never falling as scores rise."""
        within = np.interp(scores, self.levels, self.nats)
        return within + np.maximum(scores - self.levels[-1], 0.0) / self.spread

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """From what `to_dict` gave."""
        return cls(tuple(stored["levels"]), tuple(stored["nats"]), float(stored["spread"]))
