"""Windows as the named tensors that a training batch is, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewise.tasks.forecast.encoding import Encoded, Windows
from gatewise.tasks.forecast.likelihoods import Scale

__all__ = ["Origins", "all_channels", "make_batch", "scale_tensors", "to_windows"]

Whole = NDArray[np.int64]
_SCALE = "scale_"


@dataclass(frozen=True)
class Origins:
    """Where forecasts are made from: series, and the last row within the series that is seen."""

    series: Whole
    rows: Whole


def all_channels(rows: Whole, channels: int) -> tuple[Whole, Whole]:
    """Series and rows of a batch in which every row comes once for each channel, channels in turn."""
    return np.tile(np.arange(channels), len(rows)), np.repeat(rows, channels)


def make_batch(
    encoded: Encoded, series: Whole, begins: Whole, time: int, positions: Whole, limits: Whole
) -> dict[str, Tensor]:
    """A training batch: windows, what came after each position, and whether it counts.

    Args:
        encoded: the data.
        series: (batch,).
        begins: (batch,) the row within the series of each window's first step; may be negative.
        time: steps of a window.
        positions: (positions,) the steps that forecasts are made from.
        limits: (batch,) rows of the series that targets may not reach.
    """
    origins = begins[None] + positions[:, None]
    target, counts = encoded.targets(series, origins, limits)
    return {
        **encoded.windows(series, begins, time, positions).to_batch(),
        "target": torch.from_numpy(target.astype(np.float32)),
        "counts": torch.from_numpy(counts),
        **scale_tensors(encoded, series),
    }


def scale_tensors(encoded: Encoded, series: Whole) -> dict[str, Tensor]:
    """How each series of a batch was scaled, each of shape (1, batch)."""
    return {_SCALE + name: value[None] for name, value in encoded.scaler.constants(series).items()}


def to_windows(batch: Mapping[str, Tensor], *, log: bool) -> Windows:
    """The windows of a batch.

    Args:
        batch: as `make_batch` gives it; the target may lack.
        log: whether the scaling takes a logarithm.
    """
    constants = {name[len(_SCALE) :]: value[0] for name, value in batch.items() if name.startswith(_SCALE)}
    return dataclasses.replace(Windows.from_batch(batch), scale=Scale(constants, log))
