"""Each thing that cannot be used is refused, with words that say what and where."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import gatewise
from gatewise.data.sequences import sequences_from_arrays
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.spec import recur, sigmoid, tanh
from tests.tasks.classify.waves import COLUMNS, small, table, waves


def changed(**columns) -> pd.DataFrame:
    return table(12).assign(**columns)


X, Y = waves(12)
STEPS = [np.zeros(len(x), dtype=int) for x in X]
PARAMETERS = {
    "hidden_size": (0, ArgumentError, "hidden_size: at least 1"),
    "num_layers": (1.5, ArgumentTypeError, "num_layers: an integer"),
    "pooling": ("last+median", ArgumentError, "pooling: one of 'last'"),
    "members": (0, ArgumentError, "members: at least 1"),
    "summary": (1, ArgumentTypeError, "summary: True or False"),
    "architecture": ("tcn", ArgumentError, "architecture: one of"),
    "output": ("both", ArgumentError, "output: one of"),
    "missing": ("ignore", ArgumentError, "missing: "),
    "unseen": ("drop", ArgumentError, "unseen: one of"),
    "scaling": ("minmax", ArgumentError, "scaling: one of"),
    "input_dropout": (1, ArgumentError, "input_dropout: a number of at least 0 and below 1"),
    "dropout": (1.0, ArgumentError, "dropout: a number of at least 0 and below 1"),
    "validation_fraction": (0.0, ArgumentError, "validation_fraction: a number above 0"),
    "bidirectional": ("yes", ArgumentTypeError, "bidirectional: True or False"),
    "cell": ("lstn", ArgumentError, "lstn"),
    "class_weight": ("even", ArgumentError, "class_weight: None"),
    "batch_size": (0, ArgumentError, "batch_size: at least 1"),
    "max_epochs": (0, ArgumentError, "max_epochs: at least 1"),
    "device": ("cpux", ArgumentError, "device"),
}
ARRAYS = {
    "missing": (
        [np.array([[0.0, np.nan]])] * 2,
        ["a", "b"],
        "'channel 1' is missing .NaN. in sequence 0 at step 0",
    ),
    "infinite": (
        [np.zeros((3, 1)), np.array([[1.0], [np.inf]])],
        ["a", "b"],
        "is infinite in sequence 1 at step 1",
    ),
    "no sequence": (np.zeros((0, 4)), [], "0 sample"),
    "an empty sequence": ([np.zeros((3, 1)), np.zeros((0, 1))], ["a", "b"], r"X\[1\]: the sequence is empty"),
    "other channels": (
        [np.zeros((3, 1)), np.zeros((3, 2))],
        ["a", "b"],
        "sequence 1 has 2 channels, sequence 0 has 1",
    ),
    "text": ([np.array(["u", "v"])] * 2, ["a", "b"], r"X\[0\]: numbers are expected"),
    "one number": (3.0, ["a"], "an array of shape"),
    "too few labels": (X, Y[:5], "one label for each of the 12 sequences is expected, came 5"),
    "no labels": (X, None, "labels are expected"),
    "a missing label": (X, [None, *Y[1:]], "sequence 0 has no label"),
    "measurements as labels": (X, np.linspace(0, 1, 12), "classes are expected"),
    "mixed labels": (X, [1, "a", *Y[2:]], "y: labels of one kind"),
    "one class": (X, ["a"] * 12, "at least 2 classes"),
}
TABLES = {
    "empty": (table(12).iloc[:0], "the table is empty"),
    "no name": (table(12).drop(columns="sensor"), "no column 'sensor'"),
    "no label": (table(12).drop(columns="kind"), "no column 'kind' with the labels"),
    "no time": (table(12).drop(columns="clock"), "no column 'clock'"),
    "a missing name": (
        changed(sensor=lambda f: f["sensor"].where(f.index != 3)),
        "row 3 has no name of a sequence",
    ),
    "a missing time": (changed(clock=lambda f: f["clock"].where(f.index != 3)), "column 'clock': row 3"),
    "several labels": (
        changed(kind=lambda f: np.where(f.index == 2, "odd", "even")),
        "'s0' has several labels",
    ),
    "a missing value": (changed(wave=lambda f: f["wave"].where(f.index != 1)), "'wave' is missing"),
    "infinite": (changed(wave=lambda f: f["wave"].where(f.index != 1, np.inf)), "'wave' is infinite"),
    "a column of lists": (changed(mode=lambda f: [[1]] * len(f)), "column 'mode' holds"),
    "text for time": (changed(clock="soon"), "'clock': 'soon' is no stamp"),
    "no channel": (table(12)[["sensor", "clock", "kind"]], "no channel"),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name: str) -> None:
    value, kind, words = PARAMETERS[name]
    with pytest.raises(kind, match=words):
        small(**{name: value}).fit(X, Y)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name: str) -> None:
    values, labels, words = ARRAYS[name]
    with pytest.raises(DataError, match=words):
        small().fit(values, labels)


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str) -> None:
    frame, words = TABLES[name]
    with pytest.raises(DataError, match=words):
        small(**COLUMNS).fit(frame)


def test_labels_of_steps() -> None:
    for labels, words in (
        (STEPS[:-1], "one array of labels for each of the 12"),
        ([one[:-1] for one in STEPS], r"y\[0\]: one label for each of the"),
        ([np.full(len(x), None) for x in X], "no label at all"),
    ):
        with pytest.raises(DataError, match=words):
            small(output="step").fit(X, labels)
    with pytest.raises(DataError, match="y should be a 1d array"):
        small().fit(np.zeros((3, 4, 1)), np.zeros((3, 4)))


def test_groups_and_validation() -> None:
    for arguments, words in (
        ({"groups": [1, 2]}, "groups: one for each of the 12"),
        ({"groups": ["a"] * 12}, "at least 2 groups"),
        ({"groups": "site"}, "meant for tables"),
        ({"validation": X}, "validation: a pair"),
        ({"validation": (X, ["odd"] * 12)}, "validation: the label 'odd' is none of the classes"),
        ({"validation": ([x[:, :1] for x in X], Y)}, "validation: the channels"),
    ):
        with pytest.raises((DataError, ArgumentError), match=words):
            small().fit(X, Y, **arguments)
    frame = table(12).assign(site=lambda f: np.arange(len(f)))
    for groups, words in (("site", "'s0' lies in several groups"), ("town", "no column 'town'")):
        with pytest.raises(DataError, match=words):
            small(**COLUMNS).fit(frame, groups=groups)


def test_cells_that_cannot_be_fed() -> None:
    @gatewise.cell(states="h", gates="n", inputs="x weather:input")
    def other(gate, state, stream):
        return tanh(gate.n) * sigmoid(recur(stream.weather, "weather", "hidden"))

    for parameters, words in (
        ({"cell": other}, "reads .'weather'."),
        ({"cell": "gru_d", "num_layers": 2}, "num_layers: 1 is expected"),
        ({"cell": "gru_d", "architecture": "cnn"}, 'architecture: "recurrent" or "fcn"'),
    ):
        with pytest.raises(ArgumentError, match=words):
            small(**parameters).fit(X, Y)


def test_what_does_not_fit_the_fitted_model() -> None:
    model = small().fit(X, Y)
    for values, words in (
        ([x[:, :1] for x in X], "2 channels are expected, as in fit, came 1"),
        ([np.full((3, 2), np.nan)], "is missing"),
        (table(12), "fitted to arrays, came a table"),
        (sequences_from_arrays(X, times=[np.arange(len(x)) for x in X]), "fitted without times"),
    ):
        with pytest.raises(DataError, match=words):
            model.predict(values)
    with pytest.raises(DataError, match="the label 'odd' is none of the classes that were fitted"):
        model.evaluate(X, ["odd", *Y[1:]])
    with pytest.raises(DataError, match="a table is expected"):
        model.predict_table(X)


def test_tables_that_do_not_fit_the_fitted_model() -> None:
    frame = table(12)
    model = small(unseen="error", **COLUMNS).fit(frame)
    for other, words in (
        (frame.drop(columns="noise"), "no column 'noise'"),
        (frame.assign(extra=1.0), "not fitted: 'extra'"),
        (frame.assign(mode=1.0), "'mode' holds numbers, but the model was fitted with text"),
        (frame.assign(wave="up"), "'wave' holds text, but the model was fitted with numbers"),
        (frame.assign(mode="broken"), "the category 'broken' .row 0. was not seen in training"),
        (X, "fitted to a table, came arrays"),
    ):
        with pytest.raises(DataError, match=words):
            model.predict(other)
    with pytest.raises(DataError, match="12 of 12 sequences have no label"):
        model.evaluate(frame.drop(columns="kind"), {"other": "fast"})


def test_an_unseen_category_is_as_a_rare_one_where_that_is_asked_for() -> None:
    frame = table(20)
    model = small(unseen="unknown", **COLUMNS).fit(frame)
    first, second = (model.predict_proba(frame.assign(mode=text)) for text in ("never seen", None))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - model.predict_proba(frame.assign(mode="on"))).max() > 0


def test_times_that_fall() -> None:
    with pytest.raises(DataError, match=r"times\[1\]"):
        sequences_from_arrays([np.zeros(2), np.zeros(2)], times=[[0, 1], [1, 0]])
    with pytest.raises(DataError, match="times: one array per sequence"):
        sequences_from_arrays([np.zeros(2)], times=[])
