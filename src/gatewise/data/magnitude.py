"""How large a number may be, so that means, deviations and cubes of it are finite in every estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FARTHEST", "SizeFault", "size_faults"]

# The networks compute in float32 (up to 3.4e38) and forecasts may leave the range that was seen tenfold; statistics are
# sums of cubes in float64: 1e90 times any number of rows stays below 1.8e308.
FARTHEST = 1e30

SizeFault = tuple[NDArray[np.bool_], str, str]


def size_faults(values: NDArray[Any]) -> tuple[SizeFault, SizeFault]:
    """Which numbers cannot be scaled, what they are in words, and what to do; NaN is none of them.

    Args:
        values: float64 of any shape.

    Returns:
        The infinite ones and those beyond 1e30, each as a mask of the shape of `values`, a word and an advice.

    Example:
        >>> [(mask.tolist(), what) for mask, what, _ in size_faults(np.array([1.0, np.inf, -1e308, np.nan]))]
        [([False, True, False, False], 'infinite'), ([False, True, True, False], 'beyond 1e30')]
    """
    return (
        (np.isinf(values), "infinite", 'Replace it, or make it missing (NaN) and say missing="mask".'),
        (
            (values > FARTHEST) | (values < -FARTHEST),
            f"beyond {FARTHEST:.0e}".replace("e+", "e"),
            "Sums of such numbers overflow: divide the column by a power of ten, or make the value missing (NaN) and "
            'say missing="mask".',
        ),
    )
