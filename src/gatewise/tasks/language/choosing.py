"""Which token comes next: drawn from the probabilities, perhaps of the most probable ones alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewise.errors import ArgumentError, ArgumentTypeError

__all__ = ["Choice", "draw", "kept_tokens"]

Logits = NDArray[np.float32]
_COLDEST = 1e-6  # below, the differences of logits are too large for float32


@dataclass(frozen=True)
class Choice:
    """How the next token is chosen.

    Args:
        temperature: what logits are divided by, at least 0; 0 (and what is below a millionth) takes the most probable.
        top_k: draw from so many of the most probable, at least 1; None: all.
        top_p: draw from the fewest of the most probable that together have at least this probability, above 0 and at
            most 1 (Holtzman et al. 2020); None: all. It is computed after the temperature and `top_k`.

    Raises:
        ArgumentError: a value is out of its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("temperature", "top_p"):
            value = getattr(self, name)
            if value is None and name == "top_p":
                continue
            if not isinstance(value, int | float | np.number) or isinstance(value, bool):
                raise ArgumentTypeError(f"{name}: a number is expected, came {value!r}")
        if not 0 <= self.temperature < float("inf"):
            raise ArgumentError(
                f"temperature: a finite number of at least 0 is expected, came {self.temperature}"
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ArgumentError(f"top_p: above 0 and at most 1 is expected, came {self.top_p}")
        if self.top_k is not None:
            if not isinstance(self.top_k, int | np.integer) or isinstance(self.top_k, bool):
                raise ArgumentTypeError(f"top_k: a whole number is expected, came {self.top_k!r}")
            if self.top_k < 1:
                raise ArgumentError(f"top_k: at least 1 is expected, came {self.top_k}")


def draw(logits: Logits, choice: Choice, generator: np.random.Generator) -> int:
    """A token, by one random number.

    Args:
        logits: (tokens,) minus infinity for what may not come.
        choice: how.
        generator: where the random number is from; none is drawn at temperature 0.

    Returns:
        The token.
    """
    if choice.temperature < _COLDEST:
        return int(logits.argmax())
    tokens = kept_tokens(logits, choice)
    kept = logits if tokens is None else logits[tokens]
    sums = _weights(kept, choice.temperature).cumsum(dtype=np.float64)
    place = int(sums.searchsorted(generator.random() * sums[-1], side="right"))
    place = min(place, len(sums) - 1)
    return place if tokens is None else int(tokens[place])


def kept_tokens(logits: Logits, choice: Choice) -> Any:
    """The tokens that `top_k` and `top_p` leave, the most probable first; None: all."""
    if choice.top_k is None and choice.top_p is None:
        return None
    count = len(logits) if choice.top_k is None else min(int(choice.top_k), len(logits))
    # Of equal ones the first come first, whatever numpy's selection does.
    if count < len(logits):
        least = np.partition(logits, len(logits) - count)[len(logits) - count]
        tokens = np.flatnonzero(logits >= least)
    else:
        tokens = np.arange(len(logits))
    tokens = tokens[np.argsort(-logits[tokens], kind="stable")][:count]
    if choice.top_p is not None:
        shares = _weights(logits[tokens], max(choice.temperature, _COLDEST)).astype(np.float64)
        reached = (shares / shares.sum()).cumsum()
        tokens = tokens[: int(reached.searchsorted(float(choice.top_p) - 1e-12)) + 1]
    return tokens


def _weights(logits: Logits, temperature: float) -> Logits:
    """Probabilities up to a factor."""
    return np.exp((logits - logits.max()) * np.float32(1.0 / temperature))
