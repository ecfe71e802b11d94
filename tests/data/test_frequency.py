"""The step in time: what is inferred, what is refused, and where it leads."""

from __future__ import annotations

import itertools
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from gatewise.data.calendar import calendar_features, calendar_names
from gatewise.data.frequency import (
    DAY,
    HOUR,
    WEEK,
    Frequency,
    infer_frequency,
    parse_frequency,
    parse_stamp,
    show_stamp,
)
from gatewise.errors import ArgumentError, DataError


def stamps(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[ns]").astype(np.int64)


def infer(values: np.ndarray, kind: str = "time") -> Frequency:
    return infer_frequency(values, np.array([0, len(values)]), ["a"], kind)


@pytest.mark.parametrize(
    ("step", "name", "season"),
    [
        (HOUR, "hour", 24),
        (15 * 60 * 10**9, "15 minutes", 96),
        (DAY, "day", 7),
        (WEEK, "week", 52),
        (6 * HOUR, "6 hours", 4),
        (7 * HOUR, "7 hours", 1),
    ],
)
def test_fixed_steps(step, name, season) -> None:
    found = infer(np.arange(10) * step + 10**18)
    assert (found.unit, found.count, found.name, found.season_length) == ("fixed", step, name, season)


@pytest.mark.parametrize(
    ("texts", "count", "following"),
    [
        (("2023-11-01", "2023-12-01", "2024-01-01", "2024-02-01"), 1, "2024-03-01"),
        (("2023-11-30", "2023-12-31", "2024-01-31"), 1, "2024-02-29"),
        (("2023-03-31", "2023-06-30", "2023-09-30"), 3, "2023-12-31"),
        (("2020-01-01", "2021-01-01", "2022-01-01"), 12, "2023-01-01"),
    ],
)
def test_calendar_months(texts, count, following) -> None:
    found = infer(stamps(*texts))
    assert (found.unit, found.count) == ("month", count)
    assert found.ahead(stamps(texts[0])[0], np.array([len(texts)])) == stamps(following)


def test_a_hole_does_not_change_the_step() -> None:
    assert infer(np.array([0, 1, 2, 5, 6]) * HOUR).count == HOUR


def test_integers_are_steps_of_their_own() -> None:
    found = infer(np.array([10, 20, 30]), "integer")
    assert found == Frequency("integer", 10)
    assert found.season_length == 1


def test_mixed_frequencies_name_both_series() -> None:
    values = np.concatenate([np.arange(5) * HOUR, np.arange(5) * DAY])
    with pytest.raises(DataError, match=r"'a' has one row per hour, series 'b' one per day"):
        infer_frequency(values, np.array([0, 5, 10]), ["a", "b"], "time")


def test_one_row_says_nothing() -> None:
    with pytest.raises(DataError, match="'a' has 1"):
        infer(np.array([0]))


def test_positions_tell_what_lies_between_the_steps() -> None:
    position, whole = Frequency("fixed", HOUR).position(
        np.array([0, HOUR, HOUR + 1]), np.zeros(3, dtype=np.int64)
    )
    assert position.tolist()[:2] == [0, 1]
    assert whole.tolist() == [True, True, False]


def test_stamps_are_shown_and_read_as_people_write_them() -> None:
    assert show_stamp(stamps("2024-01-31T13:00")[0], "time") == "2024-01-31 13:00"
    assert show_stamp(stamps("2024-01-31T13:00:07.5")[0], "time") == "2024-01-31 13:00:07.5"
    assert show_stamp(7, "integer") == "7"
    assert parse_stamp("2024-01-31 13:00", "time") == stamps("2024-01-31T13:00")[0]
    with pytest.raises(ArgumentError, match="'tomorrow'"):
        parse_stamp("tomorrow", "time")
    with pytest.raises(ArgumentError, match="integer"):
        parse_stamp("2024-01-01", "integer")


def test_calendar_is_the_calendar() -> None:
    hours = stamps("2024-01-01T00", "2024-01-01T06", "2024-01-08T00", "2024-01-02T00")
    values = calendar_features(hours, ("hour", "weekday"))
    assert values.shape == (4, 8)
    np.testing.assert_allclose(values[0, :2], [0, 1], atol=1e-6)  # midnight
    np.testing.assert_allclose(
        values[1, :2], [1, 0], atol=1e-6
    )  # six in the morning: a quarter of the circle
    np.testing.assert_allclose(values[0, 4:6], [0, 1], atol=1e-6)  # 1 January 2024 is a Monday
    np.testing.assert_allclose(values[0], values[2], atol=1e-6)  # a week on
    assert abs(values[0, 4] - values[3, 4]) > 0.5
    assert calendar_names(Frequency("fixed", DAY), "time") == ("weekday", "month")
    assert calendar_names(Frequency("integer", 1), "integer") == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("h", "hour"), ("15min", "15 minutes"), ("15m", "15 minutes"), ("D", "day"), ("1d", "day"), ("W-SUN", "week"),
        ("MS", "month"), ("ME", "month"), ("1mo", "month"), ("QS", "3 months"), ("YE", "12 months"),
        ("30s", "30 seconds"),
        (1, "step"), (3, "3 (integer time)"),
    ],
)  # fmt: skip
def test_a_frequency_may_be_said(text, name) -> None:
    assert parse_frequency(text).name == name


@pytest.mark.parametrize("text", ["B", "often", "0h", "", "-1D", 0, -2, 1.5, None, True])
def test_what_is_no_frequency_is_refused(text) -> None:
    with pytest.raises(ArgumentError, match="freq"):
        parse_frequency(text)


def test_equal_steps_are_seen_at_once_and_as_they_would_be_one_by_one() -> None:
    from gatewise.data import frequency

    hours = np.arange(50, dtype=np.int64) * 3_600_000_000_000
    for stamps, starts in (
        (np.concatenate([hours, hours[:7] + 999]), np.array([0, 50, 57])),
        (hours[:1], np.array([0, 1])),
        (np.concatenate([hours[:1], hours[:9]]), np.array([0, 1, 10])),
    ):
        quick = frequency._uniform_step(stamps, starts, "time")
        slow = [frequency._step_of(stamps[a:b], "time") for a, b in itertools.pairwise(starts)]
        assert quick == next((one for one in slow if one is not None), None)
    months = np.array(["2023-01-01", "2023-02-01", "2023-03-01"], dtype="datetime64[ns]").astype(np.int64)
    assert frequency._uniform_step(months, np.array([0, 3]), "time") is None


@pytest.mark.parametrize("day", [1, 15, 28, 29, 30, 31])
@pytest.mark.parametrize("start", ["2021-02", "2021-04", "2021-06", "2024-02", "2023-01"])
@pytest.mark.parametrize("count", [1, 3, 12])
def test_months_keep_the_day_that_all_stamps_show(day: int, start: str, count: int) -> None:
    """The oracle is pandas' calendar: the day of the month, clipped to the month's length."""
    months = pd.period_range(start, periods=40 * count, freq="M")[::count]
    own = np.array(
        [str((one.start_time + pd.Timedelta(days=min(day, one.days_in_month) - 1)).date()) for one in months]
    )
    given = stamps(*own)
    step = infer(given).settled(given, np.array([0, len(given)]), ["a"])
    assert (step.unit, step.count) == ("month", count)
    position, whole = step.position(given, given[:1])
    assert whole.all()
    np.testing.assert_array_equal(position, np.arange(40))
    np.testing.assert_array_equal(step.ahead(given[0], np.arange(40)), given)


def test_a_series_that_shows_no_day_takes_that_of_the_others() -> None:
    given = stamps("2021-02-28", "2021-01-28", "2021-02-28", "2021-03-28")
    starts, names = np.array([0, 1, 4]), ["a", "b"]
    step = infer_frequency(given, starts, names, "time").settled(given, starts, names)
    assert step.ahead(given[0], np.arange(2))[1] == stamps("2021-03-28")[0]
    yearly = stamps("2021-02-28", "2022-02-28", "2023-02-28")
    alone = infer(yearly).settled(yearly, np.array([0, 3]), ["a"])
    assert alone.ahead(yearly[0], np.array([3]))[0] == stamps("2024-02-29")[0]  # as pandas: YE-FEB


def test_two_late_days_in_one_table_are_refused() -> None:
    given = stamps("2021-01-28", "2021-02-28", "2021-01-30", "2021-02-28")
    with pytest.raises(DataError, match=r"28th or on the 30th"):
        Frequency("month", 1).settled(given, np.array([0, 2, 4]), ["a", "b"])


@pytest.mark.parametrize(
    ("freq", "step"),
    [
        (np.timedelta64(1, "h"), Frequency("fixed", HOUR)),
        (np.timedelta64(2, "W"), Frequency("fixed", 2 * WEEK)),
        (timedelta(minutes=90), Frequency("fixed", 90 * 60 * 10**9)),
        (pd.Timedelta("1ns"), Frequency("fixed", 1)),
        (pd.offsets.Hour(3), Frequency("fixed", 3 * HOUR)),
        (pd.offsets.MonthBegin(), Frequency("month", 1)),
        (pd.offsets.QuarterEnd(), Frequency("month", 3)),
        (pd.offsets.Week(weekday=6), Frequency("fixed", WEEK)),
    ],
)
def test_a_step_may_be_a_span_or_an_offset(freq: object, step: Frequency) -> None:
    assert parse_frequency(freq) == step


@pytest.mark.parametrize(
    "freq", [np.timedelta64(0, "h"), timedelta(-1), np.timedelta64("NaT"), np.timedelta64(1, "Y")]
)
def test_a_span_that_is_no_step_is_refused(freq: object) -> None:
    with pytest.raises(ArgumentError, match="freq"):
        parse_frequency(freq)
