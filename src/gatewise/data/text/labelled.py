"""Labelled texts from files: CSV, TSV, and JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewise.data.text.files import read_lines, read_text
from gatewise.errors import DataError

__all__ = ["LabelledTexts", "read_labelled"]

_JSON = (".jsonl", ".ndjson", ".jsonl.gz")
_TSV = (".tsv", ".tsv.gz")
_CSV = (".csv", ".csv.gz")


@dataclass(frozen=True)
class LabelledTexts:
    """Texts, and what they are.

    Args:
        texts: none empty.
        labels: one for each, as texts; None where they were not asked for.
        lines: where in the file each begins, from 1.
        source: the file's name, for messages.
    """

    texts: list[str]
    labels: list[str] | None
    lines: tuple[int, ...] = ()
    source: str = ""

    def __len__(self) -> int:
        return len(self.texts)

    def where(self, index: int) -> str:
        """A text's place, for messages."""
        return f"{self.source}, line {self.lines[index]}" if self.source else f"text {index + 1}"

    def take(self, chosen: Sequence[int]) -> LabelledTexts:
        """Some of the texts, in the order given."""
        return LabelledTexts(
            [self.texts[one] for one in chosen],
            None if self.labels is None else [self.labels[one] for one in chosen],
            tuple(self.lines[one] for one in chosen) if self.lines else (),
            self.source,
        )


def read_labelled(
    path: str | Path, *, text: str = "text", label: str = "label", labelled: bool = True
) -> LabelledTexts:
    """Read texts and their labels.

    Args:
        path: a UTF-8 file: .csv or .tsv with a header, or .jsonl with an object on each line; also .gz. In .tsv files
            quotes are signs like others.
        text, label: the names of the two columns.
        labelled: whether labels are needed.

    Raises:
        DataError: another ending, a column that is not there, an empty text or label, a line that is no row; with file
            and line.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "small.csv"
        >>> _ = path.write_text('text,label\\n"good, really",yes\\nbad,no\\n')
        >>> read_labelled(path).texts
        ['good, really', 'bad']
    """
    name, low = repr(str(path)), str(path).lower()
    if low.endswith(_JSON):
        rows = _json_rows(path, name)
    elif low.endswith((*_TSV, *_CSV)):
        rows = _table_rows(path, name, tabs=low.endswith(_TSV))
    else:
        raise DataError(f"{name}: a file that ends in .csv, .tsv or .jsonl (or .gz of these) is expected")
    texts: list[str] = []
    labels: list[str] = []
    lines: list[int] = []
    for number, row in rows:
        where = f"{name}, line {number}"
        texts.append(_field(row, text, where, "--text"))
        if labelled:
            labels.append(_field(row, label, where, "--label").strip())
        lines.append(number)
    if not texts:
        raise DataError(f"{name}: there is no row below the header")
    return LabelledTexts(texts, labels if labelled else None, tuple(lines), name)


def _table_rows(path: str | Path, name: str, *, tabs: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    text = read_text(path)
    quoting = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {"strict": True}
    reader = csv.reader(io.StringIO(text, newline=""), **quoting)  # type: ignore[arg-type]
    begin = 0
    header: list[str] | None = None
    try:
        for fields in reader:
            number, begin = begin + 1, reader.line_num
            if header is None:
                header = fields
                continue
            if not fields:
                raise DataError(f"{name}, line {number}: the line is empty; take it out")
            if len(fields) != len(header):
                raise DataError(
                    f"{name}, line {number}: {len(header)} fields are expected as in the header, came {len(fields)}"
                )
            yield number, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: it is no row of a table ({error})") from error


def _json_rows(path: str | Path, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(read_lines(path, blank="error"), 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{name}, line {number}: a JSON object is expected ({error})") from error
        if not isinstance(row, dict):
            raise DataError(f"{name}, line {number}: a JSON object is expected, came {type(row).__name__}")
        yield number, row


def _field(row: dict[str, Any], key: str, where: str, option: str) -> str:
    if key not in row:
        raise DataError(
            f"{where}: no column {key!r}; there are {', '.join(map(repr, row))}. Name yours with {option}"
        )
    value = row[key]
    if value is None or isinstance(value, list | dict) or not str(value).strip():
        raise DataError(
            f"{where}: {key!r} is empty or no text, came {value!r:.60}; take the row out, or fill it"
        )
    return str(value)
