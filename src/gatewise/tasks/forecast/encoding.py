"""A panel as tensors: what the network sees at each row, and what it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewise.data import Panel
from gatewise.data.calendar import calendar_features
from gatewise.tasks.forecast.likelihoods import Scale
from gatewise.tasks.forecast.scaling import CovariateEncoder, TargetScaler

__all__ = ["Encoded", "Encoder", "Windows"]

Whole = NDArray[np.int64]
# A seasonal value that is missing is looked for in earlier seasons, this many at most.
_SEASONS_BACK = 7


@dataclass(frozen=True)
class Encoder:
    """What was learned of the data, enough to turn any table of the same kind into inputs.

    Args:
        horizon, lookback: steps.
        season_length: steps of a season.
        calendar: the cycles of the calendar that are inputs.
        covariates: how further columns become inputs.
    """

    horizon: int
    lookback: int
    season_length: int
    calendar: tuple[str, ...]
    covariates: CovariateEncoder

    @property
    def calendar_width(self) -> int:
        """Number of calendar inputs."""
        return calendar_features(np.zeros(1, dtype=np.int64), self.calendar).shape[1]

    @property
    def width(self) -> int:
        """Number of inputs at each step: value, whether it was observed, its age, covariates, calendar."""
        return 3 + self.covariates.width + self.calendar_width

    def encode(self, panel: Panel, scaler: TargetScaler) -> Encoded:
        """Make the inputs of every row. A row's inputs depend on that row and earlier ones only."""
        owner = panel.series_of_rows()
        first = panel.starts[:-1][owner]
        scaled = scaler.forward(panel.target, owner)
        observed = ~np.isnan(scaled)
        last_seen = _last_seen(observed, first)
        carried = np.where(last_seen >= 0, scaled[np.maximum(last_seen, 0)], 0.0)
        age = np.minimum(
            np.arange(panel.rows) - np.where(last_seen >= 0, last_seen, first - 1), self.lookback
        )
        age = np.log1p(age) / np.log1p(self.lookback)
        inputs = np.concatenate(
            [
                np.stack([carried, observed, age], axis=1),
                self.covariates.encode(panel),
                calendar_features(panel.stamps, self.calendar),
            ],
            axis=1,
        )
        # One more row of zeros: what a window reads before a series begins.
        padded = np.concatenate([inputs, np.zeros((1, inputs.shape[1]))]).astype(np.float32)
        return Encoded(
            encoder=self, panel=panel, scaler=scaler, inputs=torch.from_numpy(padded), scaled=scaled, carried=carried,
            last_seen=last_seen,
        )  # fmt: skip


@dataclass(frozen=True)
class Windows:
    """A batch of windows, time first.

    Args:
        inputs: (time, batch, features).
        known: (positions, batch, horizon, features), what is known for the future.
        last: (positions, batch), the last observed value, scaled.
        season: (positions, batch, horizon), the value one season before each forecast stamp, scaled.
        positions: (positions,) the steps that forecasts are made from.
        scale: how each series of the batch was scaled, for likelihoods in the target's own unit.
    """

    inputs: Tensor
    known: Tensor
    last: Tensor
    season: Tensor
    positions: Tensor
    scale: Scale | None = None


@dataclass(frozen=True)
class Encoded:
    """A panel, encoded.

    Args:
        encoder: by which.
        panel, scaler: the data and its scaling.
        inputs: (rows + 1, features), the last row zeros.
        scaled: (rows,) the scaled target, NaN where missing.
        carried: (rows,) the last observed scaled value, 0 where there is none yet.
        last_seen: (rows,) the row of that value, or -1.
    """

    encoder: Encoder
    panel: Panel
    scaler: TargetScaler
    inputs: Tensor
    scaled: NDArray[np.float64]
    carried: NDArray[np.float64]
    last_seen: Whole

    def windows(self, series: Whole, begins: Whole, time: int, positions: Whole) -> Windows:
        """Gather windows.

        Args:
            series: (batch,) the series of each window.
            begins: (batch,) the row, counted within the series, of each window's first step; may be negative.
            time: steps of a window.
            positions: (positions,) the steps from which a forecast is made.
        """
        starts = self.panel.starts[:-1][series]
        steps = begins[None] + np.arange(time)[:, None]
        rows = np.where((steps >= 0) & (steps < self.panel.lengths[series]), starts + steps, self.panel.rows)
        origins = steps[positions]
        held = np.clip(origins, 0, self.panel.lengths[series] - 1) + starts
        last = np.where(origins >= 0, self.carried[held], 0.0)
        stamps = self._future_stamps(series, origins)
        return Windows(
            inputs=self.inputs[torch.from_numpy(rows)],
            known=torch.from_numpy(calendar_features(stamps, self.encoder.calendar)),
            last=torch.from_numpy(last.astype(np.float32)),
            season=torch.from_numpy(
                self._season(starts, self.panel.lengths[series], origins, last).astype(np.float32)
            ),
            positions=torch.from_numpy(positions),
        )

    def targets(
        self, series: Whole, origins: Whole, limits: Whole
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """What came after each origin, scaled, and whether it counts.

        Args:
            series: (batch,).
            origins: (positions, batch) rows within the series: the last row that a forecast may see.
            limits: (batch,) targets at this row within the series and after it do not count.

        Returns:
            Two arrays of shape (positions, batch, horizon).
        """
        ahead = origins[..., None] + 1 + np.arange(self.encoder.horizon)
        inside = (origins[..., None] >= 0) & (ahead < np.minimum(limits, self.panel.lengths[series])[:, None])
        values = self.scaled[np.where(inside, ahead + self.panel.starts[:-1][series][:, None], 0)]
        counts = inside & ~np.isnan(values)
        return np.where(counts, values, 0.0), counts

    def _future_stamps(self, series: Whole, origins: Whole) -> Whole:
        ahead = origins[..., None] + 1 + np.arange(self.encoder.horizon)
        if not self.encoder.calendar:
            return ahead
        first = self.panel.stamps[self.panel.starts[:-1][series]]
        return self.panel.frequency.ahead(np.broadcast_to(first[None, :, None], ahead.shape), ahead)

    def _season(
        self, starts: Whole, lengths: Whole, origins: Whole, last: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The scaled value one season before each forecast stamp, or further back; the last value if none."""
        length, horizon = self.encoder.season_length, self.encoder.horizon
        steps = 1 + np.arange(horizon)
        seasons = -(-steps // length)
        found = np.broadcast_to(last[..., None], (*origins.shape, horizon)).copy()
        open_ = np.ones(found.shape, dtype=bool)
        for back in range(_SEASONS_BACK):
            source = origins[..., None] + steps - (seasons + back) * length
            usable = open_ & (source >= 0) & (source < lengths[:, None])
            if not usable.any():
                break
            values = self.scaled[np.where(usable, source + starts[:, None], 0)]
            usable &= ~np.isnan(values)
            found[usable] = values[usable]
            open_ &= ~usable
            if not open_.any():
                break
        return found


def _last_seen(observed: NDArray[np.bool_], first: Whole) -> Whole:
    """The row of the last observed value of the same series, or -1."""
    rows = np.where(observed, np.arange(len(observed)), -1)
    last = np.maximum.accumulate(rows) if len(rows) else rows
    return np.where(last >= first, last, -1)
