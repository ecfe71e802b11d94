"""The rows after a table's last ones: what is known of them beforehand, put behind each series."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewise.data.frames import ID, TIME, check_zones, column_values, open_frame, series_codes, stamp_values
from gatewise.data.identity import category_values
from gatewise.data.magnitude import size_faults
from gatewise.data.panel import MissingRule, Panel
from gatewise.errors import DataError

__all__ = ["future_columns", "lengthened", "with_future"]

Whole = NDArray[np.int64]


def with_future(
    panel: Panel, future: Any, names: tuple[str, ...], horizon: int, missing: MissingRule
) -> Panel:
    """The panel with `horizon` further rows behind each series; `names` come from `future`, all else is missing.

    Args:
        panel: the history.
        future: a table with unique_id (may be left out for one series), ds and the columns `names`. Rows of other
            series, of the history or beyond the horizon are not looked at, but each of the `horizon` stamps after a
            series' last row must have its row, whatever `missing` says.
        names: the columns that are known for the future.
        horizon: steps, at least 1.
        missing: "error" refuses a value that is missing.

    Raises:
        DataError: a column or row is missing, twice there or off the step; series and stamp are named.
    """
    return lengthened(panel, future_columns(panel, future, names, horizon, missing), horizon)


def future_columns(
    panel: Panel, future: Any, names: tuple[str, ...], horizon: int, missing: MissingRule
) -> dict[str, NDArray[Any]]:
    """What `future` says of the `horizon` steps after each series: name -> array of shape (series, horizon)."""
    frame, kind_of_frame = open_frame(future)
    check_zones(panel.frame, kind_of_frame, "future")
    unknown = [name for name in names if name not in panel.covariates]
    if unknown:
        raise DataError(
            f"the history has no column {' and no column '.join(map(repr, unknown))}; the model was fitted with the "
            f"covariates {', '.join(map(repr, names))}, known for the future. Give them in the history too."
        )
    absent = [name for name in (TIME, *names) if name not in frame.columns]
    if absent:
        raise DataError(
            f"future: the table has no column {' and no column '.join(map(repr, absent))}; it has "
            f"{list(frame.columns)}. It must give {', '.join(map(repr, names))} for the {horizon} steps after each "
            "series' last row."
        )
    listed, codes, _ = series_codes(frame)
    stamps, kind = stamp_values(frame)
    if kind != panel.kind:
        raise DataError(f"future: column {TIME!r} holds {kind}s, but the series' stamps are {panel.kind}s")
    place = {name: index for index, name in enumerate(panel.names)}
    if ID not in frame.columns and len(panel) == 1:
        listed = panel.names
    series = np.array([place.get(name, -1) for name in listed], dtype=np.int64)[codes]
    ours = np.flatnonzero(series >= 0)
    series, stamps = series[ours], stamps[ours]
    position, whole = panel.frequency.position(stamps, panel.stamps[panel.starts[:-1]][series])
    step = position - panel.lengths[series]
    inside = (step >= 0) & (step < horizon)
    _check_step(panel, series, stamps, (step >= 0) & ~whole)
    slot = series * horizon + step
    chosen = np.flatnonzero(inside)
    _check_twice(panel, slot[chosen], horizon)
    _check_there(panel, names, slot[chosen], series, stamps, horizon)
    columns: dict[str, NDArray[Any]] = {}
    for name in names:
        is_category = panel.covariates[name].dtype == object
        values = (category_values if is_category else column_values)(frame, name)
        columns[name] = _spread(values[ours[chosen]], slot[chosen], (len(panel), horizon))
        _check_known(panel, name, columns[name], missing)
    return columns


def lengthened(panel: Panel, columns: dict[str, NDArray[Any]], horizon: int) -> Panel:
    """The panel with `horizon` rows more behind each series: `columns` of shape (series, horizon), else missing."""
    lengths = panel.lengths
    starts = (panel.starts + horizon * np.arange(len(panel) + 1)).astype(np.int64)
    old = np.arange(panel.rows) + np.repeat(starts[:-1] - panel.starts[:-1], lengths)
    new = ((starts[1:] - horizon)[:, None] + np.arange(horizon)).reshape(-1)

    def grown(values: NDArray[Any], later: NDArray[Any] | None) -> NDArray[Any]:
        whole = np.full(starts[-1], None if values.dtype == object else np.nan, dtype=values.dtype)
        whole[old] = values
        if later is not None:
            whole[new] = later.reshape(-1)
        return whole

    stamps = np.empty(starts[-1], dtype=np.int64)
    stamps[old] = panel.stamps
    ahead = lengths[:, None] + np.arange(horizon)
    first = np.broadcast_to(panel.stamps[panel.starts[:-1]][:, None], ahead.shape)
    stamps[new] = panel.frequency.ahead(first, ahead).reshape(-1)
    return Panel(
        panel.names, starts, stamps, grown(panel.target, None),
        {name: grown(values, columns.get(name)) for name, values in panel.covariates.items()},
        panel.frequency, panel.kind, panel.frame, panel.ids,
    )  # fmt: skip


def _spread(values: NDArray[Any], slot: Whole, shape: tuple[int, int]) -> NDArray[Any]:
    flat = np.full(shape[0] * shape[1], None if values.dtype == object else np.nan, dtype=values.dtype)
    flat[slot] = values
    return flat.reshape(shape)


def _check_step(panel: Panel, series: Whole, stamps: Whole, off: NDArray[np.bool_]) -> None:
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise DataError(
            f"future: series {panel.names[series[row]]!r} has a row at {panel.show(stamps[row])}, which "
            f"does not lie on its step ({panel.frequency.name}); give the stamps that follow its last row"
        )


def _check_twice(panel: Panel, slots: Whole, horizon: int) -> None:
    values, counts = np.unique(slots, return_counts=True)
    if (counts > 1).any():
        index, step = divmod(int(values[counts > 1][0]), horizon)
        raise DataError(
            f"future: series {panel.names[index]!r} has two rows for {_show_ahead(panel, index, step)}; keep one"
        )


def _check_there(
    panel: Panel, names: tuple[str, ...], slots: Whole, series: Whole, stamps: Whole, horizon: int
) -> None:
    """Refuse a table without a row for a step that is forecast: a shifted table would be read as missing values."""
    there = np.zeros(len(panel) * horizon, dtype=bool)
    there[slots] = True
    if there.all():
        return
    index, step = divmod(int(np.flatnonzero(~there)[0]), horizon)
    own = stamps[series == index]
    given = (
        f"its rows there run from {panel.show(own.min())} to {panel.show(own.max())}"
        if len(own)
        else "it has no row there at all"
    )
    raise DataError(
        f"future: the row that gives {', '.join(map(repr, names))} is missing in series {panel.names[index]!r} at "
        f"{_show_ahead(panel, index, step)} "
        f"({int((~there).sum())} such rows in all); {given}. Give a row for each of the {horizon} steps after the "
        "series' last row, with the stamps of the forecast"
    )


def _check_known(panel: Panel, name: str, values: NDArray[Any], missing: MissingRule) -> None:
    text = values.dtype == object
    if text != (panel.covariates[name].dtype == object):
        raise DataError(
            f"future: column {name!r} holds {'text' if text else 'numbers'}, but {'numbers' if text else 'text'} in "
            "the history; convert it"
        )
    for bad, what, advice in () if text else size_faults(values):
        if bad.any():
            index, step = (int(axis[0]) for axis in np.nonzero(bad))
            raise DataError(
                f"future: column {name!r} is {what} in series {panel.names[index]!r} at "
                f"{_show_ahead(panel, index, step)}. {advice}"
            )
    gone = np.equal(values, None).astype(bool) if text else np.isnan(values)
    if missing == "error" and gone.any():
        index, step = (int(axis[0]) for axis in np.nonzero(gone))
        raise DataError(
            f"future: column {name!r} is missing in series {panel.names[index]!r} at {_show_ahead(panel, index, step)} "
            f"({int(gone.sum())} such values in all); it must be given for all {values.shape[1]} steps that are "
            "forecast"
        )


def _show_ahead(panel: Panel, index: int, step: int) -> str:
    first = panel.stamps[panel.starts[index]]
    ahead = np.array([panel.lengths[index] + step])
    return panel.show(panel.frequency.ahead(first, ahead)[0])
