"""The runs of a comparison that are done, as JSON lines: a run leaves one, and none is done twice."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from gatewise.store.rows import append_row, read_rows

__all__ = ["Lines", "digest_of"]


class Lines:
    """The runs that are done, one JSON object a line.

    Lines of other runs (other settings, an earlier configuration) are left alone.

    Args:
        path: the file, made with the first line.

    Raises:
        StoreError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        rows = (row for row in read_rows(path) if isinstance(row.get("run"), dict))
        self._rows = {digest_of(row["run"]): row for row in rows}

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
        append_row(self.path, row)
        self._rows[digest_of(row["run"])] = row


def digest_of(identity: dict[str, Any]) -> str:
    """Sixteen digits that tell one run from another.

    Example:
        >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
