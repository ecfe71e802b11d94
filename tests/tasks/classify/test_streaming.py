"""A stream gives the numbers of the batch."""

from __future__ import annotations

import numpy as np
import pytest

from gatewise.errors import ArgumentError, DataError
from tests.tasks.classify.waves import COLUMNS, small, table, waves

# float32 through at most 20 steps: products over at most 60 numbers, 20 * 60 * 6e-8.
CLOSE = 8e-5


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention", "last+mean+max"])
@pytest.mark.parametrize("architecture", ["recurrent", "cnn"])
def test_row_by_row_equals_every_prefix(pooling, architecture) -> None:
    X, y = waves(24)
    model = small(pooling=pooling, architecture=architecture, filters=8).fit(X, y)
    by_step = model.predict_proba_by_step(X[:3])
    for values, expected in zip(X[:3], by_step, strict=True):
        stream = model.stream()
        for count, row in enumerate(values, 1):
            probabilities = stream.push(row)
            np.testing.assert_allclose(probabilities, expected[count - 1], atol=CLOSE)
            np.testing.assert_allclose(probabilities, model.predict_proba([values[:count]])[0], atol=CLOSE)


@pytest.mark.parametrize("cell", ["lstm", "gru_d", "sru"])
@pytest.mark.parametrize("output", ["sequence", "step"])
@pytest.mark.parametrize("extras", [{}, {"summary": True, "members": 2}], ids=["plain", "summary"])
def test_gaps_times_and_categories_stream_too(cell, output, extras) -> None:
    frame = table(gaps=0.4)
    model = small(cell=cell, output=output, missing="mask", **extras, **COLUMNS).fit(frame)
    own = frame[frame["sensor"] == "s3"]
    expected = model.predict_proba_by_step(own)[0]
    stream = model.stream()
    for _ in range(2):
        for place, (_, row) in enumerate(own.iterrows()):
            found = stream.push(dict(row[["wave", "noise", "mode"]]), time=row["clock"])
            np.testing.assert_allclose(found, expected[place], atol=CLOSE)
        stream.reset()
    if output == "step":
        np.testing.assert_allclose(model.predict_proba(own)[0], expected, atol=CLOSE)


def test_what_comes_later_changes_nothing() -> None:
    X, y = waves(24)
    for parameters in ({"output": "step"}, {"architecture": "cnn"}, {"pooling": "attention"}):
        labels = [np.full(len(x), one) for x, one in zip(X, y, strict=True)] if "output" in parameters else y
        model = small(**parameters).fit(X, labels)
        changed = X[0].copy()
        changed[5:] = 99.0
        first, second = (model.predict_proba_by_step([one])[0] for one in (X[0], changed))
        np.testing.assert_allclose(first[:5], second[:5], atol=1e-6)
        assert np.abs(first[5:] - second[5:]).max() > 1e-3


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [({"bidirectional": True}, "reads from the end"), ({"architecture": "fcn"}, "averages over the whole"),
     ({"scaling": "instance"}, "needs the whole sequence")],
)  # fmt: skip
def test_a_model_that_looks_ahead_does_not_stream(parameters, reason) -> None:
    X, y = waves(20)
    model = small(**parameters).fit(X, y)
    with pytest.raises(ArgumentError, match=reason):
        model.stream()
    with pytest.raises(ArgumentError, match=reason):
        model.predict_proba_by_step(X)


def test_rows_that_do_not_fit_are_refused() -> None:
    X, y = waves(20)
    stream = small().fit(X, y).stream()
    for row, words in (
        ([1.0], "2 channels are expected"),
        ([1.0, np.nan], "'channel 1' is nan"),
        ([np.inf, 0.0], "'channel 0' is inf"),
        (["a", 0.0], "numbers are expected"),
        ({"channel 0": 1.0}, "absent: .'channel 1'."),
    ):
        with pytest.raises(DataError, match=words):
            stream.push(row)
    with pytest.raises(ArgumentError, match="fitted without times"):
        stream.push([0.0, 0.0], time=3.0)
    assert stream.steps == 0
    timed = small(**COLUMNS).fit(table()).stream()
    row = {"wave": 0.0, "noise": 0.0, "mode": "never seen"}
    with pytest.raises(ArgumentError, match="fitted with times"):
        timed.push(row)
    timed.push(row, time=5.0)
    with pytest.raises(ArgumentError, match=r"at least 5\.0"):
        timed.push(row, time=4.0)
