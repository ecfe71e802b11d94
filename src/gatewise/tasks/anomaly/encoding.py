"""Series in the network's units: what it reads at each row, and the unit in which it foretells the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatewise.tasks.anomaly.scaling import Scaler, squash
from gatewise.tasks.anomaly.series import Series

__all__ = ["Encoded", "encode", "groups", "padded", "read_row"]

Values = NDArray[np.float64]
Whole = NDArray[np.int64]
# Series that are worked on together; their rows are padded to the longest of them.
_GROUP = 128


@dataclass(frozen=True)
class Encoded:
    """Series as the network sees them, one row after another.

    Args:
        series: what came in.
        inputs: (rows, features) float32, scaled and squashed; with `mask`, whether each channel was seen follows.
        scaled: (rows, channels) float32, each row in the unit of the moment before it.
        level, spread: (rows, channels), the unit after each row, in which the next rows are foretold.
        last: (rows, channels) the last seen values in that unit.
    """

    series: Series
    inputs: NDArray[np.float32]
    scaled: NDArray[np.float32]
    level: Values
    spread: Values
    last: NDArray[np.float32]


def read_row(
    filled: Values, seen: NDArray[np.bool_], level: Values, spread: Values, *, mask: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the network reads of rows, and the rows scaled: the one place where this is done.

    Args:
        filled: (..., channels), missing values replaced by the last seen.
        seen: which were not missing.
        level, spread: the unit before each row.
        mask: whether `seen` is read as well.
    """
    scaled = (filled - level) / spread
    inputs = squash(scaled)
    if mask:
        inputs = np.concatenate([inputs, seen.astype(np.float64)], axis=-1)
    return inputs.astype(np.float32), scaled.astype(np.float32)


def encode(series: Series, scaler: Scaler, *, mask: bool) -> Encoded:
    """Scale all rows, each with what was known before it."""
    seen = ~np.isnan(series.values)
    filled = _carried(series, scaler.level)
    shape = series.values.shape
    before_level, before_spread = np.empty(shape), np.empty(shape)
    level, spread = np.empty(shape), np.empty(shape)
    for members in groups(series.lengths):
        levels, spreads = scaler.run(padded(series.values, series.starts, members))
        for place, member in enumerate(members):
            rows, count = series.of(int(member)), int(series.lengths[member])
            before_level[rows], before_spread[rows] = levels[:count, place], spreads[:count, place]
            level[rows], spread[rows] = levels[1 : count + 1, place], spreads[1 : count + 1, place]
    inputs, scaled = read_row(filled, seen, before_level, before_spread, mask=mask)
    last = ((filled - level) / spread).astype(np.float32)
    return Encoded(series, inputs, scaled, level, spread, last)


def groups(lengths: Whole) -> Iterator[Whole]:
    """Indices of series of like length, so many that padding stays small."""
    order = np.argsort(lengths, kind="stable")[::-1].astype(np.int64)
    for begin in range(0, len(order), _GROUP):
        yield order[begin : begin + _GROUP]


def padded(values: NDArray[np.floating], starts: Whole, members: Whole) -> NDArray[np.floating]:
    """Some series side by side, (longest, members, ...), NaN after their ends."""
    longest = int((starts[members + 1] - starts[members]).max())
    out = np.full((longest, len(members), *values.shape[1:]), np.nan, dtype=values.dtype)
    for place, member in enumerate(members):
        rows = slice(int(starts[member]), int(starts[member + 1]))
        out[: rows.stop - rows.start, place] = values[rows]
    return out


def _carried(series: Series, level: Values) -> Values:
    """Each missing value replaced by the last one seen in its series, or the channel's level where there is none."""
    if not np.isnan(series.values).any():
        return series.values
    first = np.repeat(series.starts[:-1], series.lengths)[:, None]
    rows = np.arange(series.rows)[:, None]
    seen = np.maximum.accumulate(np.where(np.isnan(series.values), -1, rows), axis=0)
    taken = np.take_along_axis(series.values, np.maximum(seen, 0), axis=0)
    return np.where(seen >= first, taken, level)
