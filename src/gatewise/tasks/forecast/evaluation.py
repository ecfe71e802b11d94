"""What a back-test found: errors beside the trivial methods', coverage, and the verdict in words."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from gatewise.data import Panel
from gatewise.tasks.forecast.metrics import (
    Errors,
    coverage,
    crps_from_quantiles,
    measure,
    owa,
    pinball_loss,
)

__all__ = ["LINEAR", "NAIVE", "NAIVE2", "SEASONAL", "BackTest", "Evaluation", "judge"]

NAIVE, SEASONAL, NAIVE2, LINEAR = "last value", "seasonal naive", "Naive2", "DLinear"
# Differences smaller than this share are called a tie.
_TIE = 0.01


@dataclass(frozen=True)
class BackTest:
    """Forecasts from many origins, and what came: what an evaluation is computed from and plots are drawn from.

    Args:
        panel: the table.
        series: (windows,) which series.
        rows: (windows,) the panel's row that each forecast saw last.
        quantiles: (windows, horizon, levels), the model's.
        naive, seasonal: (windows, horizon), the trivial methods' forecasts.
        actual: (windows, horizon), NaN where missing.
        scale: (windows,) MASE scale of the window's series.
        levels: the quantiles' levels.
        others: further methods' forecasts by name, (windows, horizon) each.
    """

    panel: Panel
    series: NDArray[np.int64]
    rows: NDArray[np.int64]
    quantiles: Float[np.ndarray, "windows horizon levels"]
    naive: Float[np.ndarray, "windows horizon"]
    seasonal: Float[np.ndarray, "windows horizon"]
    actual: Float[np.ndarray, "windows horizon"]
    scale: Float[np.ndarray, " windows"]
    levels: tuple[float, ...]
    others: dict[str, Float[np.ndarray, "windows horizon"]] = field(default_factory=dict)

    @property
    def counts(self) -> Bool[np.ndarray, "windows horizon"]:
        """Which values were observed: the same for every method."""
        return ~np.isnan(self.actual)

    @property
    def median(self) -> Float[np.ndarray, "windows horizon"]:
        """The model's point forecasts."""
        return self.quantiles[..., self.levels.index(0.5)]


@dataclass(frozen=True)
class Evaluation:
    """The result of `Forecaster.evaluate`.

    Args:
        model: the model's name in tables.
        errors: method -> errors; the model first, then "last value", "seasonal naive", "Naive2" and "DLinear".
        by_horizon: method -> MAE at each horizon.
        coverage: level -> share of values at or below that quantile.
        intervals: nominal share -> share of values inside the central interval.
        coverage_by_horizon: (horizon, levels).
        windows, points: how many forecasts were made, and how many observed values they were compared with.
        span: first and last stamp that was forecast, as text.
        every: rows between two origins.
        verdict: in words, whether the model beats the trivial methods.
        back_test: what all of this was computed from.
    """

    model: str
    errors: dict[str, Errors]
    by_horizon: dict[str, NDArray[np.float64]]
    coverage: dict[float, float]
    intervals: dict[float, float]
    coverage_by_horizon: NDArray[np.float64]
    windows: int
    points: int
    span: tuple[str, str]
    every: int
    verdict: str
    back_test: BackTest

    @property
    def beats_trivial(self) -> bool:
        """Whether the model's MAE is below both trivial methods' by more than a tie."""
        return _beats(self.errors, self.model, "mae")

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values (NaN as None)."""
        return {
            "verdict": self.verdict,
            "beats_trivial": self.beats_trivial,
            "windows": self.windows,
            "points": self.points,
            "span": list(self.span),
            "rows_between_origins": self.every,
            "errors": {
                name: {key: plain(value) for key, value in asdict(errors).items() if value is not None}
                for name, errors in self.errors.items()
            },
            "coverage": {f"{level:g}": plain(share) for level, share in self.coverage.items()},
            "interval_coverage": {f"{nominal:g}": plain(share) for nominal, share in self.intervals.items()},
            "mae_by_horizon": {
                name: [plain(value) for value in values] for name, values in self.by_horizon.items()
            },
        }

    def __str__(self) -> str:
        """The table of errors and the verdict, as plain text."""
        width = max(len(name) for name in self.errors)
        lines = [
            f"{'':{width}}  {'MAE':>8} {'RMSE':>8} {'MASE':>7} {'sMAPE %':>8} {'OWA':>7} {'CRPS':>8} {'pinball':>8}"
        ]
        for name, row in self.errors.items():
            average, score, last = (
                " " * size if value is None else f"{value:{size}.3g}"
                for value, size in ((row.owa, 7), (row.crps, 8), (row.pinball, 8))
            )
            lines.append(
                f"{name:{width}}  {row.mae:8.4g} {row.rmse:8.4g} {row.mase:7.3f} {row.smape:8.2f} {average} {score} "
                f"{last}".rstrip()
            )
        inside = ", ".join(
            f"{share:.1%} in the {nominal:.0%} interval" for nominal, share in self.intervals.items()
        )
        return "\n".join([*lines, *([inside] if inside else []), self.verdict])


def judge(test: BackTest, *, model: str, every: int) -> Evaluation:
    """Compute every error on the same windows and the same observed values."""
    counts = test.counts
    points = {model: test.median, NAIVE: test.naive, SEASONAL: test.seasonal, **test.others}
    errors = {name: measure(values, test.actual, counts, test.scale) for name, values in points.items()}
    errors = {name: dataclasses.replace(own, crps=own.mae) for name, own in errors.items()}
    errors[model] = dataclasses.replace(
        errors[model],
        pinball=pinball_loss(test.quantiles, test.actual, counts, test.levels),
        crps=crps_from_quantiles(test.quantiles, test.actual, counts, test.levels),
    )
    if NAIVE2 in errors:
        base = errors[NAIVE2]
        errors = {name: dataclasses.replace(own, owa=owa(own, base)) for name, own in errors.items()}
    shares = coverage(test.quantiles, test.actual, counts)
    level_shares = {level: float(share) for level, share in zip(test.levels, shares, strict=True)}
    steps = range(test.actual.shape[1])
    return Evaluation(
        model=model,
        errors=errors,
        by_horizon={
            name: np.array(
                [measure(v[:, [h]], test.actual[:, [h]], counts[:, [h]], test.scale).mae for h in steps]
            )
            for name, v in points.items()
        },
        coverage=level_shares,
        intervals={
            round(1 - 2 * level, 6): level_shares[mirror] - level_shares[level]
            for level in test.levels
            if level < 0.5 and (mirror := _mirror(level, test.levels)) is not None
        },
        coverage_by_horizon=np.stack(
            [coverage(test.quantiles[:, [h]], test.actual[:, [h]], counts[:, [h]]) for h in steps]
        ),
        windows=len(test.series),
        points=int(counts.sum()),
        span=(
            test.panel.show(test.panel.stamps[test.rows + 1].min()),
            test.panel.show(test.panel.stamps[test.rows + len(steps)].max()),
        ),
        every=every,
        verdict=_verdict({name: value.mae for name, value in errors.items()}, model)
        + (_by_series(errors, model) if len(np.unique(test.series)) > 1 else ""),
        back_test=test,
    )


def plain(value: float) -> float | None:
    """A number as JSON can hold it."""
    return None if value is None or not np.isfinite(value) else float(value)


def _mirror(level: float, levels: tuple[float, ...]) -> float | None:
    """The level as far above the median as this one is below it, if it is among the levels."""
    return next((other for other in levels if abs(other - (1 - level)) < 1e-9), None)


def _verdict(mae: dict[str, float], model: str) -> str:
    """One or two sentences a colleague can quote."""
    own, better = mae[model], min((NAIVE, SEASONAL), key=lambda name: mae[name])
    if not np.isfinite(own):
        return "Nothing can be said: no value was observed in the span."
    other = SEASONAL if better == NAIVE else NAIVE
    gain = _gain(own, mae[better])
    if gain > _TIE:
        return (
            f"The model's error (MAE {own:.4g}) is {gain:.1%} below that of the better trivial method, {better} "
            f"({mae[better]:.4g}); {other} has {mae[other]:.4g}." + _beside_linear(own, mae)
        )
    if gain > -_TIE:
        return (
            f"The model does NOT beat the trivial method: its MAE {own:.4g} is level with {better} "
            f"({mae[better]:.4g}). Use {better}: it costs nothing." + _beside_linear(own, mae)
        )
    return (
        f"The model does NOT beat the trivial method: its MAE {own:.4g} is {_excess(gain)} that of {better} "
        f"({mae[better]:.4g}). Use {better}, or give the model more data, covariates or time."
        + _beside_linear(own, mae)
    )


def _by_series(errors: dict[str, Errors], model: str) -> str:
    """A further sentence, where errors in each series' own unit (MASE) say otherwise than those in the target's."""
    own, wins = errors[model].mase, _beats(errors, model, "mase")
    if wins == _beats(errors, model, "mae") or not np.isfinite(own):
        return ""
    better = min((NAIVE, SEASONAL), key=lambda name: errors[name].mase)
    said = f"its MASE is {own:.3f}, {better} has {errors[better].mase:.3f}"
    if wins:
        return f" Counted in each series' own unit the model DOES beat it: {said}. Large series weigh most in the MAE."
    return (
        f" Counted in each series' own unit the model does NOT beat the trivial method: {said}. Large series weigh "
        "most in the MAE; Forecaster.many_series (--many-series) has settings for many of different size."
    )


def _beats(errors: dict[str, Errors], model: str, measure: str) -> bool:
    """Whether the model's error is below both trivial methods' by more than a tie."""
    own, *trivial = (getattr(errors[name], measure) for name in (model, NAIVE, SEASONAL))
    return bool(own < min(trivial) * (1 - _TIE))


def _gain(own: float, other: float) -> float:
    return 1 - own / other if other > 0 else (0.0 if own == 0 else -np.inf)


def _beside_linear(own: float, mae: dict[str, float]) -> str:
    """A further sentence, where a linear model was fitted in the same protocol."""
    if LINEAR not in mae or not np.isfinite(mae[LINEAR]):
        return ""
    gain = _gain(own, mae[LINEAR])
    if gain > _TIE:
        return f" The linear model {LINEAR} has {mae[LINEAR]:.4g}."
    how = "level with it" if gain > -_TIE else f"{_excess(gain)} it"
    return f" It does NOT beat the linear model {LINEAR} ({mae[LINEAR]:.4g}): it is {how}."


def _excess(gain: float) -> str:
    return f"{-gain:.1%} above" if gain > -10 else f"more than {int(min(-gain, 1e6)):,} times"
