"""How hypotheses of different lengths are compared (Wu et al. 2016, equation 14)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn.arguments import no_type_check

__all__ = ["Penalties"]

# A position that no step attends to costs the log of this, not infinity.
_LEAST_COVERAGE = 1e-6


@dataclass(frozen=True)
class Penalties:
    """The score of a hypothesis Y: log P(Y) / lp(Y) + cp(Y).

    With length |Y| (stop token included), lp = ((5 + |Y|) / 6)^length, and with attention p_ij of step j to position
    i, cp = coverage * sum_i log(min(sum_j p_ij, 1)).

    Args:
        length: the exponent, at least 0; 0 scores by log-probability alone, which favours short hypotheses.
        coverage: the weight, at least 0; needs a model that gives its attention.

    Raises:
        ArgumentError, ArgumentTypeError: a number of at least 0 is expected.

    References:
        Wu et al. 2016, "Google's neural machine translation system", equation 14.

    Example:
        >>> round(Penalties(length=1.0).score(-6.0, 7), 3)
        -3.0
    """

    length: float = 0.0
    coverage: float = 0.0

    @no_type_check
    def __post_init__(self) -> None:
        """Check both."""
        for name in ("length", "coverage"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise ArgumentTypeError(
                    f"{name}: a number is expected, came {value!r} ({type(value).__name__})"
                )
            if not 0 <= value < math.inf:
                raise ArgumentError(f"{name}: a finite number of at least 0 is expected, came {value}")

    def score(
        self, log_prob: float, length: int, covered: Float[Tensor, " positions"] | None = None
    ) -> float:
        """The score of a hypothesis.

        Args:
            log_prob: its log-probability.
            length: its tokens, the stop token included.
            covered: (positions,) the attention that each position got over all steps; None without attention.
        """
        score = log_prob / self.divisor(length)
        if self.coverage and covered is not None:
            score += self.coverage * float(torch.log(covered.double().clamp(_LEAST_COVERAGE, 1.0)).sum())
        return score

    def bound(self, log_prob: float, max_length: int) -> float:
        """The most that a hypothesis can still reach: no further token costs, its length helps most, all is covered."""
        return log_prob / self.divisor(max_length)

    def divisor(self, length: int) -> float:
        """lp(Y) of a length."""
        return float(((5 + length) / 6) ** self.length)
