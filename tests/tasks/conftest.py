"""Forecasters that several tests read and none changes."""

from __future__ import annotations

import pandas as pd
import pytest

from gatewise.tasks import Forecaster
from tests.tasks.series import hourly, small


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    """Two series of 400 hours."""
    return hourly()


@pytest.fixture(scope="session")
def history(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `table` that `fitted` was fitted to: the first 300 hours."""
    return table[table["ds"] < table["ds"].min() + pd.Timedelta(hours=300)]


@pytest.fixture(scope="session")
def fitted(history: pd.DataFrame) -> Forecaster:
    """A forecaster, fitted to `history`."""
    return small().fit(history)
