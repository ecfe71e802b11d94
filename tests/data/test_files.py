"""Tables from and to files."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pytest

from gatewise.data import read_table, write_table
from gatewise.errors import DataError


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow", "feather"])
def test_what_is_written_is_read(ending, tmp_path) -> None:
    table = pa.table({"ds": pa.array([1, 2], pa.timestamp("s")), "y": [1.5, None]})
    write_table(table, tmp_path / f"small.{ending}")
    again = read_table(tmp_path / f"small.{ending}")
    assert again["y"].to_pylist() == [1.5, None]
    assert [one.timestamp() for one in again["ds"].to_pylist()] == [
        one.timestamp() for one in table["ds"].to_pylist()
    ]


def test_an_arrow_file_is_mapped(tmp_path) -> None:
    table = pa.concat_tables([pa.table({"y": [1.0] * 100_000})] * 10)
    write_table(table, tmp_path / "large.arrow")
    before = pa.total_allocated_bytes()
    again = read_table(tmp_path / "large.arrow")
    assert again.nbytes == 8_000_000
    assert pa.total_allocated_bytes() - before < 100_000
    assert again["y"].num_chunks == 1


@pytest.mark.parametrize("ending", ["csv.gz", "parquet", "arrow"])
def test_what_is_no_table_is_refused(ending, tmp_path) -> None:
    path = tmp_path / f"torn.{ending}"
    path.write_bytes(b"this is no table")
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_table(path)


def test_unknown_endings_are_refused(tmp_path) -> None:
    (tmp_path / "table.xlsx").write_text("x")
    for run in (lambda p: read_table(p), lambda p: write_table(pa.table({"y": [1]}), p)):
        with pytest.raises(DataError, match="ending that is not known"):
            run(tmp_path / "table.xlsx")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        ("ds,y\n1,2\n".encode("utf-16"), "UTF-16.*UTF-8"),
        (gzip.compress(b"ds,y\n1,2\n", mtime=0), r"gzip.*\.csv\.gz"),
        (b"ds,y,y\n1,2,3\n", "two columns named 'y'"),
        (b"ds;y\n1;2\n", "separated by ';'"),
        (b"ds\ty\n1\t2\n", "separated by"),
        ("unique_id,ds,y\nM\u00fcller,1,2\n".encode("latin-1"), "'unique_id' holds bytes.*LATIN1"),
    ],
)
def test_a_csv_file_of_another_make_is_refused_with_a_remedy(content, words, tmp_path) -> None:
    (tmp_path / "other.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"other\.csv.*{words}"):
        read_table(tmp_path / "other.csv")


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path) -> None:
    (tmp_path / "marked.csv").write_bytes(b"\xef\xbb\xbfds,y\n1,2\n")
    assert read_table(tmp_path / "marked.csv").column_names == ["ds", "y"]
