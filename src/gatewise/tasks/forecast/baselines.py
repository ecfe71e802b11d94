"""Methods that a network has to beat: M4's Naive2, and the linear model DLinear, fitted in the same protocol."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewise import train
from gatewise.data import Panel
from gatewise.tasks.forecast.covariates import CovariateEncoder
from gatewise.tasks.forecast.encoding import Encoded, Encoder
from gatewise.tasks.forecast.scaling import fit_scaler
from gatewise.tasks.forecast.training import ChunkSource, Origins, choose_origins

__all__ = ["DLinear", "linear_forecasts", "naive2_forecasts", "seasonal_indices"]

Whole = NDArray[np.int64]
Array = NDArray[np.float64]
# The 90 % limit of M4's test for seasonality.
_LIMIT = 1.645
# Zeng et al. take a moving average over 25 steps.
_KERNEL = 25
_VALIDATION_SHARE, _VALIDATION_WINDOWS = 0.1, 2048
_BATCH = 4096


def seasonal_indices(values: Array, season_length: int) -> Array:
    """Multiplicative seasonal indices of a series, all 1 where the test of M4 finds no season.

    Classical decomposition (ratio to the centred moving average, mean by place in the season, normalised to mean 1),
    after a test of the autocorrelation at one season (M4's benchmark code; Makridakis et al. 2020).

    Args:
        values: the series, NaN where missing.
        season_length: steps of a season, at least 1.

    Returns:
        Of shape (season_length,); the first belongs to the series' first step. All 1 too where a value is not
        positive, since ratios say nothing then.

    Example:
        >>> seasonal_indices(np.tile([1.0, 3.0], 20), 2).tolist()
        [0.5, 1.5]
    """
    flat = np.ones(season_length)
    seen = ~np.isnan(values)
    if season_length < 2 or len(values) < 3 * season_length or not (values[seen] > 0).all():
        return flat
    if not _is_seasonal(values, season_length):
        return flat
    weights = np.ones(season_length) / season_length
    if season_length % 2 == 0:
        weights = np.concatenate([[0.5], np.ones(season_length - 1), [0.5]]) / season_length
    trend = np.full(len(values), np.nan)
    half = len(weights) // 2
    trend[half : len(values) - half] = np.convolve(values, weights, mode="valid")
    ratio = values / trend
    place = np.arange(len(values)) % season_length
    used = ~np.isnan(ratio)
    number = np.bincount(place[used], minlength=season_length)
    if (number == 0).any():
        return flat
    indices = np.bincount(place[used], ratio[used], minlength=season_length) / number
    return indices / indices.mean()


def _is_seasonal(values: Array, season_length: int) -> bool:
    """Whether the autocorrelation at one season passes its 90 % limit (Bartlett's, over the lags before)."""
    centred = values - np.nanmean(values)
    variance = np.nansum(centred**2)
    if variance == 0:
        return False
    lags = [np.nansum(centred[lag:] * centred[:-lag]) / variance for lag in range(1, season_length + 1)]
    before = 1 + 2 * np.sum(np.square(lags[:-1]))
    return bool(abs(lags[-1]) > _LIMIT / np.sqrt(len(values)) * np.sqrt(before))


def naive2_forecasts(
    panel: Panel, first: Whole, series: Whole, rows: Whole, seen: Whole, horizon: int, season_length: int
) -> Float[np.ndarray, "windows horizon"]:
    """M4's Naive2: the last value, seasonally adjusted.

    Args:
        panel: the table.
        first: (series,) how many rows of each series the seasonal indices are learned from.
        series, rows: (windows,) each window's series, and the panel's row that it sees last.
        seen: (windows,) the row of the last observed value, or -1.
        horizon, season_length: steps.
    """
    indices = np.ones((len(panel), season_length))
    for index in np.unique(series):
        begin = panel.starts[index]
        indices[index] = seasonal_indices(panel.target[begin : begin + first[index]], season_length)
    starts = panel.starts[:-1][series]
    last = np.where(seen >= 0, panel.target[np.maximum(seen, 0)], 0.0)
    level = last / indices[series, (np.maximum(seen, starts) - starts) % season_length]
    ahead = (rows - starts)[:, None] + 1 + np.arange(horizon)
    return level[:, None] * indices[series[:, None], ahead % season_length]


class DLinear(nn.Module):
    """A linear map of the trend and one of what remains, added (Zeng et al. 2023, "Are Transformers effective...").

    Args:
        lookback, horizon: steps.
        kernel: steps of the moving average that is the trend.
    """

    def __init__(self, lookback: int, horizon: int, kernel: int = _KERNEL) -> None:
        super().__init__()
        self.kernel = kernel
        self.trend = nn.Linear(lookback, horizon)
        self.remainder = nn.Linear(lookback, horizon)
        for layer in (self.trend, self.remainder):
            # As in the authors' code: the forecast begins as the mean of the window.
            nn.init.constant_(layer.weight, 1 / lookback)
            nn.init.zeros_(layer.bias)

    def forward(self, values: Float[Tensor, "*batch lookback"]) -> Float[Tensor, "*batch horizon"]:
        """Forecast from windows; their ends are repeated where the moving average reaches beyond them."""
        before = values[..., :1].expand(*values.shape[:-1], (self.kernel - 1) // 2)
        after = values[..., -1:].expand(*values.shape[:-1], self.kernel // 2)
        trend = torch.cat([before, values, after], dim=-1).unfold(-1, self.kernel, 1).mean(-1)
        forecast: Tensor = self.trend(trend) + self.remainder(values - trend)
        return forecast


def linear_forecasts(
    panel: Panel, first: Whole, encoder: Encoder, origins: Origins, *, seed: int = 0
) -> Float[np.ndarray, "windows horizon"] | None:
    """DLinear's forecasts: fitted to the rows before `first`, with the network's lookback, windows and stopping rule.

    Args:
        panel: the table; its covariates are not read.
        first: (series,) the rows of each series that may be learned from.
        encoder: the network's, for lookback, horizon and season.
        origins: where to forecast from.
        seed: for the order of the batches.

    Returns:
        Forecasts in the target's unit; None where no series has rows enough to learn from.
    """
    horizon = encoder.horizon
    enough = np.flatnonzero(first >= horizon + 2)
    bare = Panel(
        panel.names,
        panel.starts,
        panel.stamps,
        panel.target,
        {},
        panel.frequency,
        panel.kind,
        None,
        panel.ids,
    )
    if not len(enough):
        return None
    plain = Encoder(horizon, encoder.lookback, encoder.season_length, (), CovariateEncoder({}, {}))
    history = bare.between(np.zeros_like(first), first)
    encoded = plain.encode(bare, fit_scaler(history, "standard"))
    held = np.maximum((first * _VALIDATION_SHARE).astype(np.int64), horizon)
    # A series that is too short to learn from has no row before its limit.
    limits = np.where(first >= horizon + 2, first - held, 0)
    with torch.random.fork_rng(devices=[]):  # its layers draw numbers before they are set to the mean
        model = DLinear(encoder.lookback, horizon)
    check = choose_origins(
        np.where(limits > 0, limits - 1, 0),
        np.where(limits > 0, first - horizon - 1, -1),
        _VALIDATION_WINDOWS,
    )
    objective = _Squares(encoded, check, first)
    config = train.TrainConfig(
        max_epochs=30, learning_rate=1e-2, schedule="cosine", patience=8, device="cpu", seed=seed
    )
    source = ChunkSource(encoded, limits, None, seed)
    train.fit(model, objective, source, config, progress=train.choose(silent=True))
    scaled = _forecast(model.eval(), encoded, origins)
    return encoded.scaler.unscaled(scaled, origins.series)


class _Squares:
    """Mean squared error of the scaled values, as the authors train."""

    def __init__(self, encoded: Encoded, check: Origins, first: Whole) -> None:
        self._encoded, self._check, self._first = encoded, check, first

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        lookback = self._encoded.encoder.lookback
        back = torch.arange(lookback - 1, -1, -1)
        values = batch["inputs"][batch["positions"][:, :1] - back][..., 0]
        error = (model(values.transpose(1, 2)) - batch["target"]).square()
        return torch.where(batch["counts"], error, 0.0).sum() / batch["counts"].sum().clamp(min=1)

    def weight(self, batch: Mapping[str, Tensor]) -> float:
        return float(batch["counts"].sum())

    def validate(self, model: nn.Module) -> dict[str, float]:
        series = self._check.series
        target, counts = self._encoded.targets(series, self._check.rows[None], self._first[series])
        error = _forecast(model, self._encoded, self._check) - target[0]
        return {"loss": float(np.square(error[counts[0]]).mean()) if counts.any() else 0.0}


def _forecast(model: nn.Module, encoded: Encoded, origins: Origins) -> Array:
    lookback = encoded.encoder.lookback
    parts = [np.zeros((0, encoded.encoder.horizon))]
    with torch.no_grad():
        for begin in range(0, len(origins.series), _BATCH):
            series = origins.series[begin : begin + _BATCH]
            begins = origins.rows[begin : begin + _BATCH] - (lookback - 1)
            windows = encoded.windows(series, begins, lookback, np.array([lookback - 1]))
            parts.append(model(windows.inputs[..., 0].T).double().numpy())
    return np.concatenate(parts)
