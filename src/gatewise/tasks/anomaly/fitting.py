"""From series and settings to a fitted detector."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from gatewise import train
from gatewise.errors import DataError
from gatewise.tasks.anomaly.distances import ErrorGaussian, fit_gaussian
from gatewise.tasks.anomaly.encoding import Encoded, encode
from gatewise.tasks.anomaly.events import best_threshold
from gatewise.tasks.anomaly.fitted import Fitted, Judging, foretold_errors, repeated_errors
from gatewise.tasks.anomaly.network import AheadNetwork, NetworkPlan, WindowNetwork, build_network
from gatewise.tasks.anomaly.options import Options
from gatewise.tasks.anomaly.scaling import fit_scaler
from gatewise.tasks.anomaly.series import Series
from gatewise.tasks.anomaly.thresholds import Fixed, Threshold, fit_spot, rate_threshold
from gatewise.tasks.anomaly.training import AheadObjective, StretchSource, WindowObjective

__all__ = ["FitResult", "calibrated", "fit_detector", "held_out_rows"]

Whole = NDArray[np.int64]
# The last fifth of each series is held back: to stop early, for the errors' Gaussian and for the threshold.
HELD_SHARE = 0.2
# A threshold is set on the held-out rows if there are so many, else on all.
_FEWEST_SCORES = 100
# The errors' Gaussian of reconstruction takes at most so many windows, spread evenly.
_MOST_WINDOWS = 2000


@dataclass(frozen=True)
class FitResult:
    """A fitted detector, and how the fit went.

    Args:
        fitted: the detector.
        history: of the training.
        seconds: all of it.
        validation: which rows were held back, in words.
        calibration: (rows,) which rows the threshold was set on.
    """

    fitted: Fitted
    history: train.History
    seconds: float
    validation: str
    calibration: NDArray[np.bool_]


def fit_detector(
    series: Series, labels: NDArray[np.bool_] | None, options: Options, *, from_array: bool
) -> FitResult:
    """Train, fit the errors' distribution, set the threshold.

    Args:
        series: what is fitted; taken to be normal for the most part.
        labels: anomalous rows, for the threshold "labels" alone.
        options: the settings.
        from_array: whether the series came as an array.

    Raises:
        DataError: a series is too short.
    """
    begun = time.perf_counter()
    limits = _limits(series, options.lookback)
    held = held_out_rows(series, limits)
    _warn_of_constants(series, ~held)
    scaler = fit_scaler(series.values[~held], options.rescale)
    mask = options.missing == "mask"
    encoded = encode(series, scaler, mask=mask)
    network, run = _trained(encoded, limits, options, mask=mask)
    gaussian = None if options.method == "quantile" else _gaussian(network, encoded, held, options.tolerance)
    window, short = options.likelihood or (0, 0)
    quiet = quiet_rows(options.quiet, int(series.lengths.max()))
    fitted = Fitted(
        network=network, plan=network.plan, scaler=scaler, mask=mask, gaussian=gaussian, level=options.level,
        judging=Judging(window, short, np.zeros(0), quiet), threshold=Fixed(float("inf")),
        columns=series.columns, frequency=series.frequency, kind=series.kind, from_array=from_array,
        time_name=series.time_name,
    )  # fmt: skip
    scored = fitted.score(series)
    chosen = held if int(held.sum()) >= _FEWEST_SCORES else np.ones(series.rows, dtype=bool)
    threshold = calibrated(scored.scores, chosen, labels, series.starts, options)
    if window:
        raw = fitted.combined(scored.contributions[held])
        history = raw[~np.isnan(raw)][-window:]
        fitted = replace(fitted, judging=Judging(window, short, history, quiet))
    words = _words(series, limits, all_rows=bool(chosen.all()))
    fitted = replace(fitted, threshold=threshold)
    return FitResult(fitted, run, time.perf_counter() - begun, words, chosen)


def quiet_rows(quiet: int | float, rows: int) -> int:
    """Rows within which only the highest score counts: as given, or a share of so many rows, at least 1."""
    return quiet if isinstance(quiet, int) else max(1, int(quiet * rows))


def calibrated(
    scores: NDArray[np.float64],
    chosen: NDArray[np.bool_],
    labels: NDArray[np.bool_] | None,
    starts: Whole,
    options: Options,
) -> Threshold:
    """The threshold that the options ask for.

    Args:
        scores: (rows,)
        chosen: the rows that normal scores are taken from.
        labels: anomalous rows; they leave the normal ones, and choose the threshold "labels".
        starts: where each series begins.
        options: the settings.
    """
    if not isinstance(options.threshold, str):
        return Fixed(float(options.threshold))
    if options.threshold == "labels":
        if labels is None:
            raise DataError(
                'threshold="labels" needs y in fit, a mark for each row or spans; give it, or choose "spot" or "rate"'
            )
        if not labels.any():
            raise DataError(
                'threshold="labels": no row is labelled anomalous, so no threshold follows from them'
            )
        return Fixed(best_threshold(scores, labels, starts))
    usual = scores[chosen]
    if options.threshold == "rate":
        return rate_threshold(usual, options.rate)
    return fit_spot(usual, options.rate, depth=options.depth if options.threshold == "dspot" else None)


def held_out_rows(series: Series, limits: Whole) -> NDArray[np.bool_]:
    """Which rows lie behind their series' limit."""
    within = np.arange(series.rows) - np.repeat(series.starts[:-1], series.lengths)
    return within >= np.repeat(limits, series.lengths)


def _limits(series: Series, lookback: int) -> Whole:
    limits = series.lengths - np.maximum((series.lengths * HELD_SHARE).astype(np.int64), 1)
    short = np.flatnonzero(limits < lookback)
    if len(short):
        index = int(short[0])
        needed = int(np.ceil(lookback / (1 - HELD_SHARE)))
        raise DataError(
            f"series {series.names[index]!r} is too short: n_samples = {series.lengths[index]}, and a "
            f"lookback of {lookback} "
            f"needs at least {needed + (needed - max(int(needed * HELD_SHARE), 1) < lookback)} rows ({len(short)} such "
            "series in all). Leave it out, or choose a shorter lookback."
        )
    return limits


def _warn_of_constants(series: Series, rows: NDArray[np.bool_]) -> None:
    for name, values in zip(series.columns, series.values[rows].T, strict=True):
        seen = values[~np.isnan(values)]
        if not len(seen):
            raise DataError(f"channel {name!r} has no observed value in the rows to learn from; leave it out")
        if seen.min() == seen.max():
            warnings.warn(
                f"channel {name!r} is constant ({seen[0]:g}) in the rows that are learned from: every change "
                "of it will "
                "stand out. Leave it out if it is not meant to vary.",
                UserWarning,
                stacklevel=4,
            )


def _trained(
    encoded: Encoded, limits: Whole, options: Options, *, mask: bool
) -> tuple[AheadNetwork | WindowNetwork, train.History]:
    channels = len(encoded.series.columns)
    plan = NetworkPlan(
        method=options.method, program=options.program, channels=channels, inputs=channels * (2 if mask else 1),
        horizon=options.horizon, levels=options.levels, window=options.lookback, hidden_size=options.hidden_size,
        num_layers=options.num_layers, dropout=options.dropout, engine=options.engine,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.train.seed)
        network = build_network(plan)
    source = StretchSource(
        encoded, limits, options.lookback, options.horizon, options.batch_size, options.train.seed
    )
    kind = WindowObjective if options.method == "reconstruction" else AheadObjective
    objective = kind(encoded, limits, options.lookback, plan)
    run = train.fit(
        network, objective, source, options.train, progress=train.choose(silent=not options.progress)
    )
    return network.eval(), run


def _gaussian(
    network: AheadNetwork | WindowNetwork, encoded: Encoded, held: NDArray[np.bool_], tolerance: float
) -> ErrorGaussian:
    if isinstance(network, AheadNetwork):
        return fit_gaussian(foretold_errors(network, encoded)[0][held], tolerance)
    ends = np.flatnonzero(held)
    ends = ends[:: max(1, -(-len(ends) // _MOST_WINDOWS))]
    errors = repeated_errors(network, encoded, ends)[0]
    return fit_gaussian(errors.reshape(-1, 1, errors.shape[-1]), tolerance)


def _words(series: Series, limits: Whole, *, all_rows: bool) -> str:
    held = series.lengths - limits
    count = f"{held.min():,}" if held.min() == held.max() else f"{held.min():,} to {held.max():,}"
    use = "for early stopping and the errors' distribution"
    also = "; the threshold is set on all rows, since these are few" if all_rows else " and the threshold"
    return f"the last {count} rows of each series, in time order, {use}{also}"
