"""Whether one method is above another on the same test, or level with it within the spread of what was tested."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_APART", "block_gain", "gain_words", "is_above", "paired_gain"]

# A gain beyond so many standard errors is called a win: some 95 in 100.
_STANDARD_ERRORS = 2.0
# Where fewer units differ than this, no test calls it a win: of 5, chance puts all on one side in 1 of 16.
LEAST_APART = 6
# Scores that belong to a whole test only (BLEU) are counted over so many parts of it.
_BLOCKS = 20


def is_above(gain: float, error: float) -> bool:
    """Whether a gain is a win: above zero, and by more than two standard errors.

    Example:
        >>> is_above(0.03, 0.01), is_above(0.01, 0.01), is_above(0.5, math.inf)
        (True, False, False)
    """
    return gain > 0 and gain > _STANDARD_ERRORS * error


def paired_gain(differences: NDArray[np.float64], units: NDArray[np.int64]) -> tuple[float, float]:
    """The mean of differences, and its standard error with whole units as the independent draws.

    Args:
        differences: of shape (labels,), the one method's score less the other's on the same label.
        units: of shape (labels,), the sequence, sentence or group that each label belongs to.

    Returns:
        Both; the error is infinite where fewer than six units differ: such a gain could be chance, whatever its spread.

    Example:
        >>> paired_gain(np.array([1.0] + [0.0] * 99), np.arange(100))
        (0.01, inf)
    """
    mean = float(differences.mean())
    places = np.unique(units, return_inverse=True)[1].reshape(-1)
    totals = np.bincount(places, differences - mean)
    apart = np.count_nonzero(np.bincount(places, differences))
    if apart < LEAST_APART:
        return mean, math.inf
    count = len(totals)
    return mean, float(np.sqrt((totals**2).sum() * count / (count - 1)) / len(differences))


def block_gain(
    measure: Callable[[Sequence[str], Sequence[str]], float],
    own: Sequence[str],
    other: Sequence[str],
    expected: Sequence[str],
) -> float:
    """The standard error of a difference in a score of whole tests, from the differences in up to 20 parts of the test.

    Args:
        measure: of texts and what was expected.
        own, other: two methods' texts.
        expected: the right ones, all in the same order.

    Returns:
        The error; infinite where fewer than six parts differ.

    Example:
        >>> met = lambda said, right: float(np.mean([a == b for a, b in zip(said, right)]))
        >>> block_gain(met, ["a"] * 40, ["a"] * 39 + ["b"], ["a"] * 40)
        inf
    """
    count = min(_BLOCKS, len(expected))
    parts = [slice(start, None, count) for start in range(count)]
    found = np.array([measure(own[one], expected[one]) - measure(other[one], expected[one]) for one in parts])
    if np.count_nonzero(found) < LEAST_APART:
        return math.inf
    return float(found.std(ddof=1) / math.sqrt(count))


def gain_words(gain: float, error: float) -> str:
    """A difference of shares and its standard error in brackets.

    Example:
        >>> gain_words(0.031, 0.01), gain_words(0.01, math.inf)
        (' (difference +3.1% ± 1.0%)', ' (difference +1.0%, in too few cases to tell from chance)')
    """
    doubt = ", in too few cases to tell from chance" if math.isinf(error) else f" ± {error:.1%}"
    return f" (difference {gain:+.1%}{doubt})"
