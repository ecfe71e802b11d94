"""Tables that cannot be used: each says so in its own error, whatever reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from gatewise.data import read_table
from gatewise.errors import DataError
from gatewise.tasks import AnomalyDetector, Forecaster, SequenceClassifier
from gatewise.tasks.recipes import RecordDetector

ESTIMATORS: dict[str, Callable[[Any], Any]] = {
    "forecast": lambda table: Forecaster(horizon=1).fit(table),
    "anomaly": lambda table: AnomalyDetector().fit(table),
    "classify": lambda table: SequenceClassifier().fit(table),
    "records": lambda table: RecordDetector().fit(table),
}
ALL = pytest.mark.parametrize("fit", ESTIMATORS.values(), ids=ESTIMATORS)


@ALL
@pytest.mark.parametrize("twice", ["x", "unique_id", "label"])
@pytest.mark.parametrize("kind", ["pandas", "pyarrow"])
def test_two_columns_of_one_name(fit: Callable[[Any], Any], twice: str, kind: str) -> None:
    names = ["unique_id", "ds", "y", "x", "label", twice]
    table: Any = pd.DataFrame(np.ones((6, 6)), columns=names)
    if kind == "pyarrow":
        table = pa.table([pa.array([1.0])] * 6, names=names)
    with pytest.raises(DataError, match=f"two columns of one name .*'{twice}' 2 times.*rename or remove"):
        fit(table)


@ALL
def test_a_parquet_file_without_rows(fit: Callable[[Any], Any], tmp_path: Path) -> None:
    schema = pa.schema({"unique_id": pa.string(), "ds": pa.int64(), "y": pa.float64(), "label": pa.string()})
    pa.parquet.write_table(schema.empty_table(), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="the table is empty: it has columns, but no row"):
        fit(read_table(tmp_path / "none.parquet"))


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_two_columns_of_one_name_in_a_file(tmp_path: Path, ending: str) -> None:
    table = pa.table([pa.array([1.0])] * 2, names=["y", "y"])
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        pa.parquet.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    with pytest.raises(DataError, match="two columns named 'y'"):
        read_table(path)


@pytest.mark.parametrize("column", ["y", "x"])
@pytest.mark.parametrize("kind", ["forecast", "anomaly", "classify", "records"])
def test_another_type_in_the_last_row_of_a_csv(tmp_path: Path, column: str, kind: str) -> None:
    rows = pd.DataFrame(
        {
            "unique_id": "a",
            "ds": range(31),
            "y": np.arange(31) + 0.5,
            "x": range(31),
            "label": ["normal", *["bad"] * 30],
        }
    ).astype({column: object})
    rows.loc[30, column] = "oops"
    rows = rows.drop(columns="label") if kind in ("forecast", "anomaly") else rows
    rows.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=f"column '{column}' holds numbers, but row 30 .*holds 'oops'"):
        ESTIMATORS[kind](read_table(tmp_path / "t.csv"))
