"""Many series in one table, checked and laid out one after another at an unbroken step in time.

The layout is columnar: series i owns rows starts[i] to starts[i + 1] of every array, so that a hundred thousand
short series cost no more objects than one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from gatewise.data.frames import (
    ID,
    TARGET,
    TIME,
    FrameKind,
    column_values,
    open_frame,
    series_codes,
    stamp_values,
)
from gatewise.data.frequency import Frequency, StampKind, infer_frequency, show_stamp
from gatewise.data.identity import category_values
from gatewise.data.magnitude import SizeFault, size_faults
from gatewise.errors import DataError

__all__ = [
    "MissingRule",
    "Panel",
    "check_values",
    "panel_from_array",
    "panel_from_frame",
    "unbroken",
]

MissingRule = Literal["error", "mask"]
Values = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Panel:
    """Series at one step in time.

    Args:
        names: the series' names, sorted.
        starts: int64 of shape (series + 1,), where each series begins, and the total at the end.
        stamps: int64 of shape (rows,), nanoseconds since 1970 or integers.
        target: float64 of shape (rows,), NaN where missing.
        covariates: further columns of shape (rows,): float64, or object (text or None) for categories.
        frequency: the step in time.
        kind: whether stamps are times or integers.
        frame: what kind of frame it came from; None for an array.
        ids: the names as they were in the frame.
    """

    names: list[str]
    starts: Whole
    stamps: Whole
    target: Values
    covariates: dict[str, NDArray[Any]]
    frequency: Frequency
    kind: StampKind
    frame: FrameKind | None = None
    ids: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def rows(self) -> int:
        """Rows of all series together."""
        return int(self.starts[-1])

    @property
    def lengths(self) -> Whole:
        """Rows of each series."""
        return np.diff(self.starts)

    @property
    def zone(self) -> str:
        """The name of the stamps' time zone, "" where they have none."""
        return self.frequency.zone

    def show(self, stamp: int | np.int64) -> str:
        """A stamp as a reader would write it, by the clock of its zone."""
        return show_stamp(stamp, self.kind, self.zone)

    def series_of_rows(self) -> Whole:
        """The index of the series that each row belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def between(self, first: Whole, last: Whole) -> Panel:
        """Rows first[i] to last[i] (exclusive, counted within the series) of every series i."""
        counts = np.maximum(last - first, 0)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # Each series' rows move by one number.
        rows: Any = np.arange(starts[-1]) + np.repeat(self.starts[:-1] + first - starts[:-1], counts)
        if starts[-1] == self.rows:
            rows = slice(None)  # all of it: views, no copies
        return Panel(
            self.names,
            starts,
            self.stamps[rows],
            self.target[rows],
            {name: values[rows] for name, values in self.covariates.items()},
            self.frequency,
            self.kind,
            self.frame,
            self.ids,
        )

    def select(self, series: Whole) -> Panel:
        """Some of the series, by their indices in rising order."""
        if len(series) == len(self):
            return self
        counts = self.lengths[series]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.arange(starts[-1]) + np.repeat(self.starts[:-1][series] - starts[:-1], counts)
        return Panel(
            [self.names[index] for index in series],
            starts,
            self.stamps[rows],
            self.target[rows],
            {name: values[rows] for name, values in self.covariates.items()},
            self.frequency,
            self.kind,
            self.frame,
            [self.ids[index] for index in series] if self.ids else [],
        )


def panel_from_array(values: NDArray[Any], missing: MissingRule) -> Panel:
    """A panel of the rows of a two-dimensional array of shape (samples, time), stamped 0, 1, 2, ...

    Raises:
        DataError: a value is infinite, or missing while missing="error".
    """
    samples, time = values.shape
    stamps = np.tile(np.arange(time, dtype=np.int64), samples)
    names = [str(row) for row in range(samples)]
    starts = np.arange(0, samples * time + 1, max(time, 1), dtype=np.int64)[: samples + 1]
    panel = Panel(
        names, starts, stamps, values.astype(np.float64).reshape(-1), {}, Frequency("integer", 1), "integer"
    )
    check_values(panel, TARGET, panel.target, missing)
    return panel


def panel_from_frame(
    data: Any,
    missing: MissingRule,
    frequency: Frequency | None = None,
    categorical: tuple[str, ...] = (),
    *,
    observed: bool = True,
) -> Panel:
    """A panel of a long frame with columns unique_id (may be left out for one series), ds, y and covariates.

    Rows are sorted by series and stamp. Where missing="mask", steps that have no row are filled in as missing. Numeric
    columns of an Arrow table that is sorted already and misses nothing are not copied: the panel looks at the table's
    own memory, which may be a mapped file (see `gatewise.data.read_table`).

    Args:
        data: a pandas, polars or pyarrow table.
        missing: "error" or "mask": what a missing target or covariate means.
        frequency: the step in time, where it is known already; otherwise it is inferred.
        categorical: columns whose numbers are names of categories.
        observed: whether each series must have an observed value of the target.

    Raises:
        ArgumentTypeError: not a table.
        DataError: a column is missing, empty or of a wrong type; duplicate, missing or irregular stamps; mixed
            frequencies; infinite or (missing="error") missing values. The message names series and stamp.
    """
    frame, frame_kind = open_frame(data)
    _check_columns(frame)
    names, codes, ids = series_codes(frame)
    stamps, kind = stamp_values(frame)
    order = _sorting(codes, stamps)
    codes, stamps = codes[order], stamps[order]
    starts = np.searchsorted(codes, np.arange(len(names) + 1)).astype(np.int64)
    _check_duplicates(stamps, codes, names, kind, frame_kind.zone)
    if frequency is not None and (frequency.unit == "integer") != (kind == "integer"):
        raise DataError(
            f"column {TIME!r} holds {'integers' if kind == 'integer' else 'times'}, but the model's step "
            f"({frequency.name}) is one of {'times' if kind == 'integer' else 'integers'}"
        )
    step = frequency or infer_frequency(stamps, starts, names, kind, frame_kind.zone)
    step = replace(step, zone=frame_kind.zone).settled(stamps, starts, names)
    target = column_values(frame, TARGET)
    if target.dtype == object:
        raise DataError(
            f"column {TARGET!r} holds text; the target must be numeric. Name another column or convert it."
        )
    # What pyarrow makes of a pandas index is no covariate.
    extra = [c for c in frame.columns if c not in (ID, TIME, TARGET) and not c.startswith("__index_level_")]
    for name in categorical:
        if name not in extra:
            raise DataError(
                f"categorical: the table has no column {name!r}; its covariates are {sorted(extra)}"
            )
    columns = {
        name: (category_values if name in categorical else column_values)(frame, name)[order]
        for name in extra
    }
    panel = Panel(names, starts, stamps, target[order], columns, step, kind, frame_kind, ids)
    panel = unbroken(panel, missing)
    for name, values in {TARGET: panel.target, **panel.covariates}.items():
        check_values(panel, name, values, missing, observed=observed)
    return panel


def _sorting(codes: Whole, stamps: Whole) -> Any:
    """What brings rows into the order of series and stamp; a slice where they are in it already."""
    rising = (np.diff(codes) > 0) | ((np.diff(codes) == 0) & (np.diff(stamps) >= 0))
    return slice(None) if rising.all() else np.lexsort((stamps, codes))


def _check_columns(frame: nw.DataFrame[Any]) -> None:
    absent = [name for name in (TIME, TARGET) if name not in frame.columns]
    if absent:
        raise DataError(
            f"the table has no column {' and no column '.join(map(repr, absent))}; it has {list(frame.columns)}. "
            f"Expected {ID!r} (the series' name; may be left out for one series), {TIME!r} (the stamp), {TARGET!r} "
            "(the value) and further columns as past covariates: rename yours."
        )
    if len(frame) == 0:
        raise DataError("the table is empty: it has columns, but no row")


def _check_duplicates(stamps: Whole, codes: Whole, names: list[str], kind: StampKind, zone: str) -> None:
    twice = (np.diff(stamps) == 0) & (np.diff(codes) == 0)
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise DataError(
            f"series {names[codes[row]]!r} has two rows for {show_stamp(stamps[row], kind, zone)} ({int(twice.sum())} "
            f"such rows in all). Keep one row per series and stamp, or tell the series apart in {ID!r}."
        )


def unbroken(panel: Panel, missing: MissingRule) -> Panel:
    """Check that all stamps lie on the step; put rows in where steps have none (missing="mask")."""
    owner = panel.series_of_rows()
    position, whole = panel.frequency.position(panel.stamps, panel.stamps[panel.starts[:-1]][owner])
    if not whole.all():
        row = int(np.flatnonzero(~whole)[0])
        raise DataError(
            f"series {panel.names[owner[row]]!r} is irregular at {panel.show(panel.stamps[row])}: its "
            f"step is {panel.frequency.name}, counted from "
            f"{panel.show(panel.stamps[panel.starts[owner[row]]])}, "
            f"and this stamp does not lie on it ({int((~whole).sum())} such stamps in all). Bring the series to one "
            "step (resample it) before fitting."
        )
    jumps = np.flatnonzero((np.diff(position) > 1) & (np.diff(owner) == 0))
    if not len(jumps):
        return panel
    if missing == "error":
        row = int(jumps[0])
        raise DataError(
            f"series {panel.names[owner[row]]!r} has no row between {panel.show(panel.stamps[row])} and "
            f"{panel.show(panel.stamps[row + 1])} ({position[row + 1] - position[row] - 1} steps of "
            f"{panel.frequency.name} missing; {len(jumps)} such holes in all). Fill the rows in, or say "
            'missing="mask" to leave them out of the loss and the metrics.'
        )
    return _filled(panel, position, owner)


def _filled(panel: Panel, position: Whole, owner: Whole) -> Panel:
    counts = position[panel.starts[1:] - 1] + 1
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = starts[owner] + position
    first = np.repeat(panel.stamps[panel.starts[:-1]], counts)
    ahead = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)

    def spread(values: NDArray[Any]) -> NDArray[Any]:
        empty = np.full(starts[-1], None if values.dtype == object else np.nan, dtype=values.dtype)
        empty[rows] = values
        return empty

    return Panel(
        panel.names, starts, panel.frequency.ahead(first, ahead), spread(panel.target),
        {name: spread(values) for name, values in panel.covariates.items()},
        panel.frequency, panel.kind, panel.frame, panel.ids,
    )  # fmt: skip


def check_values(
    panel: Panel, column: str, values: NDArray[Any], missing: MissingRule, *, observed: bool = True
) -> None:
    """Refuse numbers too large to be scaled, and missing ones where the rule says so; the first is named."""
    faults: tuple[SizeFault, ...]
    if values.dtype == object:
        gone, faults = np.equal(values, None).astype(bool), ()
    else:
        gone, faults = np.isnan(values), size_faults(values)
    for bad, what, advice in (
        *faults,
        (gone if missing == "error" else np.zeros_like(gone), "missing (NaN)",
         'Fill the values in, or say missing="mask" to leave them out of the loss and the metrics.'),
    ):  # fmt: skip
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            owner = int(np.searchsorted(panel.starts, row, side="right")) - 1
            raise DataError(
                f"column {column!r} is {what} in series {panel.names[owner]!r} at "
                f"{panel.show(panel.stamps[row])} ({int(bad.sum())} such rows in all). {advice}"
            )
    if observed and column == TARGET and gone.any():
        empty = np.add.reduceat(~gone, panel.starts[:-1]) == 0
        if empty.any():
            name = panel.names[int(np.flatnonzero(empty)[0])]
            raise DataError(f"series {name!r} has no observed value of {column!r}; leave the series out")
