"""Sequences from arrays and tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gatewise.data.sequences import sequences_from_arrays, sequences_from_frame
from gatewise.errors import DataError


@pytest.mark.parametrize(
    ("values", "form", "lengths"),
    [
        (np.zeros((3, 4)), "matrix", [4, 4, 4]),
        ([[1.0, 2.0], [3.0, 4.0]], "matrix", [2, 2]),
        (np.zeros((2, 5, 3)), "cube", [5, 5]),
        ([np.zeros(3), np.zeros(2)], "list", [3, 2]),
        ([np.zeros((3, 2)), np.zeros((1, 2))], "list", [3, 1]),
    ],
)
def test_forms_of_arrays(values, form, lengths) -> None:
    found = sequences_from_arrays(values)
    assert found.form == form
    assert found.lengths.tolist() == lengths
    assert found.times[: lengths[0]].tolist() == list(range(lengths[0]))


def test_taking_some() -> None:
    found = sequences_from_arrays([np.arange(n) for n in (3, 1, 4)], times=[[0, 2, 5], [7], [1, 1, 2, 3]])
    some = found.take(np.array([2, 0]))
    assert some.values[:, 0].tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert some.times.tolist() == [0, 0, 1, 2, 0, 2, 5]
    assert some.ids == [2, 0]
    assert [len(piece) for piece in some.split(some.times)] == [4, 3]


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (["2024-01-01 00:00", "2024-01-01 00:10"], [0, 600]),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), [0, 86400]),
        ([3, 5], [0, 2]),
        ([0.25, 1.0], [0, 0.75]),
    ],
)
def test_times_of_a_table(stamps, expected) -> None:
    table = pd.DataFrame({"unique_id": "a", "ds": stamps, "x": [1.0, 2.0]})
    assert sequences_from_frame(table.iloc[::-1]).times.tolist() == expected
    assert sequences_from_frame(table.rename(columns={"ds": "t"}), time="t").times.tolist() == expected


def test_rows_of_the_same_time_keep_their_order() -> None:
    table = pd.DataFrame({"unique_id": list("baba"), "ds": [1, 1, 1, 1], "x": [1.0, 2, 3, 4]})
    found = sequences_from_frame(table)
    assert found.ids == ["b", "a"]
    assert found.values[:, 0].tolist() == [1, 3, 2, 4]
    assert found.order.tolist() == [0, 2, 1, 3]


def test_stamps_that_are_none() -> None:
    with pytest.raises(DataError, match="'t': 'noon' is no stamp"):
        sequences_from_frame(pd.DataFrame({"unique_id": ["a"], "t": ["noon"], "x": [1.0]}), time="t")
