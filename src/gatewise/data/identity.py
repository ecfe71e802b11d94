"""What makes two values the same series, category, group or entity: one rule for every reader and estimator."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gatewise.errors import DataError

__all__ = ["Identities", "category_values", "identify", "identity_name", "identity_names"]


def identity_name(value: Any) -> str | None:
    """The text that stands for a value as a name: the same text, the same series, category, group or entity.

    Integers are named by their value, exactly, however large. A number with nothing behind the point is its integer:
    1.0 is 1; other numbers are the shortest text that reads back as them. Text stays as it is, so that `007` is not
    `7`. A truth value is True or False, and never 1 or 0. A date is its ISO text; a moment at midnight is its date,
    and a moment with a zone is told in UTC. Anything else is its `str`. Categories of pandas, polars and Arrow are
    named by their values, not by their codes.

    Args:
        value: of a cell, an array or a list.

    Returns:
        The name; None where the value is missing (None, NaN, NaT).

    Raises:
        DataError: the value is infinite, or bytes.

    Example:
        >>> [identity_name(one) for one in (7, 7.0, "007", 2**53 + 1, 2.5, True, date(2024, 1, 31), None)]
        ['7', '7', '007', '9007199254740993', '2.5', 'True', '2024-01-31', None]
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, np.datetime64 | np.timedelta64):
        return None if np.isnat(value) else _moment_text(str(value))
    if _is_missing(value):
        return None
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, float | np.floating | Decimal):
        return _number_name(value)
    if isinstance(value, datetime):
        own = value if value.tzinfo is None else value.astimezone(UTC)
        return _moment_text(own.isoformat())
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        raise DataError(f"a name must be text, a number or a date, came the bytes {value!r}; decode them")
    return str(value)


def identity_names(values: Iterable[Any]) -> NDArray[Any]:
    """The name of each of several values, as an array of text; a missing one is the text None.

    Example:
        >>> identity_names([1, 1.0, "a"]).tolist()
        ['1', '1', 'a']
    """
    return np.array([str(identity_name(one)) for one in values], dtype=str)


@dataclass(frozen=True)
class Identities:
    """The different values of a column.

    Args:
        codes: int64 of shape (rows,), each row's place among the names; -1 where it is missing.
        names: by `identity_name`, in the order in which they first come.
        originals: the first value of each name, as it was.
    """

    codes: NDArray[np.int64]
    names: list[str]
    originals: list[Any]


def identify(column: nw.Series[Any]) -> Identities:
    """The different values of a column by `identity_name`; as many Python objects as there are different values.

    Raises:
        DataError: a value cannot be a name, or a text and a number of one column would get one name.

    Example:
        >>> import pyarrow as pa
        >>> found = identify(nw.from_native(pa.chunked_array([[2**53 + 1, 2**53, None]]), series_only=True))
        >>> found.names, found.codes.tolist()
        (['9007199254740993', '9007199254740992'], [0, 1, -1])
    """
    codes, values = _encoded(column)
    used, first = np.unique(codes, return_index=True)
    place: dict[str, int] = {}
    originals: list[Any] = []
    among = np.full(len(values) + 1, -1, dtype=np.int64)  # the last: of rows without a value
    for code in used[np.argsort(first)].tolist():
        value = None if code < 0 else values[code]
        try:
            name = identity_name(value)
        except DataError as error:
            raise DataError(f"column {column.name!r}: {error}") from error
        if name is None:
            continue
        among[code] = place.setdefault(name, len(originals))
        if among[code] == len(originals):
            originals.append(value)
        elif isinstance(value, str) != isinstance(originals[among[code]], str):
            raise DataError(
                f"column {column.name!r} holds both the text {name!r} and the {type(value).__name__} {name}, which "
                "would be one name; make the column text throughout, or numbers"
            )
    return Identities(among[codes], list(place), originals)


def category_values(frame: nw.DataFrame[Any], name: str) -> NDArray[np.object_]:
    """A column as categories: the name of each row's value (`identity_name`), None where it is missing.

    Args:
        frame: the table.
        name: the column.

    Raises:
        DataError: a value cannot be a name.

    Example:
        >>> import pyarrow as pa
        >>> table = nw.from_native(pa.table({"store": [3.0, None, 2.5]}), eager_only=True)
        >>> category_values(table, "store").tolist()
        ['3', None, '2.5']
    """
    found = identify(frame.get_column(name))
    return np.array([*found.names, None], dtype=object)[found.codes]


def _encoded(column: nw.Series[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """Each row's index among the values (-1: missing), and these as Python objects, some perhaps unused."""
    try:
        arrow = column.to_arrow()
        if pa.types.is_floating(arrow.type):
            arrow = pc.if_else(pc.is_nan(arrow), None, arrow)
        if not pa.types.is_dictionary(arrow.type):
            arrow = pc.dictionary_encode(arrow)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):  # a column of mixed Python objects
        return _encoded_objects(column)
    if isinstance(arrow, pa.ChunkedArray):
        arrow = arrow.unify_dictionaries().combine_chunks()
        arrow = arrow.combine_chunks() if isinstance(arrow, pa.ChunkedArray) else arrow
    codes = pc.fill_null(pc.cast(arrow.indices, pa.int64()), -1).to_numpy(zero_copy_only=False)
    return codes, arrow.dictionary.to_pylist()


def _encoded_objects(column: nw.Series[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    known: dict[Any, int] = {}
    codes = np.full(len(column), -1, dtype=np.int64)
    for row, one in enumerate(column.to_list()):
        if not isinstance(one, Hashable):
            raise DataError(
                f"column {column.name!r}: row {row} holds a {type(one).__name__}, which is no name; give text, numbers "
                "or dates"
            )
        if not _is_missing(one):
            codes[row] = known.setdefault(
                (type(one), one), len(known)
            )  # by type as well: to Python, True is 1
    return codes, [one for _, one in known]


def _is_missing(value: Any) -> bool:
    """Whether it is None or not equal to itself; pandas' NA does not even say which."""
    if value is None:
        return True
    different = value != value
    return type(different).__name__ == "NAType" or bool(different)


def _number_name(value: Any) -> str:
    if not math.isfinite(value):
        raise DataError(f"a name must be text, a date or a finite number, came {value}; replace it")
    if value == int(value):
        return str(int(value))
    return repr(float(value)) if value == float(value) else format(value.normalize(), "f")


def _moment_text(text: str) -> str:
    """ISO text without a time that says nothing."""
    for nothing in ("+00:00", ".000000000", ".000000", ".000", "T00:00:00", "T00:00", "T00"):
        text = text.removesuffix(nothing)
    return text
