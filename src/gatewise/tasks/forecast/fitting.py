"""From a table and settings to a fitted forecaster."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatewise import cells, train
from gatewise.data import Panel
from gatewise.data.calendar import calendar_names
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.spec import Program
from gatewise.tasks.forecast.adaptive import Recent
from gatewise.tasks.forecast.batches import Origins
from gatewise.tasks.forecast.calibration import fit_calibration
from gatewise.tasks.forecast.choices import NetworkChoices, held_out_rows, seasons_of
from gatewise.tasks.forecast.covariates import Roles, fit_covariates
from gatewise.tasks.forecast.embedding import EmbeddingPlan
from gatewise.tasks.forecast.encoding import Encoded, Encoder
from gatewise.tasks.forecast.ensemble import Forecasting, together
from gatewise.tasks.forecast.fitted import Fitted, context_of, learn_correlation
from gatewise.tasks.forecast.inference import forecast_scaled
from gatewise.tasks.forecast.leaks import check_leaks
from gatewise.tasks.forecast.metrics import mase_scale
from gatewise.tasks.forecast.network import ForecastNetwork, NetworkPlan
from gatewise.tasks.forecast.objective import ForecastObjective
from gatewise.tasks.forecast.origin_source import OriginSource
from gatewise.tasks.forecast.scaling import fit_scaler, series_scales
from gatewise.tasks.forecast.training import ChunkSource, choose_origins
from gatewise.tasks.options import check_count, training_config

__all__ = ["FitResult", "Options", "fit_forecaster", "roles_of"]

Whole = NDArray[np.int64]
_VALIDATION_WINDOWS, _CALIBRATION_WINDOWS = 512, 4096
_LONGEST_LOOKBACK, _SHORTEST_LOOKBACK = 512, 16
_DECODER_SIZE = 48
_WARMUP_STEPS = 20
_WEIGHT_DECAY = 1e-4
# Seeds of an ensemble's members lie so far apart that those of neighbouring seeds share none.
_NEXT_MEMBER = 1_000_003


@dataclass(frozen=True)
class Options:
    """The estimator's parameters, checked. Their meaning is `Forecaster`'s."""

    horizon: int
    lookback: int | None
    program: Program
    hidden_size: int
    num_layers: int
    dropout: float
    levels: tuple[float, ...]
    seasons: tuple[int, ...]
    scaling: str
    batch_size: int | None
    engine: str
    progress: bool
    train: train.TrainConfig
    choices: NetworkChoices
    members: int = 1
    roles: Roles = field(default_factory=Roles)
    adaptive: bool = False

    @classmethod
    def from_estimator(cls, estimator: Any, seed: int) -> Options:
        """Check the parameters of a `Forecaster`.

        Raises:
            ArgumentError, ArgumentTypeError: naming the parameter.
        """
        for name in ("horizon", "hidden_size", "num_layers", "members"):
            check_count(name, getattr(estimator, name))
        for name in ("lookback", "batch_size"):
            if getattr(estimator, name) is not None:
                check_count(name, getattr(estimator, name))
        dropout = estimator.dropout
        if not isinstance(dropout, int | float) or isinstance(dropout, bool) or not 0 <= dropout < 1:
            raise ArgumentError(
                f"dropout: a probability of at least 0 and below 1 is expected, came {dropout!r}"
            )
        if estimator.calibration not in ("split", "adaptive"):
            raise ArgumentError(
                f'calibration: "split" or "adaptive" is expected, came {estimator.calibration!r}'
            )
        config = training_config(estimator, seed, warmup_steps=_WARMUP_STEPS, weight_decay=_WEIGHT_DECAY)
        return cls(
            horizon=int(estimator.horizon),
            lookback=estimator.lookback,
            program=cells.get(estimator.cell),
            hidden_size=int(estimator.hidden_size),
            num_layers=int(estimator.num_layers),
            dropout=float(dropout),
            levels=_levels(estimator.quantiles),
            seasons=seasons_of(estimator.season_length, estimator.architecture),
            scaling=estimator.scaling,
            batch_size=estimator.batch_size,
            engine=estimator.engine,
            progress=bool(estimator.progress),
            train=config,
            members=int(estimator.members),
            roles=roles_of(estimator),
            adaptive=estimator.calibration == "adaptive",
            choices=NetworkChoices.from_estimator(estimator),
        )

    def of_window(self, window: int) -> Options:
        """The same for one window of a cross-validation: checkpoints in a folder of its own."""
        folder = self.train.checkpoint_folder
        if folder is None:
            return self
        own = dataclasses.replace(self.train, checkpoint_folder=Path(folder) / f"window-{window}")
        return dataclasses.replace(self, train=own)

    def of_member(self, place: int) -> Options:
        """The same for one network of an ensemble: a seed, a share of the time and a checkpoint folder of its own."""
        if self.members == 1:
            return self
        folder, time_ = self.train.checkpoint_folder, self.train.max_time
        own = dataclasses.replace(
            self.train,
            seed=(self.train.seed + place * _NEXT_MEMBER) % 2**32,
            max_time=None if time_ is None else time_ / self.members,
            checkpoint_folder=None if folder is None else Path(folder) / f"member-{place}",
        )
        return dataclasses.replace(self, train=own)


@dataclass(frozen=True)
class FitResult:
    """A fitted model, and how the fit went."""

    fitted: Fitted
    history: train.History
    seconds: float
    validation: str
    windows_per_second: float


def fit_forecaster(panel: Panel, options: Options, *, from_array: bool) -> FitResult:
    """Fit to all rows of a panel; the last part of each series only stops and calibrates.

    Raises:
        DataError: a series is too short.
    """
    begun = time.perf_counter()
    _check_lengths(panel, options.horizon)
    check_leaks(panel, options.horizon, options.roles.future)
    held = held_out_rows(panel, options.choices.validation, options.horizon)
    limits = panel.lengths - held
    history = panel.between(np.zeros_like(limits), limits)
    encoder = _encoder(panel, history, options)
    scaler = fit_scaler(_with_values(history, panel), options.scaling)
    if options.choices.loss in ("relative", "owa") and not scaler.log:
        found = " (which takes no logarithm of these values)" if options.scaling == "auto" else ""
        raise ArgumentError(
            f'scaling: "log" is expected with loss="{options.choices.loss}", which measures logarithms, came '
            f"{options.scaling!r}{found}"
        )
    encoded = encoder.encode(panel, scaler)
    learned = _in_loss_units(encoded, history, options.choices.loss)
    first, last = limits - 1, panel.lengths - options.horizon - 1
    validation = choose_origins(first, last, _VALIDATION_WINDOWS)
    trained = []
    for place in range(options.members):
        own = options.of_member(place)
        network = _network(panel, encoder, own, log=scaler.log)
        trained.append(_train(network, learned, history, limits, validation, own))
        if trained[-1].run.stopped == "interrupted":
            break
    model = together([one.network for one in trained]).eval()
    calibration = _calibration(
        model, encoded, choose_origins(first, last, _CALIBRATION_WINDOWS), options.levels
    )
    # As many rows as calibrated the model in the first place.
    recent = Recent(int(held.max()) if options.adaptive else 0)
    fitted = Fitted(
        network=model, encoder=encoder, scaler=scaler, scaling=options.scaling,
        scales=mase_scale(panel.target, panel.starts, encoder.season_length), levels=options.levels,
        calibration=calibration, frequency=panel.frequency, kind=panel.kind,
        context=context_of(encoded, recent, together=model.plan.channels > 1), from_array=from_array,
        trained_until=panel.stamps[panel.starts[1:] - 1].copy(), recent=recent,
    )  # fmt: skip
    shortest, longest = int(held.min()), int(held.max())
    rows = f"{shortest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
    words = f"the last {rows} rows of each series, in time order, for early stopping and calibration"
    run = _joined([one.run for one in trained])
    rate = sum(one.windows for one in trained) / max(run.seconds, 1e-9)
    return FitResult(fitted, run, time.perf_counter() - begun, words, rate)


@dataclass(frozen=True)
class _Trained:
    """A network, how its training went, and the forecasts that it learned from."""

    network: ForecastNetwork
    run: train.History
    windows: float


def _train(
    network: ForecastNetwork,
    encoded: Encoded,
    history: Panel,
    limits: Whole,
    validation: Origins,
    options: Options,
) -> _Trained:
    draw = ChunkSource if network.shares_encoder else OriginSource
    weights = series_scales(history) if options.choices.sampling == "scale" else None
    source = draw(
        encoded,
        limits,
        options.batch_size,
        options.train.seed,
        channels=network.plan.channels,
        weights=weights,
    )
    objective = ForecastObjective(encoded, validation, log=encoded.scaler.log, plan=network.plan)
    progress = train.choose(silent=not options.progress)
    run = train.fit(network, objective, source, options.train, progress=progress)
    return _Trained(network, run, source.windows_per_step * run.steps)


def _joined(runs: list[train.History]) -> train.History:
    """The trainings of an ensemble as one: all epochs, each with its member; best epoch and ending of the last."""
    if len(runs) == 1:
        return runs[0]
    epochs = [{"member": place, **epoch} for place, run in enumerate(runs) for epoch in run.epochs]
    steps, seconds = sum(run.steps for run in runs), sum(run.seconds for run in runs)
    return dataclasses.replace(runs[-1], epochs=epochs, steps=steps, seconds=seconds)


def _network(panel: Panel, encoder: Encoder, options: Options, *, log: bool) -> ForecastNetwork:
    plan = NetworkPlan(
        program=options.program, inputs=encoder.width, known=encoder.known_width, horizon=options.horizon,
        levels=options.levels, hidden_size=options.hidden_size, num_layers=options.num_layers,
        decoder_size=_DECODER_SIZE, dropout=options.dropout, engine=options.engine, log=log,
        seed=options.train.seed, season_length=encoder.season_length,
        further_seasons=len(encoder.further_seasons), embedding=_embedding(encoder, options.dropout),
        **options.choices.settled(panel, encoder.lookback, options.horizon),
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.train.seed)
        return ForecastNetwork(plan)


def _embedding(encoder: Encoder, dropout: float) -> EmbeddingPlan:
    columns = encoder.covariates
    return EmbeddingPlan(
        categories=columns.sizes(columns.moving[1]),
        known=tuple(columns.known[1]),
        static=len(columns.standing[0]),
        static_categories=columns.sizes(columns.standing[1]),
        dropout=dropout,
    )


def _encoder(panel: Panel, history: Panel, options: Options) -> Encoder:
    season, *further = options.seasons or (panel.frequency.season_length,)
    lookback = options.lookback
    if lookback is None:
        lookback = max(3 * season, 2 * options.horizon, _SHORTEST_LOOKBACK)
        lookback = max(1, min(lookback, _LONGEST_LOOKBACK, int(history.lengths.max())))
    covariates = fit_covariates(panel, options.roles)
    calendar = calendar_names(panel.frequency, panel.kind)
    return Encoder(options.horizon, lookback, season, calendar, covariates, tuple(further))


def _calibration(
    network: Forecasting, encoded: Encoded, origins: Origins, levels: tuple[float, ...]
) -> tuple[float, ...]:
    scaled = forecast_scaled(network, encoded, origins)
    target, counts = encoded.targets(
        origins.series, origins.rows[None], encoded.panel.lengths[origins.series]
    )
    factors = fit_calibration(scaled, target[0], counts[0], levels)
    learn_correlation(network, scaled, target[0], counts[0], factors)
    return factors


def _in_loss_units(encoded: Encoded, history: Panel, loss: str) -> Encoded:
    """The data with the unit that errors are counted in: a series' deviation, or under "owa" what MASE divides by."""
    if loss != "owa":
        return encoded
    scales = mase_scale(history.target, history.starts, encoded.encoder.season_length)
    return dataclasses.replace(encoded, scaler=dataclasses.replace(encoded.scaler, size=scales))


def _with_values(history: Panel, panel: Panel) -> Panel:
    """The training rows; a series that has no value in them is scaled by all of its rows."""
    owner = history.series_of_rows()
    seen = np.bincount(owner, ~np.isnan(history.target), minlength=len(panel))
    return history if (seen > 0).all() else panel


def _check_lengths(panel: Panel, horizon: int) -> None:
    short = np.flatnonzero(panel.lengths < horizon + 2)
    if len(short):
        index = int(short[0])
        raise DataError(
            f"series {panel.names[index]!r} is too short: it has {panel.lengths[index]} rows, and a horizon of "
            f"{horizon} needs at least {horizon + 2} ({len(short)} such series in all). Leave it out, or choose a "
            "shorter horizon."
        )


def roles_of(estimator: Any) -> Roles:
    """Which columns a `Forecaster`'s parameters name.

    Raises:
        ArgumentError, ArgumentTypeError: naming the parameter.
    """
    named: dict[str, tuple[str, ...]] = {}
    for parameter in ("future_covariates", "static_covariates", "categorical"):
        names = getattr(estimator, parameter)
        if isinstance(names, str) or not all(isinstance(name, str) for name in _listed(parameter, names)):
            raise ArgumentTypeError(f"{parameter}: a sequence of column names is expected, came {names!r}")
        named[parameter] = tuple(names)
    both = sorted({*named["future_covariates"]} & {*named["static_covariates"]})
    if both:
        raise ArgumentError(
            f"static_covariates: column {both[0]!r} is among future_covariates too; a static covariate is known for "
            "the future anyhow, name it there only"
        )
    if estimator.unseen not in ("error", "unknown"):
        raise ArgumentError(f'unseen: "error" or "unknown" is expected, came {estimator.unseen!r}')
    return Roles(named["future_covariates"], named["static_covariates"], estimator.unseen)


def _listed(parameter: str, names: Any) -> tuple[Any, ...]:
    try:
        return tuple(names)
    except TypeError:
        raise ArgumentTypeError(
            f"{parameter}: a sequence of column names is expected, came {names!r}"
        ) from None


def _levels(quantiles: Any) -> tuple[float, ...]:
    """The levels, rising, with 0.5 put in."""
    try:
        levels = [float(level) for level in quantiles]
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"quantiles: a sequence of levels such as (0.1, 0.5, 0.9) is expected, came {quantiles!r}"
        ) from None
    if any(not 0 < level < 1 for level in levels) or len(set(levels)) != len(levels):
        raise ArgumentError(f"quantiles: different levels between 0 and 1 are expected, came {quantiles!r}")
    return tuple(sorted({*levels, 0.5}))
