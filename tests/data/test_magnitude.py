"""Numbers too large to be scaled are refused by every estimator's reader, and by the store where they came so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gatewise.data import panel_from_array, panel_from_frame
from gatewise.data.future import future_columns
from gatewise.data.records import windows_by_entity
from gatewise.data.sequences import sequences_from_arrays, sequences_from_frame
from gatewise.errors import DataError, StoreError
from gatewise.store.documents import plain
from gatewise.tasks import AnomalyDetector

ROWS = 40


def _frame(column: str, value: float) -> pd.DataFrame:
    frame = pd.DataFrame(
        {"unique_id": "a", "ds": range(ROWS), "y": np.sin(np.arange(ROWS)), "x": 1.0 * np.arange(ROWS)}
    )
    frame.loc[5, column] = value
    return frame


READERS: dict[str, Callable[[str, float], Any]] = {
    "forecast": lambda column, value: panel_from_frame(_frame(column, value), "mask"),
    "forecast array": lambda _, value: panel_from_array(np.array([[1.0, 2.0, value]]), "mask"),
    "classify": lambda column, value: sequences_from_frame(_frame(column, value), "mask"),
    "classify arrays": lambda _, value: sequences_from_arrays([np.array([1.0, value])], "mask"),
    "records": lambda column, value: windows_by_entity(_frame(column, value), window=2, missing="mask"),
    "anomaly": lambda column, value: AnomalyDetector(missing="mask").fit(_frame(column, value)),
    "anomaly array": lambda _, value: AnomalyDetector(missing="mask").fit(np.array([[1.0], [value], [2.0]])),
}


@pytest.mark.parametrize("value", [1e308, -1e308, 1.1e30])
@pytest.mark.parametrize("column", ["y", "x"])
@pytest.mark.parametrize("reader", READERS)
def test_numbers_whose_statistics_overflow_are_refused(reader: str, column: str, value: float) -> None:
    if "array" in reader and column == "x":
        pytest.skip("arrays have one channel here")
    with pytest.raises(DataError, match=f"'({column}|channel 0|x0)' is beyond 1e30 .*divide the column"):
        READERS[reader](column, value)


@pytest.mark.parametrize("value", [1e30, -1e30])
@pytest.mark.parametrize("reader", ["forecast", "forecast array", "classify", "classify arrays", "records"])
def test_the_bound_itself_is_read(reader: str, value: float) -> None:
    READERS[reader]("x", value)


def test_known_future_numbers_are_bounded_too() -> None:
    panel = panel_from_frame(_frame("x", 0.0), "error")
    future = pd.DataFrame({"unique_id": "a", "ds": [ROWS], "x": [1e308]})
    with pytest.raises(DataError, match="future: column 'x' is beyond 1e30"):
        future_columns(panel, future, ("x",), 1, "error")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_computed_with_is_never_stored_as_null(value: float) -> None:
    with pytest.raises(StoreError, match=r"encoder\['scale'\] is"):
        plain({"scale": np.array([1.0, value])}, exact="encoder")
    assert plain({"scale": [1.0, value]}) == {"scale": [1.0, None]}
