"""Records of entities (a host, a card) as sequences: what each one did, in the order in which it did it.

A long history is cut into stretches. Each stretch begins with records of the one before, so that every record is read
with at least half a window of what its entity did before it, where there was so much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from gatewise.data.frames import open_frame
from gatewise.data.sequences import MissingRule, Sequences, sequences_from_frame
from gatewise.errors import DataError

__all__ = ["Windows", "windows_by_entity"]

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Stretches of the entities' histories.

    Args:
        sequences: the stretches; one entity's follow each other.
        entities: (stretches,) which entity each is of, as a number in the order in which they first come.
        own: (rows of the stretches,) whether a record is the stretch's own: the others are its past, and are another
            stretch's own.
        record: (rows of the stretches,) which row of the table each record was.
        records: rows of the table.
    """

    sequences: Sequences
    entities: Whole
    own: NDArray[np.bool_]
    record: Whole
    records: int

    def back(self, flat: NDArray[Any]) -> NDArray[Any]:
        """Something with one entry per row of the stretches, as one entry per row of the table, in its order."""
        found = np.empty((self.records, *flat.shape[1:]), dtype=flat.dtype)
        found[self.record[self.own]] = flat[self.own]
        return found


def windows_by_entity(
    data: Any,
    *,
    window: int,
    entity: str | None = None,
    time: str | None = None,
    missing: MissingRule = "error",
    leave_out: tuple[str, ...] = (),
    columns: tuple[tuple[str, ...], tuple[str, ...]] | None = None,
) -> Windows:
    """Cut a table of records into stretches of at most `window` records of one entity.

    Args:
        data: a pandas, polars or pyarrow table, a row per record.
        window: records that are read together, at least 1; 1 reads every record by itself.
        entity: the column that says whose a record is; None: every record is an entity of its own.
        time: the column with the time, or None: the order of the rows.
        missing: "error" or "mask".
        leave_out: columns that are not read.
        columns: the channels and categories that are expected; None: all columns.

    Returns:
        The stretches. Row for row they depend on earlier records of the same entity only.

    Raises:
        DataError: the table cannot be used.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"card": list("ababab"), "amount": [1.0, 2, 3, 4, 5, 6]})
        >>> windows_by_entity(table, window=2, entity="card").sequences.values[:, 0].tolist()
        [1.0, 3.0, 3.0, 5.0, 2.0, 4.0, 4.0, 6.0]
    """
    frame, _ = open_frame(data)
    if len(frame) == 0:
        raise DataError("the table is empty: it has columns, but no row")
    name = entity
    if entity is None:
        name = "__record__"
        numbered = nw.new_series(name, list(range(len(frame))), nw.Int64, backend=frame.implementation)
        data = frame.with_columns(numbered).to_native()
    whole = sequences_from_frame(
        data, missing, identity=str(name), time=time, leave_out=leave_out, columns=columns
    )
    return _cut(whole, window)


def _cut(whole: Sequences, window: int) -> Windows:
    """Stretches of `window` records, the first half of each but the first being the past."""
    stride = max(1, window - window // 2)
    begins, ends, owners, fresh = [], [], [], []
    for index, (start, length) in enumerate(
        zip(whole.starts[:-1].tolist(), whole.lengths.tolist(), strict=True)
    ):
        first = min(length, window)
        begins.append(start)
        ends.append(start + first)
        owners.append(index)
        fresh.append(start)
        done = first
        while done < length:
            upto = min(done + stride, length)
            # Always as far back, however many records follow: what is said of a record must not change with them.
            begins.append(start + max(0, done - window // 2))
            ends.append(start + upto)
            owners.append(index)
            fresh.append(start + done)
            done = upto
    lengths = np.array(ends) - np.array(begins)
    rows = np.concatenate([np.arange(begin, end) for begin, end in zip(begins, ends, strict=True)]).astype(
        np.int64
    )
    own = rows >= np.repeat(fresh, lengths)
    order = whole.order if whole.order is not None else np.arange(whole.rows)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    times = whole.times[rows] - np.repeat(whole.times[np.array(begins)], lengths)
    cut = Sequences(
        values=whole.values[rows], texts=whole.texts[rows], starts=starts, times=times, timed=whole.timed,
        ids=list(range(len(begins))), channels=whole.channels, categories=whole.categories, form="list",
    )  # fmt: skip
    return Windows(cut, np.array(owners, dtype=np.int64), own, order[rows], whole.rows)
