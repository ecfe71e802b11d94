"""Stretches of histories: nothing twice, nothing lost, never the future."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gatewise.data.records import windows_by_entity
from gatewise.errors import DataError


def histories(rows: int = 200, entities: int = 7, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "card": generator.integers(entities, size=rows).astype(str),
            "time": generator.permutation(rows).astype(float),
            "amount": np.arange(rows, dtype=float),
        }
    )


@pytest.mark.parametrize("window", [1, 2, 5, 64])
def test_every_record_is_one_stretch_s_own_and_has_its_past(window: int) -> None:
    table = histories()
    windows = windows_by_entity(table, window=window, entity="card", time="time")
    own = windows.record[windows.own]
    assert sorted(own.tolist()) == list(range(len(table)))
    assert windows.sequences.lengths.max() <= window
    np.testing.assert_array_equal(windows.back(windows.sequences.values[:, 0]), table["amount"])
    place = np.arange(len(windows.record)) - np.repeat(
        windows.sequences.starts[:-1], windows.sequences.lengths
    )
    for row, back in zip(windows.record[windows.own], place[windows.own], strict=True):
        before = ((table["card"] == table["card"][row]) & (table["time"] < table["time"][row])).sum()
        assert back >= min(before, window // 2)
    for piece in windows.sequences.split(windows.record):
        assert table["card"][piece].nunique() == 1
        assert table["time"][piece].is_monotonic_increasing


def test_without_an_entity_each_record_stands_alone() -> None:
    windows = windows_by_entity(histories().drop(columns=["card", "time"]), window=1)
    assert windows.sequences.lengths.tolist() == [1] * 200
    assert not windows.sequences.timed


def test_an_empty_table() -> None:
    with pytest.raises(DataError, match="empty"):
        windows_by_entity(histories(0), window=3, entity="card")
