"""Reading pairs of texts: two files line by line, or one table or JSONL file with both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gatewise.data.files import read_table
from gatewise.data.text.files import read_lines
from gatewise.errors import DataError

__all__ = ["SOURCE", "TARGET", "read_column", "read_pairs"]

SOURCE, TARGET = "source", "target"
_TABLES = (".csv", ".csv.gz", ".parquet", ".pq", ".arrow", ".feather")


def read_pairs(
    path: str | Path, targets: str | Path | None = None, *, columns: tuple[str, str] = (SOURCE, TARGET)
) -> tuple[list[str], list[str]]:
    """Read sources and their targets.

    Args:
        path: a text file with one source in each line, beside `targets`; or one file with both: .tsv (source, tab,
            target; or more columns under a first line with their names), .jsonl (an object in each line), .csv,
            .parquet or .arrow. Text files may end in .gz.
        targets: a text file with the target of each line.
        columns: what the two are called where they have names.

    Returns:
        The sources and, in the same order, the targets.

    Raises:
        DataError: not UTF-8, an empty line or field, another number of lines, no such column; with file and line.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "words.tsv"
        >>> _ = path.write_text("rot\\tred\\nblau\\tblue\\n", encoding="utf-8")
        >>> read_pairs(path)
        (['rot', 'blau'], ['red', 'blue'])
    """
    path = Path(path)
    if targets is not None:
        sources, others = read_column(path, columns[0]), read_column(Path(targets), columns[1])
        if len(sources) != len(others):
            raise DataError(
                f"{str(path)!r} has {len(sources):,} lines and {str(targets)!r} has {len(others):,}: as many of each "
                "are expected, since line n of one belongs to line n of the other; look for the first line where they "
                "come apart"
            )
        return sources, others
    if _ending(path) == "":
        raise DataError(
            f"{str(path)!r} holds one text in each line: name the file with the targets too, or give a .tsv, .jsonl, "
            ".csv or .parquet file with both"
        )
    first, second = _columns(path, list(columns))
    return first, second


def read_column(path: str | Path, column: str = SOURCE) -> list[str]:
    """Read texts alone: the lines of a text file, or one column of a file with several.

    Args:
        path: as in `read_pairs`.
        column: its name; a .tsv file without names has its texts first.

    Raises:
        DataError: as in `read_pairs`.
    """
    path = Path(path)
    if _ending(path) == "":
        return read_lines(path, blank="error")
    return _columns(path, [column])[0]


def _ending(path: Path) -> str:
    """The kind of file; "" for plain text."""
    name = path.name.lower()
    for ending in (*_TABLES, ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz"):
        if name.endswith(ending):
            return ending
    return ""


def _columns(path: Path, columns: list[str]) -> list[list[str]]:
    ending = _ending(path)
    if ending in _TABLES:
        table = read_table(path)
        _known(path, columns, table.column_names)
        rows = [[table.column(name)[at].as_py() for name in columns] for at in range(table.num_rows)]
        # A table's first row of data stands in its second line.
        return _checked(path, rows, columns, "row", 1)
    lines = read_lines(path, blank="error")
    if ending.startswith(".jsonl"):
        return _checked(
            path, [_object(path, at, line, columns) for at, line in enumerate(lines, 1)], columns, "line", 1
        )
    return _from_tabs(path, lines, columns)


def _from_tabs(path: Path, lines: list[str], columns: list[str]) -> list[list[str]]:
    fields = [line.split("\t") for line in lines]
    named = set(columns) <= set(fields[0])
    places = [fields[0].index(name) for name in columns] if named else list(range(len(columns)))
    width = len(fields[0])
    if not named and width > 2:
        raise DataError(
            f"{str(path)!r}, line 1: it has {width} columns and none is called {' or '.join(map(repr, columns))}; "
            "write their names into a first line, or say which columns they are"
        )
    for number, row in enumerate(fields, 1):
        if len(row) != width or width <= max(places):
            expected = max(width, max(places) + 1)
            raise DataError(
                f"{str(path)!r}, line {number}: {expected} fields with tabs between them are expected, came {len(row)}"
            )
    rows = [[row[place] for place in places] for row in fields[int(named) :]]
    return _checked(path, rows, columns, "line", 1 + int(named))


def _object(path: Path, number: int, line: str, columns: list[str]) -> list[Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise DataError(
            f"{str(path)!r}, line {number}: it is no JSON ({error}); write an object in each line"
        ) from None
    if not isinstance(found, dict):
        raise DataError(f"{str(path)!r}, line {number}: an object is expected, came {type(found).__name__}")
    _known(path, columns, list(found), f", line {number}")
    return [found[name] for name in columns]


def _known(path: Path, columns: list[str], names: Sequence[str], where: str = "") -> None:
    for name in columns:
        if name not in names:
            raise DataError(
                f"{str(path)!r}{where}: there is no column {name!r}; it has: {', '.join(map(str, names))}. Say which "
                "column it is"
            )


def _checked(path: Path, rows: list[list[Any]], columns: list[str], unit: str, first: int) -> list[list[str]]:
    if not rows:
        raise DataError(f"{str(path)!r} has no texts; check the path")
    for number, row in enumerate(rows, first):
        for name, text in zip(columns, row, strict=True):
            if not isinstance(text, str) or not text.strip():
                came = (
                    "it is empty"
                    if text is None or text == "" or isinstance(text, str)
                    else f"came {text!r:.60}"
                )
                raise DataError(
                    f"{str(path)!r}, {unit} {number}: a text is expected as {name!r}, {came}; take the {unit} out, or "
                    "write what belongs there"
                )
    return [list(column) for column in zip(*rows, strict=True)]
