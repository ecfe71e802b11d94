"""Small series for the tests of the forecaster."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gatewise.tasks import Forecaster


def hourly(
    rows: int = 400, names: tuple[str, ...] = ("a", "b"), *, noise: float = 0.1, seed: int = 0
) -> pd.DataFrame:
    """Daily waves at different levels, with a numeric and a text covariate."""
    generator = np.random.default_rng(seed)
    stamps = pd.date_range("2024-01-01", periods=rows, freq="h")
    frames = []
    for level, name in enumerate(names):
        wave = np.sin(np.arange(rows) * 2 * np.pi / 24) + noise * generator.normal(size=rows)
        frames.append(
            pd.DataFrame(
                {
                    "unique_id": name,
                    "ds": stamps,
                    "y": 10 * (level + 1) + wave,
                    "temperature": generator.normal(size=rows),
                    "sky": generator.choice(["clear", "cloudy"], size=rows),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def small(**parameters) -> Forecaster:
    """A forecaster that fits in a second."""
    defaults = {
        "horizon": 6, "lookback": 24, "hidden_size": 8, "max_epochs": 1, "random_state": 0, "progress": False,
        "device": "cpu",
    }  # fmt: skip
    return Forecaster(**{**defaults, **parameters})
