"""A fitted forecaster without its estimator: all that was learned, and how forecasts are made from it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special

from gatewise.data import Frequency, Panel
from gatewise.data.frequency import StampKind
from gatewise.data.joined import with_later_rows
from gatewise.data.panel import MissingRule
from gatewise.errors import ArgumentError, DataError
from gatewise.tasks.forecast.adaptive import Recent, adapted
from gatewise.tasks.forecast.baselines import linear_forecasts, naive2_forecasts
from gatewise.tasks.forecast.batches import Origins
from gatewise.tasks.forecast.calibration import calibrate
from gatewise.tasks.forecast.choices import check_together
from gatewise.tasks.forecast.covariates import static_values
from gatewise.tasks.forecast.encoding import SEASONS_BACK, Encoded, Encoder
from gatewise.tasks.forecast.ensemble import Forecasting
from gatewise.tasks.forecast.evaluation import LINEAR, NAIVE2, BackTest, Evaluation, judge
from gatewise.tasks.forecast.inference import forecast_scaled, sample_scaled
from gatewise.tasks.forecast.metrics import mase_scale
from gatewise.tasks.forecast.sampling import (
    from_scores,
    normal_scores,
    score_correlation,
    sorted_quantiles,
    uniforms,
)
from gatewise.tasks.forecast.scaling import TargetScaler, fit_scaler

__all__ = ["Fitted", "context_of", "learn_correlation"]

Whole = NDArray[np.int64]
# An unknown series is back-tested on this last share of it, where no start is given.
_LAST_SHARE = 0.2
# Windows that the copula's correlation is learned from, at most twice as many.
_CORRELATION_WINDOWS = 1024


@dataclass(frozen=True)
class Fitted:
    """All that was learned.

    Args:
        network: the trained network, in eval mode.
        encoder: how tables become inputs.
        scaler: the scaling of each series that was fitted.
        scaling: its kind, for series that come new.
        scales: (series,) MASE scale of each fitted series.
        levels: the quantiles' levels, 0.5 among them.
        calibration: a factor per gap between quantiles.
        frequency, kind: the step in time.
        context: the last rows of each fitted series, from which it is forecast when no table is given.
        from_array: whether the model was fitted on an array, whose rows have no lasting names.
        trained_until: (series,) the last stamp of each series that the model was fitted on; rows that `updated` takes
            in later are not.
        recent: which windows calibrate a forecast, where calibration is adaptive.
    """

    network: Forecasting
    encoder: Encoder
    scaler: TargetScaler
    scaling: str
    scales: NDArray[np.float64]
    levels: tuple[float, ...]
    calibration: tuple[float, ...]
    frequency: Frequency
    kind: StampKind
    context: Panel
    from_array: bool
    trained_until: Whole
    recent: Recent = field(default_factory=Recent)

    def known(self, panel: Panel) -> Whole:
        """For each series of a panel its index among those fitted, or -1."""
        if self.from_array:
            return np.full(len(panel), -1, dtype=np.int64)
        place = {name: index for index, name in enumerate(self.context.names)}
        return np.array([place.get(name, -1) for name in panel.names], dtype=np.int64)

    def encode(self, panel: Panel, limits: Whole) -> tuple[Encoded, NDArray[np.float64]]:
        """Inputs of a table, and the MASE scale of each series.

        A series that was fitted keeps its scaling; a new one is scaled by its own rows before `limits`.
        """
        if self.network.plan.channels > 1:
            check_together(panel, list(self.context.names))
        history = panel.between(np.zeros(len(panel), dtype=np.int64), limits)
        own = fit_scaler(history, _same_kind(self.scaling, self.scaler.log))
        known = self.known(panel)
        place, is_known = np.maximum(known, 0), known >= 0
        merged = {
            name: np.where(is_known, getattr(self.scaler, name)[place], getattr(own, name))
            for name in ("unit", "centre", "spread", "size", "lowest", "highest")
        }
        fresh = mase_scale(history.target, history.starts, self.encoder.season_length)
        scaler = TargetScaler(log=self.scaler.log, **merged)
        return self.encoder.encode(panel, scaler), np.where(is_known, self.scales[place], fresh)

    def updated(self, later: Panel, missing: MissingRule) -> Fitted:
        """The same model, its context moved on by later rows of the fitted series.

        Raises:
            DataError: a series was not fitted, or a row does not follow the last one that is known.
        """
        joined = with_later_rows(self.context, later, missing)
        encoded = self.encoder.encode(joined, self.scaler)
        together = self.network.plan.channels > 1
        return dataclasses.replace(self, context=context_of(encoded, self.recent, together=together))

    def quantiles(self, encoded: Encoded, origins: Origins) -> NDArray[np.float64]:
        """Calibrated quantiles in the target's unit, of shape (origins, horizon, levels)."""
        last = encoded.carried_at(encoded.panel.starts[:-1][origins.series] + origins.rows, origins.series)
        if self.recent.rows and len(origins.series):
            calibrated = adapted(self.network, encoded, origins, self.recent, self.calibration, self.levels)
        else:
            scaled = forecast_scaled(self.network, encoded, origins)
            calibrated = calibrate(scaled, self.calibration, self.levels)
        return encoded.scaler.inverse(
            calibrated, origins.series, encoded.scaler.unscaled(last, origins.series)
        )

    def forecast(self, panel: Panel, ends: Whole | None = None) -> NDArray[np.float64]:
        """Quantiles of the steps after the history of each series, of shape (series, horizon, levels).

        Args:
            panel: the history, and behind it what is known of the future.
            ends: (series,) how many rows of each series are its history; None: all.
        """
        ends = panel.lengths if ends is None else ends
        encoded, _ = self.encode(panel, ends)
        return self.quantiles(encoded, Origins(np.arange(len(panel)), ends - 1))

    def sample(self, panel: Panel, samples: int, ends: Whole | None = None) -> NDArray[np.float64]:
        """Paths of the steps after the history of each series, of shape (series, samples, horizon).

        Args:
            panel, ends: as in `forecast`.
            samples: paths of each series.

        Raises:
            ArgumentError: the model has no quantile but the median, and so no spread to sample from.
        """
        ends = panel.lengths if ends is None else ends
        encoded, _ = self.encode(panel, ends)
        origins = Origins(np.arange(len(panel)), ends - 1)
        plan, keys = self.network.plan, list(panel.names)
        if self.network.samples:
            scaled = sample_scaled(self.network, encoded, origins, keys, samples, plan.seed)
            # Counts stay counts: their quantiles tie, and a tie cannot be stretched.
            if len(self.levels) > 1 and plan.likelihood != "negative_binomial":
                raw = sorted_quantiles(torch.from_numpy(scaled), self.levels).numpy()
                wide = np.broadcast_to(raw[:, None], (*scaled.shape, raw.shape[-1]))
                scores = normal_scores(wide, scaled, self.levels)
                scaled = from_scores(calibrate(raw, self.calibration, self.levels), scores, self.levels)
            return self._counted(encoded.scaler.inverse(scaled, origins.series))
        if len(self.levels) < 2:
            raise ArgumentError(
                f"quantiles: at least one level beside the median is expected to sample from, the model has "
                f"{list(self.levels)}; fit with quantiles such as (0.1, 0.5, 0.9)"
            )
        quantiles = calibrate(forecast_scaled(self.network, encoded, origins), self.calibration, self.levels)
        noise = uniforms(plan.seed, keys, samples, plan.horizon, each=1)[..., 0].double().numpy()
        mixing = np.linalg.cholesky(self.network.correlation.double().cpu().numpy())
        scores = special.ndtri(noise.clip(1e-9, 1 - 1e-9)) @ mixing.T
        return encoded.scaler.inverse(from_scores(quantiles, scores, self.levels), origins.series)

    def _counted(self, paths: NDArray[np.float64]) -> NDArray[np.float64]:
        """Paths of counts as the whole numbers that were drawn: the scaling moved them by a rounding."""
        if self.network.plan.likelihood != "negative_binomial":
            return paths
        return np.maximum(np.rint(paths), 0.0)

    def back_test(
        self, panel: Panel, first: Whole, every: int, model: str, *, linear: bool = False
    ) -> Evaluation:
        """Forecasts from every `every`-th row, of rows first[i] onwards of series i, against what came.

        A forecast counts only where its whole horizon lies in the table. Naive2's season and (`linear`) DLinear are
        learned from the rows before first[i].
        """
        horizon = self.encoder.horizon
        encoded, scales = self.encode(panel, first)
        begins, ends = first - 1, panel.lengths - horizon - 1
        rows = [np.arange(begin, end + 1, every) for begin, end in zip(begins, ends, strict=True)]
        series = np.repeat(np.arange(len(panel)), [len(own) for own in rows])
        origins = Origins(series, np.concatenate(rows).astype(np.int64))
        if not len(series):
            raise DataError(
                f"no series has a whole horizon of {horizon} rows to be compared with: the longest held-out span has "
                f"{int((panel.lengths - first).max())} rows. Give more rows, an earlier start, or fit a "
                "shorter horizon."
            )
        test = self.compare(panel, encoded, origins, scales, first, linear=linear)
        return judge(test, model=model, every=every)

    def compare(
        self,
        panel: Panel,
        encoded: Encoded,
        origins: Origins,
        scales: NDArray[np.float64],
        first: Whole,
        *,
        linear: bool,
    ) -> BackTest:
        """The forecasts of all methods from the given origins, and what came."""
        starts = panel.starts[:-1][origins.series]
        rows = starts + origins.rows
        ahead = rows[:, None] + 1 + np.arange(self.encoder.horizon)
        windows = encoded.windows(origins.series, origins.rows, 1, np.zeros(1, dtype=np.int64))
        naive = np.broadcast_to(windows.last[0].double().numpy()[:, None], ahead.shape)
        others = {
            NAIVE2: naive2_forecasts(
                panel, first, origins.series, rows, encoded.seen_at(rows), self.encoder.horizon,
                self.encoder.season_length,
            )
        }  # fmt: skip
        if linear and (forecasts := linear_forecasts(panel, first, self.encoder, origins)) is not None:
            others[LINEAR] = forecasts
        return BackTest(
            panel=panel,
            series=origins.series,
            rows=rows,
            quantiles=self.quantiles(encoded, origins),
            naive=encoded.scaler.unscaled(naive, origins.series),
            seasonal=encoded.scaler.unscaled(windows.season[0].double().numpy(), origins.series),
            actual=panel.target[ahead],
            scale=scales[origins.series],
            levels=self.levels,
            others=others,
        )

    def held_out(self, panel: Panel, start: int | None) -> Whole:
        """The first row of each series that is to be forecast.

        Args:
            panel: the table.
            start: a stamp; None means the rows after those that the model was fitted on, and for series that it
                was not fitted on the last fifth, a horizon at least.
        """
        known = self.known(panel)
        first = np.empty(len(panel), dtype=np.int64)
        for index in range(len(panel)):
            own = panel.stamps[panel.starts[index] : panel.starts[index + 1]]
            if start is not None:
                first[index] = np.searchsorted(own, start)
            elif known[index] >= 0:
                first[index] = np.searchsorted(own, self.trained_until[known[index]], "right")
            else:
                first[index] = len(own) - max(self.encoder.horizon, int(len(own) * _LAST_SHARE))
        late = first >= panel.lengths
        if late.all():
            fitted_until = self.context.show(self.trained_until.max())
            raise DataError(
                "no row is left to be forecast: "
                + (f"the model was fitted on rows up to {fitted_until}, and the table ends there or earlier. Give a "
                   "table that goes on, with its history, or a start=" if start is None else
                   f"no series has a row at or after start {self.context.show(start)}")
            )  # fmt: skip
        early = (first < 1) & ~late
        if early.any():
            index = int(np.flatnonzero(early)[0])
            raise DataError(
                f"series {panel.names[index]!r} has no row before the span that is to be forecast; give its history "
                f"too ({self.encoder.lookback} rows are read)"
            )
        return np.minimum(first, panel.lengths)


def learn_correlation(
    network: Forecasting,
    scaled: NDArray[np.float64],
    target: NDArray[np.float64],
    counts: NDArray[np.bool_],
    calibration: tuple[float, ...],
) -> None:
    """Put into a network that gives quantiles how the steps of the horizon hang together on held-out windows.

    Args:
        network: whose `correlation` is written.
        scaled: (windows, horizon, levels), its quantiles.
        target, counts: (windows, horizon), what came, and whether it counts.
        calibration: a factor per gap.
    """
    if not network.correlation.numel():
        return
    levels = network.plan.levels
    every = max(1, len(scaled) // _CORRELATION_WINDOWS)
    scores = normal_scores(calibrate(scaled, calibration, levels)[::every], target[::every], levels)
    with torch.no_grad():
        network.correlation.copy_(torch.from_numpy(score_correlation(scores, counts[::every])))


def _same_kind(scaling: str, log: bool) -> str:
    if scaling == "auto":
        return "log" if log else "standard"
    return scaling


def context_of(encoded: Encoded, recent: Recent, *, together: bool) -> Panel:
    """The rows of each series that a forecast after its last one depends on.

    That is a lookback, further back to what is carried into it (the last value of the target and of each covariate
    before it), and a season's worth; and as much for the windows that calibrate it. Series that are forecast together
    keep equally many rows.
    """
    panel, encoder = encoded.panel, encoded.encoder
    lengths = panel.lengths - recent.reach(encoder.horizon)
    begin = np.maximum(lengths - encoder.lookback, 0)
    reach = begin.copy()
    for values in (panel.target, *(panel.covariates[name] for name in encoder.covariates.moving[0])):
        seen = _last_seen(values, panel.starts)[panel.starts[:-1] + begin] - panel.starts[:-1]
        reach = np.where(seen >= 0, np.minimum(reach, seen), reach)
    # Where values are missing, a seasonal value is looked for further back.
    seasons = lengths - (2 if encoded.last_seen is None else SEASONS_BACK) * encoder.longest_season
    begin = np.maximum(np.minimum(reach, seasons), 0)
    context = panel.between(np.full_like(begin, begin.min()) if together else begin, panel.lengths)
    static = {
        name: np.repeat(static_values(panel, name), context.lengths)
        for name in encoder.covariates.roles.static
    }
    # Copies: the table that they came from may be a mapped file, and need not outlive the fit.
    covariates = {name: values.copy() for name, values in (context.covariates | static).items()}
    return dataclasses.replace(
        context, stamps=context.stamps.copy(), target=context.target.copy(), covariates=covariates
    )


def _last_seen(values: NDArray[Any], starts: Whole) -> Whole:
    """For each row the row of the last value that is there, in the same series; -1 where there is none."""
    if values.dtype == object:
        return np.full(len(values), -1)
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    return np.where(last >= np.repeat(starts[:-1], np.diff(starts)), last, -1)
