"""Results as JSON lines: one object a line, each safe on disk when it is written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gatewise.errors import StoreError

__all__ = ["append_row", "read_rows"]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines; none where there is no file.

    A line that was cut off while it was written, or is no object, is passed over.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    rows = []
    for line in data.decode("utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Write an object as a further line; it is on the disk when this returns.

    Args:
        path: the file, made if need be. A last line that was cut off stays a line of its own.
        row: plain JSON.

    Raises:
        StoreError: it cannot be written.
    """
    text = json.dumps(row).encode() + b"\n"
    try:
        with open(path, "ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    text = b"\n" + text
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror}") from error
