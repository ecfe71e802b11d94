"""What goes in and out of a classifier: groups by column, two sets as one, predictions as arrays or a table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from gatewise.data.frames import open_frame
from gatewise.data.identity import identity_names
from gatewise.data.sequences import Sequences
from gatewise.errors import DataError
from gatewise.tasks.classify.fitted import Fitted

__all__ = ["group_values", "join", "prediction_table", "shaped"]


def group_values(sequences: Sequences, groups: Any, X: Any, identity: str) -> NDArray[Any] | None:
    """A group for each sequence.

    Args:
        sequences: whose.
        groups: one for each, or the name of a column of the table `X`, or None.
        X: what the sequences were made from.
        identity: the column with the sequences' names.

    Raises:
        DataError: their number does not fit, or a sequence lies in two groups.
    """
    if groups is None:
        return None
    if not isinstance(groups, str):
        own = np.asarray(groups)
        if own.shape != (len(sequences),):
            raise DataError(
                f"groups: one for each of the {len(sequences)} sequences is expected, came shape {own.shape}"
            )
        return own
    if sequences.form != "table":
        raise DataError(
            "groups: a column's name is meant for tables; beside arrays pass one group per sequence"
        )
    frame, _ = open_frame(X)
    if groups == identity:
        return identity_names(sequences.ids)
    if groups not in frame.columns:
        raise DataError(f"groups: the table has no column {groups!r}; it has {list(frame.columns)}")
    values = identity_names(frame.get_column(groups).to_list())[sequences.order]
    found = []
    for name, piece in zip(sequences.ids, sequences.split(values), strict=True):
        if len(np.unique(piece)) > 1:
            raise DataError(
                f"column {groups!r}: sequence {name!r} lies in several groups ({', '.join(np.unique(piece)[:3])}); a "
                "sequence belongs to one"
            )
        found.append(piece[0])
    return np.array(found)


def join(first: Sequences, second: Sequences) -> Sequences:
    """Two sets of sequences of one kind as one.

    Raises:
        DataError: they are of different kinds.
    """
    if (first.channels, first.categories, first.timed) != (second.channels, second.categories, second.timed):
        raise DataError(
            f"validation: the channels {[*first.channels, *first.categories]} are expected, as in X, came "
            f"{[*second.channels, *second.categories]}"
        )
    return replace(
        first,
        values=np.concatenate([first.values, second.values]),
        texts=np.concatenate([first.texts, second.texts]),
        starts=np.concatenate([first.starts, first.rows + second.starts[1:]]),
        times=np.concatenate([first.times, second.times]),
        ids=[*first.ids, *second.ids],
        order=None,
    )


def shaped(sequences: Sequences, flat: NDArray[Any], output: str) -> Any:
    """Something flat as a caller expects it: by sequence, or by step as a list or, for one length, as one array."""
    if output == "sequence":
        return flat
    pieces = sequences.split(flat)
    return np.stack(pieces) if sequences.form in ("matrix", "cube") else pieces


def prediction_table(sequences: Sequences, fitted: Fitted, identity: str, output: str) -> Any:
    """Names, decisions and probabilities as a native table of the kind that came in."""
    probabilities = fitted.probabilities(sequences)
    ids: list[Any] = list(sequences.ids)
    columns: dict[str, Any] = {}
    if output == "step":
        back = np.argsort(sequences.order)
        probabilities = probabilities[back]
        ids = [sequences.ids[one] for one in sequences.owners()[back]]
        columns["row"] = np.arange(len(ids))
    decided = fitted.decide(probabilities)
    columns |= {identity: ids, "predicted": decided.tolist()}
    columns |= {f"p_{name}": probabilities[:, index] for index, name in enumerate(fitted.classes.tolist())}
    order = [identity, *([name for name in columns if name != identity])]
    backend = sequences.frame.backend if sequences.frame is not None else "pandas"
    return nw.from_dict({name: columns[name] for name in order}, backend=backend).to_native()  # type: ignore[arg-type]
