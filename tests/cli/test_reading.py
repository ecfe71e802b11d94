"""What a model folder remembers about reading files, for every kind of model."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from gatewise.cli.reading import READING, Kept, copy_reading, keep_reading, with_kept
from gatewise.cli.source import without
from gatewise.errors import DataError, StoreError


def test_what_was_not_said_is_what_fit_was_told(tmp_path) -> None:
    keep_reading(tmp_path, {"id": "shop", "time": None, "ignore": ("a", "b"), "tag-column": 0})
    assert json.loads((tmp_path / READING).read_text()) == {
        "id": "shop",
        "ignore": ["a", "b"],
        "tag-column": 0,
    }
    asked = {"id": None, "time": None, "ignore": (), "tag-column": None, "horizon": None}
    names = frozenset({"id", "time", "ignore", "tag-column"})
    expected = {"id": "shop", "time": None, "ignore": ("a", "b"), "tag-column": 0, "horizon": None}
    assert with_kept(tmp_path, asked, names) == expected
    assert with_kept(tmp_path, asked | {"id": "place"}, names)["id"] == "place"
    assert with_kept(tmp_path, asked, names - {"id"})["id"] is None
    other = tmp_path / "other"
    other.mkdir()
    copy_reading(tmp_path, other)
    assert (other / READING).read_bytes() == (tmp_path / READING).read_bytes()


def test_a_folder_that_remembers_nothing_changes_nothing(tmp_path) -> None:
    assert with_kept(tmp_path, {"id": None}, frozenset({"id"})) == {"id": None}


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"id": 1.5}', '{"ignore": [1]}', '{"id": {}}', '{"id": true}', "\xff"]
)
def test_a_damaged_file_is_named(tmp_path, text: str) -> None:
    (tmp_path / READING).write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match="reading.json is damaged"):
        with_kept(tmp_path, {"id": None}, frozenset({"id"}))


def test_a_remembered_column_may_be_absent_and_one_that_is_said_may_not() -> None:
    table = pa.table({"y": [1], "remark": ["a"]})
    assert without(table, Kept(("remark", "gone")), "f.csv").column_names == ["y"]
    with pytest.raises(DataError, match="--ignore: 'f.csv' has no column 'gone'"):
        without(table, ("gone",), "f.csv")
