"""Rows that came later, put behind those that are there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewise.data.frames import TARGET
from gatewise.data.panel import MissingRule, Panel, check_values, unbroken
from gatewise.errors import DataError

__all__ = ["with_later_rows"]

Whole = NDArray[np.int64]


def with_later_rows(panel: Panel, later: Panel, missing: MissingRule) -> Panel:
    """The panel with the rows of `later` behind those of the same series.

    Args:
        panel: rows that are there.
        later: rows of some or all of these series, each after the last one that is there.
        missing: whether steps without a row are refused ("error") or filled in as missing ("mask").

    Raises:
        DataError: a series is not there, a row is not after the last one, a column is missing or unknown, a step has
            no row.
    """
    place = {name: index for index, name in enumerate(panel.names)}
    strange = [name for name in later.names if name not in place]
    if strange:
        raise DataError(
            f"series {strange[0]!r} is not among those that were fitted ({len(strange)} such series in all); give "
            "its history to predict, or fit anew"
        )
    if later.covariates.keys() != panel.covariates.keys():
        raise DataError(
            f"the new rows have the covariates {sorted(later.covariates)}, the model was fitted with "
            f"{sorted(panel.covariates)}; give those"
        )
    series = np.array([place[name] for name in later.names], dtype=np.int64)
    last = panel.stamps[panel.starts[1:] - 1][series]
    first = later.stamps[later.starts[:-1]]
    if (first <= last).any():
        index = int(np.flatnonzero(first <= last)[0])
        raise DataError(
            f"series {later.names[index]!r} has a new row at {panel.show(first[index])}, but its rows up "
            f"to {panel.show(last[index])} are known already; give only later ones"
        )
    owner = np.concatenate([panel.series_of_rows(), series[later.series_of_rows()]])
    order = np.argsort(owner, kind="stable")
    columns: dict[str, NDArray[Any]] = {}
    for name, old in panel.covariates.items():
        new = later.covariates[name]
        if old.dtype != new.dtype:
            new = _as_missing(name, new, old)
        columns[name] = np.concatenate([old, new])[order]
    joined = Panel(
        panel.names, np.searchsorted(owner[order], np.arange(len(panel) + 1)).astype(np.int64),
        np.concatenate([panel.stamps, later.stamps])[order], np.concatenate([panel.target, later.target])[order],
        columns, panel.frequency, panel.kind, panel.frame, panel.ids,
    )  # fmt: skip
    joined = unbroken(joined, missing)
    check_values(joined, TARGET, joined.target, "mask")
    return joined


def _as_missing(name: str, values: NDArray[Any], old: NDArray[Any]) -> NDArray[Any]:
    """A column of nothing but missing values, as the other kind of column."""
    gone = np.equal(values, None).astype(bool) if values.dtype == object else np.isnan(values)
    text = old.dtype == object
    if not gone.all():
        raise DataError(
            f"column {name!r} holds {'numbers' if text else 'text'} in the new rows, but "
            f"{'text' if text else 'numbers'} before; convert it"
        )
    return np.full(len(values), None if text else np.nan, dtype=old.dtype)
