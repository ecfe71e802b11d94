"""Walk-forward cross-validation: its windows, its form, and that it never looks ahead."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gatewise.data import Panel
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.tasks.forecast.evaluation import LINEAR, NAIVE, NAIVE2, SEASONAL
from tests.tasks.series import hourly, small

COLUMNS = ["unique_id", "ds", "cutoff", "y", "y_hat", "q0.1", "q0.5", "q0.9"]


@pytest.fixture(scope="module")
def cut() -> pd.DataFrame:
    return hourly(150)


@pytest.fixture(scope="module")
def done(cut):
    """Three windows, fitted at each."""
    model = small()
    return model.cross_validation(cut, n_windows=3, step_size=10), model.cross_validation_


def test_windows_lie_where_nixtla_puts_them(done, cut) -> None:
    table, _ = done
    assert table.columns.to_list() == COLUMNS
    end = cut["ds"].max()
    assert table["cutoff"].unique().tolist() == [end - pd.Timedelta(hours=6 + back) for back in (20, 10, 0)]
    for (name, cutoff), window in table.groupby(["unique_id", "cutoff"]):
        assert window["ds"].tolist() == [cutoff + pd.Timedelta(hours=h) for h in range(1, 7)]
        came = cut[(cut["unique_id"] == name) & cut["ds"].isin(window["ds"])]
        np.testing.assert_array_equal(window["y"], came["y"])
    assert len(table) == 3 * 2 * 6


def test_a_refitted_window_is_fit_and_predict_on_the_rows_before(done, cut) -> None:
    table, _ = done
    cutoff = table["cutoff"].unique()[1]
    expected = small().fit(cut[cut["ds"] <= cutoff]).predict()
    np.testing.assert_array_equal(table[table["cutoff"] == cutoff]["y_hat"], expected["y_hat"])


def test_without_refit_the_first_fit_serves_all(done, cut) -> None:
    once = small().cross_validation(cut, n_windows=3, step_size=10, refit=False)
    first, last = once["cutoff"].unique()[[0, 2]]
    model = small().fit(cut[cut["ds"] <= first])
    for cutoff in (first, last):
        expected = model.predict(cut[cut["ds"] <= cutoff])
        np.testing.assert_array_equal(once[once["cutoff"] == cutoff]["y_hat"], expected["y_hat"])
    assert (once["y_hat"] != done[0]["y_hat"]).any()
    every_other = small().cross_validation(cut, n_windows=3, step_size=10, refit=2)
    same = every_other["y_hat"] == done[0]["y_hat"]
    assert every_other["cutoff"][same].nunique() == 2


def test_later_rows_change_nothing(done, cut) -> None:
    table, _ = done
    cutoff = table["cutoff"].unique()[1]
    planted = cut.copy()
    later = planted["ds"] > cutoff
    planted.loc[later, ["y", "temperature"]] = np.random.default_rng(9).normal(1e5, 1e4, (later.sum(), 2))
    planted.loc[later, "sky"] = "cloudy"
    again = small().cross_validation(planted, n_windows=3, step_size=10)
    before = table["cutoff"] <= cutoff
    pd.testing.assert_frame_equal(again[before].drop(columns="y"), table[before].drop(columns="y"))
    assert (again[~before]["y_hat"] != table[~before]["y_hat"]).all()


def test_a_cut_that_leaks_a_row_is_refused(cut, monkeypatch) -> None:
    honest = Panel.between
    monkeypatch.setattr(Panel, "between", lambda self, first, last: honest(self, first, last + 1))
    with pytest.raises(DataError, match=r"'a'.*after the cutoff.*seen the future"):
        small().cross_validation(cut)


def test_a_column_that_holds_later_targets_is_refused(cut) -> None:
    lead = cut.assign(lead=cut.groupby("unique_id")["y"].shift(-3))
    for run in (lambda f: f.fit(lead), lambda f: f.cross_validation(lead)):
        with pytest.raises(DataError, match=r"'lead' holds the target of the row 3 steps later"):
            run(small(missing="mask"))
    small().fit(cut.assign(lag=cut.groupby("unique_id")["y"].shift(3).fillna(0.0)))
    for back, words in ((0, "the same row"), (3, "3 steps earlier")):
        known = cut.assign(known=cut.groupby("unique_id")["y"].shift(back))
        with pytest.raises(DataError, match=words):
            small(missing="mask", future_covariates=("known",)).fit(known)
    # What lies a horizon back is known for the whole horizon.
    known = cut.assign(known=cut.groupby("unique_id")["y"].shift(6))
    small(missing="mask", future_covariates=("known",)).fit(known)


def test_a_target_that_repeats_itself_is_no_leak() -> None:
    frame = pd.DataFrame({"ds": range(160), "y": np.tile([0.0, 1, 4, 2, 8, 3, 7, 5], 20)})
    small().fit(frame.assign(shifted=np.roll(frame["y"], -3)))


def test_errors_come_beside_the_simpler_methods(done, cut) -> None:
    table, evaluation = done
    assert list(evaluation.errors) == ["lstm", NAIVE, SEASONAL, NAIVE2]
    assert evaluation.errors["lstm"].mae == pytest.approx((table["y"] - table["y_hat"]).abs().mean())
    naive = cut.set_index(["unique_id", "ds"])["y"]
    last = naive.loc[list(zip(table["unique_id"], table["cutoff"], strict=True))].to_numpy()
    assert evaluation.errors[NAIVE].mae == pytest.approx(np.abs(last - table["y"]).mean())
    model = small()
    model.cross_validation(cut, linear=True)
    assert LINEAR in model.cross_validation_.errors
    assert not hasattr(model, "fitted_")


def test_series_that_end_at_different_times(cut) -> None:
    early = cut[(cut["unique_id"] == "b") | (cut["ds"] < cut["ds"].min() + pd.Timedelta(hours=140))]
    table = small().cross_validation(early, n_windows=3, step_size=6)
    # Series a ends ten hours early: it has a whole horizon after the first cutoff alone.
    assert table.groupby("unique_id")["cutoff"].nunique().to_dict() == {"a": 1, "b": 3}
    own = small().cross_validation(early, n_windows=3, step_size=6, align="end")
    assert own.groupby("unique_id")["cutoff"].nunique().to_dict() == {"a": 3, "b": 3}


def test_future_covariates_are_read_and_nothing_else(cut) -> None:
    wave = cut.assign(known=np.sin(np.arange(len(cut))))
    model = small(future_covariates=("known",), max_epochs=2)
    table = model.cross_validation(wave)
    cutoff = table["cutoff"].iloc[0]
    for column, matters in (("known", True), ("temperature", False)):
        changed = wave.copy()
        changed.loc[changed["ds"] > cutoff, column] += 1.0
        again = model.cross_validation(changed)
        assert (again["y_hat"] != table["y_hat"]).any() == matters


@pytest.mark.parametrize("make", [pl.from_pandas, pa.Table.from_pandas])
def test_the_kind_of_frame_comes_back(done, cut, make) -> None:
    frame = small().cross_validation(make(cut), n_windows=3, step_size=10)
    back = frame.to_pandas()
    assert back.columns.to_list() == COLUMNS
    np.testing.assert_array_equal(back["y_hat"], done[0]["y_hat"])
    assert back["cutoff"].astype("datetime64[ns]").tolist() == done[0]["cutoff"].tolist()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"n_windows": 0}, ArgumentError, "n_windows"),
        ({"n_windows": 1.5}, ArgumentTypeError, "n_windows"),
        ({"step_size": 0}, ArgumentError, "step_size"),
        ({"refit": -1}, ArgumentTypeError, "refit"),
        ({"align": "left"}, ArgumentError, "align"),
        ({"n_windows": 40}, DataError, "window 1 of 40"),
        ({"n_windows": 24}, DataError, "8 rows that a fit needs"),
    ],
)
def test_what_cannot_be_is_refused(cut, arguments, error, words) -> None:
    with pytest.raises(error, match=words):
        small().cross_validation(cut, **arguments)


def test_arrays_are_refused() -> None:
    with pytest.raises(ArgumentTypeError, match="table is expected"):
        small().cross_validation(np.zeros((4, 40)))
