"""What a detector reads: series of one or many channels, from arrays or tables, checked and laid out in columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from gatewise.data.frames import (
    ID,
    TIME,
    FrameKind,
    column_values,
    is_frame,
    open_frame,
    series_codes,
    stamp_values,
)
from gatewise.data.frequency import Frequency, StampKind, infer_frequency, show_stamp
from gatewise.data.magnitude import size_faults
from gatewise.errors import DataError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.anomaly.arrays import series_of_array

__all__ = ["Reading", "Series", "read_series"]

# What a column of stamps is called, the first that is there.
TIME_NAMES = (TIME, "timestamp", "time", "date", "datetime")
Values = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """How rows are read.

    Args:
        missing: "error" refuses missing values, "mask" leaves them out.
        spacing: "even" wants stamps at one step without holes; "rows" takes each row as the next step, whatever its
            stamp says.
        columns: the channels' names that are expected; None takes them from the data.
        frequency: the step that is expected, or None.
    """

    missing: str
    spacing: str
    columns: tuple[str, ...] | None = None
    frequency: Frequency | None = None


@dataclass(frozen=True)
class Series:
    """Series of the same channels, one after another.

    Args:
        names: the series' names.
        starts: int64 of shape (series + 1,), where each begins, and the total at the end.
        values: float64 of shape (rows, channels), NaN where missing.
        columns: the channels' names.
        stamps: int64 of shape (rows,), nanoseconds since 1970 or integers.
        kind: whether stamps are times or integers.
        frequency: the step in time; None where rows are the steps.
        order: (rows,) the place of each row in what came in.
        frame: what kind of table it came from; None for an array.
        ids: the names as they were in the table.
        time_name: the name of the table's column of stamps.
        has_names: whether the table names its series.
    """

    names: list[str]
    starts: Whole
    values: Values
    columns: tuple[str, ...]
    stamps: Whole
    kind: StampKind
    frequency: Frequency | None
    order: Whole
    frame: FrameKind | None = None
    ids: tuple[Any, ...] = ()
    time_name: str = TIME
    has_names: bool = False

    def __len__(self) -> int:
        return len(self.names)

    @property
    def rows(self) -> int:
        """Rows of all series together."""
        return int(self.starts[-1])

    @property
    def zone(self) -> str:
        """The name of the stamps' time zone, "" where they have none."""
        return self.frame.zone if self.frame is not None else ""

    def show(self, stamp: int | np.int64) -> str:
        """A stamp as a reader would write it, by the clock of its zone."""
        return show_stamp(stamp, self.kind, self.zone)

    @property
    def lengths(self) -> Whole:
        """Rows of each series."""
        return np.diff(self.starts)

    def of(self, index: int) -> slice:
        """The rows of one series."""
        return slice(int(self.starts[index]), int(self.starts[index + 1]))

    def as_given(self, values: NDArray[Any]) -> NDArray[Any]:
        """A value per row, in the order in which the rows came in."""
        back = np.empty_like(values)
        back[self.order] = values
        return back

    def table(self, columns: dict[str, NDArray[Any]]) -> Any:
        """A table of the kind that came in: names (where it had them), stamps, and a column for each of `columns`."""
        frame = self.frame or FrameKind("pyarrow")
        ids = [self.ids[index] for index in np.repeat(np.arange(len(self)), self.lengths)]
        given = {name: self.as_given(values) for name, values in columns.items()}
        built = frame.build(
            [ids[row] for row in np.argsort(self.order)], self.as_given(self.stamps), self.kind, given
        )
        wrapped = nw.from_native(built, eager_only=True).rename({TIME: self.time_name})
        return (wrapped if self.has_names else wrapped.drop(ID)).to_native()


@no_type_check
def read_series(data: Any, how: Reading) -> Series:
    """Read what a user gives.

    Args:
        data: a table with a column of stamps (ds, timestamp, time, date or datetime), one column per channel, and
            unique_id where it holds several series; or an array of shape (time, channels) or (samples, time,
            channels); or a list of arrays of shape (time, channels), one per series.
        how: the rules.

    Returns:
        The series, in the order of the data; those of a table by name.

    Raises:
        ArgumentTypeError: something else came.
        DataError: rows, columns or values that cannot be used; the message names series and stamp.
    """
    if is_frame(data):
        series = _from_frame(data, how)
    else:
        names, values, order = series_of_array(data, how.missing, how.columns)
        starts = np.concatenate([[0], np.cumsum([len(one) for one in values])]).astype(np.int64)
        stamps = np.concatenate([np.arange(len(one), dtype=np.int64) for one in values])
        stacked = np.concatenate(values)
        columns = how.columns or tuple(f"x{index}" for index in range(stacked.shape[1]))
        series = Series(
            names,
            starts,
            stacked,
            columns,
            stamps,
            "integer",
            Frequency("integer", 1),
            order,
            ids=tuple(names),
        )
    _check_values(series, how.missing)
    return series


def _from_frame(data: Any, how: Reading) -> Series:
    frame, _ = open_frame(data)
    time = next((name for name in TIME_NAMES if name in frame.columns), None)
    if time is None:
        raise DataError(
            f"the table has no column of stamps; it has {list(frame.columns)}. Expected one named "
            f"{', '.join(TIME_NAMES)}: rename yours."
        )
    if len(frame) == 0:
        raise DataError("the table is empty: it has columns, but no row")
    try:
        frame, kind_of_frame = open_frame(frame.rename({time: TIME}).to_native())
        listed, codes, ids = series_codes(frame)
        stamps, kind = stamp_values(frame)
    except DataError as error:
        raise DataError(str(error).replace(f"column {TIME!r}", f"column {time!r}")) from error
    order = np.argsort(codes, kind="stable").astype(np.int64)
    starts = np.searchsorted(codes[order], np.arange(len(listed) + 1)).astype(np.int64)
    columns = _channels(frame, how.columns)
    values = np.stack([_numbers(frame, name) for name in columns], axis=1)[order]
    stamps = stamps[order]
    frequency = None
    if how.spacing == "even":
        _check_order(stamps, starts, listed, kind, kind_of_frame.zone)
        frequency = _check_step(stamps, starts, listed, kind, how.frequency, kind_of_frame.zone)
    return Series(
        listed, starts, values, columns, stamps, kind, frequency, order, kind_of_frame,
        tuple(ids), time, ID in frame.columns,
    )  # fmt: skip


def _channels(frame: nw.DataFrame[Any], expected: tuple[str, ...] | None) -> tuple[str, ...]:
    # What pyarrow makes of a pandas index is no channel.
    found = [
        name for name in frame.columns if name not in (ID, TIME) and not name.startswith("__index_level_")
    ]
    if expected is None:
        if not found:
            raise DataError(
                "the table has no channel: beside stamps and names a numeric column is expected, such as 'value'"
            )
        return tuple(found)
    absent, unknown = [n for n in expected if n not in found], [n for n in found if n not in expected]
    if absent or unknown:
        faults = [f"lacks {', '.join(map(repr, absent))}"] if absent else []
        faults += [f"has the unknown {', '.join(map(repr, unknown))}"] if unknown else []
        raise DataError(
            f"the table {' and '.join(faults)}; the detector was fitted to the channels {list(expected)}. Rename or "
            "leave out what differs."
        )
    return expected


def _numbers(frame: nw.DataFrame[Any], name: str) -> Values:
    values = column_values(frame, name)
    if values.dtype == object:
        raise DataError(f"column {name!r} holds text; a channel must be numeric. Leave it out or convert it.")
    return values.astype(np.float64)


def _check_order(stamps: Whole, starts: Whole, names: list[str], kind: StampKind, zone: str) -> None:
    owner = np.repeat(np.arange(len(names)), np.diff(starts))
    same = np.diff(owner) == 0
    back = np.flatnonzero((np.diff(stamps) < 0) & same)
    if len(back):
        row = int(back[0])
        raise DataError(
            f"series {names[owner[row]]!r} is not in the order of time: {show_stamp(stamps[row + 1], kind, zone)} "
            "comes after "
            f"{show_stamp(stamps[row], kind, zone)} ({len(back)} such places in all). Sort the table, or say "
            'spacing="rows" to take rows as they come.'
        )
    twice = np.flatnonzero((np.diff(stamps) == 0) & same)
    if len(twice):
        row = int(twice[0])
        raise DataError(
            f"series {names[owner[row]]!r} has two rows for {show_stamp(stamps[row], kind, zone)} ({len(twice)} such "
            f'rows in all). Keep one row per series and stamp, tell the series apart in {ID!r}, or say spacing="rows".'
        )


def _check_step(
    stamps: Whole, starts: Whole, names: list[str], kind: StampKind, expected: Frequency | None, zone: str
) -> Frequency | None:
    if expected is not None and (expected.unit == "integer") != (kind == "integer"):
        raise DataError(
            f"the stamps are {'integers' if kind == 'integer' else 'times'}, but the detector was fitted to "
            f"{'times' if kind == 'integer' else 'integers'}"
        )
    if expected is None and np.diff(starts).max() < 2:
        return None
    step = expected or infer_frequency(stamps, starts, names, kind, zone)
    step = replace(step, zone=zone).settled(stamps, starts, names)
    owner = np.repeat(np.arange(len(names)), np.diff(starts))
    position, whole = step.position(stamps, stamps[starts[:-1]][owner])
    odd = np.flatnonzero(~whole)
    if len(odd):
        row = int(odd[0])
        raise DataError(
            f"series {names[owner[row]]!r} is irregular at {show_stamp(stamps[row], kind, zone)}: its step is "
            f"{step.name}, and "
            f"this stamp does not lie on it ({len(odd)} such stamps in all). Bring the series to one step, or say "
            'spacing="rows" to take each row as the next step.'
        )
    holes = np.flatnonzero((np.diff(position) > 1) & (np.diff(owner) == 0))
    if len(holes):
        row = int(holes[0])
        raise DataError(
            f"series {names[owner[row]]!r} has no row between {show_stamp(stamps[row], kind, zone)} and "
            f"{show_stamp(stamps[row + 1], kind, zone)} (one row per {step.name}; {len(holes)} such holes in all). "
            'Fill the rows in (with missing="mask" they may be empty), or say spacing="rows".'
        )
    return step


def _check_values(series: Series, missing: str) -> None:
    for bad, what, advice in (
        *size_faults(series.values),
        (np.isnan(series.values) & (missing == "error"), "missing (NaN)",
         'Fill the values in, or say missing="mask" to leave them out.'),
    ):  # fmt: skip
        if bad.any():
            row, channel = (int(place[0]) for place in np.nonzero(bad))
            owner = int(np.searchsorted(series.starts, row, side="right")) - 1
            raise DataError(
                f"channel {series.columns[channel]!r} is {what} in series {series.names[owner]!r} at "
                f"{series.show(series.stamps[row])} ({int(bad.sum())} such values in all). {advice}"
            )
