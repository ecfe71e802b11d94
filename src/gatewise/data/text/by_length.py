"""Sentences of like length together where nothing is learned: as many at once as memory is good for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["parts_by_length"]

Whole = NDArray[np.int64]


def parts_by_length(lengths: Whole, *, most: int = 256, most_steps: int = 2**15) -> list[Whole]:
    """Places of sentences that are computed together where nothing is learned, each once.

    Args:
        lengths: (sentences,).
        most: sentences in a part.
        most_steps: steps in a part, padding included; one longer sentence is a part of its own.

    Example:
        >>> [part.tolist() for part in parts_by_length(np.array([3, 9, 3, 50]), most_steps=20)]
        [[0, 2], [1], [3]]
    """
    order = np.argsort(lengths, kind="stable").astype(np.int64)
    parts, begin = [], 0
    while begin < len(order):
        end = begin + 1
        while end < min(len(order), begin + most) and lengths[order[end]] * (end + 1 - begin) <= most_steps:
            end += 1
        parts.append(order[begin:end])
        begin = end
    return parts
