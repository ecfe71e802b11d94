"""One rule for names: what is one series, category, group or entity, from every kind of table."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gatewise.data import panel_from_frame, read_table
from gatewise.data.identity import category_values, identify, identity_name
from gatewise.data.sequences import sequences_from_frame
from gatewise.errors import DataError
from gatewise.tasks.classify.labels import encode_labels, find_classes

LARGE = [2**53, 2**53 + 1, 2**53]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (2**53 + 1, "9007199254740993"), (2**70, str(2**70)), (np.uint64(2**64 - 1), str(2**64 - 1)),
        (1.0, "1"), (np.float32(1), "1"), (Decimal("1.00"), "1"), (-0.0, "0"), (0.1, "0.1"), (Decimal("0.10"), "0.1"),
        (True, "True"), (np.bool_(False), "False"), ("007", "007"), ("1.0", "1.0"),
        (date(2024, 1, 31), "2024-01-31"), (datetime(2024, 1, 31), "2024-01-31"),
        (pd.Timestamp(2024, 1, 31), "2024-01-31"), (np.datetime64("2024-01-31", "ns"), "2024-01-31"),
        (datetime(2024, 1, 31, 13, 5), "2024-01-31T13:05:00"),
        (datetime(2024, 1, 31, 13, tzinfo=timezone(timedelta(hours=1))), "2024-01-31T12:00:00"),
        (datetime(2024, 1, 31, 12, tzinfo=UTC), "2024-01-31T12:00:00"),
        (None, None), (float("nan"), None), (pd.NaT, None), (pd.NA, None), (np.datetime64("NaT"), None),
    ],
)  # fmt: skip
def test_the_name_of_a_value(value: object, name: str | None) -> None:
    assert identity_name(value) == name


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(LARGE), pd.Series(LARGE).astype("category"), pd.Series(LARGE, dtype="Int64"),
        pd.Series(LARGE, dtype=object), pl.Series(LARGE), pa.chunked_array([LARGE]),
        pa.chunked_array([pa.array(LARGE).dictionary_encode()]), pd.Series(LARGE, dtype="uint64"),
    ],
)  # fmt: skip
def test_large_integers_stay_apart_in_every_table(column: object) -> None:
    found = identify(nw.from_native(column, series_only=True))
    assert found.names == [str(2**53), str(2**53 + 1)]
    assert found.codes.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("values", "names", "codes"),
    [
        ([1, 1.0, "a"], ["1", "a"], [0, 0, 1]),
        ([True, 1, "a"], ["True", "1", "a"], [0, 1, 2]),
        ([2**70, 2**70 + 1], [str(2**70), str(2**70 + 1)], [0, 1]),
    ],
)
def test_columns_of_python_objects(values: list[object], names: list[str], codes: list[int]) -> None:
    found = identify(nw.from_native(pd.Series(values, dtype=object), series_only=True))
    assert (found.names, found.codes.tolist()) == (names, codes)


def test_a_text_and_a_number_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="both the text '7' and the int 7"):
        identify(nw.from_native(pd.Series(["7", 7], dtype=object, name="id"), series_only=True))


@pytest.mark.parametrize("value", [float("inf"), b"\xe9"])
def test_what_cannot_be_a_name_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="column 'id': a name must be"):
        identify(nw.from_native(pd.Series([value], name="id"), series_only=True))


def _long(ids: object, store: object) -> pd.DataFrame:
    return pd.DataFrame({"unique_id": ids, "ds": [0, 1, 0, 1], "y": 1.0, "store": store})


def test_series_and_categories_of_a_panel() -> None:
    ids = pd.Series([2**53, 2**53, 2**53 + 1, 2**53 + 1]).astype("category").cat.add_categories([5])
    panel = panel_from_frame(_long(ids, [2**53, 2**53 + 1, 7, 7]), "error", categorical=("store",))
    assert panel.names == [str(2**53), str(2**53 + 1)]
    assert panel.ids == [2**53, 2**53 + 1]
    assert panel.covariates["store"].tolist() == [str(2**53), str(2**53 + 1), "7", "7"]


def test_one_series_named_by_an_integer_and_a_float() -> None:
    panel = panel_from_frame(
        pd.DataFrame({"unique_id": pd.Series([1, 1.0, "b"], dtype=object), "ds": [0, 1, 0], "y": 1.0}),
        "error",
    )
    assert panel.names == ["1", "b"]


@pytest.mark.parametrize(
    "values", [[3, 4, 3, 4], pd.date_range("2024-01-01", periods=4), [0.5, 1.0, 0.5, 1.0]]
)
def test_pandas_categories_are_named_by_their_values(values: object) -> None:
    frame = _long(["a", "b", "a", "b"], pd.Categorical(values))
    texts = sequences_from_frame(frame.sort_values("unique_id"), time=None, leave_out=("ds",)).texts
    assert all(isinstance(one, str) for one in texts.ravel())
    wrapped = nw.from_native(frame, eager_only=True)
    assert category_values(wrapped, "store").tolist() == [identity_name(one) for one in pd.Series(values)]


def test_sequences_keep_large_names_apart() -> None:
    frame = pd.DataFrame({"unique_id": LARGE, "x": [1.0, 2.0, 3.0]})
    found = sequences_from_frame(frame, time=None)
    assert found.ids == LARGE[:2]
    assert found.lengths.tolist() == [2, 1]


def test_class_labels_beyond_a_float_stay_apart() -> None:
    labels = np.array([2**53, 2**53 + 1, 1.0], dtype=object)
    classes = find_classes(labels, "sequence")
    assert classes.tolist() == [1, 2**53, 2**53 + 1]
    assert encode_labels(labels, classes).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("field", "other", "kept"),
    [
        ("007", "7", ["007", "7"]), ("007", "", ["007", None]), ("007", "1.5", ["007", "1.5"]),
        ('"007"', "7", ["007", "7"]),
        (str(2**64 + 1), str(2**64), [str(2**64 + 1), str(2**64)]), (str(2**53 + 1), "7", [2**53 + 1, 7]),
        ("0", "0.5", [0.0, 0.5]), ("-0.07", "7", [-0.07, 7.0]), ("0", "10", [0, 10]), ("1e3", "7", [1000.0, 7.0]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_names_in_a_csv_file(tmp_path, field: str, other: str, kept: list[object], ending: str) -> None:
    path = tmp_path / f"t{ending}"
    with pa.output_stream(str(path)) as file:
        file.write(f"unique_id,y\n{field},1.5\n{other},2\n".encode())
    table = read_table(path)
    assert table["unique_id"].to_pylist() == kept
    assert table["y"].to_pylist() == [1.5, 2.0]
