"""Small sequences for the tests of the classifier."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gatewise.tasks.classify import SequenceClassifier


def waves(
    count: int = 60, *, seed: int = 0, least: int = 6, most: int = 14
) -> tuple[list[np.ndarray], np.ndarray]:
    """Sines of two speeds with a channel of noise, of different lengths; labels "slow" and "fast"."""
    generator = np.random.default_rng(seed)
    found, labels = [], []
    for index in range(count):
        steps = np.arange(generator.integers(least, most))
        wave = np.sin(steps * (0.4 if index % 2 else 1.3) + generator.uniform(0, 6))
        found.append(np.stack([wave, generator.normal(size=len(steps))], axis=1))
        labels.append("slow" if index % 2 else "fast")
    return found, np.array(labels)


def table(count: int = 40, *, seed: int = 0, gaps: float = 0.0) -> pd.DataFrame:
    """The same as a long table: sensor, clock (uneven seconds), wave, noise, mode (text), kind (the label)."""
    generator = np.random.default_rng(seed + 1)
    sequences, labels = waves(count, seed=seed)
    frames = []
    for index, (values, label) in enumerate(zip(sequences, labels, strict=True)):
        own = values.copy()
        own[generator.random(own.shape) < gaps] = np.nan
        frames.append(
            pd.DataFrame(
                {
                    "sensor": f"s{index}",
                    "clock": np.cumsum(generator.uniform(0.5, 1.5, len(own))),
                    "wave": own[:, 0],
                    "noise": own[:, 1],
                    "mode": generator.choice(["on", "off", "idle"], len(own)),
                    "kind": label,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


COLUMNS = {"id_column": "sensor", "time_column": "clock", "label_column": "kind"}


def small(**parameters) -> SequenceClassifier:
    """A classifier that fits in a second."""
    defaults = {"hidden_size": 8, "max_epochs": 1, "random_state": 0, "progress": False, "device": "cpu"}
    return SequenceClassifier(**{**defaults, **parameters})
