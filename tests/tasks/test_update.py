"""New rows without a refit: what `predict` says of the whole history."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gatewise.errors import ArgumentTypeError, DataError
from gatewise.tasks import Forecaster
from tests.tasks.series import hourly, small
from tests.tasks.test_covariates import KNOWN, ROLES, TABLE


@pytest.fixture
def model(history, fitted, tmp_path) -> Forecaster:
    """A copy of `fitted`, which the tests may change."""
    fitted.save(tmp_path / "copy")
    return Forecaster.load(tmp_path / "copy")


def test_it_equals_predict_on_the_extended_history(model, table, history) -> None:
    start = history["ds"].max()
    for hours in (1, 2, 30, 67):
        new = table[(table["ds"] > start) & (table["ds"] <= start + pd.Timedelta(hours=hours))]
        assert model.update(new) is model
        start += pd.Timedelta(hours=hours)
        pd.testing.assert_frame_equal(model.predict(), model.predict(table[table["ds"] <= start]))
    assert start == table["ds"].max()
    # What is kept does not grow: a lookback or two seasons of each series.
    assert (model.fitted_.context.lengths == 48).all()


def test_series_may_get_rows_at_different_times(model, table, history) -> None:
    start = history["ds"].max()
    new = table[(table["ds"] > start) & (table["unique_id"] == "b")].head(5)
    extended = pd.concat([history, new])
    pd.testing.assert_frame_equal(model.update(new).predict(), model.predict(extended))


def test_gaps_and_missing_values_are_masked(table, history) -> None:
    model = small(missing="mask").fit(history)
    new = table[table["ds"] > history["ds"].max()].copy()
    new.loc[new["ds"].dt.hour % 5 == 0, ["y", "temperature", "sky"]] = None
    # A hole of forty rows is longer than the lookback: what was seen last lies before it.
    new = new[(new["ds"] < "2024-01-14") | (new["ds"] > "2024-01-15 16:00")]
    nothing = new.head(1).assign(y=np.nan, temperature=np.nan, sky=None)
    whole = pd.concat([history, nothing])
    pd.testing.assert_frame_equal(model.update(nothing).predict(), model.predict(whole))
    new = new.drop(index=nothing.index)
    pd.testing.assert_frame_equal(model.update(new).predict(), model.predict(pd.concat([whole, new])))


def test_static_and_future_covariates_stay() -> None:
    start = KNOWN["ds"].min()
    history = TABLE[TABLE["ds"] < start - pd.Timedelta(days=20)]
    new = TABLE[(TABLE["ds"] >= start - pd.Timedelta(days=20)) & (TABLE["ds"] < start)]
    model = small(**ROLES).fit(history)
    whole = TABLE[TABLE["ds"] < start]
    expected = model.predict(whole, future=KNOWN)
    pd.testing.assert_frame_equal(model.update(new).predict(future=KNOWN), expected)


def test_what_cannot_be_taken_in_is_refused(model, table, history) -> None:
    start = history["ds"].max()
    new = table[table["ds"] > start]
    with pytest.raises(DataError, match=r"'a'.*2024-01-13 11:00.*known already"):
        model.update(table)
    with pytest.raises(DataError, match=r"'a'.*no row between 2024-01-13 11:00 and 2024-01-13 13:00"):
        model.update(new[new["ds"] > start + pd.Timedelta(hours=1)])
    with pytest.raises(DataError, match="'fresh' is not among"):
        model.update(new.assign(unique_id="fresh")[:100])
    with pytest.raises(DataError, match="'temperature'"):
        model.update(new.drop(columns="temperature"))
    with pytest.raises(DataError, match="'sky' holds numbers in the new rows"):
        model.update(new.assign(sky=1.0))
    with pytest.raises(DataError, match="irregular|lie on it"):
        model.update(new.assign(ds=new["ds"] + pd.Timedelta(minutes=5)))
    with pytest.raises(ArgumentTypeError, match="table"):
        model.update(np.zeros((2, 30)))
    pd.testing.assert_frame_equal(model.predict(), model.predict(history))


def test_an_updated_model_is_saved_as_such(model, table, history, tmp_path) -> None:
    new = table[table["ds"] > history["ds"].max()]
    model.update(new).save(tmp_path / "updated")
    pd.testing.assert_frame_equal(Forecaster.load(tmp_path / "updated").predict(), model.predict(table))
    assert hourly().equals(table)


@pytest.mark.parametrize("after_load", [False, True])
def test_an_update_does_not_move_the_end_of_the_training_rows(
    fitted, table, history, tmp_path, after_load
) -> None:
    fitted.save(tmp_path / "copy")
    model = Forecaster.load(tmp_path / "copy")
    end = history["ds"].max()
    new = table[(table["ds"] > end) & (table["ds"] <= end + pd.Timedelta(hours=20))]
    expected = model.evaluate(table, linear=False)
    model.update(new)
    if after_load:
        model.save(tmp_path / "updated")
        model = Forecaster.load(tmp_path / "updated")
    found = model.evaluate(table, linear=False)
    # The rows of the update were not trained on, so that they are judged too.
    assert found.span == expected.span
    with pytest.raises(DataError, match=f"fitted on rows up to {end:%Y-%m-%d %H:%M}"):
        model.evaluate(history, linear=False)
