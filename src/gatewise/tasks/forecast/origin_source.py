"""Batches of single windows, for networks that read every window by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gatewise.tasks.forecast.batches import all_channels, make_batch
from gatewise.tasks.forecast.encoding import Encoded
from gatewise.tasks.forecast.training import draw_order

__all__ = ["OriginSource"]

Whole = NDArray[np.int64]
# An epoch reads every eighth origin, another eighth each time: neighbours share all but one step. It is the share that
# chunks give forecasts from (training.ChunkSource), so that an epoch means the same for every architecture.
EPOCHS_OF_A_PASS = 8
_FEWEST_STEPS = 20
_LEAST_BATCH, _MOST_BATCH = 16, 256


class OriginSource:
    """Batches of windows with one forecast each, a pure function of (seed, epoch, step).

    Args:
        encoded: the data.
        limits: (series,) rows at and after these, counted within the series, are held out.
        batch_size: windows in a batch (of all channels together, where they are forecast together); None chooses by
            the number of windows, 16 to 256.
        seed: for the order.
        channels: series that make one window; 1: each by itself.
        passes: epochs that together read every window once, at least 1.
        weights: (series,) how often a window of each is drawn, beside the others, above 0; None: each once.
    """

    # The rows of a batch lie in the second dimension.
    batch_dim = 1

    def __init__(
        self,
        encoded: Encoded,
        limits: Whole,
        batch_size: int | None,
        seed: int,
        *,
        channels: int = 1,
        passes: int = EPOCHS_OF_A_PASS,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self._encoded, self._limits, self._seed, self._channels = encoded, limits, seed, channels
        lookback = encoded.encoder.lookback
        own = limits[:1] if channels > 1 else limits
        # In a short series even the first steps are used, with nothing before them.
        self._first = np.minimum(lookback - 1, own // 2 - 1).clip(min=0)
        counts = np.maximum(own - 1 - self._first, 1)
        self._ends = np.cumsum(counts)
        self._weights = None if weights is None else np.repeat(weights, counts)
        total = int(self._ends[-1])
        self._passes = passes if total >= passes * _FEWEST_STEPS * _LEAST_BATCH else 1
        share = -(-total // self._passes)
        self.batch_size = batch_size or int(np.clip(share // _FEWEST_STEPS, _LEAST_BATCH, _MOST_BATCH))
        self._steps = max(1, share // self.batch_size)
        self._rounds = -(-_FEWEST_STEPS // self._steps)
        self._order: tuple[int, Whole] | None = None

    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self._steps * self._rounds

    @property
    def windows_per_step(self) -> float:
        """How many forecasts a step learns from."""
        return self.batch_size * self._channels

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Batch number `step` of an epoch."""
        turn = epoch * self._rounds + step // self._steps
        order = self._shuffled(turn // self._passes)
        begin = (turn % self._passes) * self._steps * self.batch_size + step % self._steps * self.batch_size
        chosen = order[begin : begin + self.batch_size]
        series = np.searchsorted(self._ends, chosen, side="right")
        before = np.concatenate([[0], self._ends[:-1]])
        rows = self._first[series] + chosen - before[series]
        if self._channels > 1:
            series, rows = all_channels(rows, self._channels)
        lookback = self._encoded.encoder.lookback
        return make_batch(
            self._encoded,
            series,
            rows - (lookback - 1),
            lookback,
            np.array([lookback - 1]),
            self._limits[series],
        )

    def fingerprint(self) -> str:
        """Tells one data set, split and batch order from another."""
        digest = hashlib.sha256(self._encoded.fingerprint().encode())
        digest.update(self._limits.tobytes())
        digest.update(f"{self.batch_size} {self._seed} {self._channels} {self._passes}".encode())
        if self._weights is not None:
            digest.update(self._weights.tobytes())
        return digest.hexdigest()

    def _shuffled(self, number: int) -> Whole:
        """All windows in the order of a pass; its start comes again at its end, so that the last batch is whole."""
        if self._order is None or self._order[0] != number:
            order = draw_order(
                np.random.default_rng((self._seed, number)), int(self._ends[-1]), self._weights
            )
            whole = self._passes * self._steps * self.batch_size
            self._order = (number, np.resize(order, max(whole, len(order))))
        return self._order[1]
