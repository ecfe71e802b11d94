"""What a stamp alone tells, known for the future too: hour of day, day of week, time of year."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gatewise.data.frequency import DAY, WEEK, Frequency, StampKind
from gatewise.data.zones import wall_clock

__all__ = ["calendar_features", "calendar_names"]

_YEAR = 365.25
# Sine and cosine of the first two harmonics draw a double peak a day; one suffices for the slower cycles.
_HARMONICS = {"hour": 2, "weekday": 2, "month": 1}


def calendar_names(frequency: Frequency, kind: StampKind) -> tuple[str, ...]:
    """Which cycles a series at this step has: those that are longer than the step.

    Example:
        >>> calendar_names(Frequency("fixed", 3_600_000_000_000), "time")
        ('hour', 'weekday', 'month')
        >>> calendar_names(Frequency("month", 1), "time")
        ('month',)
    """
    if kind == "integer":
        return ()
    if frequency.unit == "month":
        return ("month",) if frequency.count < 12 else ()
    cycles = (("hour", DAY), ("weekday", WEEK), ("month", int(_YEAR * DAY)))
    return tuple(name for name, length in cycles if frequency.count < length)


def calendar_features(
    stamps: NDArray[np.int64], names: tuple[str, ...], zone: str = ""
) -> NDArray[np.float32]:
    """Sines and cosines of the named cycles.

    Args:
        stamps: int64 nanoseconds since 1970, any shape.
        names: of "hour", "weekday", "month" (the time of the year, which moves smoothly through the months).
        zone: the time zone whose clock is read; "" for stamps without one.

    Returns:
        float32 of shape (*stamps.shape, features), in -1 to 1.
    """
    if not names:
        return np.zeros((*stamps.shape, 0), dtype=np.float32)
    stamps = wall_clock(stamps, zone)
    moments = stamps.astype("datetime64[ns]")
    years = moments.astype("datetime64[Y]").astype("datetime64[ns]").astype(np.int64)
    # 1 January 1970 was a Thursday; counted from Monday it is day 3.
    phases = {
        "hour": (stamps % DAY) / DAY,
        "weekday": ((stamps + 3 * DAY) % WEEK) / WEEK,
        "month": (stamps - years) / DAY / _YEAR,
    }
    columns = []
    for name in names:
        for harmonic in range(1, _HARMONICS[name] + 1):
            # In single precision numpy's waves are ten times as quick.
            angle = (2 * np.pi * harmonic * phases[name]).astype(np.float32)
            columns += [np.sin(angle), np.cos(angle)]
    return np.stack(columns, axis=-1)
