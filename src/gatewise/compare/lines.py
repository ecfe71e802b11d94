"""Results as JSON lines: a run leaves one, whole and safe on disk, and none twice."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from gatewise.errors import StoreError

__all__ = ["Lines", "digest_of"]


class Lines:
    """The runs that are done, one JSON object a line.

    Lines of other runs (other settings, an earlier configuration) are left alone. A last line that was cut off while
    it was written is passed over.

    Args:
        path: the file, made with the first line.

    Raises:
        StoreError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, dict[str, Any]] = {}
        for row in self._read():
            self._rows[digest_of(row["run"])] = row

    def find(self, identity: dict[str, Any]) -> dict[str, Any] | None:
        """The line of a run, or None if it is not done."""
        return self._rows.get(digest_of(identity))

    def append(self, row: dict[str, Any]) -> None:
        """Write a line; it is on the disk when this returns.

        Args:
            row: plain JSON with the run's identity as "run".

        Raises:
            StoreError: it cannot be written.
        """
        text = json.dumps(row).encode() + b"\n"
        try:
            with open(self.path, "ab+") as file:
                if file.tell() > 0:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        text = b"\n" + text
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"{str(self.path)!r} cannot be written: {error.strerror}") from error
        self._rows[digest_of(row["run"])] = row

    def _read(self) -> list[dict[str, Any]]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{str(self.path)!r} cannot be read: {error.strerror}") from error
        rows = []
        for line in data.decode("utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("run"), dict):
                rows.append(row)
        return rows


def digest_of(identity: dict[str, Any]) -> str:
    """Sixteen digits that tell one run from another.

    Example:
        >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
