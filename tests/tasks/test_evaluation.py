"""The back-test: which rows it uses, and its trivial methods."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from gatewise.errors import ArgumentError, DataError
from gatewise.tasks.forecast.figures import plot_chain
from gatewise.tasks.forecast.selection import chained_windows
from tests.tasks.series import hourly, small


def test_it_starts_after_the_fitted_rows(fitted, table, history) -> None:
    evaluation = fitted.evaluate(table, linear=False)
    test = evaluation.back_test
    # 100 hours after the fitted ones, both series, whole horizons of 6 only.
    assert evaluation.windows == 2 * 95
    first = test.panel.stamps[test.rows + 1].min().astype("datetime64[ns]")
    assert first == np.datetime64(history["ds"].max()) + np.timedelta64(1, "h")
    assert evaluation.span == ("2024-01-13 12:00", "2024-01-17 15:00")
    assert evaluation.points == 2 * 95 * 6
    assert fitted.evaluate(table, every=10, linear=False).windows == 2 * 10


def test_the_picture_says_which_of_several_series_it_shows(fitted, table) -> None:
    evaluation = fitted.evaluate(table, linear=False)
    first = evaluation.back_test.series[chained_windows(evaluation.back_test)[0]]
    assert f"forecasts of {'ab'[first]} in a row" in plot_chain(evaluation).axes[0].get_title("left")


def test_trivial_methods_are_what_they_say(fitted, table) -> None:
    holed = table.copy()
    holed.loc[[330, 331], "y"] = np.nan
    model = small(missing="mask").fit(table[table["ds"] < "2024-01-13"])
    test = model.evaluate(holed, start=table["ds"].min() + pd.Timedelta(hours=332), linear=False).back_test
    own = holed[holed["unique_id"] == "a"]["y"].to_numpy()
    window = int(np.flatnonzero((test.series == 0) & (test.rows == 331))[0])
    # The last two values before it are missing: the last one seen is that of hour 329.
    np.testing.assert_allclose(test.naive[window], own[329], rtol=1e-6)
    np.testing.assert_allclose(test.seasonal[window], own[332 - 24 : 332 - 18], rtol=1e-6)
    later = int(np.flatnonzero((test.series == 0) & (test.rows == 353))[0])
    # A day before hours 354 and 355 there is nothing: two days before.
    np.testing.assert_allclose(test.seasonal[later][:2], own[[354 - 48, 355 - 48]], rtol=1e-6)
    np.testing.assert_allclose(test.seasonal[later][2:], own[332:336], rtol=1e-6)


def test_a_longer_horizon_than_a_season_repeats_the_season() -> None:
    frame = hourly(300, ("a",))
    model = small(horizon=30).fit(frame[:250])
    test = model.evaluate(frame, linear=False).back_test
    own, row = frame["y"].to_numpy(), int(test.rows[0])
    np.testing.assert_allclose(test.seasonal[0][24:], own[row + 1 - 24 : row + 7 - 24], rtol=1e-6)


def test_numbers_are_plain_json(fitted, table) -> None:
    numbers = json.loads(json.dumps(fitted.evaluate(table, every=9, linear=False).to_dict(), allow_nan=False))
    assert numbers["errors"]["lstm"]["mae"] > 0
    assert set(numbers["coverage"]) == {"0.1", "0.5", "0.9"}
    assert len(numbers["mae_by_horizon"]["last value"]) == 6


def test_a_new_series_is_tested_on_its_last_fifth(fitted) -> None:
    evaluation = fitted.evaluate(hourly(100, ("fresh",), seed=3), linear=False)
    assert evaluation.windows == 20 - 6 + 1


def test_new_series_are_scaled_by_their_history_alone(fitted) -> None:
    frame = hourly(100, ("fresh",), seed=3)
    changed = frame.copy()
    changed.loc[80:, "y"] *= 100
    honest, leaky = (fitted.evaluate(one, linear=False).back_test for one in (frame, changed))
    np.testing.assert_array_equal(honest.quantiles[0], leaky.quantiles[0])
    np.testing.assert_array_equal(honest.scale, leaky.scale)


def test_what_cannot_be_tested_is_refused(fitted, table, history) -> None:
    with pytest.raises(DataError, match=r"fitted on rows up to 2024-01-13 11:00"):
        fitted.evaluate(history)
    with pytest.raises(DataError, match="no row before"):
        fitted.evaluate(table, start="2023-01-01")
    with pytest.raises(DataError, match="at or after start"):
        fitted.evaluate(table, start="2025-01-01")
    with pytest.raises(DataError, match="whole horizon of 6"):
        fitted.evaluate(table, start="2024-01-17 12:00")
    with pytest.raises(ArgumentError, match="every"):
        fitted.evaluate(table, every=0)
    with pytest.raises(ArgumentError, match="'soon'"):
        fitted.evaluate(table, start="soon")


def test_a_model_that_is_no_better_says_so() -> None:
    """A random walk cannot be forecast: the last value is the best there is."""
    walk = np.cumsum(np.random.default_rng(0).normal(size=600))
    frame = pd.DataFrame({"ds": np.arange(600), "y": walk})
    evaluation = small(max_epochs=2).fit(frame[:400]).evaluate(frame, linear=False)
    assert not evaluation.beats_trivial
    assert "NOT beat" in evaluation.verdict


def test_a_series_that_grew_far_beyond_what_was_fitted_is_forecast_where_it_is() -> None:
    """A guard keeps forecasts near the range that was seen; it moves along with the series, for every method."""
    values = np.exp(np.arange(300) / 20)  # a million times its size in the end
    frame = pd.DataFrame({"ds": np.arange(300), "y": values})
    evaluation = small(scaling="log", horizon=2, max_epochs=2).fit(frame[:100]).evaluate(frame, linear=False)
    test = evaluation.back_test
    np.testing.assert_allclose(test.naive[:, 0], values[test.rows], rtol=1e-4)
    assert (np.abs(np.log(test.median / test.actual)) < 3).all()
