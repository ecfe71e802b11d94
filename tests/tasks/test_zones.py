"""A forecaster in a time zone: forecasts are stamped as pandas would go on, also after a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gatewise.errors import DataError
from gatewise.tasks import AnomalyDetector, Forecaster
from tests.tasks.series import small

KINDS = {"pandas": lambda df: df, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}


def daily(
    zone: str = "America/New_York", rows: int = 120, freq: str = "D", start: str = "2023-11-20"
) -> pd.DataFrame:
    stamps = pd.date_range(start, periods=rows, freq=freq, tz=zone)
    return pd.DataFrame({"unique_id": "a", "ds": stamps, "y": np.sin(np.arange(rows) * 2 * np.pi / 7)})


def moments(table: Any) -> pd.Series:
    column = table["ds"]
    return pd.Series(column) if isinstance(column, pd.Series) else column.to_pandas()


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(("freq", "start"), [("D", "2023-11-10"), ("h", "2024-03-05 03:00")])
def test_forecasts_go_on_in_the_zone(kind: str, freq: str, start: str, tmp_path: Path) -> None:
    # Both tables end a few steps before summer time begins in New York (10 March 2024).
    whole = daily(freq=freq, start=start, rows=126)
    given = KINDS[kind](whole[:120])
    model = small(lookback=14).fit(given)
    model.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    for one in (model.predict(), model.predict(given), loaded.predict(), loaded.predict(given)):
        found = moments(one)
        assert str(found.dt.tz) == "America/New_York"
        assert (found.to_numpy() == whole["ds"][120:].to_numpy()).all()
    assert model.sample_paths(num_samples=2).shape == (1, 2, 6)
    np.testing.assert_array_equal(
        loaded.sample_paths(num_samples=2), model.sample_paths(given, num_samples=2)
    )
    assert loaded.frequency_.zone == "America/New_York"


def test_walking_forward_keeps_the_zone() -> None:
    found = small(lookback=14).cross_validation(daily("Etc/GMT+5"), n_windows=2, refit=False)
    assert str(found["ds"].dt.tz) == str(found["cutoff"].dt.tz) == "Etc/GMT+5"


def test_a_start_is_read_by_the_clock_of_the_zone() -> None:
    table = daily("Europe/Berlin")
    model = small(lookback=14).fit(table[:100])
    evaluation = model.evaluate(table, start=str(table["ds"][100].date()), linear=False)
    assert str(evaluation.span[0]).startswith(str(table["ds"][100].date()))


@pytest.mark.parametrize(
    "other",
    [
        lambda s: s.dt.tz_localize(None),
        lambda s: s.dt.tz_convert("UTC"),
        lambda s: s.dt.tz_localize(None).astype(str),
    ],
)
def test_another_zone_is_refused(other: Any) -> None:
    table = daily()
    model = small(lookback=14).fit(table)
    with pytest.raises(DataError, match="America/New_York"):
        model.predict(table.assign(ds=other(table["ds"])))


@pytest.mark.parametrize("time", ["ds", "timestamp"])
def test_the_detector_keeps_the_zone(time: str) -> None:
    table = daily(rows=200).drop(columns="unique_id").rename(columns={"ds": time})
    detector = AnomalyDetector(hidden_size=4, max_epochs=1, random_state=0, progress=False, device="cpu")
    scores = detector.fit(table).detect(table)
    assert (scores[time] == table[time]).all()
    assert str(scores[time].dt.tz) == "America/New_York"
