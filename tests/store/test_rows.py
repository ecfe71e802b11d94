"""JSON lines: what was cut off costs its own line and no other."""

from __future__ import annotations

import pytest

from gatewise.errors import StoreError
from gatewise.store.rows import append_row, read_rows


def test_rows_come_back_in_their_order(tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    assert read_rows(path) == []
    rows = [{"run": 1, "name": "größer"}, {"run": 2}]
    for row in rows:
        append_row(path, row)
    assert read_rows(path) == rows


def test_a_line_that_was_cut_off_costs_no_other(tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    append_row(path, {"run": 1})
    with path.open("ab") as file:
        file.write(b'{"run": 2, "val')
    assert read_rows(path) == [{"run": 1}]
    append_row(path, {"run": 3})
    assert read_rows(path) == [{"run": 1}, {"run": 3}]


def test_what_is_no_object_is_passed_over(tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'[1]\n\xff\xfe\n{"run": 1}\n')
    assert read_rows(path) == [{"run": 1}]


def test_a_folder_in_its_place_is_named(tmp_path) -> None:
    for act in (read_rows, lambda path: append_row(path, {})):
        with pytest.raises(StoreError, match=str(tmp_path)):
            act(tmp_path)
