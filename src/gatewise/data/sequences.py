"""Many sequences, each of its own length: channels of numbers, columns of categories, and when each row was taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from gatewise.data.frames import ID, TIME, FrameKind, column_values, open_frame, stamp_values
from gatewise.data.frequency import SECOND
from gatewise.data.identity import category_values, identify
from gatewise.data.magnitude import size_faults
from gatewise.errors import DataError

__all__ = ["Form", "MissingRule", "Sequences", "sequences_from_arrays", "sequences_from_frame"]

MissingRule = Literal["error", "mask"]
Form = Literal["matrix", "cube", "list", "table"]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """Sequences, one after another.

    Args:
        values: (rows, channels) numbers, NaN where missing.
        texts: (rows, categories) text, None where missing.
        starts: (sequences + 1,) where each sequence begins, and the number of rows.
        times: (rows,) when each row was taken, seconds for dates, else in the column's own unit; never falling within
            a sequence. Where nothing was given: 0, 1, 2, ...
        timed: whether `times` were given.
        ids: the sequences' names, as they came.
        channels, categories: names of the columns.
        form: what they came as: a "matrix" (samples, time), a "cube" (samples, time, channels), a "list", a "table".
        frame: the kind of table, or None.
        order: (rows,) which row of the table each row was.
    """

    values: NDArray[np.float64]
    texts: NDArray[np.object_]
    starts: Whole
    times: NDArray[np.float64]
    timed: bool
    ids: list[Any]
    channels: tuple[str, ...]
    categories: tuple[str, ...]
    form: Form
    frame: FrameKind | None = None
    order: Whole | None = None

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.starts) - 1

    @property
    def rows(self) -> int:
        """Number of rows of all sequences."""
        return int(self.starts[-1])

    @property
    def lengths(self) -> Whole:
        """Rows of each sequence."""
        return np.diff(self.starts)

    def owners(self) -> Whole:
        """The index of the sequence that each row belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, chosen: Whole) -> Sequences:
        """Some of the sequences, in the order that is given."""
        rows = self.rows_of(chosen)
        lengths = self.lengths[chosen]
        return replace(
            self,
            values=self.values[rows],
            texts=self.texts[rows],
            starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            times=self.times[rows],
            ids=[self.ids[int(one)] for one in chosen],
            order=None if self.order is None else self.order[rows],
        )

    def rows_of(self, chosen: Whole) -> Whole:
        """The rows of some sequences, one sequence after another."""
        parts = [np.arange(self.starts[one], self.starts[one + 1]) for one in chosen]
        return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)

    def split(self, flat: NDArray[Any]) -> list[NDArray[Any]]:
        """Something with one entry per row, as one array per sequence."""
        return np.split(flat, self.starts[1:-1])


def sequences_from_arrays(
    X: Any, missing: MissingRule = "error", *, times: Sequence[Any] | None = None
) -> Sequences:
    """Sequences from arrays.

    Args:
        X: an array of shape (samples, time), each row a sequence of one channel; (samples, time, channels); or a
            list of arrays of shape (time,) or (time, channels), whose lengths may differ.
        missing: "error" refuses NaN; "mask" takes it for a value that was not observed.
        times: for each sequence, when its rows were taken, shape (time,), never falling; None: 0, 1, 2, ...

    Returns:
        The sequences.

    Raises:
        DataError: shapes do not fit, a value is infinite or (missing="error") missing, no sequence, an empty one.

    Example:
        >>> import numpy as np
        >>> both = sequences_from_arrays([np.zeros((3, 2)), np.ones((5, 2))])
        >>> len(both), both.lengths.tolist(), both.channels
        (2, [3, 5], ('channel 0', 'channel 1'))
    """
    pieces, form = _pieces(X)
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = np.concatenate(pieces)
    found = Sequences(
        values=values,
        texts=np.empty((len(values), 0), dtype=object),
        starts=starts,
        times=_given_times(times, lengths),
        timed=times is not None,
        ids=list(range(len(pieces))),
        channels=tuple(f"channel {index}" for index in range(values.shape[1])),
        categories=(),
        form=form,
    )
    _check_values(found, missing)
    return found


def sequences_from_frame(
    data: Any,
    missing: MissingRule = "error",
    *,
    identity: str = ID,
    time: str | None = TIME,
    leave_out: Sequence[str] = (),
    columns: tuple[tuple[str, ...], tuple[str, ...]] | None = None,
) -> Sequences:
    """Sequences from a long table: one row per step, with columns for the sequence's name, the time, and channels.

    Rows are sorted by sequence (in the order in which the names first come) and, where there is a time, by time; rows
    of the same time keep their order. Columns of numbers are channels, columns of text are categories.

    Args:
        data: a pandas, polars or pyarrow table.
        missing: "error" or "mask".
        identity: the column with the sequence's name.
        time: the column with the time: dates, text of the form 2024-01-31 13:00, or numbers. A table without it is
            taken in the order of its rows, as is every table with None.
        leave_out: columns that are neither channels nor categories.
        columns: the names of the channels and of the categories that are expected; None: all that are there.

    Raises:
        ArgumentTypeError: no table.
        DataError: a column is missing or of a wrong type, the table is empty, or a value cannot be used.
    """
    frame, kind = open_frame(data)
    _check_table(frame, identity, time)
    ids, codes = _codes(frame.get_column(identity), identity)
    timed = time is not None and time in frame.columns
    times = _table_times(frame, str(time)) if timed else np.zeros(len(codes))
    order = np.lexsort((np.arange(len(codes)), times, codes)).astype(np.int64)
    starts = np.searchsorted(codes[order], np.arange(len(ids) + 1)).astype(np.int64)
    own = times[order]
    own = own - own[starts[:-1]][codes[order]] if timed else _counted(np.diff(starts))
    apart = {identity, time, *leave_out}
    names = [c for c in frame.columns if c not in apart and not c.startswith("__index_level_")]
    numbers, texts = _columns(frame, names, columns)
    rows = len(codes)
    found = Sequences(
        values=np.stack(list(numbers.values()), axis=1)[order] if numbers else np.empty((rows, 0)),
        texts=np.stack(list(texts.values()), axis=1)[order] if texts else np.empty((rows, 0), dtype=object),
        starts=starts,
        times=own,
        timed=timed,
        ids=ids,
        channels=tuple(numbers),
        categories=tuple(texts),
        form="table",
        frame=kind,
        order=order,
    )
    _check_values(found, missing)
    return found


def _pieces(X: Any) -> tuple[list[NDArray[np.float64]], Form]:
    if isinstance(X, list | tuple) and X and not _is_rectangle_of_numbers(X):
        pieces = [_piece(one, index) for index, one in enumerate(X)]
        widths = {piece.shape[1] for piece in pieces}
        if len(widths) != 1:
            index = next(i for i, piece in enumerate(pieces) if piece.shape[1] != pieces[0].shape[1])
            raise DataError(
                f"X: sequence {index} has {pieces[index].shape[1]} channels, sequence 0 has {pieces[0].shape[1]}; all "
                "sequences must have the same channels"
            )
        return pieces, "list"
    array = _numbers(X, "X")
    if array.ndim not in (2, 3):
        raise DataError(
            "X: an array of shape (samples, time) or (samples, time, channels) or a list of arrays is expected, came "
            f"shape {array.shape}. Reshape your data either using array.reshape(1, -1) if it contains a single sample."
        )
    if array.shape[0] == 0:
        raise DataError(f"X: Found array with 0 sample(s) (shape={array.shape}) while at least 1 is needed")
    if 0 in array.shape[1:]:
        raise DataError(f"X: 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    cube = array[:, :, None] if array.ndim == 2 else array
    return list(cube), "matrix" if array.ndim == 2 else "cube"


def _is_rectangle_of_numbers(X: Any) -> bool:
    """Whether a list holds plain numbers or rows of plain numbers, as scikit-learn's callers pass arrays."""
    first = X[0]
    return np.isscalar(first) or (isinstance(first, list | tuple) and bool(first) and np.isscalar(first[0]))


def _piece(one: Any, index: int) -> NDArray[np.float64]:
    array = _numbers(one, f"X[{index}]")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise DataError(
            f"X[{index}]: an array of shape (time,) or (time, channels) is expected, came {array.shape}"
        )
    if 0 in array.shape:
        raise DataError(f"X[{index}]: the sequence is empty (shape {array.shape}); leave it out")
    return array


def _numbers(data: Any, name: str) -> NDArray[np.float64]:
    if hasattr(data, "toarray"):
        raise DataError(
            f"{name}: a sparse matrix cannot be used (Sparse data was passed); pass a dense array"
        )
    try:
        array = np.asarray(data)
        if np.iscomplexobj(array):
            raise DataError(f"{name}: Complex data not supported; take real and imaginary parts as channels")
        return array.astype(np.float64)
    except DataError:
        raise
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: numbers are expected; {error}") from error


def _given_times(times: Sequence[Any] | None, lengths: Whole) -> NDArray[np.float64]:
    if times is None:
        return _counted(lengths)
    if len(times) != len(lengths):
        raise DataError(f"times: one array per sequence is expected ({len(lengths)}), came {len(times)}")
    parts = []
    for index, one in enumerate(times):
        own = _numbers(one, f"times[{index}]")
        if own.shape != (lengths[index],) or not np.isfinite(own).all() or (np.diff(own) < 0).any():
            raise DataError(
                f"times[{index}]: {lengths[index]} finite numbers that never fall are expected, came shape {own.shape}"
                "; sort the rows by time"
            )
        parts.append(own - own[0])
    return np.concatenate(parts)


def _counted(lengths: Whole) -> NDArray[np.float64]:
    """0, 1, 2, ... in each sequence."""
    begins = np.cumsum(lengths) - lengths
    return (np.arange(lengths.sum()) - np.repeat(begins, lengths)).astype(np.float64)


def _check_table(frame: Any, identity: str, time: str | None) -> None:
    if identity not in frame.columns:
        raise DataError(
            f"the table has no column {identity!r}, which says which sequence a row belongs to; it has "
            f"{list(frame.columns)}. Name yours with id_column."
        )
    if time is not None and time != TIME and time not in frame.columns:
        raise DataError(
            f"the table has no column {time!r}, which was named as the time (time_column); it has "
            f"{list(frame.columns)}"
        )
    if len(frame) == 0:
        raise DataError("the table is empty: it has columns, but no row")


def _codes(names: nw.Series[Any], column: str) -> tuple[list[Any], Whole]:
    """The names in the order in which they first come, and each row's place among them."""
    found = identify(names)
    if (found.codes < 0).any():
        row = int(np.flatnonzero(found.codes < 0)[0])
        raise DataError(
            f"column {column!r}: row {row} has no name of a sequence; fill it in or remove the row"
        )
    return found.originals, found.codes


def _table_times(frame: Any, time: str) -> NDArray[np.float64]:
    column = frame.get_column(time)
    if column.dtype.is_float():
        times = np.asarray(column.to_numpy(), dtype=np.float64)
        if not np.isfinite(times).all():
            row = int(np.flatnonzero(~np.isfinite(times))[0])
            raise DataError(
                f"column {time!r}: row {row} holds {times[row]}, which is no time; remove such rows"
            )
        return times
    try:
        stamps, kind = stamp_values(frame.select(nw.col(time).alias(TIME)))
    except DataError as error:
        raise DataError(str(error).replace(repr(TIME), repr(time))) from error
    return stamps / SECOND if kind == "time" else stamps.astype(np.float64)


def _columns(
    frame: Any, names: list[str], expected: tuple[tuple[str, ...], tuple[str, ...]] | None
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.object_]]]:
    if expected is not None:
        absent = [name for name in (*expected[0], *expected[1]) if name not in names]
        unknown = [name for name in names if name not in (*expected[0], *expected[1])]
        if absent or unknown:
            parts = [f"has no column {', '.join(map(repr, absent))}"] if absent else []
            parts += [f"has columns that were not fitted: {', '.join(map(repr, unknown))}"] if unknown else []
            raise DataError(
                f"the table {' and '.join(parts)}; give the columns that the model was fitted to: "
                f"{', '.join((*expected[0], *expected[1]))}"
            )
        names = [*expected[0], *expected[1]]
    numbers: dict[str, NDArray[np.float64]] = {}
    texts: dict[str, NDArray[np.object_]] = {}
    for name in names:
        known_text = expected is not None and name in expected[1]
        values = (category_values if known_text else column_values)(frame, name)
        is_text = values.dtype == object
        if expected is not None and is_text != (name in expected[1]):
            if name in expected[1] and np.isnan(values.astype(np.float64)).all():
                values, is_text = np.full(len(values), None, dtype=object), True
            else:
                raise DataError(
                    f"column {name!r} holds {'text' if is_text else 'numbers'}, but the model was fitted with "
                    f"{'numbers' if is_text else 'text'}; convert it"
                )
        if is_text:
            texts[name] = values
        else:
            numbers[name] = values  # type: ignore[assignment]
    if not numbers and not texts:
        raise DataError("the table has no channel: no column beside those for name, time and label")
    return numbers, texts


def _check_values(found: Sequences, missing: MissingRule) -> None:
    """Refuse infinite values, and missing ones where the rule says so; the first is named."""
    gone = np.isnan(found.values)
    for bad, what, remedy in size_faults(found.values):
        if bad.any():
            raise DataError(_where(found, bad, what, remedy))
    if missing == "error" and gone.any():
        advice = 'Fill the values in, or say missing="mask" to have the model told which were not observed.'
        raise DataError(_where(found, gone, "missing (NaN)", advice))


def _where(found: Sequences, bad: NDArray[np.bool_], what: str, advice: str) -> str:
    row, channel = (int(place[0]) for place in np.nonzero(bad))
    owner = int(np.searchsorted(found.starts, row, side="right")) - 1
    return (
        f"X: {found.channels[channel]!r} is {what} in sequence {found.ids[owner]!r} at step "
        f"{row - found.starts[owner]} ({int(bad.sum())} such values in all). {advice}"
    )
