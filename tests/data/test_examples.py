"""Examples: where they are looked for, and that they are the originals."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pytest

from gatewise.data import examples, read_table, write_table
from gatewise.data.files import csv_bytes
from gatewise.errors import ArgumentError, DataError


def test_the_bundled_example_is_whole() -> None:
    table = examples.load("beijing-air")
    assert table.num_rows == 43_824
    assert table.column("y").null_count == 2_067
    assert str(table.column("ds")[0]) == "2010-01-01 00:00:00"
    assert str(table.column("ds")[-1]) == "2014-12-31 23:00:00"
    assert table.column("y")[24].as_py() == 129.0
    assert set(table.column("wind_direction").to_pylist()) == {"NW", "NE", "SE", "cv"}


def test_every_example_says_where_it_is_from() -> None:
    for name in examples.names():
        example = examples.get(name)
        assert example.origin
        assert example.licence
        assert len(example.sha256) == 64


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ArgumentError, match=r"'nowhere'.*beijing-air"):
        examples.load("nowhere")


def test_a_missing_file_says_what_to_put_where(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(examples, "BUNDLED", tmp_path)
    monkeypatch.setenv("GATEWISE_DATA", str(tmp_path / "mine"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError) as caught:
        examples.find("beijing-air")
    assert str(tmp_path / "mine" / "beijing-air.csv.gz") in str(caught.value)
    assert "doi" in str(caught.value)


def test_the_data_folder_is_searched_and_checksums_are_verified(tmp_path, monkeypatch) -> None:
    original = examples.find("beijing-air")
    monkeypatch.setattr(examples, "BUNDLED", tmp_path / "empty")
    monkeypatch.setenv("GATEWISE_DATA", str(tmp_path))
    place = tmp_path / "time-series-forecasting" / "beijing-pm25" / "pollution.csv.gz"
    place.parent.mkdir(parents=True)
    shutil.copy(original, place)
    assert examples.find("beijing-air") == place
    place.write_bytes(original.read_bytes() + b" ")
    with pytest.raises(DataError, match="sha256"):
        examples.find("beijing-air")


@pytest.mark.parametrize("ending", ["csv", "parquet", "pq"])
def test_files_go_out_and_come_back(tmp_path, ending) -> None:
    table = pa.table({"ds": pa.array([0, 3_600_000_000], pa.timestamp("us")), "y": [1.5, None]})
    path = tmp_path / f"table.{ending}"
    write_table(table, path)
    assert read_table(path).column("y").to_pylist() == [1.5, None]


def test_fractions_of_a_second_are_kept() -> None:
    assert b"00:00:00.5" in csv_bytes(pa.table({"ds": pa.array([500_000], pa.timestamp("us"))}))


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", b"x,y\n1,2,3\n"), ("a.parquet", b"no"), ("a.xlsx", b"no")]
)
def test_what_is_no_table_is_refused(tmp_path, name, content) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        read_table(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path) -> None:
    with pytest.raises(DataError, match="no file"):
        read_table(tmp_path / "a.csv")
