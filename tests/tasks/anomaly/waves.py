"""Small series for the tests of the detector."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gatewise.tasks import AnomalyDetector

ROWS = 500
SPIKE, FLAT = 380, slice(440, 460)


def small(**parameters) -> AnomalyDetector:
    """A detector that fits in a second."""
    defaults = {
        "hidden_size": 8, "lookback": 16, "max_epochs": 2, "random_state": 0, "progress": False, "device": "cpu",
    }  # fmt: skip
    return AnomalyDetector(**{**defaults, **parameters})


def waves(rows: int = ROWS, channels: int = 2, seed: int = 0) -> np.ndarray:
    """(rows, channels): sines of one period, each channel at its own phase and level, with some noise."""
    generator = np.random.default_rng(seed)
    phase = np.arange(rows)[:, None] * 0.4 + np.arange(channels)
    return np.sin(phase) * (1 + np.arange(channels)) + 0.05 * generator.normal(size=(rows, channels))


def broken(rows: int = ROWS, channels: int = 2, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Waves with a spike in the first channel and a flat stretch in the last; and the marks of both."""
    values, marks = waves(rows, channels, seed), np.zeros(rows, dtype=bool)
    values[SPIKE, 0] += 4
    values[FLAT, -1] = 0
    marks[SPIKE], marks[FLAT] = True, True
    return values, marks


def table(rows: int = 200, names: tuple[str, ...] = ("a", "b")) -> pd.DataFrame:
    """Two channels of hourly rows for each name."""
    frames = []
    for index, name in enumerate(names):
        values = waves(rows, 2, index)
        stamps = pd.date_range("2024-01-01", periods=rows, freq="h")
        frames.append(
            pd.DataFrame({"unique_id": name, "timestamp": stamps, "load": values[:, 0], "heat": values[:, 1]})
        )
    return pd.concat(frames, ignore_index=True)
