"""The step of a series in time: inferred from its stamps, or a clear error that names series and stamp.

A stamp is held as an int64: nanoseconds since 1970 where the table has dates, the number itself where it has
integers. A step is a fixed number of those, or a number of calendar months.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gatewise.data.zones import instants, text_zone, wall_clock
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
# Summer time takes at most this from a day.
_LONGEST_JUMP = 2 * HOUR


@dataclass(frozen=True)
class Frequency:
    """A step in time.

    Args:
        unit: "fixed" (count in nanoseconds), "month" (count in calendar months) or "integer" (count in the
            numbers of the time column).
        count: how many units a step takes, at least 1.
        last: for months, the day (28 to 31) that a stamp on the last day of its month stands for: 31 is the month's
            end, 30 the 30th, which in February is the 28th or 29th. 0: not decided yet (see `settled`).
        zone: the time zone's name, "" for none. Stamps are instants all the same; steps of whole days and of months
            are counted by the clock on the wall there, shorter ones in absolute time.

    Example:
        >>> Frequency("fixed", 3_600_000_000_000).name, Frequency("month", 3).name
        ('hour', '3 months')
        >>> Frequency("fixed", 3_600_000_000_000).season_length
        24
    """

    unit: Literal["fixed", "month", "integer"]
    count: int
    last: int = field(default=0, compare=False)
    zone: str = field(default="", compare=False)

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
        shown, start = self._shown(stamps), self._shown(first)
        if self.unit == "month":
            steps = (_months(shown) - _months(start)) // self.count
        else:
            steps = (shown - start) // self.count
        return steps, self.ahead(first, steps) == stamps

    def ahead(self, stamp: int | np.int64 | Stamps, steps: Stamps) -> Stamps:
        """The stamps `steps` steps after `stamp` (negative: before it)."""
        start = self._shown(np.asarray(stamp, dtype=np.int64))
        if self.unit != "month":
            later = start + steps * self.count
        else:
            later = _add_months(np.broadcast_to(start, np.shape(steps)), steps * self.count, self.last)
        return instants(later, self.zone) if self._by_clock else later

    @property
    def _by_clock(self) -> bool:
        """Whether steps are counted by the clock on the wall."""
        return self.zone != "" and (self.unit == "month" or (self.unit == "fixed" and self.count % DAY == 0))

    def _shown(self, stamps: Stamps) -> Stamps:
        return wall_clock(stamps, self.zone) if self._by_clock else stamps

    def settled(self, stamps: Stamps, starts: Stamps, names: list[str]) -> Frequency:
        """This step, with `last` decided from all stamps of all series, where it is not decided yet.

        A series on a late day (28 to 30) shows it by one stamp that is not its month's last. Series without such a
        stamp lie on month ends, as pandas reads them too, unless another series shows the day.

        Raises:
            DataError: two series lie on different late days, so that the end of a short month could be either.

        Example:
            >>> days = np.array(["2021-02-28", "2021-03-28"], dtype="datetime64[ns]").astype(np.int64)
            >>> Frequency("month", 1).settled(days, np.array([0, 2]), ["a"]).last
            28
        """
        if self.unit != "month" or self.last:
            return self
        stamps = self._shown(stamps)
        late = np.where(_until_month_end(stamps) > DAY, _offset(stamps) // DAY + 1, 0)
        shown = np.flatnonzero(late >= _SHORTEST_MONTH // DAY)
        days = np.unique(late[shown])
        if len(days) > 1:
            row, other = (int(shown[late[shown] == day][0]) for day in days[:2])
            one, two = (names[int(np.searchsorted(starts, at, side="right")) - 1] for at in (row, other))
            raise DataError(
                f"series {one!r} has a row at {show_stamp(stamps[row], 'time')}, series {two!r} one at "
                f"{show_stamp(stamps[other], 'time')}: whether the step ({self.name}) is counted on the "
                f"{days[0]}th or on the {days[1]}th of the month cannot be told. Bring all to one day of the month."
            )
        return replace(self, last=int(days[0]) if len(days) else 31)


def infer_frequency(
    stamps: Stamps, starts: Stamps, names: list[str], kind: StampKind, zone: str = ""
) -> Frequency:
    """Infer the one step that all series share.

    Args:
        stamps: int64, the stamps of all series one after another, sorted within each and without repeats.
        starts: int64, where each series begins in `stamps`, and after them the total number.
        names: the series' names, for errors.
        kind: "time" or "integer".
        zone: the time zone's name, "" for none: steps of days and more are inferred from the clock on the wall.

    Returns:
        The step: for each series the most frequent distance between neighbours.

    Raises:
        DataError: no series has two rows, or two series have different steps.
    """
    if zone and kind == "time":
        gaps = np.delete(np.diff(stamps), starts[1:-1] - 1)
        if len(gaps) and gaps.min() >= DAY - _LONGEST_JUMP:
            found = infer_frequency(wall_clock(stamps, zone), starts, names, kind)
            if found.unit == "month" or found.count % DAY == 0:
                return replace(found, zone=zone)
        return replace(infer_frequency(stamps, starts, names, kind), zone=zone)
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
            pandas says after a dash (W-SUN) is left to the stamps themselves. A timedelta of Python, numpy or pandas
            and an offset of pandas will do too.

    Raises:
        ArgumentError: it is no step that is known.

    Example:
        >>> parse_frequency("15min").name, parse_frequency("MS").name, parse_frequency(2).unit
        ('15 minutes', 'month', 'integer')
    """
    span = _span(freq)
    if span is not None and span >= 1:
        return Frequency("fixed", span)
    if isinstance(freq, int | np.integer) and not isinstance(freq, bool | np.timedelta64) and freq >= 1:
        return Frequency("integer", int(freq))
    freq = getattr(freq, "freqstr", freq)  # an offset of pandas
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


def _span(freq: object) -> int | None:
    """The nanoseconds of a fixed span of time (of Python, numpy or pandas); None for anything else."""
    if isinstance(freq, timedelta):  # pandas' own are such too; they alone hold nanoseconds
        return (
            (freq.days * 86_400 + freq.seconds) * SECOND
            + freq.microseconds * 1000
            + getattr(freq, "nanoseconds", 0)
        )
    if isinstance(freq, np.timedelta64) and not np.isnat(freq) and np.datetime_data(freq)[0] not in "YM":
        return (
            int(freq.astype("timedelta64[ns]").astype(np.int64))
            if np.datetime_data(freq)[0] != "generic"
            else None
        )
    return None


def show_stamp(stamp: int | np.int64, kind: StampKind, zone: str = "") -> str:
    """A stamp as a reader would write it, by the clock of its zone."""
    if kind == "integer":
        return str(int(stamp))
    text = str(wall_clock(np.array(stamp, dtype=np.int64), zone).astype("datetime64[ns]"))
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
    if np.diff(stamps).min() < _SHORTEST_MONTH:
        return None
    ahead = _months(stamps) - _months(stamps[:1])
    days = _offset(stamps) // DAY + 1
    for last in (31, int(days.max())):
        if (_add_months(np.broadcast_to(stamps[:1], ahead.shape), ahead, last) == stamps).all():
            break
    else:
        return None
    gaps = np.diff(ahead)
    if len(stamps) == 2 and gaps[0] == 0:
        return None
    values, counts = np.unique(gaps, return_counts=True)
    return int(values[counts.argmax()])


def _months(stamps: Stamps) -> Stamps:
    return stamps.astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64)


def _offset(stamps: Stamps) -> Stamps:
    start = stamps.astype("datetime64[ns]").astype("datetime64[M]").astype("datetime64[ns]").astype(np.int64)
    return stamps - start


def _until_month_end(stamps: Stamps) -> Stamps:
    following = (stamps.astype("datetime64[ns]").astype("datetime64[M]") + 1).astype("datetime64[ns]")
    return following.astype(np.int64) - stamps


def _add_months(stamps: Stamps, months: Stamps, last: int) -> Stamps:
    """The same place `months` later; a day that the month lacks becomes its last (`last`: see `Frequency`)."""
    target = (stamps.astype("datetime64[ns]").astype("datetime64[M]") + months).astype("datetime64[M]")
    begin = target.astype("datetime64[ns]").astype(np.int64)
    end = (target + 1).astype("datetime64[ns]").astype(np.int64)
    day, clock = np.divmod(_offset(stamps), DAY)
    day = np.where(_until_month_end(stamps) <= DAY, np.maximum(day, (last or 31) - 1), day)
    return np.minimum(begin + day * DAY, end - DAY) + clock


def parse_stamp(stamp: object, kind: StampKind, zone: str = "") -> int:
    """A stamp that a user wrote, as an int64: text (ISO 8601), a date, a date-time, or an integer.

    What has no zone of its own is read by the clock of `zone`, the series'.

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
        text = str(stamp)
        with (
            warnings.catch_warnings()
        ):  # numpy reads offsets as wanted, and says each time that UTC comes out
            warnings.simplefilter("ignore")
            moment = np.array(np.datetime64(text, "ns").astype(np.int64))
        return int(moment if text_zone([text], "stamp") else instants(moment, zone))
    except ValueError:
        raise ArgumentError(
            f"stamp: text of the form 2024-01-31 or 2024-01-31 13:00 is expected, came {stamp!r}"
        ) from None
