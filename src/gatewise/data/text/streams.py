"""Long texts as parallel streams that are read window by window, and short ones as batches of like length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewise.errors import ArgumentError, DataError

__all__ = ["PackedStreams", "length_batches", "padded", "window_lengths"]

Whole = NDArray[np.int64]
# Merity et al. 2018, section 5: a window has its full length with this probability, else half of it; then a deviation.
_FULL = 0.95
_DEVIATION = 5.0
_SHORTEST = 5


class PackedStreams:
    """A text cut into streams of equal length that are read side by side, each going on where it stopped.

    Of N tokens, stream b holds tokens b * L to (b + 1) * L (and the one after, as its last target), L = (N - 1) //
    streams. What is left over at the end is not read.

    Args:
        ids: (tokens,) the text.
        streams: how many, at least 1.

    Attributes:
        steps: L, the tokens that each stream predicts.
        left_over: tokens at the end that no stream reads.

    Raises:
        DataError: the text is too short for so many streams.

    Example:
        >>> inputs, targets = PackedStreams(np.arange(11), 2).window(0, 3)
        >>> inputs.tolist(), targets.tolist()
        ([[0, 5], [1, 6], [2, 7]], [[1, 6], [2, 7], [3, 8]])
    """

    def __init__(self, ids: Any, streams: int) -> None:
        if not isinstance(streams, int | np.integer) or streams < 1:
            raise ArgumentError(f"streams: a whole number of at least 1 is expected, came {streams!r}")
        held = np.asarray(ids)
        if held.ndim != 1 or not np.issubdtype(held.dtype, np.integer):
            raise ArgumentError(
                f"ids: a row of whole numbers is expected, came {held.dtype} of shape {held.shape}"
            )
        self.streams = int(streams)
        self.steps = (len(held) - 1) // self.streams
        if self.steps < 1:
            raise DataError(
                f"the text has {len(held)} tokens, too few for {streams} streams of at least one step; give more "
                "text, or ask for fewer streams"
            )
        used = self.steps * self.streams
        self.left_over = len(held) - 1 - used
        self.inputs: Whole = np.ascontiguousarray(
            held[:used].reshape(self.streams, -1).T.astype(np.int64, copy=False)
        )
        self.targets: Whole = np.ascontiguousarray(
            held[1 : used + 1].reshape(self.streams, -1).T.astype(np.int64, copy=False)
        )

    def window(self, start: Any, length: Any) -> tuple[Whole, Whole]:
        """Some steps of all streams.

        Args:
            start: the first step.
            length: how many.

        Returns:
            (time, streams) tokens, and the ones that follow each.
        """
        return self.inputs[start : start + length], self.targets[start : start + length]


def window_lengths(steps: int, window: int, *, variable: bool, generator: np.random.Generator) -> Whole:
    """The lengths of an epoch's windows: as many in every epoch, and together every step once.

    Variable ones are drawn as Merity et al. (2018, section 5) do it: mostly about `window`, sometimes about half of it,
    so that no token is always the last one that a window's error reaches. What the draw is too long or too short is
    spread over the windows by ones.

    Args:
        steps: of a stream, at least 1.
        window: the usual length, at least 1.
        variable: whether lengths are drawn; else all but the last are `window`.
        generator: what they are drawn from.

    Returns:
        (windows,) lengths, at least 1, that sum to `steps`.

    Example:
        >>> window_lengths(100, 30, variable=False, generator=np.random.default_rng(0)).tolist()
        [30, 30, 30, 10]
        >>> int(window_lengths(1000, 30, variable=True, generator=np.random.default_rng(0)).sum())
        1000
    """
    if not variable or window <= 2 * _SHORTEST:
        full, rest = divmod(steps, window)
        return np.array([window] * full + [rest] * (rest > 0), dtype=np.int64)
    mean = window * (_FULL + (1 - _FULL) / 2)
    count = max(1, round(steps / mean))
    base = np.where(generator.random(count) < _FULL, window, window / 2)
    drawn = np.maximum(_SHORTEST, generator.normal(base, _DEVIATION).astype(np.int64))
    least = min(_SHORTEST, steps // count)
    while (missing := steps - int(drawn.sum())) != 0:
        free = np.arange(count) if missing > 0 else np.flatnonzero(drawn > least)
        chosen = generator.permutation(free)[: abs(missing)]
        drawn[chosen] += np.sign(missing)
    return drawn


def length_batches(
    lengths: Sequence[int] | Whole,
    batch_size: int,
    *,
    generator: np.random.Generator | None = None,
    neighbours: int = 50,
) -> list[Whole]:
    """Batches of sequences of like length, so that little is padded.

    Args:
        lengths: of the sequences.
        batch_size: the most sequences in a batch, at least 1.
        generator: draws the order: sequences come together within `neighbours` batches, by length, and the batches in
            any order. None: all by their length, longest last, always alike (where nothing is learned).
        neighbours: see there, at least 1.

    Returns:
        Each batch's sequences, by their numbers; every sequence is in one batch.

    Example:
        >>> [batch.tolist() for batch in length_batches([3, 1, 2, 1], 2)]
        [[1, 3], [2, 0]]
    """
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ArgumentError(f"batch_size: a whole number of at least 1 is expected, came {batch_size!r}")
    held = np.asarray(lengths, dtype=np.int64)
    if generator is None:
        order = np.argsort(held, kind="stable")
        return [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]
    order = generator.permutation(len(held))
    reach = batch_size * max(1, neighbours)
    batches: list[Whole] = []
    for begin in range(0, len(order), reach):
        near = order[begin : begin + reach]
        near = near[np.argsort(held[near], kind="stable")]
        batches += [near[at : at + batch_size] for at in range(0, len(near), batch_size)]
    return [batches[place] for place in generator.permutation(len(batches))]


def padded(sequences: Sequence[Whole], pad: int = 0) -> tuple[Whole, Whole]:
    """Sequences side by side, the short ones filled up.

    Args:
        sequences: (tokens,) each.
        pad: what they are filled with.

    Returns:
        (time, batch) tokens and (batch,) lengths.

    Example:
        >>> tokens, lengths = padded([np.array([5, 6]), np.array([7])])
        >>> tokens.tolist(), lengths.tolist()
        ([[5, 7], [6, 0]], [2, 1])
    """
    lengths = np.array([len(one) for one in sequences], dtype=np.int64)
    found = np.full((int(lengths.max(initial=0)), len(sequences)), pad, dtype=np.int64)
    for place, one in enumerate(sequences):
        found[: len(one), place] = one
    return found, lengths
