"""Strict JSON: what is read is exactly what was written, or an error that names the file."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn

import numpy as np
import torch

from gatewise.errors import ArgumentError, ArgumentTypeError, StoreError

__all__ = ["canonical_json", "check_plain", "digest", "parse_json", "plain"]

# A model's configuration nests a program's graph: some ten levels. The limit stays far from the parser's own.
_MOST_LEVELS = 64
# A string (closed or not) or one bracket. The unrolled form cannot backtrack: time is linear in the text.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)


def parse_json(data: bytes, source: str | os.PathLike[str]) -> dict[str, Any]:
    """Parse one JSON object, refusing everything that plain JSON in UTF-8 cannot say.

    Args:
        data: the bytes.
        source: the file they came from, for the message.

    Returns:
        The object.

    Raises:
        StoreError: it is torn, not UTF-8, not an object, too deeply nested; a key comes twice; a number is
            NaN, infinite or too large; a string holds half a surrogate pair.

    Example:
        >>> parse_json(b'{"hidden": 8}', "config.json")
        {'hidden': 8}
        >>> parse_json(b'{"scale": NaN}', "config.json")
        Traceback (most recent call last):
        ...
        gatewise.errors.StoreError: config.json is damaged: the number NaN is not JSON; ...
    """
    try:
        text = data.decode("utf-8")
        _check_depth(text)
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        text = canonical_json(value).decode("utf-8")
    except UnicodeError as error:
        raise _damaged(source, f"it is not UTF-8 text ({getattr(error, 'reason', error)})") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(source, str(error) if data.strip() else "it is empty") from error
    if not isinstance(value, dict):
        raise _damaged(source, f"an object is expected, a {type(value).__name__} came")
    return value


def canonical_json(value: Any) -> bytes:
    """Write a plain value in the one form that its digest is taken of: sorted keys, no spaces, UTF-8.

    Args:
        value: what `check_plain` accepts.

    Returns:
        The bytes.

    Example:
        >>> canonical_json({"b": 1, "a": [1.5, None]})
        b'{"a":[1.5,null],"b":1}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def digest(data: bytes) -> str:
    """Return the sha256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def check_plain(value: Any, where: str) -> None:
    """Refuse what JSON would change or lose.

    Args:
        value: dicts with string keys, lists, tuples (they come back as lists), strings, finite numbers,
            booleans and None are accepted.
        where: the argument's name, for the message; grows by the keys that lead to the fault.

    Raises:
        ArgumentTypeError: something else is inside.
        ArgumentError: a number is not finite, or it is nested more than 60 levels deep.
    """
    _check_plain(value, where, _MOST_LEVELS - 4)


def _check_plain(value: Any, where: str, levels: int) -> None:
    if levels < 0:
        raise ArgumentError(
            f"{where[:80]}...: nested too deeply to be stored; at most {_MOST_LEVELS - 4} levels"
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            if type(key) is not str:
                raise ArgumentTypeError(f"{where}: keys must be strings to be stored, came {key!r}")
            _check_text(key, where)
            _check_plain(item, f"{where}[{key!r}]", levels - 1)
        if type(value) is not dict:
            raise ArgumentTypeError(
                f"{where}: a dict is expected, came {type(value).__name__}; convert it by dict()"
            )
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_plain(item, f"{where}[{index}]", levels - 1)
    elif type(value) is str:
        _check_text(value, where)
    elif type(value) is float:
        if not math.isfinite(value):
            raise ArgumentError(f"{where}: a finite number is expected, came {value}; JSON has no other")
    elif type(value) is int:
        if abs(value) >= 2**1024:
            raise ArgumentError(f"{where}: the integer is too large to be stored")
    elif value is not None and type(value) is not bool:
        raise ArgumentTypeError(
            f"{where}: str, int, float, bool, None, list or dict is expected, came {type(value).__name__}; "
            "convert it to one of them"
        )


def _check_text(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ArgumentError(f"{where}: the string cannot be written as UTF-8 ({error.reason})") from error


def _check_depth(text: str) -> None:
    """Refuse deep nesting before the recursive parser sees it."""
    depth = 0
    for token in _TOKEN.finditer(text):
        first = token.group()[0]
        if first in "[{":
            depth += 1
            if depth > _MOST_LEVELS:
                raise ValueError(f"it is nested more than {_MOST_LEVELS} levels deep")
        elif first in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} comes twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"the number {name} is not JSON")


def _damaged(source: str | os.PathLike[str], what: str) -> StoreError:
    return StoreError(f"{os.fspath(source)} is damaged: {what}; restore the file or save the model anew")


def plain(value: Any, digits: int | None = None, *, exact: str | None = None) -> Any:
    """The value as JSON can hold it: dataclasses as objects, tuples as lists, numpy's numbers as Python's.

    Args:
        value: of any depth.
        digits: that count in numbers with a fraction; None: all.
        exact: what the value is, where it is read back to compute with: a number that is not finite is then an error.

    Returns:
        The same in dicts, lists and numbers; what is not finite is None (for a reader, not for a computation).

    Raises:
        StoreError: a number is not finite, and `exact` was given.

    Example:
        >>> plain({"share": np.array([1 / 3, np.nan])}, digits=3)
        {'share': [0.333, None]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name), digits, exact=exact and f"{exact}.{field.name}")
            for field in fields(value)
        }
    if isinstance(value, Mapping):
        return {
            str(key): plain(one, digits, exact=exact and f"{exact}[{key!r}]") for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain(one, digits, exact=exact) for one in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), digits, exact=exact)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            if exact is not None:
                raise StoreError(
                    f"{exact} is {value}, which no model can be computed with; fit to finite numbers"
                )
            return None
        return value if digits is None else float(f"{value:.{digits}g}")
    return value
