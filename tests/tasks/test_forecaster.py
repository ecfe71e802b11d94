"""The forecaster as users touch it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gatewise import cells
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.tasks import Forecaster
from tests.tasks.series import hourly, small

COLUMNS = ["unique_id", "ds", "y_hat", "q0.1", "q0.5", "q0.9"]


def test_forecasts_follow_the_last_row(fitted, history) -> None:
    forecast = fitted.predict()
    assert forecast.columns.to_list() == COLUMNS
    assert forecast["unique_id"].tolist() == ["a"] * 6 + ["b"] * 6
    expected = pd.date_range(history["ds"].max() + pd.Timedelta(hours=1), periods=6, freq="h")
    assert forecast["ds"].tolist() == [*expected, *expected]
    assert fitted.predict(horizon=2)["ds"].tolist() == [*expected[:2], *expected[:2]]


@pytest.mark.parametrize("make", [pl.from_pandas, pa.Table.from_pandas])
def test_the_kind_of_frame_comes_back(fitted, history, make) -> None:
    frame = make(history)
    forecast = fitted.predict(frame)
    assert type(forecast) is type(frame)
    back = forecast.to_pandas()
    np.testing.assert_array_equal(back["y_hat"], fitted.predict(history)["y_hat"])


def test_the_fitted_context_forecasts_as_the_whole_history_does(fitted, history) -> None:
    whole = fitted.predict(history)
    pd.testing.assert_frame_equal(whole, fitted.predict())
    # Batched products differ in the last bits; float32 carries seven digits.
    shuffled = fitted.predict(history.sample(frac=1, random_state=1))
    np.testing.assert_array_equal(shuffled["y_hat"], whole["y_hat"])


def test_the_same_seed_gives_the_same_model(fitted, history) -> None:
    again = small().fit(history)
    pd.testing.assert_frame_equal(again.predict(), fitted.predict())
    other = small(random_state=1).fit(history)
    assert not np.allclose(other.predict()["y_hat"], fitted.predict()["y_hat"])


def test_fitting_leaves_the_global_generators_alone(history) -> None:
    import torch

    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    small().fit(history)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])


def test_a_new_series_is_forecast_on_its_own_scale(fitted) -> None:
    new = hourly(100, ("fresh",), seed=5)
    new["y"] = 1000 + 50 * (new["y"] - 10)
    forecast = fitted.predict(new)
    assert forecast["y_hat"].between(900, 1100).all()


def test_any_levels_rise(history) -> None:
    forecast = small(quantiles=(0.9, 0.05, 0.25)).fit(history).predict()
    assert forecast.columns.to_list() == ["unique_id", "ds", "y_hat", "q0.9", "q0.05", "q0.25"]
    assert (forecast["q0.05"] <= forecast["q0.25"]).all()
    assert (forecast["q0.25"] <= forecast["y_hat"]).all()
    assert (forecast["y_hat"] <= forecast["q0.9"]).all()


@pytest.mark.parametrize("cell", cells.names())
def test_every_cell_forecasts(cell, history) -> None:
    forecaster = small(cell=cell, max_epochs=1, lookback=8, horizon=2)
    if len(cells.get(cell).inputs) > 1:
        with pytest.raises(ArgumentError, match="one input stream"):
            forecaster.fit(history)
        return
    forecast = forecaster.fit(history).predict()
    assert np.isfinite(forecast["y_hat"]).all()


def test_a_wave_is_learned_and_its_phase_kept() -> None:
    """A forecast that is off by one in time would be wrong by 3.75 on average, and by 6 at the most."""
    rows, period = 320, 8
    values = np.tile([0.0, 1, 4, 2, 8, 3, 7, 5], rows // period)
    frame = pd.DataFrame({"ds": np.arange(rows), "y": values})
    model = small(
        horizon=8,
        lookback=16,
        hidden_size=32,
        max_epochs=15,
        learning_rate=1e-2,
        dropout=0.0,
        season_length=1,
    ).fit(frame)
    # Cut at every phase: what follows is known exactly.
    for cut in range(rows - period, rows):
        forecast = model.predict(frame.iloc[:cut])
        expected = values[np.arange(cut, cut + period) % period]
        assert np.abs(forecast["y_hat"] - expected).max() < 2
        assert np.abs(forecast["y_hat"] - expected).mean() < 0.5
        assert forecast["ds"].tolist() == list(range(cut, cut + period))


def test_missing_values_are_masked(table) -> None:
    holed = table.copy()
    holed.loc[np.random.default_rng(0).random(len(holed)) < 0.2, ["y", "temperature", "sky"]] = None
    holed = holed.drop(index=holed.index[50:60])
    with pytest.raises(DataError, match='missing="mask"'):
        small().fit(holed)
    model = small(missing="mask").fit(holed)
    assert np.isfinite(model.predict()["y_hat"]).all()
    evaluation = model.evaluate(holed, start="2024-01-14", linear=False)
    assert evaluation.points == int((~np.isnan(evaluation.back_test.actual)).sum()) > 0


def test_a_constant_series_is_forecast_as_constant() -> None:
    frame = pd.DataFrame({"ds": np.arange(200), "y": 7.0})
    forecast = small().fit(frame).predict()
    np.testing.assert_allclose(forecast["y_hat"], 7.0, atol=0.5)


def test_series_of_different_length_and_start() -> None:
    long, short = hourly(300, ("long",)), hourly(20, ("short",), seed=1)
    frame = pd.concat([long, short.assign(ds=short["ds"] + pd.Timedelta(hours=77))])
    forecast = small().fit(frame).predict()
    ends = forecast.groupby("unique_id")["ds"].min()
    assert ends["short"] == pd.Timestamp("2024-01-01") + pd.Timedelta(hours=97)


def test_arrays_are_series_in_rows() -> None:
    values = np.sin(np.arange(40)[None] * 0.7 + np.arange(12)[:, None])
    model = small(horizon=3, lookback=12).fit(values)
    assert model.predict(values).shape == (12, 3)
    assert model.predict_quantiles(values[:5]).shape == (5, 3, 3)
    # A row's forecast is its own: neither its place nor its neighbours matter, rounding apart.
    np.testing.assert_allclose(model.predict(values[7:8]), model.predict(values)[7:8], rtol=1e-5, atol=1e-6)
    assert model.evaluate(values, linear=False).points == 36


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"horizon": 0}, ArgumentError, "horizon"),
        ({"horizon": 2.5}, ArgumentTypeError, "horizon"),
        ({"lookback": 0}, ArgumentError, "lookback"),
        ({"hidden_size": -1}, ArgumentError, "hidden_size"),
        ({"dropout": 1.0}, ArgumentError, "dropout"),
        ({"quantiles": (0.1, 1.1)}, ArgumentError, "quantiles"),
        ({"quantiles": (0.1, 0.1)}, ArgumentError, "quantiles"),
        ({"quantiles": 0.5}, ArgumentTypeError, "quantiles"),
        ({"missing": "drop"}, ArgumentError, "missing"),
        ({"scaling": "robust"}, ArgumentError, "scaling"),
        ({"cell": "lstmm"}, ArgumentError, "cell"),
        ({"learning_rate": 0}, ArgumentError, "learning_rate"),
        ({"max_epochs": 0}, ArgumentError, "max_epochs"),
        ({"device": "warp"}, ArgumentError, "device"),
        ({"horizon": 299}, DataError, "too short"),
    ],
)
def test_parameters_are_checked_in_fit(parameters, error, words, history) -> None:
    forecaster = small(**parameters)
    with pytest.raises(error, match=words):
        forecaster.fit(history)


def test_what_cannot_be_predicted_is_refused(fitted, history) -> None:
    with pytest.raises(ArgumentError, match="1 to 6"):
        fitted.predict(horizon=7)
    with pytest.raises(DataError, match="'temperature' is missing"):
        fitted.predict(history.drop(columns="temperature"))
    with pytest.raises(DataError, match="'moon' is unknown"):
        fitted.predict(history.assign(moon=1.0))
    with pytest.raises(DataError, match=r"'foggy'.*'a'.*clear"):
        fitted.predict(history.assign(sky="foggy"))
    with pytest.raises(DataError, match="text"):
        fitted.predict(history.assign(temperature="warm"))
    with pytest.raises(DataError, match="irregular"):
        fitted.predict(history.assign(ds=history["ds"] + pd.to_timedelta(history.index * 60, unit="s")))
    with pytest.raises(DataError, match="integers"):
        fitted.predict(history.assign(ds=[*range(300), *range(300)]))


def test_the_plot_shows_the_series_that_was_asked_for(fitted, history) -> None:
    figure = fitted.plot(history, series="b")
    axes = figure.axes[0]
    assert "b" in axes.get_title("left")
    drawn = axes.lines[-1].get_ydata()
    np.testing.assert_array_equal(drawn, fitted.predict().query("unique_id == 'b'")["y_hat"])
    with pytest.raises(ArgumentError, match="'c'"):
        fitted.plot(series="c")


def test_a_run_ends_in_time(history) -> None:
    model = small(max_epochs=10_000, patience=None, max_time=1.5).fit(history)
    assert model.stopped_ == "max_time"
    assert model.fit_seconds_ < 20


def test_history_and_what_was_learned(fitted) -> None:
    assert fitted.history_[0]["epoch"] == 1
    assert fitted.history_[0]["validation_loss"] > 0
    assert fitted.lookback_ == 24
    assert fitted.season_length_ == 24
    assert "last 30 rows" in fitted.validation_
    assert isinstance(Forecaster().get_params()["quantiles"], tuple)
