"""Whole lines from standard input or a file that grows, until somebody asks to stop."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from gatewise.errors import DataError

__all__ = ["Lines"]

_POLL_SECONDS = 0.2
_CHUNK = 1 << 16
# After the wish to stop, what has come already is still taken, but not for longer than this.
_DRAIN_SECONDS = 5.0


class Lines:
    """Reads lines; the last one of a file that grows counts when its line feed has come.

    Args:
        file: a path; None: standard input.
        offset: the byte to begin at, for a file.
        follow: wait for more at a file's end, and begin anew where it became shorter.

    Attributes:
        offset: the byte after the last whole line that was given out; None for standard input.
        restarted: whether the file was too short for the offset.
    """

    def __init__(self, file: Path | None, *, offset: int = 0, follow: bool = True) -> None:
        self._file, self._follow = file, follow
        self.offset: int | None = None if file is None else offset
        self.restarted = False
        self._rest = b""
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Open the file."""
        if self._file is None:
            self._descriptor = sys.stdin.fileno()
            return self
        if not self._file.is_file():
            raise DataError(
                f"there is no file {str(self._file)!r} to watch; give a CSV file, or pipe rows in"
            )
        self._descriptor = os.open(self._file, os.O_RDONLY)
        self._seek()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self._file is not None and self._descriptor >= 0:
            os.close(self._descriptor)

    def until(self, asked: Callable[[], bool]) -> Iterator[str]:
        """Lines until the end, or until `asked` says so; what has come by then is given out first."""
        stop_at: float | None = None
        while True:
            if stop_at is None and asked():
                stop_at = time.monotonic() + _DRAIN_SECONDS
            if stop_at is not None and time.monotonic() > stop_at:
                return
            chunk = self._read(0.0 if stop_at is not None else _POLL_SECONDS)
            if chunk is None:  # nothing yet
                if stop_at is not None:
                    return
                continue
            if chunk == b"":  # the end
                if self._waits() and stop_at is None:
                    time.sleep(_POLL_SECONDS)
                    self._look_for_restart()
                    continue
                if not self._waits() and self._rest:
                    yield from self._split(b"\n")
                return
            yield from self._split(chunk)

    def _waits(self) -> bool:
        return self._file is not None and self._follow

    def _read(self, seconds: float) -> bytes | None:
        if self._file is None and not select.select([self._descriptor], [], [], seconds)[0]:
            return None
        return os.read(self._descriptor, _CHUNK)

    def _split(self, chunk: bytes) -> Iterator[str]:
        self._rest += chunk
        while (end := self._rest.find(b"\n")) >= 0:
            line, self._rest = self._rest[:end], self._rest[end + 1 :]
            if self.offset is not None:
                self.offset += end + 1
            yield line.decode("utf-8", errors="replace").rstrip("\r")

    def _seek(self) -> None:
        if self.offset and os.fstat(self._descriptor).st_size < self.offset:
            self.offset, self.restarted = 0, True
        os.lseek(self._descriptor, self.offset or 0, os.SEEK_SET)

    def _look_for_restart(self) -> None:
        """A file that was cut, or replaced under its name (log rotation), is read from its beginning."""
        if self._file is None or self.offset is None:
            return
        try:
            named = os.stat(self._file)
        except FileNotFoundError:
            return
        own = os.fstat(self._descriptor)
        if named.st_ino != own.st_ino:
            os.close(self._descriptor)
            self._descriptor = os.open(self._file, os.O_RDONLY)
        elif own.st_size >= self.offset + len(self._rest):
            return
        self._rest, self.offset, self.restarted = b"", 0, True
        os.lseek(self._descriptor, 0, os.SEEK_SET)
