"""What the training loop needs: batches of chunks, and the pinball loss with missing values left out.

A chunk gives a forecast from many of its steps, not only from its last: the encoder's work is shared, and a pass
over the data yields some twelve times the examples. Every such step has the full lookback before it, as in use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewise.tasks.forecast.encoding import Encoded, Windows
from gatewise.tasks.forecast.scaling import undo_scaling

__all__ = ["ChunkSource", "Origins", "PinballObjective", "choose_origins", "forecast_scaled", "pinball"]

Whole = NDArray[np.int64]
# Measured on beijing-air: forecasting from 12 steps of a 96-step chunk learns as fast per pass as from every step, at
# a fifth of the decoder's work. The steps are drawn: evenly spaced ones would keep time with the season.
CHUNK_POSITIONS = 12
CHUNK_STEPS = 96
_INFERENCE_BATCH = 1024
# An epoch has at least so many steps; a small table is gone through several times for it.
_FEWEST_STEPS = 20
_LEAST_BATCH, _MOST_BATCH = 16, 256


@dataclass(frozen=True)
class Origins:
    """Where forecasts are made from: series, and the last row within the series that is seen."""

    series: Whole
    rows: Whole


class ChunkSource:
    """Batches of chunks, a pure function of (seed, epoch, step).

    Args:
        encoded: the data.
        limits: (series,) rows at and after these, counted within the series, are held out.
        batch_size: chunks in a batch; None chooses by the number of chunks, 16 to 256.
        seed: for the order and the chunks' offsets.
    """

    # The rows of a batch lie in the second dimension.
    batch_dim = 1

    def __init__(self, encoded: Encoded, limits: Whole, batch_size: int | None, seed: int) -> None:
        self._encoded, self._limits, self._seed = encoded, limits, seed
        lookback = encoded.encoder.lookback
        # In a short series even the first steps are used, with nothing before them.
        self._first = np.minimum(lookback - 1, limits // 2 - 1).clip(min=0)
        span = np.maximum(limits - 1 - self._first, 1)
        self._reach = min(CHUNK_STEPS, int(span.max()))
        chunks = -(-span // self._reach) + (span > self._reach)
        self._series = np.repeat(np.arange(len(limits)), chunks)
        self._index = np.arange(len(self._series)) - np.repeat(np.cumsum(chunks) - chunks, chunks)
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
        return len(self._series) / self._steps * min(CHUNK_POSITIONS, self._reach)

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
        begins = first_origin - (lookback - 1)
        windows = self._encoded.windows(series, begins, lookback - 1 + self._reach, lookback - 1 + drawn)
        origins = first_origin[None] + drawn[:, None]
        target, counts = self._encoded.targets(series, origins, self._limits[series])
        # Steps before the first one that is meant to be used come from the random offset alone.
        counts &= (origins >= self._first[series])[..., None]
        constants = {
            f"scale_{name}": value[None] for name, value in self._encoded.scaler.constants(series).items()
        }
        return {
            **windows.to_batch(),
            "target": torch.from_numpy(target.astype(np.float32)),
            "counts": torch.from_numpy(counts),
            **constants,
        }

    def fingerprint(self) -> str:
        """Tells one data set, split and batch order from another."""
        digest = hashlib.sha256(self._encoded.fingerprint().encode())
        digest.update(self._limits.tobytes())
        digest.update(f"{self.batch_size} {self._seed}".encode())
        return digest.hexdigest()

    def _shuffled(self, number: int) -> tuple[Whole, Whole]:
        """The order of the chunks in a pass, and how far each is moved back."""
        if self._order is None or self._order[0] != number:
            generator = np.random.default_rng((self._seed, number))
            offsets = np.where(self._moves, generator.integers(self._reach, size=len(self._series)), 0)
            # Chunks of one series move together, so that an epoch sees every step once.
            heads = np.flatnonzero(self._index == 0)
            offsets = offsets[heads[self._series]]
            self._order = (number, generator.permutation(len(self._series)), offsets)
        return self._order[1], self._order[2]


def pinball(
    quantiles: Float[Tensor, "*shape levels"],
    target: Float[Tensor, "*shape"],
    counts: Bool[Tensor, "*shape"],
    levels: tuple[float, ...],
) -> Float[Tensor, ""]:
    """Mean pinball loss (Koenker & Bassett 1978) over the levels and the values that count.

    Args:
        quantiles: one per level, last dimension.
        target: what came.
        counts: whether a value counts; missing ones do not.
        levels: in 0 to 1.
    """
    level = torch.tensor(levels, dtype=quantiles.dtype, device=quantiles.device)
    error = target[..., None] - quantiles
    loss = torch.maximum(level * error, (level - 1) * error).mean(-1)
    return torch.where(counts, loss, 0.0).sum() / counts.sum().clamp(min=1)


class PinballObjective:
    """Pinball loss in the target's own unit by series' standard deviation; validated on the held-out span.

    Args:
        encoded: the data, the held-out span included.
        validation: the origins to validate from.
        log: whether the scaling takes a logarithm.
        levels: the quantiles' levels.
        network: what else tells one run from another: the cell, the dropout.
    """

    def __init__(
        self,
        encoded: Encoded,
        validation: Origins,
        *,
        log: bool,
        levels: tuple[float, ...],
        network: str = "",
    ) -> None:
        self._encoded, self._validation, self._log, self._levels = encoded, validation, log, levels
        self._network = network

    def fingerprint(self) -> str:
        """Tells one objective from another."""
        digest = hashlib.sha256(f"{self._log} {self._levels} {self._network}".encode())
        digest.update(self._validation.series.tobytes() + self._validation.rows.tobytes())
        return digest.hexdigest()

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """The training loss of one batch."""
        constants = {name[6:]: value[0] for name, value in batch.items() if name.startswith("scale_")}
        quantiles = undo_scaling(model(Windows.from_batch(batch)).float(), constants, log=self._log)
        target = undo_scaling(batch["target"], constants, log=self._log)
        return pinball(quantiles, target, batch["counts"], self._levels)

    def weight(self, batch: Mapping[str, Tensor]) -> float:
        """How many values the mean in `loss` is taken over."""
        return float(batch["counts"].sum())

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Pinball loss and MAE in the target's unit by the series' standard deviation."""
        quantiles = forecast_scaled(model, self._encoded, self._validation)
        series = self._validation.series
        size = self._encoded.scaler.size[series][:, None]
        values = self._encoded.scaler.inverse(quantiles, series) / size[..., None]
        scaled, counts = self._encoded.targets(
            series, self._validation.rows[None], self._encoded.panel.lengths[series]
        )
        target = self._encoded.scaler.inverse(scaled[0], series) / size
        error = target[..., None] - values
        level = np.array(self._levels)
        loss = np.maximum(level * error, (level - 1) * error).mean(-1)[counts[0]].mean()
        middle = self._levels.index(0.5)
        return {"loss": float(loss), "mae": float(np.abs(error[..., middle])[counts[0]].mean())}


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


def forecast_scaled(model: nn.Module, encoded: Encoded, origins: Origins) -> NDArray[np.float64]:
    """Scaled quantiles of shape (origins, horizon, levels), each from its own window of `lookback` rows.

    The model must be in eval mode.
    """
    lookback = encoded.encoder.lookback
    device = next(model.parameters()).device
    parts = []
    with torch.no_grad():
        for begin in range(0, len(origins.series), _INFERENCE_BATCH):
            part = slice(begin, begin + _INFERENCE_BATCH)
            begins = origins.rows[part] - (lookback - 1)
            windows = encoded.windows(origins.series[part], begins, lookback, np.array([lookback - 1]))
            batch = {name: value.to(device) for name, value in windows.to_batch().items()}
            parts.append(model(Windows.from_batch(batch))[0].double().cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, encoded.encoder.horizon, 0))
