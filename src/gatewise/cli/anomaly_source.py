"""Where a detector's rows and labels come from: a file whose columns are named, and marks or spans."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from gatewise.cli.reading import Kept
from gatewise.data import read_table
from gatewise.data.frames import ID, TIME
from gatewise.errors import DataError
from gatewise.tasks.anomaly.series import TIME_NAMES

__all__ = ["AnomalySource", "open_rows"]


@dataclass(frozen=True)
class AnomalySource:
    """Rows, and what is known to be anomalous in them.

    Args:
        table: unique_id (where there are several series), stamps, channels.
        labels: marks or spans, as `AnomalyDetector.fit` takes them; None: none.
        name: of the file.
    """

    table: pa.Table
    labels: Any
    name: str

    @property
    def time(self) -> str:
        """The name of the column of stamps."""
        return next(name for name in TIME_NAMES if name in self.table.column_names)


def open_rows(
    data: str,
    *,
    identity: str | None,
    time: str | None,
    channels: str | None,
    ignore: tuple[str, ...],
    labels: str | None,
) -> AnomalySource:
    """Read a CSV or Parquet file.

    Args:
        data: its path.
        identity, time: columns with the series' names and the stamps; None: unique_id, and ds, timestamp, time, date or
            datetime.
        channels: columns to watch, separated by commas; None: all that are left.
        ignore: columns to leave out.
        labels: a column of marks (0 or 1), or a file of spans: JSON as NAB has them (name -> [[first, last], ...], or
            a list of spans), or a CSV with columns first, last and, for several series, unique_id.

    Raises:
        DataError: a file or column is not there, or labels cannot be read.
    """
    table = read_table(data)
    if isinstance(ignore, Kept):
        ignore = tuple(name for name in ignore if name in table.column_names)
    for option, wanted in (("ignore", ignore), ("channels", tuple(_split(channels)))):
        for name in wanted:
            _need(table, name, f"--{option}", data)
    if identity is not None:
        table = _renamed(table, identity, ID, "--id", data)
    if time is not None:
        table = _renamed(table, time, TIME, "--time", data)
    marks: Any = None
    if labels is not None:
        marks, ignore = _labels(labels, table, data, ignore)
    table = table.drop_columns(list(ignore)) if ignore else table
    stamp = next((name for name in TIME_NAMES if name in table.column_names), None)
    if stamp is None:
        raise DataError(
            f"{data!r} has no column of stamps ({', '.join(TIME_NAMES)}); say which it is with --time. It has: "
            f"{', '.join(table.column_names)}"
        )
    if channels is not None:
        kept = [name for name in (ID, stamp) if name in table.column_names]
        table = table.select([*kept, *(name for name in _split(channels) if name not in kept)])
    return AnomalySource(table, marks, Path(data).name)


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()] if text else []


def _need(table: pa.Table, name: str, option: str, data: str) -> None:
    if name not in table.column_names:
        raise DataError(f"{option}: {data!r} has no column {name!r}; it has: {', '.join(table.column_names)}")


def _renamed(table: pa.Table, name: str, meant: str, option: str, data: str) -> pa.Table:
    _need(table, name, option, data)
    if name != meant and meant in table.column_names:
        table = table.drop_columns([meant])
    return table.rename_columns([meant if column == name else column for column in table.column_names])


def _labels(labels: str, table: pa.Table, data: str, ignore: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    if labels in table.column_names:
        column = table.column(labels)
        if column.null_count:
            raise DataError(f"--labels: column {labels!r} has rows without a mark; every row needs 0 or 1")
        return column.to_numpy(), (*ignore, labels)
    path = Path(labels)
    if not path.is_file():
        raise DataError(
            f"--labels: {labels!r} is neither a column of {data!r} (it has: {', '.join(table.column_names)}) nor a file"
        )
    if path.suffix.lower() == ".json":
        return _of_json(path, data, several=ID in table.column_names), ignore
    return _of_table(read_table(path), labels), ignore


def _of_json(path: Path, data: str, *, several: bool) -> Any:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"--labels: {str(path)!r} cannot be read as JSON: {error}") from error
    if not isinstance(read, dict):
        return read
    if several:
        return read
    # NAB's files name each file of the corpus; the one that is meant is this.
    own = [key for key in read if Path(key).name == Path(data).name]
    if len(own) != 1:
        raise DataError(
            f"--labels do not match: {str(path)!r} names {len(read)} series, and "
            f"{'none' if not own else 'several'} of them "
            f"like the file {Path(data).name!r}"
        )
    return read[own[0]]


def _of_table(table: pa.Table, labels: str) -> Any:
    for name in ("first", "last"):
        if name not in table.column_names:
            raise DataError(
                f"--labels: {labels!r} has no column {name!r}; expected first, last and, for several series, {ID}"
            )
    first, last = (_texts(table.column(name)) for name in ("first", "last"))
    spans = [list(span) for span in zip(first, last, strict=True)]
    if ID not in table.column_names:
        return spans
    found: dict[str, list[Any]] = {}
    for name, span in zip(table.column(ID).to_pylist(), spans, strict=True):
        found.setdefault(str(name), []).append(span)
    return found


def _texts(column: Any) -> list[Any]:
    whole = pa.types.is_integer(column.type)
    return [value if whole else str(value) for value in column.to_pylist()]
