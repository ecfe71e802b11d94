"""A fitted detector: scores of whole series. `streaming` gives the same numbers row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from gatewise.data.frequency import Frequency, StampKind
from gatewise.tasks.anomaly.distances import ErrorGaussian, exceedance, with_level
from gatewise.tasks.anomaly.encoding import Encoded, encode, groups, padded
from gatewise.tasks.anomaly.likelihood import Likelihood, TailLikelihood
from gatewise.tasks.anomaly.network import AheadNetwork, NetworkPlan, WindowNetwork
from gatewise.tasks.anomaly.onset import Onset
from gatewise.tasks.anomaly.scaling import Scaler
from gatewise.tasks.anomaly.series import Series
from gatewise.tasks.anomaly.thresholds import Threshold

__all__ = ["Fitted", "Judged", "Judging", "Scored"]

Values = NDArray[np.float64]
# Steps of a call to the network, and windows of one: they bound the memory that scoring takes.
_BLOCK_STEPS, _BLOCK_WINDOWS = 2048, 512


@dataclass(frozen=True)
class Scored:
    """Scores before any threshold.

    Args:
        series: what was scored.
        contributions: (rows, channels), NaN where nothing was observed.
        scores: (rows,), higher is stranger; NaN where nothing was observed.
        expected: (rows, channels), what the network expected of each row, in its own unit; NaN where it expected
            nothing.
    """

    series: Series
    contributions: Values
    scores: Values
    expected: Values


@dataclass(frozen=True)
class Judged:
    """Scores held against the threshold.

    Args:
        scored: the scores.
        thresholds: (rows,), what each was held against.
        alarms: (rows,), whether it was above.
    """

    scored: Scored
    thresholds: Values
    alarms: NDArray[np.bool_]


@dataclass(frozen=True)
class Judging:
    """How strangeness becomes a score.

    Args:
        window, short: rows of the long and the short mean of the error likelihood; window 0: none; short 0: by the
            tail of the errors in the window.
        history: errors before the first row of a stream, for the likelihood.
        quiet: rows within which only the highest score counts; 0: all count.
    """

    window: int
    short: int
    history: Values
    quiet: int

    def likelihood(self) -> Likelihood | TailLikelihood | None:
        """A new one for a stream."""
        if self.window and not self.short:
            return TailLikelihood(self.window, self.history.tolist())
        return Likelihood(self.window, self.short, self.history.tolist()) if self.window else None

    def onset(self) -> Onset | None:
        """A new one for a stream."""
        return Onset(self.quiet) if self.quiet else None


@dataclass(frozen=True)
class Fitted:
    """All that a detector learned.

    Args:
        network: in eval mode.
        plan: its sizes.
        scaler: the channels' units.
        mask: whether the network reads what was missing.
        gaussian: of error vectors; None for quantiles.
        level: whether a value's own distance from its level is judged with its error.
        judging: how strangeness becomes a score.
        threshold: the one that a stream starts with.
        columns, frequency, kind: of the series that were fitted.
        from_array: whether they came as an array.
        time_name: the name of the column of stamps.
    """

    network: AheadNetwork | WindowNetwork
    plan: NetworkPlan
    scaler: Scaler
    mask: bool
    gaussian: ErrorGaussian | None
    level: bool
    judging: Judging
    threshold: Threshold
    columns: tuple[str, ...]
    frequency: Frequency | None
    kind: StampKind
    from_array: bool
    time_name: str

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def score(self, series: Series) -> Scored:
        """Score every row from itself and the rows before it."""
        encoded = encode(series, self.scaler, mask=self.mask)
        if isinstance(self.network, WindowNetwork):
            contributions, expected = repeated_contributions(self, encoded)
        else:
            contributions, expected = self._foretold(encoded, self.network)
        if self.level:
            scaled = np.where(np.isnan(series.values), 0.0, encoded.scaled)
            contributions = with_level(contributions, scaled)
        contributions = np.where(np.isnan(series.values).all(axis=1)[:, None], np.nan, contributions)
        raw = self.combined(contributions)
        scores = np.concatenate([self._judged(raw[series.of(index)]) for index in range(len(series))])
        return Scored(series, contributions, scores, expected)

    def judge(self, scored: Scored) -> Judged:
        """Hold scores against the threshold, each series with one of its own that starts where `fit` left it."""
        thresholds, alarms = np.empty(len(scored.scores)), np.zeros(len(scored.scores), dtype=bool)
        for index in range(len(scored.series)):
            threshold = self.threshold.fresh()
            rows = scored.series.of(index)
            for row in range(rows.start, rows.stop):
                alarms[row], thresholds[row] = threshold.step(float(scored.scores[row]))
        return Judged(scored, thresholds, alarms)

    def combined(self, contributions: Float[np.ndarray, "rows channels"]) -> Values:
        """One number per row from the channels' contributions: their sum, or for quantiles the highest."""
        if self.gaussian is None:
            return np.asarray(contributions.max(axis=1))
        return np.maximum(contributions.sum(axis=1), 0.0)

    def contributions(self, errors: Float[np.ndarray, "rows steps channels"]) -> Values:
        """The channels' contributions from error vectors; for quantiles the errors are exceedances already."""
        if self.gaussian is None:
            return np.nan_to_num(errors[:, 0])
        return np.asarray(self.gaussian.contributions(errors))

    def _judged(self, raw: Values) -> Values:
        likelihood, onset = self.judging.likelihood(), self.judging.onset()
        if likelihood is not None:
            raw = likelihood.run(raw)
        return raw if onset is None else onset.run(raw)

    def _foretold(self, encoded: Encoded, network: AheadNetwork) -> tuple[Values, Values]:
        errors, expected = foretold_errors(network, encoded)
        return self.contributions(errors), expected


def foretold_errors(network: AheadNetwork, encoded: Encoded) -> tuple[Values, Values]:
    """Error vectors (rows, horizon, channels), NaN where nothing was foretold; and what was expected one step before.

    For quantiles the errors are exceedances, of one step.
    """
    series, plan = encoded.series, network.plan
    horizon = plan.horizon
    errors = np.full((series.rows, horizon, plan.channels), np.nan)
    expected = np.full((series.rows, plan.channels), np.nan)
    for members, out in _ahead(network, encoded):
        for place, member in enumerate(members):
            rows, count = series.of(int(member)), int(series.lengths[member])
            own = out[:count, place]
            values, level, spread = series.values[rows], encoded.level[rows], encoded.spread[rows]
            for ahead in range(1, min(horizon, count - 1) + 1):
                scaled = (values[ahead:] - level[:-ahead]) / spread[:-ahead]
                errors[rows][ahead:, ahead - 1] = error_of(scaled, own[:-ahead, ahead - 1], plan)
            middle = middle_of(own[:-1, 0], plan)
            expected[rows][1:] = middle * spread[:-1] + level[:-1]
    return errors, expected


def error_of(
    scaled: Float[np.ndarray, "rows channels"],
    out: Float[np.ndarray, "rows channels values"],
    plan: NetworkPlan,
) -> Values:
    """What came less what was foretold; for quantiles, how far outside the band it came."""
    if plan.levels:
        middle = plan.levels.index(0.5)
        return np.asarray(exceedance(scaled, out[..., [0, middle, -1]]))
    return np.asarray(scaled - out[..., 0])


def middle_of(out: Float[np.ndarray, "rows channels values"], plan: NetworkPlan) -> Values:
    """The point that was foretold."""
    return np.asarray(out[..., plan.levels.index(0.5) if plan.levels else 0])


def _ahead(
    network: AheadNetwork, encoded: Encoded
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Some series at a time: which, and what is foretold from each of their rows."""
    device = next(network.parameters()).device
    starts = encoded.series.starts
    for members in groups(encoded.series.lengths):
        inputs = np.nan_to_num(padded(encoded.inputs, starts, members))
        last = np.nan_to_num(padded(encoded.last, starts, members))
        state, parts = None, []
        with torch.no_grad():
            for begin in range(0, len(inputs), _BLOCK_STEPS):
                block = slice(begin, begin + _BLOCK_STEPS)
                out, state = network(
                    torch.from_numpy(inputs[block]).to(device),
                    torch.from_numpy(last[block]).to(device),
                    state,
                )
                parts.append(out.double().cpu().numpy())
        yield members, np.concatenate(parts)


def repeated_contributions(fitted: Fitted, encoded: Encoded) -> tuple[Values, Values]:
    """Contributions of each row's window, the mean over its rows; and the row as the network repeats it."""
    series, channels = encoded.series, fitted.plan.channels
    contributions, expected = np.empty((series.rows, channels)), np.empty((series.rows, channels))
    for begin in range(0, series.rows, _BLOCK_WINDOWS):
        ends = np.arange(begin, min(begin + _BLOCK_WINDOWS, series.rows))
        errors, _ = repeated_errors(fitted.network, encoded, ends)
        parts = fitted.contributions(errors.reshape(-1, 1, channels)).reshape(errors.shape)
        contributions[ends] = parts.mean(axis=0)
        # In the unit of the moment before the row, as it was read.
        expected[ends] = series.values[ends] - errors[-1] * _unit_before(encoded, ends, fitted.scaler)
    # Before a window is whole, nothing can be said.
    place = np.arange(series.rows) - np.repeat(series.starts[:-1], series.lengths)
    contributions[place < fitted.plan.window - 1] = 0.0
    expected[place < fitted.plan.window - 1] = np.nan
    return contributions, expected


def repeated_errors(
    network: AheadNetwork | WindowNetwork, encoded: Encoded, ends: NDArray[np.int64]
) -> tuple[Values, Values]:
    """Errors (window, rows, channels) of the windows that end with some rows; and the windows as repeated.

    A window that would begin before its series begins repeats the series' first row.

    Args:
        network: a `WindowNetwork`.
        encoded: the data.
        ends: (rows,) the last row of each window, counted over all series.
    """
    window, series = network.plan.window, encoded.series
    owner = np.searchsorted(series.starts, ends, side="right") - 1
    rows = np.maximum(ends[None] - np.arange(window)[::-1, None], series.starts[owner][None])
    device = next(network.parameters()).device
    with torch.no_grad():
        repeated = network(torch.from_numpy(encoded.inputs[rows]).to(device)).double().cpu().numpy()
    errors = encoded.scaled[rows].astype(np.float64) - repeated
    return np.where(np.isnan(series.values[rows]), np.nan, errors), repeated


def _unit_before(encoded: Encoded, ends: NDArray[np.int64], scaler: Scaler) -> Values:
    first = np.isin(ends, encoded.series.starts[:-1])[:, None]
    return np.where(first, scaler.spread, encoded.spread[np.maximum(ends - 1, 0)])
