"""Labels: one for each sequence or one for each step, checked, as numbers of classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from gatewise.data.frames import is_frame, open_frame
from gatewise.data.identity import identity_name
from gatewise.data.sequences import Sequences
from gatewise.errors import ArgumentTypeError, DataError

__all__ = ["encode_labels", "find_classes", "label_values"]

Whole = NDArray[np.int64]


def label_values(sequences: Sequences, y: Any, output: str, X: Any, column: str) -> NDArray[Any]:
    """The labels, flat: one per sequence, or one per row (None or NaN where a step has none).

    Args:
        sequences: what is labelled.
        y: see `SequenceClassifier.fit`; None: the table's label column.
        output: "sequence" or "step".
        X: what the sequences were made from.
        column: the name of the table's label column.

    Raises:
        DataError: the labels do not fit the sequences.
    """
    if sequences.form == "table":
        return _of_table(sequences, y, output, X, column)
    if y is None:
        raise DataError(
            "y: labels are expected beside arrays, came None (this classifier requires y to be passed, "
            "but the target y is None)"
        )
    if output == "sequence":
        try:
            labels = column_or_1d(_array(y), warn=True)
        except ValueError as error:
            raise DataError(f'y: {error} For one label for each step say output="step".') from error
        if len(labels) != len(sequences):
            raise DataError(
                f"y: one label for each of the {len(sequences)} sequences is expected, came {len(labels)}"
                + ('; for one label for each step say output="step"' if np.ndim(y) == 2 else "")
            )
        return labels
    pieces = list(y)
    if len(pieces) != len(sequences):
        raise DataError(
            f'y: with output="step", one array of labels for each of the {len(sequences)} sequences is expected, came '
            f"{len(pieces)}"
        )
    arrays = [_array(piece) for piece in pieces]
    for index, (piece, length) in enumerate(zip(arrays, sequences.lengths, strict=True)):
        if piece.shape != (length,):
            raise DataError(
                f"y[{index}]: one label for each of the {length} steps is expected, came shape {piece.shape}"
            )
    # Texts of different lengths, or numbers beside None, need one common type.
    same = len({piece.dtype.kind for piece in arrays}) == 1
    return np.concatenate(arrays) if same else np.concatenate([piece.astype(object) for piece in arrays])


def find_classes(labels: NDArray[Any], output: str) -> NDArray[Any]:
    """The classes, sorted.

    Raises:
        DataError: a label is missing where every sequence needs one, or there are no classes to tell apart.
    """
    there = _there(labels)
    if output == "sequence" and not there.all():
        raise DataError(
            f"y: sequence {int(np.flatnonzero(~there)[0])} has no label (Input contains NaN or None); leave it out"
        )
    own = _plain(labels[there])
    if not len(own):
        raise DataError("y: no label at all; there is nothing to learn")
    kinds = {type(one).__name__ for one in own.tolist()}
    if len(kinds) > 1:
        raise DataError(f"y: labels of one kind are expected (all text or all numbers), came {sorted(kinds)}")
    try:
        check_classification_targets(own)
        return np.unique(own)
    except ValueError as error:
        raise DataError(f"y: classes are expected; {error}") from error


def encode_labels(labels: NDArray[Any], classes: NDArray[Any], *, where: str = "y") -> Whole:
    """Each label's number among the classes; -1 where there is none.

    Raises:
        DataError: a label is none of the classes.
    """
    there = _there(labels)
    own = _plain(labels[there])
    codes = np.full(len(labels), -1, dtype=np.int64)
    place = {one: index for index, one in enumerate(classes.tolist())}
    found = np.array([place.get(one, -1) for one in own.tolist()], dtype=np.int64)
    if (found < 0).any():
        bad = own.tolist()[int(np.flatnonzero(found < 0)[0])]
        raise DataError(
            f"{where}: the label {bad!r} is none of the classes that were fitted ({', '.join(map(repr, place))}); the "
            "labels do not match the model"
        )
    codes[there] = found
    return codes


def _of_table(sequences: Sequences, y: Any, output: str, X: Any, column: str) -> NDArray[Any]:
    name = y if isinstance(y, str) else column
    if y is None or isinstance(y, str):
        frame, _ = open_frame(X)
        if name not in frame.columns:
            raise DataError(
                f"the table has no column {name!r} with the labels; it has {list(frame.columns)}. Name yours with "
                "label_column, or pass y"
            )
        labels = np.array(frame.get_column(name).to_list(), dtype=object)[sequences.order]
        return _unboxed(labels if output == "step" else _one_each(sequences, labels, name))
    if output == "step":
        raise ArgumentTypeError(
            'y: with a table and output="step", the name of the column with the labels is expected, came '
            f"{type(y).__name__}"
        )
    table = _mapping(y, column)
    names = [identity_name(one) for one in sequences.ids]
    absent = [one for one in names if one not in table]
    if absent:
        raise DataError(
            f"y: {len(absent)} of {len(sequences)} sequences have no label, the first is {absent[0]!r}; the labels do "
            "not match the table"
        )
    return _unboxed(np.array([table[one] for one in names], dtype=object))


def _mapping(y: Any, column: str) -> dict[str | None, Any]:
    """Labels by the sequence's name: from a mapping, a pandas Series, or a table of names and labels."""
    if is_frame(y):
        frame, _ = open_frame(y)
        names = [c for c in frame.columns if c != column]
        if column not in frame.columns or not names:
            raise DataError(
                f"y: a table with the sequences' names and a column {column!r} is expected, came the columns "
                f"{list(frame.columns)}"
            )
        pairs = zip(frame.get_column(names[0]).to_list(), frame.get_column(column).to_list(), strict=True)
        return _by_name(pairs)
    if isinstance(y, Mapping):
        return _by_name(y.items())
    if hasattr(y, "to_dict"):
        return _by_name(y.to_dict().items())
    raise ArgumentTypeError(
        "y: beside a table, the name of its label column, a mapping from name to label, or a table of both is "
        f"expected, came {type(y).__name__}"
    )


def _by_name(pairs: Iterable[tuple[Any, Any]]) -> dict[str | None, Any]:
    return {identity_name(key): label for key, label in pairs}


def _one_each(sequences: Sequences, labels: NDArray[Any], name: str) -> NDArray[Any]:
    own = np.empty(len(sequences), dtype=object)
    for index, piece in enumerate(sequences.split(labels)):
        found = {one for one in piece.tolist() if one is not None and one == one}
        if len(found) > 1:
            raise DataError(
                f"column {name!r}: sequence {sequences.ids[index]!r} has several labels "
                f'({", ".join(sorted(map(repr, found))[:4])}); one is expected, or say output="step" for one each step'
            )
        own[index] = found.pop() if found else None
    return own


def _array(y: Any) -> NDArray[Any]:
    if is_frame(y) or hasattr(y, "to_numpy"):
        return np.asarray(y.to_numpy())
    if isinstance(y, list | tuple) and y and np.ndim(y[0]) == 0:
        # Not by numpy, which would turn a number beside a text into a text.
        found = np.empty(len(y), dtype=object)
        found[:] = y
        return _unboxed(found)
    array = np.asarray(y)
    return array if array.dtype.kind != "O" else _unboxed(array)


def _unboxed(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels in a type of their own where all are there and alike; objects otherwise."""
    if labels.dtype != object or labels.ndim != 1 or not len(labels) or not _there(labels).all():
        return labels
    listed = labels.tolist()
    alike = len({type(one) for one in listed}) == 1 or all(_is_number(one) for one in listed)
    if alike and _is_number(listed[0]) and all(_is_whole(one) for one in listed):
        listed = [int(one) for one in listed]  # exactly: beside one float, integers beyond 2**53 would merge
    return np.array(listed) if alike else labels


def _is_number(one: object) -> bool:
    return isinstance(one, int | float | np.number) and not isinstance(one, bool)


def _is_whole(one: Any) -> bool:
    return isinstance(one, int | np.integer) or float(one).is_integer()


def _there(labels: NDArray[Any]) -> NDArray[np.bool_]:
    if labels.dtype == object:
        return np.array([one is not None and one == one for one in labels.tolist()], dtype=bool)
    if labels.dtype.kind == "f":
        return ~np.isnan(labels)
    return np.ones(len(labels), dtype=bool)


def _plain(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels without missing ones as an array of text, whole numbers or truth values."""
    plain = _unboxed(labels)
    if plain.dtype.kind == "f" and np.isfinite(plain).all() and (plain == np.round(plain)).all():
        return plain.astype(np.int64) if labels.dtype == object else plain
    return plain
