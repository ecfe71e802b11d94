"""What `gatewise fit` was told about reading files, kept in the model folder: other commands read alike unasked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatewise.errors import StoreError

__all__ = ["READING", "Kept", "copy_reading", "keep_reading", "with_kept"]

READING = "reading.json"
_MOST_BYTES = 2**20


class Kept(tuple[str, ...]):
    """Names of columns that the folder remembers: one that a file lacks is no mistake of who gives the command."""

    __slots__ = ()


def keep_reading(folder: Path, options: Mapping[str, Any]) -> None:
    """Write down options about reading files.

    Args:
        folder: of the model.
        options: by the names that they have on the command line, without dashes: texts, integers, tuples of texts;
            None or () where one was not given.
    """
    from gatewise.store import atomic_write

    given = {name: value for name, value in options.items() if value not in (None, ())}
    atomic_write(folder / READING, (json.dumps(given, indent=2) + "\n").encode())


def copy_reading(folder: Path, other: Path) -> None:
    """Give another folder with the same model what this one remembers."""
    if other != folder and (kept := _read(folder)):
        keep_reading(other, kept)


def with_kept(folder: Path, options: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Options as given, and in place of those that were not what `fit` was told.

    Args:
        folder: of the model.
        options: by name; None or () where one was not given.
        names: those that may be taken from the folder.

    Raises:
        StoreError: the folder's file is damaged.
    """
    kept = _read(folder)
    found = dict(options)
    for name in names & found.keys() & kept.keys():
        if found[name] in (None, ()):
            found[name] = Kept(kept[name]) if isinstance(kept[name], list) else kept[name]
    return found


def _read(folder: Path) -> dict[str, Any]:
    from gatewise.store.files import read_file

    path = folder / READING
    if not path.exists():
        return {}
    try:
        kept = json.loads(read_file(path, limit=_MOST_BYTES))
    except ValueError as error:
        raise StoreError(
            f"{path} is damaged ({error}); remove it, and name the columns by options"
        ) from error
    if not isinstance(kept, dict) or not all(_plain(value) for value in kept.values()):
        raise StoreError(f"{path} is damaged; remove it, and name the columns by options")
    return kept


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    return isinstance(value, str | int) and not isinstance(value, bool)
