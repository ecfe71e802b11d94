"""What the networks learn from: stretches of the training rows; and by what: foretelling, or repeating, them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewise.tasks.anomaly.encoding import Encoded
from gatewise.tasks.anomaly.network import NetworkPlan
from gatewise.tasks.quantiles import pinball

__all__ = ["AheadObjective", "StretchSource", "WindowObjective"]

Whole = NDArray[np.int64]
# An epoch has at least so many steps, so that short series are seen often enough between validations.
_FEWEST_STEPS = 16
_MOST_BATCH, _LEAST_BATCH = 64, 4
# Validation runs over at most so many stretches.
_MOST_STRETCHES = 64


class StretchSource:
    """Batches of stretches of the training rows, each cut at a random place; a pure function of epoch and step.

    Args:
        encoded: the data.
        limits: (series,) rows from these on, counted within the series, are held out.
        length: rows of a stretch.
        horizon: further rows that are foretold from its last.
        batch_size: stretches in a batch; None chooses by the amount of data.
        seed: for the places.
    """

    # The rows of a batch lie in the second dimension.
    batch_dim = 1

    def __init__(
        self,
        encoded: Encoded,
        limits: Whole,
        length: int,
        horizon: int,
        batch_size: int | None,
        seed: int,
    ) -> None:
        self._encoded, self._limits, self._seed, self._horizon = encoded, limits, seed, horizon
        self._length = int(min(length, limits.max()))
        stretches = -(-int(limits.sum()) // self._length)
        self.batch_size = batch_size or int(np.clip(stretches // _FEWEST_STEPS, _LEAST_BATCH, _MOST_BATCH))
        self._steps = max(_FEWEST_STEPS, -(-stretches // self.batch_size))
        # Long series are visited more often, in proportion to their rows.
        self._share = limits / limits.sum()

    def steps_per_epoch(self) -> int:
        """Batches in an epoch: about as many rows as there are, in 16 batches at least."""
        return self._steps

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Batch number `step` of an epoch."""
        generator = np.random.default_rng((self._seed, epoch, step))
        series = generator.choice(len(self._limits), size=self.batch_size, p=self._share)
        room = np.maximum(self._limits[series] - self._length, 0)
        begin = generator.integers(0, room + 1)
        return stretches(self._encoded, series, begin, self._length, self._horizon, self._limits[series])

    def fingerprint(self) -> str:
        """Tells one data set, split and batch order from another."""
        digest = hashlib.sha256(self._encoded.inputs.tobytes())
        digest.update(self._encoded.series.starts.tobytes() + self._limits.tobytes())
        digest.update(f"{self.batch_size} {self._seed} {self._length} {self._horizon}".encode())
        return digest.hexdigest()


def stretches(
    encoded: Encoded, series: Whole, begin: Whole, length: int, horizon: int, limits: Whole
) -> dict[str, Tensor]:
    """Stretches side by side, time first.

    Args:
        encoded: the data.
        series: (batch,) which series.
        begin: (batch,) the first row, counted within the series.
        length: rows.
        horizon: rows ahead.
        limits: (batch,) rows from these on do not count.

    Returns:
        inputs, last and scaled of shape (length, batch, ...); target and counts of shape (length, batch, horizon,
        channels), each target in the unit of the row that it is foretold from; seen (length, batch, channels).
    """
    starts = encoded.series.starts[series]
    within = begin[None] + np.arange(length)[:, None]
    inside = within < limits[None]
    rows = np.minimum(within, limits[None] - 1) + starts[None]
    ahead = within[..., None] + np.arange(1, horizon + 1)
    counted = (ahead < limits[None, :, None]) & inside[..., None]
    ahead_rows = np.minimum(ahead, limits[None, :, None] - 1) + starts[None, :, None]
    values = encoded.series.values[ahead_rows]
    target = (values - encoded.level[rows][:, :, None]) / encoded.spread[rows][:, :, None]
    counts = counted[..., None] & ~np.isnan(values)
    seen = inside[..., None] & ~np.isnan(encoded.series.values[rows])
    return {
        "inputs": torch.from_numpy(encoded.inputs[rows]),
        "last": torch.from_numpy(encoded.last[rows]),
        "scaled": torch.from_numpy(encoded.scaled[rows]),
        "target": torch.from_numpy(np.nan_to_num(target).astype(np.float32)),
        "counts": torch.from_numpy(counts),
        "seen": torch.from_numpy(seen),
    }


class _Objective:
    """What both objectives share: validation over the stretches that end in the held-out rows."""

    def __init__(self, encoded: Encoded, limits: Whole, length: int, plan: NetworkPlan) -> None:
        self._plan = plan
        series = encoded.series
        self._pieces: list[tuple[dict[str, Tensor], int]] = []
        for index in _spread_choice(len(series), _MOST_STRETCHES):
            total, limit = int(series.lengths[index]), int(limits[index])
            begin = max(0, limit - length)
            one = np.array([index])
            piece = stretches(encoded, one, np.array([begin]), total - begin, plan.horizon, np.array([total]))
            self._pieces.append((piece, limit - begin))

    def fingerprint(self) -> str:
        """Tells one objective from another."""
        plan = self._plan
        text = f"{plan.method} {plan.horizon} {plan.levels} {plan.window} {plan.dropout} {plan.program.to_json()}"
        return hashlib.sha256(text.encode()).hexdigest()

    def validate(self, model: nn.Module) -> dict[str, float]:
        """The loss over the held-out rows."""
        device = next(model.parameters()).device
        total, weight = 0.0, 0.0
        with torch.no_grad():
            for piece, first in self._pieces:
                batch = {name: value.to(device) for name, value in piece.items()}
                count = self.weight(batch, first)
                if count:
                    total += float(self.loss(model, batch, first)) * count
                    weight += count
        return {"loss": total / max(weight, 1.0)}

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor], first: int = 0) -> Tensor:
        raise NotImplementedError

    def weight(self, batch: Mapping[str, Tensor], first: int = 0) -> float:
        raise NotImplementedError


class AheadObjective(_Objective):
    """Foretell the next rows: Huber's loss for one value, pinball loss for quantiles.

    Args:
        encoded: the data, held-out rows included.
        limits: (series,) where those begin.
        length: rows before them that are read first.
        plan: the network's.
    """

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor], first: int = 0) -> Tensor:
        """The loss of a batch; steps before `first` are read and not counted (the row before it foretells it)."""
        out, _ = model(batch["inputs"], batch["last"])
        skip = max(first - 1, 0)
        out, target, counts = out[skip:].float(), batch["target"][skip:], batch["counts"][skip:]
        if self._plan.levels:
            return pinball(out, target, counts, self._plan.levels)
        error = F.smooth_l1_loss(out[..., 0], target, reduction="none")
        return torch.where(counts, error, 0.0).sum() / counts.sum().clamp(min=1)

    def weight(self, batch: Mapping[str, Tensor], first: int = 0) -> float:
        """How many values the mean in `loss` is taken over."""
        return float(batch["counts"][max(first - 1, 0) :].sum())


class WindowObjective(_Objective):
    """Repeat the window: Huber's loss over its seen values. See `AheadObjective` for the arguments."""

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor], first: int = 0) -> Tensor:
        """The loss of a batch of windows; a longer stretch is cut into windows, those that reach beyond `first`."""
        inputs, target, counts = (
            windows_of(batch[name], self._plan.window, first) for name in ("inputs", "scaled", "seen")
        )
        error = F.smooth_l1_loss(model(inputs).float(), target, reduction="none")
        return torch.where(counts, error, 0.0).sum() / counts.sum().clamp(min=1)

    def weight(self, batch: Mapping[str, Tensor], first: int = 0) -> float:
        """How many values the mean in `loss` is taken over."""
        return float(windows_of(batch["seen"], self._plan.window, first).sum())


def windows_of(values: Tensor, window: int, first: int) -> Tensor:
    """Windows side by side, cut from the end of (time, batch, features) backwards while they reach past `first`."""
    ends = list(range(len(values), max(first, window - 1), -window)) or [len(values)]
    return torch.cat([values[max(0, end - window) : end] for end in ends], dim=1)


def _spread_choice(count: int, most: int) -> list[int]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)).tolist()
