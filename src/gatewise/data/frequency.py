"""The step of a series in time: inferred from its stamps, or a clear error that names series and stamp.

A stamp is held as an int64: nanoseconds since 1970 where the table has dates, the number itself where it has
integers. A step is a fixed number of those, or a number of calendar months.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gatewise.errors import ArgumentError, DataError

__all__ = ["Frequency", "StampKind", "infer_frequency", "parse_frequency", "parse_stamp", "show_stamp"]

StampKind = Literal["time", "integer"]
Stamps = NDArray[np.int64]

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
WEEK = 7 * DAY
_UNITS = (
    (WEEK, "week"),
    (DAY, "day"),
    (HOUR, "hour"),
    (MINUTE, "minute"),
    (SECOND, "second"),
    (1, "nanosecond"),
)
_FIXED_UNITS = (
    (WEEK, ("W", "w", "week", "weeks")),
    (DAY, ("D", "d", "day", "days")),
    (HOUR, ("h", "H", "hour", "hours")),
    (MINUTE, ("min", "T", "m", "minute", "minutes")),
    (SECOND, ("s", "S", "sec", "second", "seconds")),
    (SECOND // 1000, ("ms", "L")),
    (SECOND // 1_000_000, ("us", "U")),
    (1, ("ns", "N")),
)
_MONTH_UNITS = (
    (1, ("M", "MS", "ME", "mo", "month", "months")),
    (3, ("Q", "QS", "QE", "q", "quarter", "quarters")),
    (12, ("Y", "YS", "YE", "A", "y", "year", "years")),
)
# Months differ in length, so their steps are counted in months and not in nanoseconds.
_SHORTEST_MONTH, _LONGEST_MONTH = 28 * DAY, 31 * DAY


@dataclass(frozen=True)
class Frequency:
    """A step in time.

    Args:
        unit: "fixed" (count in nanoseconds), "month" (count in calendar months) or "integer" (count in the
            numbers of the time column).
        count: how many units a step takes, at least 1.

    Example:
        >>> Frequency("fixed", 3_600_000_000_000).name, Frequency("month", 3).name
        ('hour', '3 months')
        >>> Frequency("fixed", 3_600_000_000_000).season_length
        24
    """

    unit: Literal["fixed", "month", "integer"]
    count: int

    @property
    def name(self) -> str:
        """The step in words."""
        if self.unit == "integer":
            return "step" if self.count == 1 else f"{self.count} (integer time)"
        if self.unit == "month":
            return "month" if self.count == 1 else f"{self.count} months"
        size, word = next((size, word) for size, word in _UNITS if self.count % size == 0)
        return word if self.count == size else f"{self.count // size} {word}s"

    @property
    def season_length(self) -> int:
        """Steps in the usual season: a day for less than a day, a week for days, a year for weeks and months."""
        if self.unit == "integer":
            return 1
        if self.unit == "month":
            return max(1, 12 // self.count) if 12 % self.count == 0 else 1
        for cycle in (DAY, WEEK):
            if self.count < cycle:
                return cycle // self.count if cycle % self.count == 0 else 1
        return 52 if self.count == WEEK else 1

    def position(self, stamps: Stamps, first: Stamps) -> tuple[Stamps, NDArray[np.bool_]]:
        """Number of steps from `first` to each stamp, and whether that number is whole."""
        if self.unit == "month":
            months, first_months = _months(stamps), _months(first)
            ahead = months - first_months
            whole = (ahead % self.count == 0) & _same_place_in_month(stamps, first)
        else:
            ahead = stamps - first
            whole = ahead % self.count == 0
        return ahead // self.count, whole

    def ahead(self, stamp: int | np.int64 | Stamps, steps: Stamps) -> Stamps:
        """The stamps `steps` steps after `stamp` (negative: before it)."""
        if self.unit != "month":
            return np.asarray(stamp, dtype=np.int64) + steps * self.count
        return _add_months(
            np.broadcast_to(np.asarray(stamp, dtype=np.int64), np.shape(steps)), steps * self.count
        )


def infer_frequency(stamps: Stamps, starts: Stamps, names: list[str], kind: StampKind) -> Frequency:
    """Infer the one step that all series share.

    Args:
        stamps: int64, the stamps of all series one after another, sorted within each and without repeats.
        starts: int64, where each series begins in `stamps`, and after them the total number.
        names: the series' names, for errors.
        kind: "time" or "integer".

    Returns:
        The step: for each series the most frequent distance between neighbours.

    Raises:
        DataError: no series has two rows, or two series have different steps.
    """
    uniform = _uniform_step(stamps, starts, kind)
    if uniform is not None:
        return uniform
    found: Frequency | None = None
    found_in = ""
    for index, name in enumerate(names):
        own = _step_of(stamps[starts[index] : starts[index + 1]], kind)
        if own is None:
            continue
        if found is None:
            found, found_in = own, name
        elif own != found:
            raise DataError(
                f"the table mixes frequencies: series {found_in!r} has one row per {found.name}, series {name!r} one "
                f"per {own.name} (first stamp {show_stamp(stamps[starts[index]], kind)}). Fit one model per "
                "frequency, bring the series to one step first, or say freq= where the rows are merely rare."
            )
    if found is None:
        raise DataError(
            f"the step in time cannot be told: no series has two rows (series {names[0]!r} has "
            f"{starts[1] - starts[0]}). Give at least two stamps per series, or say freq=."
        )
    return found


def parse_frequency(freq: object) -> Frequency:
    """A step that a user wrote: an integer, or text as in pandas or polars ("h", "15min", "D", "W", "MS", "1mo").

    Args:
        freq: a whole number of at least 1 for integer stamps; otherwise a count (1 if left out) and a unit: s, min
            (or m), h, d, w, month (or M, MS, ME, mo), quarter (Q, QS, QE, q), year (Y, YS, YE, y), ms, us, ns. What
            pandas says after a dash (W-SUN) is left to the stamps themselves.

    Raises:
        ArgumentError: it is no step that is known.

    Example:
        >>> parse_frequency("15min").name, parse_frequency("MS").name, parse_frequency(2).unit
        ('15 minutes', 'month', 'integer')
    """
    if isinstance(freq, int | np.integer) and not isinstance(freq, bool) and freq >= 1:
        return Frequency("integer", int(freq))
    found = re.fullmatch(r"(\d*)\s*([A-Za-z]+)(-[A-Z]+)?", freq.strip()) if isinstance(freq, str) else None
    if found is not None and (found[1] == "" or int(found[1]) > 0):
        count, unit = int(found[1] or 1), found[2]
        months = next((size for size, names in _MONTH_UNITS if unit in names), None)
        if months is not None:
            return Frequency("month", count * months)
        size = next((size for size, names in _FIXED_UNITS if unit in names), None)
        if size is not None:
            return Frequency("fixed", count * size)
    raise ArgumentError(
        f'freq: a step such as "h", "15min", "D", "W", "MS" or (integer stamps) a whole number of at least 1 is '
        f"expected, came {freq!r}"
    )


def show_stamp(stamp: int | np.int64, kind: StampKind) -> str:
    """A stamp as a reader would write it."""
    if kind == "integer":
        return str(int(stamp))
    text = str(np.datetime64(int(stamp), "ns"))
    date, _, clock = text.partition("T")
    clock = clock.rstrip("0").rstrip(".") if "." in clock else clock
    clock = clock if clock.count(":") == 2 else (clock + ":00" if clock.count(":") == 1 else clock)
    return f"{date} {clock[:5] if clock.endswith(':00') or len(clock) < 8 else clock}"


def _uniform_step(stamps: Stamps, starts: Stamps, kind: StampKind) -> Frequency | None:
    """The step where all neighbours of all series are equally far apart and no month is in play; else None."""
    if len(stamps) < 2:
        return None
    inner = np.ones(len(stamps) - 1, dtype=bool)
    inner[starts[1:-1][(starts[1:-1] > 0) & (starts[1:-1] < len(stamps))] - 1] = False
    gaps = np.diff(stamps)
    if not inner.any():
        return None
    step = int(gaps[inner][0])
    if not (gaps == step)[inner].all() or (kind == "time" and step >= _SHORTEST_MONTH):
        return None
    return Frequency("integer" if kind == "integer" else "fixed", step)


def _step_of(stamps: Stamps, kind: StampKind) -> Frequency | None:
    if len(stamps) < 2:
        return None
    gaps = np.diff(stamps)
    values, counts = np.unique(gaps, return_counts=True)
    usual = int(values[counts.argmax()])
    if kind == "integer":
        return Frequency("integer", usual)
    months = _months_apart(stamps)
    if months is not None:
        return Frequency("month", months)
    return Frequency("fixed", usual)


def _months_apart(stamps: Stamps) -> int | None:
    """The step in months where every stamp keeps its place in the month, else None."""
    if np.diff(stamps).min() < _SHORTEST_MONTH or not _same_place_in_month(stamps, stamps[:1]).all():
        return None
    ahead = np.diff(_months(stamps))
    if len(stamps) == 2 and ahead[0] == 0:
        return None
    values, counts = np.unique(ahead, return_counts=True)
    return int(values[counts.argmax()])


def _months(stamps: Stamps) -> Stamps:
    return stamps.astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64)


def _same_place_in_month(stamps: Stamps, first: Stamps) -> NDArray[np.bool_]:
    """Whether each stamp lies where `first` lies in its month: the same day and time, or both on the last day."""
    into, until = _offset(stamps), _until_month_end(stamps)
    return (into == _offset(first)) | ((until == _until_month_end(first)) & (until <= DAY))


def _offset(stamps: Stamps) -> Stamps:
    start = stamps.astype("datetime64[ns]").astype("datetime64[M]").astype("datetime64[ns]").astype(np.int64)
    return stamps - start


def _until_month_end(stamps: Stamps) -> Stamps:
    following = (stamps.astype("datetime64[ns]").astype("datetime64[M]") + 1).astype("datetime64[ns]")
    return following.astype(np.int64) - stamps


def _add_months(stamps: Stamps, months: Stamps) -> Stamps:
    target = (stamps.astype("datetime64[ns]").astype("datetime64[M]") + months).astype("datetime64[M]")
    begin = target.astype("datetime64[ns]").astype(np.int64)
    end = (target + 1).astype("datetime64[ns]").astype(np.int64)
    at_end = _until_month_end(stamps) <= DAY
    return np.where(at_end, end - _until_month_end(stamps), begin + _offset(stamps))


def parse_stamp(stamp: object, kind: StampKind) -> int:
    """A stamp that a user wrote, as an int64: text (ISO 8601), a date, a date-time, or an integer.

    Raises:
        ArgumentError: it is no stamp of that kind.

    Example:
        >>> parse_stamp("1970-01-02", "time") == DAY
        True
    """
    if kind == "integer":
        if isinstance(stamp, int | np.integer) and not isinstance(stamp, bool):
            return int(stamp)
        raise ArgumentError(f"stamp: an integer is expected, as in the time column, came {stamp!r}")
    try:
        return int(
            np.datetime64(str(stamp) if not isinstance(stamp, np.datetime64) else stamp, "ns").astype(
                np.int64
            )
        )
    except ValueError:
        raise ArgumentError(
            f"stamp: text of the form 2024-01-31 or 2024-01-31 13:00 is expected, came {stamp!r}"
        ) from None
