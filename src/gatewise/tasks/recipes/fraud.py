"""Fraud detection on transaction histories, and what gradient boosting would be given instead."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gatewise.data.files import read_table
from gatewise.data.sequences import sequences_from_frame
from gatewise.errors import DataError
from gatewise.tasks.classify import SequenceClassifier
from gatewise.tasks.recipes.detector import RecordDetector

__all__ = ["fraud_detector", "load_credit_card", "window_features", "with_seen_before"]

_SPANS = (3600.0, 86_400.0, 7 * 86_400.0)
_CREDIT_CARD = ("Time", *(f"V{number}" for number in range(1, 29)), "Amount", "Class")


def fraud_detector(
    *,
    card_column: str | None = "card",
    time_column: str = "time",
    amount_column: str = "amount",
    alarm_cost: float = 10.0,
    random_state: Any = None,
    **settings: Any,
) -> RecordDetector:
    """A detector with the settings that fit transaction histories.

    An alarm is raised where looking into it costs less than what is expected to be lost: probability times amount.
    Whole cards are held back to stop early and to calibrate. A network learns slowly that a merchant was never visited
    before: `with_seen_before` adds that as columns.

    Args:
        card_column: whose a transaction is; None: every transaction stands alone.
        time_column: when it was made.
        amount_column: what is lost if it is fraud and missed.
        alarm_cost: what looking into an alarm costs, in the amounts' unit.
        random_state: an integer, or None.
        **settings: of the `SequenceClassifier`, in place of the recipe's.

    Example:
        >>> fraud_detector().miss_cost
        'amount'
    """
    chosen = {"cell": "gru", "hidden_size": 64, "dropout": 0.2, "max_epochs": 30, "patience": 6} | settings
    return RecordDetector(
        SequenceClassifier(output="step", **chosen),
        entity_column=card_column,
        time_column=time_column,
        window=64 if card_column is not None else 1,
        rule="cost",
        alarm_cost=alarm_cost,
        miss_cost=amount_column,
        ignore_columns=("synthetic",) if card_column is not None else (),
        random_state=random_state,
    )


def load_credit_card(path: str | os.PathLike[str]) -> pa.Table:
    """The public credit-card file of the Université Libre de Bruxelles (Dal Pozzolo et al. 2015), which you supply.

    284,807 transactions of two days in September 2013, 492 of them fraud; their columns are principal components, and
    the cards are not told, so that every transaction stands alone (`fraud_detector(card_column=None)`).

    Args:
        path: creditcard.csv, as its makers publish it.

    Returns:
        A table: time (seconds since the first transaction), V1 to V28, amount, label ("normal" or "fraud").

    Raises:
        DataError: the file is not there, or has other columns.
    """
    if not Path(path).is_file():
        raise DataError(
            f"there is no file {str(path)!r}. Gatewise does not bring this data set: get creditcard.csv of the Machine "
            "Learning Group of the Université Libre de Bruxelles (Dal Pozzolo et al. 2015) and give its path"
        )
    table = read_table(Path(path))
    if tuple(table.column_names) != _CREDIT_CARD:
        raise DataError(
            f"{str(path)!r} is not the credit-card file: the columns Time, V1 to V28, Amount, Class are expected, came "
            f"{table.column_names}"
        )
    fraud = pc.if_else(pc.equal(pc.cast(table.column("Class"), pa.int64()), 1), "fraud", "normal")
    columns = {"time": pc.cast(table.column("Time"), pa.float64())}
    columns |= {name: pc.cast(table.column(name), pa.float64()) for name in _CREDIT_CARD[1:-2]}
    return pa.table(columns | {"amount": pc.cast(table.column("Amount"), pa.float64()), "label": fraud})


def window_features(
    table: Any,
    *,
    entity: str = "card",
    time: str = "time",
    amount: str = "amount",
    seen_before: Sequence[str] = ("merchant", "country"),
    leave_out: Sequence[str] = ("label", "synthetic"),
    known: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[NDArray[np.float64], dict[str, tuple[str, ...]]]:
    """What a model without a memory is given: each record, and sums over its entity's windows before it.

    Number and sum of the records of the last hour, day and week (this one included), the time since the one before,
    the amount against the entity's mean and deviation so far, and whether a category was seen with this entity before.

    Args:
        table: a table of records.
        entity, time, amount: its columns.
        seen_before: categories of which it is asked whether the entity had them before.
        leave_out: columns that are not read.
        known: the categories that an earlier call found, to number them alike; None: those of this table.

    Returns:
        (records, features) in the order of the table (a category that is not known is NaN), and the categories.
    """
    found = sequences_from_frame(table, "mask", identity=entity, time=time, leave_out=tuple(leave_out))
    if amount not in found.channels:
        raise DataError(
            f"amount: the table has no column {amount!r} of numbers; it has {list(found.channels)}"
        )
    categories = {
        name: tuple(sorted({text for text in found.texts[:, i].tolist() if text is not None}))
        for i, name in enumerate(found.categories)
    }
    numbered = dict(known) if known is not None else categories
    amounts = found.values[:, found.channels.index(amount)]
    columns = [found.values]
    for index, name in enumerate(found.categories):
        place = {text: number for number, text in enumerate(numbered.get(name, ()))}
        columns.append(np.array([[place.get(text, np.nan)] for text in found.texts[:, index].tolist()]))
    parts = [
        _history(found.times[begin:end], amounts[begin:end])
        for begin, end in zip(found.starts[:-1], found.starts[1:], strict=True)
    ]
    columns.append(np.concatenate(parts))
    for name in seen_before:
        if name in found.categories:
            columns.append(
                _seen_before(found.texts[:, found.categories.index(name)], found.owners())[:, None]
            )
    features = np.concatenate(columns, axis=1)
    ordered = np.empty_like(features)
    ordered[found.order] = features
    return ordered, numbered


def with_seen_before(
    table: pa.Table,
    columns: Sequence[str] = ("merchant", "country"),
    *,
    entity: str = "card",
    time: str = "time",
) -> pa.Table:
    """The table with a column such as merchant_seen for each of `columns`: 1 where the entity had this value before.

    Example:
        >>> small = pa.table({"card": ["a", "a", "a"], "time": [1, 2, 3], "merchant": ["x", "y", "x"]})
        >>> with_seen_before(small, ["merchant"]).column("merchant_seen").to_pylist()
        [0.0, 0.0, 1.0]
    """
    absent = [name for name in columns if name not in table.column_names]
    if absent:
        raise DataError(f"columns: the table has no column {absent[0]!r}; it has {table.column_names}")
    found = sequences_from_frame(
        table.select(list({entity, time, *columns})), "mask", identity=entity, time=time
    )
    for name in columns:
        if name not in found.categories:
            raise DataError(f"columns: {name!r} holds numbers; text (a category) is expected")
        seen = np.empty(found.rows)
        seen[found.order] = _seen_before(found.texts[:, found.categories.index(name)], found.owners())
        table = table.append_column(f"{name}_seen", pa.array(seen))
    return table


def _history(times: NDArray[np.float64], amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of one entity: (records, features) from each record and those before it."""
    count = len(times)
    sums = np.concatenate([[0.0], np.cumsum(amounts)])
    squares = np.concatenate([[0.0], np.cumsum(amounts**2)])
    rows = np.arange(count)
    columns = [np.concatenate([[np.nan], np.diff(times)]), rows.astype(np.float64)]
    for span in _SPANS:
        first = np.searchsorted(times, times - span, side="right")
        columns += [(rows + 1 - first).astype(np.float64), sums[rows + 1] - sums[first]]
    before = np.maximum(rows, 1)
    mean = np.where(rows > 0, sums[rows] / before, np.nan)
    spread = np.sqrt(np.maximum(squares[rows] / before - mean**2, 0.0))
    columns += [amounts / np.maximum(mean, 0.01), (amounts - mean) / np.maximum(spread, 0.01)]
    return np.stack(columns, axis=1)


def _seen_before(texts: NDArray[np.object_], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    seen: set[tuple[int, Any]] = set()
    found = np.zeros(len(texts))
    for row, pair in enumerate(zip(owners.tolist(), texts.tolist(), strict=True)):
        found[row] = pair in seen
        seen.add(pair)
    return found
