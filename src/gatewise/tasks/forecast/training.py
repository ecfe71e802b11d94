"""Batches of chunks, and where forecasts are made from.

A chunk gives a forecast from many of its steps, not only from its last: the encoder's work is shared, and a pass
over the data yields some twelve times the examples. Every such step has the full lookback before it, as in use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewise.tasks.forecast.batches import Origins, all_channels, make_batch
from gatewise.tasks.forecast.encoding import Encoded

__all__ = ["ChunkSource", "Origins", "choose_origins", "draw_order"]

Whole = NDArray[np.int64]
# Measured on beijing-air: forecasting from 12 steps of a 96-step chunk learns as fast per pass as from every step, at
# a fifth of the decoder's work. The steps are drawn: evenly spaced ones would keep time with the season.
CHUNK_POSITIONS = 12
CHUNK_STEPS = 96
# An epoch has at least so many steps; a small table is gone through several times for it.
_FEWEST_STEPS = 20
_LEAST_BATCH, _MOST_BATCH = 16, 256


class ChunkSource:
    """Batches of chunks, a pure function of (seed, epoch, step).

    Args:
        encoded: the data.
        limits: (series,) rows at and after these, counted within the series, are held out.
        batch_size: chunks in a batch; None chooses by the number of chunks, 16 to 256.
        seed: for the order and the chunks' offsets.
        channels: series of equal stamps that make one window; 1: each by itself.
        weights: (series,) how often a chunk of each is drawn, beside the others, above 0; None: each once in a pass.
    """

    # The rows of a batch lie in the second dimension.
    batch_dim = 1

    def __init__(
        self,
        encoded: Encoded,
        limits: Whole,
        batch_size: int | None,
        seed: int,
        channels: int = 1,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self._encoded, self._limits, self._seed, self._channels = encoded, limits, seed, channels
        lookback = encoded.encoder.lookback
        if channels > 1:
            # The first series stands for all: their stamps are equal.
            limits = limits[:1]
        # In a short series even the first steps are used, with nothing before them.
        self._first = np.minimum(lookback - 1, limits // 2 - 1).clip(min=0)
        span = np.maximum(limits - 1 - self._first, 1)
        self._reach = min(CHUNK_STEPS, int(span.max()))
        chunks = -(-span // self._reach) + (span > self._reach)
        self._series = np.repeat(np.arange(len(limits)), chunks)
        self._index = np.arange(len(self._series)) - np.repeat(np.cumsum(chunks) - chunks, chunks)
        self._weights = None if weights is None else weights[self._series]
        self._moves = (span > self._reach)[self._series]
        fitting = int(np.clip(len(self._series) // _FEWEST_STEPS, _LEAST_BATCH, _MOST_BATCH))
        self.batch_size = batch_size or fitting
        self._steps = -(-len(self._series) // self.batch_size)
        self._passes = -(-_FEWEST_STEPS // self._steps)
        self._order: tuple[int, Whole, Whole] | None = None

    def steps_per_epoch(self) -> int:
        """Batches in an epoch: one pass over the data, or several where one has few."""
        return self._steps * self._passes

    @property
    def windows_per_step(self) -> float:
        """How many forecasts a step learns from, on average: the positions of its chunks."""
        return len(self._series) * self._channels / self._steps * min(CHUNK_POSITIONS, self._reach)

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Batch number `step` of an epoch: chunks of this pass's order."""
        order, offsets = self._shuffled(epoch * self._passes + step // self._steps)
        place = step % self._steps
        chosen = order[place * self.batch_size : (place + 1) * self.batch_size]
        series = self._series[chosen]
        first_origin = self._first[series] + self._index[chosen] * self._reach - offsets[chosen]
        count = min(CHUNK_POSITIONS, self._reach)
        drawn = np.sort(
            np.random.default_rng((self._seed, epoch, step)).choice(self._reach, count, replace=False)
        )
        lookback = self._encoded.encoder.lookback
        if self._channels > 1:
            series, first_origin = all_channels(first_origin, self._channels)
        begins = first_origin - (lookback - 1)
        batch = make_batch(
            self._encoded,
            series,
            begins,
            lookback - 1 + self._reach,
            lookback - 1 + drawn,
            self._limits[series],
        )
        # Steps before the first one that is meant to be used come from the random offset alone.
        first = np.broadcast_to(self._first, self._limits.shape)[series]
        early = torch.from_numpy(first_origin + drawn[:, None] < first)
        return batch | {"counts": batch["counts"] & ~early[..., None]}

    def fingerprint(self) -> str:
        """Tells one data set, split and batch order from another."""
        digest = hashlib.sha256(self._encoded.fingerprint().encode())
        digest.update(self._limits.tobytes())
        digest.update(f"{self.batch_size} {self._seed}".encode())
        if self._weights is not None:
            digest.update(self._weights.tobytes())
        return digest.hexdigest()

    def _shuffled(self, number: int) -> tuple[Whole, Whole]:
        """The order of the chunks in a pass, and how far each is moved back."""
        if self._order is None or self._order[0] != number:
            generator = np.random.default_rng((self._seed, number))
            offsets = np.where(self._moves, generator.integers(self._reach, size=len(self._series)), 0)
            # Chunks of one series move together, so that an epoch sees every step once.
            heads = np.flatnonzero(self._index == 0)
            offsets = offsets[heads[self._series]]
            self._order = (number, draw_order(generator, len(self._series), self._weights), offsets)
        return self._order[1], self._order[2]


def draw_order(
    generator: np.random.Generator, count: int, weights: NDArray[np.float64] | None
) -> NDArray[np.int64]:
    """An order of so many things: each once, or (with weights) drawn in proportion to them, again and again.

    Example:
        >>> drawn = draw_order(np.random.default_rng(0), 1000, np.repeat([1.0, 9.0], 500))
        >>> int(np.mean(drawn >= 500) * 10)
        9
    """
    if weights is None:
        return generator.permutation(count)
    return generator.choice(count, size=count, p=weights / weights.sum())


def choose_origins(first: Whole, last: Whole, most: int) -> Origins:
    """Origins first[i] to last[i] (inclusive) of every series, every so many rows that there are at most `most`."""
    counts = np.maximum(last - first + 1, 0)
    every = max(1, -(-int(counts.sum()) // most))
    series = np.repeat(np.arange(len(first)), -(-counts // every))
    rows = [np.arange(begin, end + 1, every) for begin, end in zip(first, last, strict=True) if end >= begin]
    chosen = np.concatenate(rows).astype(np.int64) if rows else np.zeros(0, np.int64)
    # With more series than that, some go without.
    some = slice(None, None, max(1, -(-len(chosen) // most)))
    return Origins(series.astype(np.int64)[some], chosen[some])
