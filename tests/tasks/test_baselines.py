"""The methods that a network has to beat, each against an oracle of its own."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gatewise.data import panel_from_frame
from gatewise.tasks.forecast.baselines import (
    DLinear,
    linear_forecasts,
    naive2_forecasts,
    seasonal_indices,
)
from gatewise.tasks.forecast.covariates import CovariateEncoder
from gatewise.tasks.forecast.encoding import Encoder
from gatewise.tasks.forecast.evaluation import LINEAR, NAIVE2
from gatewise.tasks.forecast.metrics import Errors, measure, owa
from gatewise.tasks.forecast.training import Origins
from tests.tasks.series import hourly

M4 = Path(os.environ.get("GATEWISE_DATA", "/nowhere")) / "time-series-forecasting" / "m4-hourly"


def decompose(values: np.ndarray, season: int) -> np.ndarray:
    """R's `decompose(type="multiplicative")$figure`, with pandas' rolling means."""
    series = pd.Series(values)
    if season % 2 == 0:
        trend = series.rolling(season).mean().rolling(2).mean().shift(-(season // 2))
    else:
        trend = series.rolling(season, center=True).mean()
    figure = (series / trend).groupby(np.arange(len(values)) % season).mean().to_numpy()
    return figure / figure.mean()


@pytest.mark.parametrize("season", [4, 7, 12])
def test_seasonal_indices_are_those_of_a_classical_decomposition(season) -> None:
    generator = np.random.default_rng(season)
    values = (10 + np.arange(100) / 10) * (1.5 + np.sin(np.arange(100) * 2 * np.pi / season))
    values *= generator.lognormal(0, 0.05, 100)
    np.testing.assert_allclose(seasonal_indices(values, season), decompose(values, season), rtol=1e-10)


def test_without_a_season_there_are_no_indices() -> None:
    generator = np.random.default_rng(0)
    for values in (
        10 + generator.normal(size=200),
        np.full(50, 3.0),
        np.sin(np.arange(48.0)),
        np.arange(1.0, 9),
    ):
        assert (seasonal_indices(values, 4) == 1).all()


def test_naive2_is_the_last_value_moved_through_the_season() -> None:
    values = np.tile([1.0, 2, 4, 1], 10)
    frame = pd.DataFrame({"ds": range(38), "y": values[:38]})
    frame.loc[36, "y"] = np.nan
    panel = panel_from_frame(frame, "mask")
    rows, zeros = np.array([37, 36]), np.zeros(2, dtype=np.int64)
    forecast = naive2_forecasts(panel, np.array([36]), zeros, rows, np.array([37, 35]), 5, 4)
    np.testing.assert_allclose(forecast, [[4, 1, 1, 2, 4], [2, 4, 1, 1, 2]], rtol=1e-12)


@pytest.mark.skipif(not M4.is_dir(), reason="GATEWISE_DATA does not hold M4 hourly")
def test_naive2_has_the_published_errors_on_m4_hourly() -> None:
    """Makridakis et al. 2020, table of the hourly series: sMAPE 18.383 and MASE 2.395."""
    train, test = (_m4(M4 / f"Hourly-{part}.csv.gz") for part in ("train", "test"))
    frame = pd.concat(
        [pd.DataFrame({"unique_id": k, "ds": np.arange(len(v)), "y": v}) for k, v in train.items()]
    )
    panel = panel_from_frame(frame, "error")
    rows = panel.starts[1:] - 1
    forecast = naive2_forecasts(panel, panel.lengths, np.arange(414), rows, rows, 48, 24)
    actual = np.stack([test[name] for name in panel.names])
    scale = np.array([np.abs(train[k][24:] - train[k][:-24]).mean() for k in panel.names])
    errors = measure(forecast, actual, actual == actual, scale)
    assert (round(errors.smape, 3), round(errors.mase, 3)) == (18.383, 2.395)
    # The winner's row of the same table: 0.440.
    assert owa(Errors(0, 0, mase=0.893, smape=9.328), errors) == pytest.approx(0.440, abs=5e-4)


def _m4(path: Path) -> dict[str, np.ndarray]:
    with gzip.open(path, "rt") as file:
        rows = list(csv.reader(file))[1:]
    return {row[0]: np.array([float(value) for value in row[1:] if value]) for row in rows}


def test_dlinear_is_two_linear_maps_of_a_decomposition() -> None:
    torch.manual_seed(0)
    model = DLinear(12, 3, kernel=5)
    torch.nn.init.normal_(model.trend.weight)
    values = torch.randn(4, 12)
    padded = np.pad(values.numpy(), ((0, 0), (2, 2)), mode="edge")
    trend = np.stack([padded[:, i : i + 5].mean(axis=1) for i in range(12)], axis=1)
    weights = {name: value.detach().numpy() for name, value in model.named_parameters()}
    expected = trend @ weights["trend.weight"].T + (values.numpy() - trend) @ weights["remainder.weight"].T
    np.testing.assert_allclose(model(values).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def encoder(horizon: int, lookback: int) -> Encoder:
    return Encoder(horizon, lookback, 1, (), CovariateEncoder({}, {}))


def test_dlinear_learns_what_least_squares_learns() -> None:
    """An autoregression of order two: the best linear forecast is known from its coefficients."""
    generator = np.random.default_rng(0)
    values = np.zeros(3000)
    for row in range(2, 3000):
        values[row] = 1.5 * values[row - 1] - 0.8 * values[row - 2] + generator.normal()
    panel = panel_from_frame(pd.DataFrame({"ds": range(3000), "y": values}), "error")
    rows = np.arange(2400, 2990)
    origins = Origins(np.zeros(len(rows), dtype=np.int64), rows)
    forecast = linear_forecasts(panel, np.array([2400]), encoder(2, 8), origins)
    assert forecast is not None
    best = 1.5 * values[rows] - 0.8 * values[rows - 1]
    best = np.stack([best, 1.5 * best - 0.8 * values[rows]], axis=1)
    actual = values[rows[:, None] + 1 + np.arange(2)]
    own, least = (np.square(one - actual).mean() for one in (forecast, best))
    assert own < 1.05 * least
    assert own < 0.5 * np.square(values[rows][:, None] - actual).mean()


def test_dlinear_is_fitted_to_the_rows_before_alone() -> None:
    frame = hourly(200)[["unique_id", "ds", "y"]]
    changed = frame.copy()
    changed.loc[changed.groupby("unique_id").cumcount() > 150, "y"] = 1e4
    series = np.array([0, 1])
    origins = Origins(series, np.array([150, 150]))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, other = (
        linear_forecasts(panel_from_frame(f, "error"), np.array([151, 151]), encoder(6, 24), origins)
        for f in (frame, changed)
    )
    np.testing.assert_array_equal(one, other)
    assert torch.equal(before, torch.get_rng_state())
    panel = panel_from_frame(frame, "error")
    assert linear_forecasts(panel, np.array([7, 7]), encoder(6, 24), origins) is None


def test_an_evaluation_shows_them_on_the_same_windows(fitted, table) -> None:
    evaluation = fitted.evaluate(table, every=10)
    test = evaluation.back_test
    assert list(evaluation.errors)[3:] == [NAIVE2, LINEAR]
    assert all(values.shape == test.actual.shape for values in test.others.values())
    errors = evaluation.errors
    for row in errors.values():
        assert row.owa == pytest.approx(owa(row, errors[NAIVE2]))
    assert errors[NAIVE2].owa == 1
    assert LINEAR in evaluation.verdict
    assert LINEAR not in fitted.evaluate(table, every=10, linear=False).errors
