"""Time zones: their names, and between instants and what a clock on the wall shows there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gatewise.errors import DataError

__all__ = ["instants", "object_zone", "plain_moment", "text_zone", "wall_clock", "zone_name"]

Stamps = NDArray[np.int64]
_OFFSET = re.compile(r"(?:UTC)?([+-])(\d\d):?(\d\d)(?::00)?")
_TEXT_OFFSET = re.compile(r"\d\d:?\d\d(?::?\d\d(?:[.,]\d+)?)?\s*(Z|[+-]\d\d(?::?\d\d)?)$")


def wall_clock(stamps: Stamps, zone: str) -> Stamps:
    """What the clock shows at these instants (nanoseconds since 1970, UTC) in a zone; as they are without one.

    Example:
        >>> shown = wall_clock(
        ...     np.array([1_711_846_800 * 10**9]), "Europe/Berlin"
        ... )  # 01:00 UTC, summer time begins
        >>> str(shown.astype("datetime64[ns]").astype("datetime64[m]")[0])
        '2024-03-31T03:00'
    """
    if zone in ("", "UTC"):
        return stamps
    moments = pa.array(np.ravel(stamps)).view(pa.timestamp("ns", zone))
    return _numbers(pc.local_timestamp(moments)).reshape(np.shape(stamps))


def instants(shown: Stamps, zone: str) -> Stamps:
    """The instants at which the clock shows this: the first where it shows it twice, the jump where it skips it.

    Example:
        >>> shown = np.array(["2024-03-31T02:30"], dtype="datetime64[ns]").astype(np.int64)
        >>> str(instants(shown, "Europe/Berlin").astype("datetime64[ns]").astype("datetime64[m]")[0])
        '2024-03-31T01:00'
    """
    if zone in ("", "UTC"):
        return shown
    clock = pa.array(np.ravel(shown)).view(pa.timestamp("ns"))
    found = pc.assume_timezone(clock, zone, ambiguous="earliest", nonexistent="latest")
    return _numbers(found).reshape(np.shape(shown))


def zone_name(zone: tzinfo | str) -> str:
    """A zone's name in the IANA database; an offset of whole hours has one too, others stay as +05:30.

    Example:
        >>> zone_name("UTC+01:00"), zone_name("+05:30"), zone_name(UTC), zone_name("America/New_York")
        ('Etc/GMT-1', '+05:30', 'UTC', 'America/New_York')
    """
    name = str(zone)
    if name.startswith("tz") and hasattr(zone, "_filename"):  # dateutil
        name = str(zone._filename).rpartition("zoneinfo/")[2]
        name = "UTC" if name == "" else name
    if name in ("Z", "tzutc()", "+00:00", "-00:00", "Etc/UTC", "UTC"):
        return "UTC"
    fixed = re.fullmatch(r"pytz\.FixedOffset\((-?\d+)\)", name)
    if fixed is not None:
        minutes = int(fixed[1])
    elif (found := _OFFSET.fullmatch(name)) is not None:
        minutes = (int(found[2]) * 60 + int(found[3])) * (-1 if found[1] == "-" else 1)
    else:
        return name
    hours, rest = divmod(abs(minutes), 60)
    if minutes == 0:
        return "UTC"
    if rest == 0 and -12 <= minutes // 60 <= 14:
        return f"Etc/GMT{'-' if minutes > 0 else '+'}{hours}"  # their signs run the other way
    return f"{'+' if minutes > 0 else '-'}{hours:02d}:{rest:02d}"


def text_zone(texts: list[Any], column: str) -> str:
    """The zone of stamps as text, by the offset that each ends with; "" where none has one.

    Raises:
        DataError: rows have different offsets, or only some have one.

    Example:
        >>> text_zone(["2024-01-31 13:00-05:00"], "ds"), text_zone(["2024-01-31"], "ds")
        ('Etc/GMT+5', '')
    """
    found: dict[str, int] = {}
    for row, text in enumerate(texts):
        end = _TEXT_OFFSET.search(text)
        found.setdefault("" if end is None else end[1], row)
    zones: dict[str, int] = {}
    for end, row in found.items():
        whole = end if end in ("", "Z") or len(end) > 3 else f"{end}:00"
        zones.setdefault(zone_name(whole) if whole else "", row)
    return _only_zone(zones, column)


def object_zone(values: list[Any], column: str) -> str:
    """The one zone of Python's dates and date-times; "" where none has one."""
    zones: dict[str, int] = {}
    for row, value in enumerate(values):
        own = value.tzinfo if isinstance(value, datetime) else None
        zones.setdefault("" if own is None else zone_name(own), row)
    return _only_zone(zones, column)


def _only_zone(zones: dict[str, int], column: str) -> str:
    """The one zone that rows have.

    Args:
        zones: each zone ("" for none), and the first row that has it.
        column: the column's name, for the error.
    """
    if len(zones) > 1:
        (one, first), (other, second) = list(zones.items())[:2]
        raise DataError(
            f"column {column!r} mixes time zones: row {first} is {f'in {one}' if one else 'without a zone'}, row "
            f"{second} {f'in {other}' if other else 'without a zone'}; give all in one zone "
            "(pandas: pd.to_datetime(..., utc=True).dt.tz_convert(zone))"
        )
    return next(iter(zones), "")


def plain_moment(value: Any) -> Any:
    """A date or date-time of Python in UTC and without its zone, as numpy reads it."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _numbers(moments: Any) -> Stamps:
    numbers: Stamps = moments.view(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers
