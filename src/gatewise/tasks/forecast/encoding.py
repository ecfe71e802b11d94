"""A panel as tensors: what the network sees at each row, and what it is asked for.

Windows are gathered from the panel's columns when a batch is drawn; nothing is kept per window, and of a large
panel nothing per row either but a column of float32 for each covariate.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewise.data import Panel
from gatewise.data.calendar import calendar_features
from gatewise.tasks.forecast.covariates import CovariateEncoder, Covariates
from gatewise.tasks.forecast.likelihoods import Scale
from gatewise.tasks.forecast.scaling import TargetScaler

__all__ = ["SEASONS_BACK", "Encoded", "Encoder", "Windows"]

Whole = NDArray[np.int64]
# A seasonal value that is missing is looked for in earlier seasons, this many at most.
SEASONS_BACK = 7
# The inputs of all rows are kept where they fit into so many bytes: it spares making them anew in every window.
_KEPT_BYTES = 64 << 20


@dataclass(frozen=True)
class Encoder:
    """What was learned of the data, enough to turn any table of the same kind into inputs.

    Args:
        horizon, lookback: steps.
        season_length: steps of a season.
        calendar: the cycles of the calendar that are inputs.
        covariates: how further columns become inputs.
        further_seasons: lengths of seasons beside it, in steps.
    """

    horizon: int
    lookback: int
    season_length: int
    calendar: tuple[str, ...]
    covariates: CovariateEncoder
    further_seasons: tuple[int, ...] = ()

    @property
    def longest_season(self) -> int:
        """Steps of the longest season."""
        return max(self.season_length, *self.further_seasons, 1)

    @property
    def calendar_width(self) -> int:
        """Number of calendar inputs."""
        return calendar_features(np.zeros(1, dtype=np.int64), self.calendar).shape[1]

    @property
    def width(self) -> int:
        """Number of inputs at each step: value, whether it was observed, its age, numeric covariates, calendar.

        Those that are known for the future stand last, in the order of `known_width`.
        """
        return 3 + len(self.covariates.moving[0]) + self.calendar_width

    @property
    def known_width(self) -> int:
        """Number of inputs that are known for each step of the horizon: known numeric covariates, calendar."""
        return self.calendar_width + len(self.covariates.known[0])

    def encode(self, panel: Panel, scaler: TargetScaler) -> Encoded:
        """Prepare a panel for windows. A row's inputs depend on that row and earlier ones only."""
        observed = ~np.isnan(panel.target)
        last_seen = None
        if not observed.all():
            last_seen = _last_seen(observed, np.repeat(panel.starts[:-1], panel.lengths))
        encoded = Encoded(self, panel, scaler, self.covariates.encode(panel), last_seen)
        if panel.rows * self.width * 4 > _KEPT_BYTES:
            return encoded
        # One more row of zeros: what a window reads before a series begins.
        kept = np.zeros((panel.rows + 1, self.width), dtype=np.float32)
        kept[:-1] = encoded.inputs_at(np.arange(panel.rows), panel.series_of_rows())
        return dataclasses.replace(encoded, kept=torch.from_numpy(kept))


@dataclass(frozen=True)
class Windows:
    """A batch of windows, time first.

    Args:
        inputs: (time, batch, features): value, whether it was observed, its age; then what is known of the past alone;
            last what is known for the future too, in the order of `known`.
        known: (positions, batch, horizon, features), known for the future: covariates and calendar.
        last: (positions, batch), the last observed value, scaled.
        season: (positions, batch, horizon), the value one season before each forecast stamp, scaled.
        further: (positions, batch, horizon, seasons), likewise of each further season.
        positions: (positions,) the steps that forecasts are made from.
        static: (batch, features), of the series.
        categories: (time, batch, columns), int64 codes.
        known_categories: (positions, batch, horizon, columns), int64 codes known for the future.
        static_categories: (batch, columns), int64 codes of the series.
        scale: how each series of the batch was scaled, for likelihoods in the target's own unit.
    """

    inputs: Tensor
    known: Tensor
    last: Tensor
    season: Tensor
    positions: Tensor
    further: Tensor = field(default_factory=lambda: torch.zeros(0, 0, 0, 0))
    static: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    categories: Tensor = field(default_factory=lambda: torch.zeros(0, 0, 0, dtype=torch.int64))
    known_categories: Tensor = field(default_factory=lambda: torch.zeros(0, 0, 0, 0, dtype=torch.int64))
    static_categories: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.int64))
    scale: Scale | None = None

    def to_batch(self) -> dict[str, Tensor]:
        """Tensors by name, each with the batch as its second dimension, where data-parallel training cuts."""
        return {
            "inputs": self.inputs,
            "known": self.known,
            "last": self.last,
            "season": self.season,
            "further": self.further,
            "positions": self.positions[:, None].expand(-1, self.inputs.shape[1]),
            "static": self.static[None],
            "categories": self.categories,
            "known_categories": self.known_categories,
            "static_categories": self.static_categories[None],
        }

    @classmethod
    def from_batch(cls, batch: Mapping[str, Tensor]) -> Windows:
        """The windows of a batch that `to_batch` made."""
        same = ("inputs", "known", "last", "season", "further", "categories", "known_categories")
        return cls(
            **{name: batch[name] for name in same},
            positions=batch["positions"][:, 0],
            static=batch["static"][0],
            static_categories=batch["static_categories"][0],
        )


@dataclass(frozen=True)
class Encoded:
    """A panel, ready for windows.

    Args:
        encoder: by which.
        panel, scaler: the data and its scaling.
        columns: the covariates, encoded.
        last_seen: (rows,) the row of the last observed value of the same series, or -1; None if all are observed.
        kept: (rows + 1, features) the inputs of all rows, the last row zeros; None where they would be too large.
    """

    encoder: Encoder
    panel: Panel
    scaler: TargetScaler
    columns: Covariates
    last_seen: Whole | None = None
    kept: Tensor | None = None

    @property
    def scaled(self) -> NDArray[np.float64]:
        """(rows,) the scaled target of all rows, NaN where missing; made anew each time."""
        return self.scaler.forward(self.panel.target, self.panel.series_of_rows())

    @property
    def carried(self) -> NDArray[np.float64]:
        """(rows,) the last observed scaled value at each row, 0 where there is none yet; made anew each time."""
        return self.carried_at(np.arange(self.panel.rows), self.panel.series_of_rows())

    def scaled_at(self, rows: Whole, series: Whole) -> NDArray[np.float64]:
        """The scaled target at rows of the panel; `series` broadcasts with them."""
        return self.scaler.forward(self.panel.target[rows], series)

    def seen_at(self, rows: Whole) -> Whole:
        """The row of the last observed value of the same series, up to each row; -1 where there is none."""
        return rows if self.last_seen is None else self.last_seen[rows]

    def carried_at(self, rows: Whole, series: Whole) -> NDArray[np.float64]:
        """The last observed scaled value up to each row, 0 where there is none yet."""
        seen = self.seen_at(rows)
        return np.where(seen >= 0, self.scaled_at(np.maximum(seen, 0), series), 0.0)

    def inputs_at(self, rows: Whole, series: Whole) -> NDArray[np.float32]:
        """The inputs at rows of the panel, of shape (*rows.shape, features); `series` broadcasts with `rows`."""
        lookback = self.encoder.lookback
        seen = self.seen_at(rows)
        before = np.broadcast_to(self.panel.starts[:-1][series] - 1, rows.shape)
        age = np.minimum(rows - np.where(seen >= 0, seen, before), lookback)
        inputs = np.empty((*rows.shape, self.encoder.width), dtype=np.float32)
        inputs[..., 0] = self.carried_at(rows, series)
        inputs[..., 1] = seen == rows
        inputs[..., 2] = np.log1p(age) / np.log1p(lookback)
        numeric = self.columns.numeric.shape[1]
        if numeric:
            inputs[..., 3 : 3 + numeric] = self.columns.numeric[rows]
        if self.encoder.calendar:
            inputs[..., 3 + numeric :] = calendar_features(
                self.panel.stamps[rows], self.encoder.calendar, self.panel.frequency.zone
            )
        return inputs

    def windows(self, series: Whole, begins: Whole, time: int, positions: Whole) -> Windows:
        """Gather windows.

        Args:
            series: (batch,) the series of each window.
            begins: (batch,) the row, counted within the series, of each window's first step; may be negative.
            time: steps of a window.
            positions: (positions,) the steps from which a forecast is made.
        """
        starts, lengths = self.panel.starts[:-1][series], self.panel.lengths[series]
        steps = begins[None] + np.arange(time)[:, None]
        inside = (steps >= 0) & (steps < lengths)
        origins = steps[positions]
        held = np.clip(origins, 0, lengths - 1) + starts
        last = np.where(origins >= 0, self.carried_at(held, series), 0.0)
        known, known_categories = self._known(series, origins)
        codes = self._codes(np.where(inside, starts + steps, 0), inside)
        return Windows(
            inputs=self._inputs(series, starts + steps, inside),
            known=torch.from_numpy(known),
            last=torch.from_numpy(last.astype(np.float32)),
            season=self._season(series, origins, last, self.encoder.season_length),
            further=self._further(series, origins, last),
            positions=torch.from_numpy(positions),
            static=torch.from_numpy(self.columns.static[series]),
            categories=torch.from_numpy(codes),
            known_categories=torch.from_numpy(known_categories),
            static_categories=torch.from_numpy(self.columns.static_codes[series].astype(np.int64)),
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
        rows = np.where(inside, ahead + self.panel.starts[:-1][series][:, None], 0)
        values = self.scaled_at(rows, series[:, None])
        counts = inside & ~np.isnan(values)
        return np.where(counts, values, 0.0), counts

    def fingerprint(self) -> str:
        """Tells one data set and its encoding from another."""
        digest = hashlib.sha256(repr(self.encoder).encode())
        scaler = [getattr(self.scaler, field.name) for field in dataclasses.fields(self.scaler)]
        columns = [getattr(self.columns, field.name) for field in dataclasses.fields(self.columns)]
        for values in (self.panel.starts, self.panel.stamps, self.panel.target, *scaler, *columns):
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    def _inputs(self, series: Whole, rows: Whole, inside: NDArray[np.bool_]) -> Tensor:
        if self.kept is not None:
            return self.kept[torch.from_numpy(np.where(inside, rows, self.panel.rows))]
        inputs = self.inputs_at(np.where(inside, rows, self.panel.starts[:-1][series]), series)
        inputs[~inside] = 0.0
        return torch.from_numpy(inputs)

    def _codes(self, rows: Whole, inside: NDArray[np.bool_]) -> Whole:
        codes = self.columns.codes[rows].astype(np.int64)
        codes[~inside] = 0
        return codes

    def _known(self, series: Whole, origins: Whole) -> tuple[NDArray[np.float32], Whole]:
        """What is known of the steps after each origin: covariates and calendar; and codes of categories."""
        ahead = origins[..., None] + 1 + np.arange(self.encoder.horizon)
        numeric, categories = self.encoder.covariates.known
        known = calendar_features(
            self._future_stamps(series, ahead), self.encoder.calendar, self.panel.frequency.zone
        )
        if not numeric and not categories:
            return known, np.zeros((*ahead.shape, 0), dtype=np.int64)
        inside = (ahead >= 0) & (ahead < self.panel.lengths[series][:, None])
        rows = np.where(inside, ahead + self.panel.starts[:-1][series][:, None], 0)
        columns = self.columns.numeric[rows][..., numeric]
        columns[~inside] = 0.0
        return np.concatenate([columns, known], axis=-1), self._codes(rows, inside)[..., categories]

    def _future_stamps(self, series: Whole, ahead: Whole) -> Whole:
        if not self.encoder.calendar:
            return ahead
        first = self.panel.stamps[self.panel.starts[:-1][series]]
        return self.panel.frequency.ahead(np.broadcast_to(first[None, :, None], ahead.shape), ahead)

    def _further(self, series: Whole, origins: Whole, last: NDArray[np.float64]) -> Tensor:
        """The values one of each further season before, of shape (positions, batch, horizon, seasons)."""
        found = [self._season(series, origins, last, length) for length in self.encoder.further_seasons]
        return torch.stack(found, dim=-1) if found else torch.zeros(*origins.shape, self.encoder.horizon, 0)

    def _season(self, series: Whole, origins: Whole, last: NDArray[np.float64], length: int) -> Tensor:
        """The scaled value one season before each forecast stamp, or further back; the last value if none."""
        starts, lengths = self.panel.starts[:-1][series], self.panel.lengths[series]
        horizon = self.encoder.horizon
        steps = 1 + np.arange(horizon)
        seasons = -(-steps // length)
        found = np.broadcast_to(last[..., None], (*origins.shape, horizon)).copy()
        open_ = np.ones(found.shape, dtype=bool)
        for back in range(SEASONS_BACK):
            source = origins[..., None] + steps - (seasons + back) * length
            usable = open_ & (source >= 0) & (source < lengths[:, None])
            if not usable.any():
                break
            values = self.scaled_at(np.where(usable, source + starts[:, None], 0), series[:, None])
            usable &= ~np.isnan(values)
            found[usable] = values[usable]
            open_ &= ~usable
            if not open_.any():
                break
        return torch.from_numpy(found.astype(np.float32))


def _last_seen(observed: NDArray[np.bool_], first: Whole) -> Whole:
    """The row of the last observed value of the same series, or -1."""
    rows = np.where(observed, np.arange(len(observed)), -1)
    last = np.maximum.accumulate(rows) if len(rows) else rows
    return np.where(last >= first, last, -1)
