"""Pairs of texts from files: the forms that are read, and errors that name file and line."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pytest

from gatewise.data import write_table
from gatewise.data.text.pairs import read_column, read_pairs
from gatewise.errors import DataError

PAIRS = (["ein Haus", "zwei Häuser"], ["a house", "two houses"])


@pytest.fixture
def folder(tmp_path):
    """Files of two pairs, in every form."""
    (tmp_path / "a.de").write_text("ein Haus\nzwei Häuser\n", encoding="utf-8")
    (tmp_path / "a.en").write_text("a house\r\ntwo houses", encoding="utf-8")
    (tmp_path / "plain.tsv").write_text("ein Haus\ta house\nzwei Häuser\ttwo houses\n", encoding="utf-8")
    named = "id\ttarget\tsource\n1\ta house\tein Haus\n2\ttwo houses\tzwei Häuser\n"
    (tmp_path / "named.tsv").write_text(named, encoding="utf-8")
    with gzip.open(tmp_path / "named.tsv.gz", "wt", encoding="utf-8") as file:
        file.write(named)
    rows = [{"source": one, "target": other, "more": 1} for one, other in zip(*PAIRS, strict=True)]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    table = pa.table({"source": PAIRS[0], "target": PAIRS[1]})
    for ending in ("csv", "parquet"):
        write_table(table, tmp_path / f"a.{ending}")
    return tmp_path


@pytest.mark.parametrize("name", ["plain.tsv", "named.tsv", "named.tsv.gz", "a.jsonl", "a.csv", "a.parquet"])
def test_one_file_holds_both(folder, name) -> None:
    assert read_pairs(folder / name) == PAIRS
    assert read_column(folder / name) == PAIRS[0]


def test_two_files_line_by_line(folder) -> None:
    assert read_pairs(folder / "a.de", folder / "a.en") == PAIRS
    assert read_pairs(folder / "named.tsv", folder / "a.en") == PAIRS
    assert read_column(folder / "a.de") == PAIRS[0]


def test_columns_of_other_names(folder) -> None:
    assert read_pairs(folder / "named.tsv", columns=("target", "id")) == (PAIRS[1], ["1", "2"])


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"one\ntwo\nthree\n", "x.txt", r"x.txt' has 3 lines and .*a.en' has 2"),
        (b"one\n\n", "x.txt", "x.txt', line 2: it is blank"),
        (b"one\nz\xfcrich\n", "x.txt", "x.txt', line 2: it is not UTF-8"),
        (b"", "x.txt", "is empty"),
    ],
    ids=["lines", "blank", "latin1", "empty"],
)
def test_lines_that_cannot_be_used_are_named(folder, content, name, words) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_pairs(folder / name, folder / "a.en")


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"a\tb\nc\n", "x.tsv", "line 2: 2 fields with tabs"),
        (b"a\nb\n", "x.tsv", "line 1: 2 fields with tabs"),
        (b"a\tb\tc\n", "x.tsv", "line 1: it has 3 columns and none is called 'source'"),
        (b"a\tb\nc\t \n", "x.tsv", "line 2: a text is expected as 'target', it is empty"),
        (b'{"source": "a"}\n', "x.jsonl", "line 1: there is no column 'target'; it has: source"),
        (b'{"source": "a", "target": "b"}\n{"source"\n', "x.jsonl", "line 2: it is no JSON"),
        (b'{"source": "a", "target": 3}\n', "x.jsonl", "line 1: a text is expected as 'target', came 3"),
        (b"[1]\n", "x.jsonl", "line 1: an object is expected, came list"),
        (b"source,other\na,b\n", "x.csv", "there is no column 'target'; it has: source, other"),
        (b"source,target\na,b\nc,\n", "x.csv", "row 2: a text is expected as 'target', it is empty"),
        (b"a\n", "x.txt", "name the file with the targets too"),
    ],
)
def test_files_that_cannot_be_used_are_named(folder, content, name, words) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_pairs(folder / name)


def test_no_such_file() -> None:
    with pytest.raises(DataError, match="is not there"):
        read_pairs("nowhere.de", "nowhere.en")
