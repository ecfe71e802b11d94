"""Detectors that several tests read and none changes."""

from __future__ import annotations

import pytest

from gatewise.tasks import AnomalyDetector
from tests.tasks.anomaly.waves import small, waves


@pytest.fixture(scope="session")
def fitted() -> dict[str, AnomalyDetector]:
    """A detector of each method, with everything that a stream carries."""
    return {
        "forecast": small(horizon=3, rescale=60, threshold="dspot", max_epochs=4).fit(waves()),
        "reconstruction": small(method="reconstruction", max_epochs=25, learning_rate=0.02).fit(waves()),
        "level": small(level=True, rescale=200, likelihood="tail", quiet=0.1, max_epochs=4).fit(waves()),
        "quantile": small(method="quantile", likelihood=(60, 4), quiet=5, max_epochs=4).fit(waves()),
    }
