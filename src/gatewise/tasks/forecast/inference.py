"""Forecasts of a fitted network from many origins, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from gatewise.tasks.forecast.batches import Origins, all_channels, scale_tensors, to_windows
from gatewise.tasks.forecast.encoding import Encoded, Windows
from gatewise.tasks.forecast.ensemble import Forecasting
from gatewise.tasks.forecast.sampling import uniforms

__all__ = ["forecast_scaled", "sample_scaled"]

# Origins at once; fewer where sample paths would take more than so many numbers.
_BATCH, _MOST_NUMBERS = 1024, 1 << 24


@torch.no_grad()
def forecast_scaled(model: Forecasting, encoded: Encoded, origins: Origins) -> NDArray[np.float64]:
    """Scaled quantiles of shape (origins, horizon, levels), each from its own window of `lookback` rows.

    Where series are forecast together, every origin's window holds all of them at that row. The model must be in
    eval mode.
    """
    channels = model.plan.channels
    whole, chosen = origins, np.arange(len(origins.series))
    if channels > 1:
        rows, place = np.unique(origins.rows, return_inverse=True)
        whole, chosen = Origins(*all_channels(rows, channels)), place.reshape(-1) * channels + origins.series
    samples = model.plan.num_samples if model.samples else 0
    parts = [
        model(windows)[0].double().cpu().numpy() for windows, _ in _batches(model, encoded, whole, samples)
    ]
    levels = len(model.plan.levels)
    return np.concatenate(parts)[chosen] if parts else np.zeros((0, encoded.encoder.horizon, levels))


@torch.no_grad()
def sample_scaled(
    model: Forecasting, encoded: Encoded, origins: Origins, keys: list[str], samples: int, seed: int
) -> NDArray[np.float64]:
    """Scaled sample paths of shape (origins, samples, horizon) of a model that samples.

    Args:
        model: in eval mode.
        encoded: the data.
        origins: where from.
        keys: a text for each origin; its paths depend on it, on the seed and on its window alone.
        samples: paths of each.
        seed: of the paths.
    """
    parts = []
    for windows, part in _batches(model, encoded, origins, samples):
        noise = uniforms(seed, keys[part], samples, model.plan.horizon).to(windows.last.device)
        parts.append(model.paths(windows, noise)[0].double().cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, samples, encoded.encoder.horizon))


def _batches(
    model: Forecasting, encoded: Encoded, origins: Origins, samples: int
) -> Iterator[tuple[Windows, slice]]:
    """Windows that end at the origins, on the model's device, and which origins they are of.

    `samples` says how many paths each of them will have.
    """
    lookback = encoded.encoder.lookback
    device = next(model.parameters()).device
    channels, horizon = model.plan.channels, model.plan.horizon
    fitting = _MOST_NUMBERS // (samples * horizon) if samples else _BATCH
    each = max(1, min(_BATCH, fitting) // channels) * channels
    for begin in range(0, len(origins.series), each):
        part = slice(begin, begin + each)
        series = origins.series[part]
        begins = origins.rows[part] - (lookback - 1)
        windows = encoded.windows(series, begins, lookback, np.array([lookback - 1]))
        batch = windows.to_batch() | scale_tensors(encoded, series)
        batch = {name: value.to(device) for name, value in batch.items()}
        yield to_windows(batch, log=encoded.scaler.log), part
