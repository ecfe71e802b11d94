"""Long frames: what is made of them, and how each fault is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gatewise.data import panel_from_array, panel_from_frame
from gatewise.data.frames import ID, TIME
from gatewise.errors import ArgumentTypeError, DataError


def table(rows: int = 6, names: tuple[str, ...] = ("a", "b"), **columns) -> pd.DataFrame:
    """A small hourly table; `columns` replace or add columns of the first series."""
    stamps = pd.date_range("2024-01-01", periods=rows, freq="h")
    frames = [
        pd.DataFrame({"unique_id": name, "ds": stamps, "y": np.arange(rows, dtype=float)}) for name in names
    ]
    return pd.concat(frames, ignore_index=True).assign(**columns)


def as_kind(kind: str, frame: pd.DataFrame):
    return {"pandas": lambda f: f, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}[kind](frame)


KINDS = ("pandas", "polars", "pyarrow")


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_sorted_by_series_and_stamp(kind) -> None:
    shuffled = table().sample(frac=1, random_state=0).reset_index(drop=True)
    panel = panel_from_frame(as_kind(kind, shuffled), "error")
    assert panel.names == ["a", "b"]
    assert panel.starts.tolist() == [0, 6, 12]
    assert panel.target.tolist() == [*range(6), *range(6)]
    assert (np.diff(panel.stamps.reshape(2, 6)) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_out_is_the_kind_that_came_in(kind) -> None:
    frame = as_kind(kind, table())
    panel = panel_from_frame(frame, "error")
    built = panel.frame.build(panel.ids, panel.stamps[[5, 11]], panel.kind, {"y_hat": np.zeros(2)})
    assert type(built) is type(frame)
    back = built.to_pandas() if kind != "pandas" else built
    assert back.columns.to_list() == [ID, TIME, "y_hat"]
    assert back["ds"].astype("datetime64[ns]").tolist() == [pd.Timestamp("2024-01-01 05:00")] * 2


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
def test_time_zones_come_back(zone) -> None:
    # Over the end of summer time: the same hour of the clock twice, and yet a regular series.
    frame = pd.DataFrame({"ds": pd.date_range("2024-10-27", periods=6, freq="h", tz=zone), "y": range(6)})
    panel = panel_from_frame(frame, "error")
    built = panel.frame.build(panel.ids * 6, panel.stamps, panel.kind, {})
    assert built["ds"].tolist() == frame["ds"].tolist()


def test_names_keep_their_type() -> None:
    panel = panel_from_frame(table().assign(unique_id=[7] * 6 + [12] * 6), "error")
    built = panel.frame.build(panel.ids, panel.stamps[:2], panel.kind, {})
    assert sorted(built["unique_id"].tolist()) == [7, 12]


def test_dates_texts_and_integers_are_stamps() -> None:
    days = pd.date_range("2024-01-01", periods=4)
    for values in (days, days.strftime("%Y-%m-%d"), days.date):
        panel = panel_from_frame(pl.DataFrame({"ds": list(values), "y": [1.0, 2, 3, 4]}), "error")
        assert panel.frequency.name == "day"
    assert panel_from_frame(pl.DataFrame({"ds": [3, 1, 2], "y": [3, 1, 2]}), "error").target.tolist() == [
        1,
        2,
        3,
    ]


def test_steps_without_a_row_are_filled_in_as_missing() -> None:
    frame = table(names=("a",), temperature=np.arange(6.0), sky=list("xyxyxy")).drop(index=[2, 3])
    panel = panel_from_frame(frame, "mask")
    assert panel.rows == 6
    assert np.isnan(panel.target[2:4]).all()
    assert np.isnan(panel.covariates["temperature"][2:4]).all()
    assert panel.covariates["sky"].tolist() == ["x", "y", None, None, "x", "y"]
    assert (np.diff(panel.stamps) == panel.frequency.count).all()


def broken(change) -> pd.DataFrame:
    frame = table()
    change(frame)
    return frame


def put(column: str, row: int, value) -> object:
    def change(frame: pd.DataFrame) -> None:
        if isinstance(value, str):
            frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value

    return broken(change)


@pytest.mark.parametrize(
    ("frame", "missing", "words"),
    [
        (put("ds", 8, pd.Timestamp("2024-01-01 01:00")), "error", ("'b'", "two rows", "2024-01-01 01:00")),
        (put("ds", 8, pd.Timestamp("2024-01-01 02:30")), "mask", ("'b'", "irregular", "2024-01-01 02:30", "hour")),
        (table().drop(index=8), "error", ("'b'", "between 2024-01-01 01:00 and 2024-01-01 03:00", 'missing="mask"')),
        (put("y", 7, np.nan), "error", ("'y'", "missing", "'b'", "2024-01-01 01:00", 'missing="mask"')),
        (put("y", 7, np.inf), "mask", ("'y'", "infinite", "'b'", "2024-01-01 01:00")),
        (put("y", 7, "many"), "error", ("'y'", "text", "numeric", "'many'")),
        (table().assign(y="1"), "error", ("'y'", "text", "numeric")),
        (put("ds", 7, None), "error", ("'ds'", "row 7")),
        (put("unique_id", 7, None), "error", ("'unique_id'", "row 7")),
        (table().assign(t=[0.0] * 7 + [np.nan] + [0.0] * 4), "error", ("'t'", "missing", "'b'", "2024-01-01 01:00")),
        (table().assign(t=[0.0] * 7 + [np.inf] + [0.0] * 4), "mask", ("'t'", "infinite", "'b'")),
        (table().assign(y=np.nan), "mask", ("'a'", "no observed value")),
        (table().drop(columns="y"), "error", ("no column 'y'", "rename")),
        (table().drop(columns=["y", "ds"]), "error", ("'ds'", "'y'")),
        (table().iloc[:0], "error", ("empty",)),
        (table().assign(ds=1.5), "error", ("'ds'", "Float64")),
        (table().assign(ds="soon"), "error", ("'ds'", "'soon'", "2024-01-31")),
        (table().assign(t=pd.Timestamp("2024-01-01")), "error", ("'t'", "Datetime")),
    ],
)  # fmt: skip
def test_each_fault_is_named(frame, missing, words) -> None:
    with pytest.raises(DataError) as caught:
        panel_from_frame(frame, missing)
    for word in words:
        assert word in str(caught.value)


def test_what_is_no_table_is_a_type_error() -> None:
    with pytest.raises(ArgumentTypeError, match="got dict"):
        panel_from_frame({"y": [1]}, "error")


def test_rows_of_an_array_are_series() -> None:
    panel = panel_from_array(np.arange(6.0).reshape(2, 3), "error")
    assert panel.names == ["0", "1"]
    assert panel.target.tolist() == list(range(6))
    assert panel.starts.tolist() == [0, 3, 6]


def test_between_cuts_every_series() -> None:
    panel = panel_from_frame(table(temperature=np.arange(12.0)), "error")
    part = panel.between(np.array([1, 4]), np.array([3, 6]))
    assert part.target.tolist() == [1, 2, 4, 5]
    assert part.covariates["temperature"].tolist() == [1, 2, 10, 11]
    assert part.starts.tolist() == [0, 2, 4]
