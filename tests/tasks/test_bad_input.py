"""Bad tables, as a forecaster meets them: each a clear error that names series and stamp, before any training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gatewise.errors import ArgumentTypeError, DataError
from tests.tasks.series import hourly, small

FRAME = hourly(60)


def put(column: str, row: int, value: object) -> pd.DataFrame:
    """The frame with one cell changed; row 65 is the fifth hour of series b."""
    frame = FRAME.copy()
    if isinstance(value, str):
        frame[column] = frame[column].astype(object)
    frame.loc[row, column] = value
    return frame


def mixed() -> pd.DataFrame:
    """Series b has one row every two hours."""
    late = FRAME["unique_id"] == "b"
    return FRAME.assign(
        ds=FRAME["ds"].where(~late, FRAME["ds"].min() + 2 * (FRAME["ds"] - FRAME["ds"].min()))
    )


CASES = {
    "duplicate stamps": (put("ds", 65, pd.Timestamp("2024-01-01 04:00")), ("'b'", "two rows", "2024-01-01 04:00")),
    "mixed frequency": (mixed(), ("mixes frequencies", "'a'", "'b'", "hour", "2 hours")),
    "off the step": (put("ds", 65, pd.Timestamp("2024-01-01 05:20")), ("'b'", "irregular", "2024-01-01 05:20")),
    "a hole": (FRAME.drop(index=65), ("'b'", "2024-01-01 04:00 and 2024-01-01 06:00", 'missing="mask"')),
    "NaN in the target": (put("y", 65, np.nan), ("'y'", "missing", "'b'", "2024-01-01 05:00", 'missing="mask"')),
    "infinite target": (put("y", 65, np.inf), ("'y'", "infinite", "'b'", "2024-01-01 05:00")),
    "infinite covariate": (put("temperature", 65, -np.inf), ("'temperature'", "infinite", "'b'")),
    "NaN in a covariate": (put("temperature", 65, np.nan), ("'temperature'", "missing", "'b'")),
    "a category that is missing": (put("sky", 65, None), ("'sky'", "missing", "'b'")),
    "a series too short": (FRAME.drop(index=range(67, 120)), ("'b'", "too short", "7 rows", "at least 8")),
    "no target": (FRAME.drop(columns="y"), ("no column 'y'",)),
    "no stamps": (FRAME.drop(columns="ds"), ("no column 'ds'",)),
    "empty": (FRAME.iloc[:0], ("empty",)),
    "text as target": (FRAME.assign(y="many"), ("'y'", "text", "numeric")),
    "numbers and text": (put("y", 65, "many"), ("'y'", "'many'")),
    "fractions as stamps": (FRAME.assign(ds=np.arange(120) / 7), ("'ds'", "Float64")),
    "no stamp": (put("ds", 65, None), ("'ds'", "row 65")),
    "no name": (put("unique_id", 65, None), ("'unique_id'", "row 65")),
    "stamps as covariate": (FRAME.assign(when=FRAME["ds"]), ("'when'", "Datetime")),
    "one row per series": (FRAME.drop(index=[*range(1, 60), *range(61, 120)]), ("step in time", "freq=")),
}  # fmt: skip


@pytest.mark.parametrize(("frame", "words"), CASES.values(), ids=CASES.keys())
def test_each_fault_is_named_by_fit_and_by_cross_validation(frame, words) -> None:
    runs = [lambda f: f.fit(frame), lambda f: f.cross_validation(frame)]
    # A cross-validation leaves a series out of the windows that it is too short for.
    for run in runs[:1] if "too short" in words else runs:
        with pytest.raises(DataError) as caught:
            run(small())
        assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("thing", [{"y": [1]}, [1, 2, 3], "sales.csv", None, 7])
def test_what_is_no_table_is_refused(thing) -> None:
    with pytest.raises((ArgumentTypeError, DataError), match=r"table|array"):
        small().fit(thing)


def test_rows_in_any_order_are_the_same_table() -> None:
    shuffled = FRAME.sample(frac=1, random_state=0)
    np.testing.assert_array_equal(
        small().fit(shuffled).predict()["y_hat"], small().fit(FRAME).predict()["y_hat"]
    )


def test_shorter_than_the_lookback_is_padded_and_constant_is_constant() -> None:
    """Neither is a fault: both forecast, and say nothing wild."""
    short = pd.concat(
        [FRAME[FRAME["unique_id"] == "a"], FRAME[FRAME["unique_id"] == "b"].head(9).assign(y=7.0)]
    )
    forecast = small(lookback=40).fit(short).predict()
    constant = forecast[forecast["unique_id"] == "b"]
    np.testing.assert_allclose(constant["y_hat"], 7.0, atol=1.5)
    assert np.isfinite(forecast["y_hat"]).all()


def test_a_horizon_longer_than_the_test_span_is_refused() -> None:
    model = small().fit(FRAME.groupby("unique_id").head(55))
    with pytest.raises(DataError, match=r"whole horizon of 6.*longest held-out span has 5"):
        model.evaluate(FRAME)
