"""A stream of CSV lines through a detector: what `gatewise watch` does with each, and what it keeps."""

from __future__ import annotations

import base64
import csv
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

from gatewise.cli.console import say
from gatewise.cli.lines import Lines
from gatewise.data.files import MISSING_SIGNS
from gatewise.data.frames import ID
from gatewise.errors import DataError, StoreError
from gatewise.store import atomic_write
from gatewise.store.documents import digest
from gatewise.store.files import read_file
from gatewise.tasks import AnomalyDetector
from gatewise.tasks.anomaly.series import TIME_NAMES
from gatewise.tasks.anomaly.streaming import Step, Stream
from gatewise.train.interrupt import Interrupt

__all__ = ["Watch"]

_FORMAT, _VERSION = "gatewise.watch", 1
_SAVE_SECONDS = 10.0
_MOST_BYTES = 2**30
_NAMELESS = "series"


class Watch:
    """One run of the command.

    Args:
        detector: loaded.
        model: its folder.
        state: the file that keeps where the stream stands, or None.
        as_json: one JSON object per line instead of text.
        every: tell every row, not alarms alone.
        identity, stamp: names of columns; None: the usual ones.

    Attributes:
        rows, alarms, refused: lines so far.
    """

    def __init__(
        self,
        detector: AnomalyDetector,
        model: Path,
        state: Path | None,
        *,
        as_json: bool,
        every: bool,
        identity: str | None,
        stamp: str | None,
    ) -> None:
        self.rows = self.alarms = self.refused = 0
        self._detector, self._state = detector, state
        self._as_json, self._every = as_json, every
        self._identity, self._stamp = identity, stamp
        self._columns = detector.fitted_.columns
        self._model = digest(read_file(model / "config.json", limit=_MOST_BYTES))
        self._streams: dict[str, Stream] = {}
        self._header: list[str] | None = None
        self._line = 0
        self._saved = time.monotonic()

    def run(self, file: Path | None, *, once: bool) -> bool:
        """Read to the end, or until Ctrl-C; whether it was that."""
        offset = self._load()
        with Interrupt(loud=False) as interrupt, Lines(file, offset=offset, follow=not once) as lines:
            if offset and lines.restarted:
                say(f"{file} is shorter than it was: it is read from its beginning")
                self._header, self._line = None, 0
            for line in lines.until(lambda: interrupt.asked):
                self._take(line)
                if self._state is not None and time.monotonic() - self._saved > _SAVE_SECONDS:
                    self._save(lines.offset)
            self._save(lines.offset)
            return interrupt.asked

    def _take(self, line: str) -> None:
        """One line: a header, a row, or something that is refused with its number and the reason."""
        self._line += 1
        if not line.strip():
            return
        fields = [field.strip() for field in next(csv.reader([line]))]
        if self._header is None:
            header = self._header_of(fields)
            if header is None:
                return
            if header == fields:
                return
        try:
            name, stamp, values = self._read(fields)
            stream = self._streams.setdefault(name, self._detector.stream())
            self._tell(name, stamp, stream.step(values))
        except DataError as error:
            self.refused += 1
            say(f"line {self._line} is left out: {error}")

    def _header_of(self, fields: list[str]) -> list[str] | None:
        """The columns' names: this line's, or the channels' own order where the line holds values."""
        named = [name for name in self._columns if name in fields]
        if len(named) == len(self._columns):
            self._header = fields
            return fields
        if any(_number(field) is not None for field in fields[-len(self._columns) :]):
            extra = len(fields) - len(self._columns)
            if extra in (0, 1):
                self._header = [*([TIME_NAMES[0]] if extra else []), *self._columns]
                return self._header
        absent = [name for name in self._columns if name not in fields]
        raise DataError(
            f"the first line names no channel {', '.join(map(repr, absent))}, and is no row of "
            f"{len(self._columns)} values; "
            f"it is {fields}"
        )

    def _read(self, fields: list[str]) -> tuple[str, str, list[float]]:
        header = self._header or []
        if len(fields) != len(header):
            raise DataError(f"{len(header)} values are expected ({', '.join(header)}), came {len(fields)}")
        row = dict(zip(header, fields, strict=True))
        values = []
        for name in self._columns:
            number = math.nan if row[name] in MISSING_SIGNS else _number(row[name])
            if number is None:
                raise DataError(f"column {name!r}: a number is expected, came {row[name]!r}")
            values.append(number)
        stamp = row.get(self._stamp or next((name for name in TIME_NAMES if name in row), ""), "")
        return row.get(self._identity or ID, _NAMELESS), stamp, values

    def _tell(self, name: str, stamp: str, step: Step) -> None:
        self.rows += 1
        self.alarms += step.alarm
        if not step.alarm and not self._every:
            return
        if self._as_json:
            told: dict[str, Any] = {"row": self._line, "time": stamp, "series": name}
            told |= {"score": _plain(step.score), "threshold": _plain(step.threshold), "alarm": step.alarm}
            told["blame"] = {channel: _plain(part) for channel, part in step.blame.items()}
            told["expected"] = {channel: _plain(part) for channel, part in step.expected.items()}
            text = json.dumps(told)
        else:
            place = stamp or f"row {self._line}"
            own = "" if name == _NAMELESS else f"  {name}"
            blamed = sorted(step.blame, key=lambda channel: -step.blame[channel])[:3]
            words = ", ".join(blamed) if len(self._columns) > 1 else ""
            mark = "ALARM" if step.alarm else "     "
            text = f"{mark}  {place}{own}  score {step.score:.4g}  threshold {step.threshold:.4g}" + (
                f"  {words}" if words else ""
            )
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def _save(self, offset: int | None) -> None:
        if self._state is None:
            return
        document = {
            "format": _FORMAT,
            "version": _VERSION,
            "model": self._model,
            "offset": offset,
            "header": self._header,
            "line": self._line,
            "streams": {
                name: base64.b64encode(stream.to_bytes()).decode() for name, stream in self._streams.items()
            },
        }
        atomic_write(self._state, json.dumps(document).encode())
        self._saved = time.monotonic()

    def _load(self) -> int:
        """Where the stream stood; the byte in the file from which to go on."""
        if self._state is None or not self._state.exists():
            return 0
        advice = "; remove it to start afresh"
        try:
            document = json.loads(read_file(self._state, limit=_MOST_BYTES))
            if document["format"] != _FORMAT or document["version"] != _VERSION:
                raise StoreError(
                    f"{self._state} is no state of `gatewise watch` that this version can read{advice}"
                )
            if document["model"] != self._model:
                raise StoreError(f"{self._state} belongs to another model{advice}")
            for name, data in document["streams"].items():
                self._streams[name] = Stream.from_bytes(
                    self._detector.fitted_, base64.b64decode(data), str(self._state)
                )
            self._header, self._line = document["header"], int(document["line"])
            return int(document["offset"] or 0)
        except StoreError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{self._state} is damaged ({error}){advice}") from error


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
