"""Columns that give the answer away: copies of the target from a time that a forecast may not know."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gatewise.data import Panel
from gatewise.errors import DataError

__all__ = ["check_cutoffs", "check_leaks"]

# So many rows tell a copy from a chance.
_ROWS, _FEWEST = 50_000, 30
_LONGEST_PERIOD = 2_000


def check_leaks(panel: Panel, horizon: int, future: tuple[str, ...]) -> None:
    """Refuse a covariate that holds the target of a row which a forecast must not know.

    For a past covariate these are later rows' values; for one that is known for the future, any values within a
    horizon of its own row. Only exact copies are found; a target that repeats itself exactly is left alone.

    Args:
        panel: the rows to fit to.
        horizon: steps.
        future: the columns that are known for the future.

    Raises:
        DataError: a column is such a copy.
    """
    rows = min(panel.rows, _ROWS)
    target, owner = panel.target[:rows], np.searchsorted(panel.starts, np.arange(rows), side="right")
    for name, column in panel.covariates.items():
        if column.dtype == object:
            continue
        first = 1 - horizon if name in future else 1
        for ahead in range(first, horizon + 1):
            if _copies(column[:rows], target, owner, ahead) and not _repeats_itself(target, owner):
                where = "the same row" if ahead == 0 else f"the row {abs(ahead)} {_steps(ahead)}"
                raise DataError(
                    f"column {name!r} holds the target of {where}: a forecast that reads it has seen the future. Leave "
                    "it out" + (" of future_covariates." if ahead < 1 and name in future else ".")
                )


def check_cutoffs(panel: Panel, cutoffs: NDArray[np.int64]) -> None:
    """Refuse a history that goes beyond its cutoff: what a walk-forward test makes sure of before every fit.

    Args:
        panel: the history.
        cutoffs: (series,) the last stamp that may be seen.

    Raises:
        DataError: a row lies after it.
    """
    late = panel.stamps > np.repeat(cutoffs, panel.lengths)
    if late.any():
        row = int(np.flatnonzero(late)[0])
        owner = int(np.searchsorted(panel.starts, row, side="right")) - 1
        raise DataError(
            f"series {panel.names[owner]!r} has a row at {panel.show(panel.stamps[row])}, after the cutoff "
            f"{panel.show(cutoffs[owner])}: a fit that reads it has seen the future"
        )


def _copies(
    column: NDArray[np.float64], target: NDArray[np.float64], owner: NDArray[np.int64], ahead: int
) -> bool:
    """Whether the column's values are the target's `ahead` rows later, wherever both are there."""
    size = len(target) - abs(ahead)
    if size < _FEWEST:
        return False
    here, there = slice(max(0, -ahead), max(0, -ahead) + size), slice(max(0, ahead), max(0, ahead) + size)
    one, other = column[here], target[there]
    both = (owner[here] == owner[there]) & ~np.isnan(one) & ~np.isnan(other)
    values = other[both]
    if both.sum() < _FEWEST or (values == values[0]).all():
        return False
    return bool((one[both] == values).all())


def _repeats_itself(target: NDArray[np.float64], owner: NDArray[np.int64]) -> bool:
    longest = min(_LONGEST_PERIOD, len(target) // 2)
    return any(_copies(target, target, owner, period) for period in range(1, longest + 1))


def _steps(ahead: int) -> str:
    return f"step{'s' if abs(ahead) > 1 else ''} {'later' if ahead > 0 else 'earlier'}"
