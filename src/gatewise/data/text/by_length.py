"""Sentences of like length together, so that little is padded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["batches_by_length", "parts_by_length"]

Whole = NDArray[np.int64]
# Within so many batches sentences are sorted: enough that little is padded, few enough that batches stay mixed.
_NEIGHBOURS = 8


def batches_by_length(
    lengths: Whole, chosen: Whole, size: int, generator: np.random.Generator
) -> list[Whole]:
    """Batches of one pass in a random order, sentences of like length together.

    Args:
        lengths: (sentences,) of all of them.
        chosen: those to draw from.
        size: sentences in a batch, at least 1.
        generator: for the order.

    Example:
        >>> lengths = np.array([3, 9, 3, 9])
        >>> batches = batches_by_length(lengths, np.arange(4), 2, np.random.default_rng(0))
        >>> sorted(lengths[one].tolist() for one in batches)
        [[3, 3], [9, 9]]
    """
    order = generator.permutation(chosen)
    reach = size * _NEIGHBOURS
    batches: list[Whole] = []
    for begin in range(0, len(order), reach):
        near = order[begin : begin + reach]
        near = near[np.argsort(lengths[near], kind="stable")]
        batches += [near[at : at + size] for at in range(0, len(near), size)]
    return [batches[one] for one in generator.permutation(len(batches))]


def parts_by_length(lengths: Whole, *, most: int = 256, most_steps: int = 2**15) -> list[Whole]:
    """Places of sentences that are computed together where nothing is learned, each once.

    Args:
        lengths: (sentences,).
        most: sentences in a part.
        most_steps: steps in a part, padding included; one longer sentence is a part of its own.
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
