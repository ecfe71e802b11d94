"""Settings that belong together: what they are, that they can be changed, and that they do what they are for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.forecast_sets import M4
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast.evaluation import SEASONAL

REST = {"random_state": 0, "progress": False, "device": "cpu"}


def sizes(rows: int = 240, count: int = 12) -> pd.DataFrame:
    """Positive series of a short and a long season, each of its own size, with noise in proportion to it."""
    generator = np.random.default_rng(0)
    steps = np.arange(rows)
    shape = 2 + np.sin(steps * 2 * np.pi / 4) + 0.5 * np.sin(steps * 2 * np.pi / 16)
    size = 10.0 ** generator.uniform(0, 5, count)
    values = [one * shape * np.exp(0.1 * generator.normal(size=rows)) for one in size]
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(count), rows),
            "ds": np.tile(steps, count),
            "y": np.concatenate(values),
        }
    )


def test_for_hours_they_are_those_that_were_measured() -> None:
    model = Forecaster.many_series(48, (24, 168))
    assert {name: getattr(model, name) for name in M4} == M4 | {"engine": "auto"}
    assert model.cell == "gru"
    assert Forecaster.many_series(48, (24, 168), cell="lstm", max_epochs=3).get_params()["max_epochs"] == 3


def test_one_season_alone() -> None:
    model = Forecaster.many_series(14, 7)
    assert (model.lookback, model.season_length, model.segment_length) == (14, (7, 14, 21), None)


def test_they_forecast_series_of_different_size() -> None:
    table = sizes()
    known = table[table["ds"] < 200]
    model = Forecaster.many_series(8, (4, 16), hidden_size=16, batch_size=16, **REST).fit(known)
    errors = model.evaluate(table, linear=False).errors
    # Three weeks' mean has 0.82 of the noise that one has; most of that is to be had.
    assert errors["gru"].mase < 0.9 * errors[SEASONAL].mase


@pytest.mark.parametrize(
    ("seasons", "error"),
    [
        (None, ArgumentTypeError), ("24", ArgumentTypeError), (True, ArgumentTypeError), ((24, 2.5), ArgumentTypeError),
        ((), ArgumentError), (1, ArgumentError), ((168, 24), ArgumentError), ((24, 24), ArgumentError),
    ],
)  # fmt: skip
def test_seasons_that_are_none_are_refused(seasons, error) -> None:
    with pytest.raises(error, match="season_length"):
        Forecaster.many_series(48, seasons)
