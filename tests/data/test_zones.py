"""Series in a time zone: the step, the calendar and the way back, against pandas' own date ranges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gatewise.data import panel_from_frame
from gatewise.data.calendar import calendar_features
from gatewise.data.frequency import parse_stamp, show_stamp
from gatewise.data.zones import zone_name
from gatewise.errors import DataError

KINDS = {"pandas": lambda df: df, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}


def table(stamps: Any) -> pd.DataFrame:
    return pd.DataFrame({"ds": stamps, "y": np.arange(len(stamps), dtype=float)})


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Etc/GMT+5", "UTC", "Australia/Lord_Howe"]
)
@pytest.mark.parametrize(
    ("freq", "rows"),
    [("15min", 900), ("h", 400), ("D", 300), ("W-SUN", 60), ("MS", 24), ("ME", 24), ("QS", 9)],
)
def test_steps_are_pandas_own_across_summer_time(kind: str, zone: str, freq: str, rows: int) -> None:
    stamps = pd.date_range("2024-01-07", periods=rows, freq=freq, tz=zone)
    panel = panel_from_frame(KINDS[kind](table(stamps[: rows // 2])), "error")
    ahead = panel.frequency.ahead(panel.stamps[0], np.arange(rows))
    assert (ahead == stamps.as_unit("ns").asi8).all()
    assert panel.frame is not None
    back = nw.from_native(panel.frame.build(["s"] * rows, ahead, "time", {"y": np.arange(rows)}))
    found = pd.Series(back.get_column("ds").to_native())
    if kind != "pandas":
        found = back.get_column("ds").to_native().to_pandas()
    assert str(found.dt.tz) == zone
    assert (found.to_numpy() == stamps.to_numpy()).all()


@pytest.mark.parametrize("freq", ["h", "D"])
def test_the_calendar_is_the_clock_on_the_wall(freq: str) -> None:
    stamps = pd.date_range("2024-03-25", periods=400, freq=freq, tz="America/New_York")
    shown = stamps.tz_localize(None).as_unit("ns").asi8
    names = ("hour", "weekday", "month")
    found = calendar_features(stamps.as_unit("ns").asi8, names, "America/New_York")
    np.testing.assert_array_equal(found, calendar_features(shown, names))


@pytest.mark.parametrize(
    ("stamps", "zone"),
    [
        ([f"2024-03-{day:02d} 00:00:00+05:30" for day in range(1, 9)], "+05:30"),
        ([f"2024-03-{day:02d}T00:00-0500" for day in range(1, 9)], "Etc/GMT+5"),
        ([f"2024-03-{day:02d}T00:00:00Z" for day in range(1, 9)], "UTC"),
        ([f"2024-03-{day:02d}" for day in range(1, 9)], ""),
        (
            pd.Series(
                [datetime(2024, 3, 28 + d, tzinfo=ZoneInfo("Europe/Berlin")) for d in range(4)], dtype=object
            ),
            "Europe/Berlin",
        ),
        ([datetime(2024, 3, d, tzinfo=timezone(timedelta(hours=-5))) for d in range(1, 9)], "Etc/GMT+5"),
        (pd.Series([datetime(2024, 3, d).date() for d in range(1, 9)], dtype=object), ""),
    ],
)
def test_text_and_datetimes_of_python_tell_their_zone(stamps: Any, zone: str) -> None:
    panel = panel_from_frame(table(stamps), "error")
    assert panel.frame is not None
    assert (panel.zone, panel.frame.zone, panel.frequency.name) == (zone, zone, "day")
    moments = pd.to_datetime(pd.Series(list(stamps)), utc=True).dt.as_unit("ns")
    assert (panel.stamps == pd.DatetimeIndex(moments).asi8).all()
    out = panel.frame.build(["s"], panel.stamps[:1], "time", {})
    assert pd.Timestamp(out["ds"][0]).tz_convert("UTC") == moments[0] if zone else out["ds"].dt.tz is None


@pytest.mark.parametrize(
    "stamps",
    [
        ["2024-03-30 00:00+01:00", "2024-03-31 00:00+01:00", "2024-04-01 00:00+02:00"],
        ["2024-03-30 00:00+01:00", "2024-03-31 00:00", "2024-04-01 00:00+01:00"],
        pd.Series([datetime(2024, 3, 1), datetime(2024, 3, 2, tzinfo=UTC)], dtype=object),
    ],
)
def test_mixed_zones_are_refused(stamps: Any) -> None:
    with pytest.raises(DataError, match="mixes time zones: row 0 is"):
        panel_from_frame(table(stamps), "error")


def test_days_of_another_clock_are_irregular() -> None:
    stamps = pd.date_range("2024-03-25", periods=20, freq="D", tz="UTC").tz_convert("Europe/Berlin")
    with pytest.raises(DataError, match="irregular at 2024-04-01 02:00"):
        panel_from_frame(table(stamps), "error", panel_from_frame(table(stamps[:3]), "error").frequency)


def test_a_stamp_is_written_and_read_by_the_clock_of_its_zone() -> None:
    moment = pd.Timestamp("2024-07-01", tz="Europe/Berlin")
    assert parse_stamp("2024-07-01", "time", "Europe/Berlin") == moment.value
    assert parse_stamp(moment, "time", "America/New_York") == moment.value
    assert parse_stamp("2024-06-30T22:00Z", "time", "America/New_York") == moment.value
    assert show_stamp(moment.value, "time", "Europe/Berlin") == "2024-07-01 00:00"


def test_names_of_offsets() -> None:
    assert zone_name(timezone(timedelta(hours=9))) == "Etc/GMT-9"
    assert zone_name("-03:30") == "-03:30"
    assert zone_name(timezone(timedelta(0))) == "UTC"
