"""Where a command's data come from: an example by name, or a file whose columns are named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from gatewise.cli.reading import Kept
from gatewise.data import examples, read_table
from gatewise.data.frames import ID, TARGET, TIME
from gatewise.errors import ArgumentError, DataError
from gatewise.tasks.forecast.card import CardNotes

__all__ = ["Columns", "Source", "open_future", "open_source", "without"]


@dataclass(frozen=True)
class Columns:
    """Which columns of a file are what; None: unique_id, ds, y if they are there."""

    identity: str | None = None
    time: str | None = None
    target: str | None = None
    ignore: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """As options of the command line."""
        return {"id": self.identity, "time": self.time, "target": self.target, "ignore": self.ignore}


@dataclass(frozen=True)
class Source:
    """A long table, and what is known about it.

    Args:
        table: unique_id, ds, y and covariates.
        notes: for card and report.
        test_start: the usual first held-out stamp, or None.
        is_example: whether it is one of the public examples.
    """

    table: pa.Table
    notes: CardNotes
    test_start: str | None
    is_example: bool


def open_source(data: str, columns: Columns) -> Source:
    """Load an example by its name, or a CSV or Parquet file by its path.

    Raises:
        DataError: there is neither, or a named column is not in the file.
    """
    if data in examples.names():
        given = [
            f"--{name}" for name in ("id", "time", "target") if getattr(columns, _FIELDS[name]) is not None
        ]
        if given:
            raise ArgumentError(
                f"{', '.join(given)}: the example {data!r} names its columns itself; leave this out"
            )
        example = examples.get(data)
        table = without(examples.load(data), columns.ignore, data)
        notes = CardNotes(
            data=example.title, origin=example.origin, licence=example.licence, target=example.target
        )
        return Source(table, notes, example.test_start, True)
    if not Path(data).exists():
        raise DataError(
            f"{data!r} is neither a file nor an example. Examples: {', '.join(examples.names())}. Files: .csv, "
            ".csv.gz, .parquet, .pq"
        )
    table = without(read_table(data), columns.ignore, data)
    table = _renamed(table, columns, data)
    notes = CardNotes(data=f"{Path(data).name}, {table.num_rows:,} rows", target=columns.target or TARGET)
    return Source(table, notes, None, False)


def open_future(path: str, columns: Columns) -> pa.Table:
    """Load a table of what is known of the future: names and stamps as in the data, no target needed.

    Raises:
        DataError: there is no such file, or a named column is not in it.
    """
    table = read_table(path)
    return _renamed(table, Columns(columns.identity, columns.time), path, target=False)


_FIELDS = {"id": "identity", "time": "time", "target": "target"}


def _renamed(table: pa.Table, columns: Columns, data: str, *, target: bool = True) -> pa.Table:
    for option, name, meant in (
        ("id", ID, columns.identity),
        ("time", TIME, columns.time),
        ("target", TARGET, columns.target),
    ):
        if meant is None:
            needed = name == TIME or (name == TARGET and target)
            if name not in table.column_names and needed:
                raise DataError(
                    f"{data!r} has no column {name!r}; say which column it is with --{option}. It has: "
                    f"{', '.join(table.column_names)}"
                )
            continue
        if meant not in table.column_names:
            raise DataError(
                f"--{option}: {data!r} has no column {meant!r}; it has: {', '.join(table.column_names)}"
            )
        if meant != name and name in table.column_names:
            table = table.drop_columns([name])
        table = table.rename_columns([name if column == meant else column for column in table.column_names])
    return table


def without(table: pa.Table, ignore: tuple[str, ...], data: str) -> pa.Table:
    """The table of a file (or example) without the columns that are to be left out.

    Raises:
        DataError: there is no such column.
    """
    unknown = [name for name in ignore if name not in table.column_names]
    if isinstance(ignore, Kept):
        ignore = tuple(name for name in ignore if name not in unknown)
    elif unknown:
        raise DataError(
            f"--ignore: {data!r} has no column {unknown[0]!r}; it has: {', '.join(table.column_names)}"
        )
    return table.drop_columns(list(ignore)) if ignore else table
