"""Errors about names: what was meant, most likely."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from gatewise.errors import ArgumentError

__all__ = ["check_keys", "unknown"]


def unknown(where: str, name: str, known: Iterable[str]) -> ArgumentError:
    """An error that names the nearest known names first.

    Args:
        where: what is named, for the message's beginning.
        name: what came.
        known: all that may come.

    Example:
        >>> str(unknown("cells", "ltsm", ["gru", "lstm"]))
        "cells: 'ltsm' is not known; did you mean 'lstm'? Known: gru, lstm"
    """
    listed = sorted(known)
    near = difflib.get_close_matches(name, listed, n=2, cutoff=0.5)
    meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    return ArgumentError(f"{where}: {name!r} is not known{meant} Known: {', '.join(listed)}")


def check_keys(where: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raises at the first key that is not known."""
    allowed = list(known)
    for key in given:
        if key not in allowed:
            raise unknown(where, key, allowed)
