"""What cannot be used is refused with a message that says which argument, what came and what to do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from tests.tasks.anomaly.waves import small, table, waves


def one() -> pd.DataFrame:
    return table(80, ("a",))


def with_value(value, row: int = 7) -> pd.DataFrame:
    frame = one()
    frame.loc[row, "load"] = value
    return frame


def mixed() -> pd.DataFrame:
    slow = one().assign(unique_id="b", timestamp=pd.date_range("2024-01-01", periods=80, freq="D"))
    return pd.concat([one(), slow])


def irregular() -> pd.DataFrame:
    frame = one()
    frame.loc[9, "timestamp"] += pd.Timedelta(minutes=7)
    return frame


BAD_TABLES = {
    "duplicate stamps": (lambda: one().iloc[[*range(10), 9, *range(10, 80)]], "two rows for 2024-01-01 09:00"),
    "unsorted": (lambda: one().iloc[::-1], "not in the order of time"),
    "mixed frequency": (mixed, "mixes frequencies"),
    "a hole": (lambda: one().drop(index=[20, 21]), "no row between 2024-01-01 19:00 and 2024-01-01 22:00"),
    "off the step": (irregular, "irregular at 2024-01-01 09:07"),
    "missing": (lambda: with_value(np.nan), "'load' is missing .* at 2024-01-01 07:00"),
    "infinite": (lambda: with_value(np.inf), "'load' is infinite .* at 2024-01-01 07:00"),
    "empty": (lambda: one().iloc[:0], "table is empty"),
    "no stamps": (lambda: one().drop(columns="timestamp"), "no column of stamps"),
    "no channel": (lambda: one()[["unique_id", "timestamp"]], "no channel"),
    "text": (lambda: one().assign(heat="warm"), "'heat' holds text"),
    "bad stamp": (lambda: one().assign(timestamp="soon"), "'timestamp': 'soon' is no stamp"),
    "no name": (lambda: one().assign(unique_id=None), "no name of a series"),
    "too short": (lambda: one().iloc[:15], "series 'a' is too short: n_samples = 15.* at least 20"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TABLES)
def test_tables_are_refused(name) -> None:
    make, words = BAD_TABLES[name]
    with pytest.raises(DataError, match=words):
        small().fit(make())


def test_a_series_needs_as_many_rows_as_the_message_says() -> None:
    small(max_epochs=1).fit(one().iloc[:20])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.full((60, 1), np.nan), "NaN"),
        (np.full((60, 1), np.inf), "infinity"),
        (np.zeros(60), "2D array"),
        (np.zeros((0, 2)), "0 sample"),
        (np.zeros((60, 0)), "0 feature"),
        ([np.zeros((60, 2)), np.zeros((60, 3))], r"\[2, 3\] columns"),
        ([["a", "b"]] * 60, "could not convert string"),
        ([], "empty|0 sample|no series|2D"),
    ],
)
def test_arrays_are_refused(data, words) -> None:
    with pytest.raises(DataError, match=words):
        small().fit(data)


def test_a_constant_channel_is_taken_with_a_warning_and_its_change_alarms() -> None:
    values = np.full((200, 1), 7.0)
    with pytest.warns(UserWarning, match="'x0' is constant .7. in the rows"):
        detector = small(max_epochs=1).fit(values)
    changed = values.copy()
    changed[150] = 8.0
    assert (detector.predict(values) == 1).all()
    assert detector.predict(changed)[150] == -1


def test_a_channel_without_a_value() -> None:
    values = waves()
    values[:, 1] = np.nan
    with pytest.raises(DataError, match="'x1' has no observed value"):
        small(missing="mask").fit(values)


def test_other_channels_than_those_fitted() -> None:
    detector = small(max_epochs=1).fit(one())
    with pytest.raises(DataError, match="lacks 'heat' and has the unknown 'cold'.*'load', 'heat'"):
        detector.predict(one().rename(columns={"heat": "cold"}))
    with pytest.raises(DataError, match="has the unknown 'more'"):
        detector.predict(one().assign(more=1.0))
    with pytest.raises(ValueError, match="X has 3 features, but AnomalyDetector is expecting 2 features"):
        detector.predict(np.zeros((30, 3)))
    with pytest.raises(DataError, match="integers, but the detector was fitted to times"):
        detector.predict(one().assign(timestamp=range(80)))
    with pytest.raises(DataError, match="irregular"):
        detector.predict(one().assign(timestamp=pd.date_range("2024-01-01", periods=80, freq="min")))


def test_rows_are_steps_where_one_says_so() -> None:
    frame = one().iloc[::-1]
    scores = small(spacing="rows", max_epochs=1).fit(frame).score_samples(frame)
    assert len(scores) == 80


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([1.0], r"2 values are expected \(x0, x1\), came shape \(1,\)"),
        ([1.0, np.inf], "'x1' is infinite"),
        ([np.nan, 1.0], "'x0' is missing"),
        (["a", "b"], "numbers are expected"),
    ],
)
def test_rows_of_a_stream_are_refused(row, words) -> None:
    detector = small(max_epochs=1).fit(waves(60))
    stream = detector.stream()
    stream.step([0.0, 0.0])
    with pytest.raises(DataError, match=words):
        stream.step(row)
    assert stream.rows == 1  # what is refused leaves no trace


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(79), "80 rows need one mark each, came shape .79"),
        (np.full(80, 2), "1 for anomalous and 0 for normal rows are expected, came 2"),
        (np.full(80, -1), "y == -1"),
        (["x"] * 80, "0 and 1"),
        ({"b": [("2024-01-01", "2024-01-02")]}, "name a series 'b'"),
        ([("2024-03-01", "2024-03-02")], "holds no row; its rows go from 2024-01-01 00:00"),
        ([("2024-01-02", "2024-01-01")], "ends before it begins"),
        ([("soon", "later")], "stamp"),
        ({"a": [("2024-01-01",)]}, "first stamp, last stamp"),
    ],
)
def test_labels_that_do_not_match(labels, words) -> None:
    with pytest.raises(DataError, match=words):
        small(threshold="labels", max_epochs=1).fit(one(), labels)


def test_a_start_outside_the_rows() -> None:
    detector = small(max_epochs=1).fit(one())
    with pytest.raises(DataError, match="start: .* no rows to judge"):
        detector.evaluate(one(), start="2030-01-01")


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"method": "guess"}, ArgumentError, "method: one of 'forecast'"),
        ({"cell": "lstn"}, ArgumentError, "lstn"),
        ({"hidden_size": 0}, ArgumentError, "hidden_size: at least 1"),
        ({"lookback": 1}, ArgumentError, "lookback: at least 2"),
        ({"horizon": 2.5}, ArgumentTypeError, "horizon: an integer"),
        ({"dropout": 1.0}, ArgumentError, "dropout"),
        ({"false_alarm_rate": 0}, ArgumentError, "false_alarm_rate: a number above 0"),
        ({"threshold": "best"}, ArgumentError, "threshold: one of 'spot'"),
        ({"threshold": None}, ArgumentTypeError, "threshold: a number"),
        ({"rescale": 1}, ArgumentError, "rescale"),
        ({"likelihood": 10}, ArgumentTypeError, "likelihood"),
        ({"likelihood": (5, 10)}, ArgumentError, "long above short"),
        ({"quiet": -1}, ArgumentError, "quiet"),
        ({"tolerance": 0.0}, ArgumentError, "tolerance"),
        ({"level": 1}, ArgumentTypeError, "level: True or False"),
        ({"level": True, "method": "quantile"}, ArgumentError, "level: method .quantile."),
        ({"quiet": 1.5}, ArgumentError, "quiet: an integer number of rows, or a share"),
        ({"quiet": "long"}, ArgumentTypeError, "quiet"),
        ({"missing": "drop"}, ArgumentError, "missing"),
        ({"spacing": "odd"}, ArgumentError, "spacing"),
        ({"method": "quantile", "quantiles": (0.1, 0.5)}, ArgumentError, "both sides of 0.5"),
        ({"method": "quantile", "quantiles": "wide"}, ArgumentTypeError, "quantiles"),
        ({"max_epochs": 0}, ArgumentError, "max_epochs"),
        ({"device": "abacus"}, ArgumentError, "device"),
        ({"cell": "gru_d"}, ArgumentError, "one input stream"),
    ],
)
def test_parameters_are_refused(parameters, error, words) -> None:
    with pytest.raises(error, match=words):
        small(**parameters).fit(waves(60))
