"""The bundled forecast's `fit` on the native engine, beside the same model and data on torch's kernels, in turns.

python benchmarks/forecast_engines.py --repeats 3 --out benchmarks/results/forecast-engines.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from gatewise import Forecaster, data
from gatewise.store import atomic_write


def main() -> None:
    """Fits in turns; prints medians, their ratio, and the losses, which must be alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    table = data.examples.load("beijing-air")
    seconds: dict[str, list[float]] = {"torch": [], "native": []}
    losses: dict[str, float] = {}
    for _ in range(given.repeats):
        for engine, listed in seconds.items():
            model = Forecaster(
                horizon=24, cell=given.cell, engine=engine, missing="mask", max_epochs=10, patience=None,
                random_state=0, progress=False,
            )  # fmt: skip
            begun = time.perf_counter()
            model.fit(table)
            listed.append(time.perf_counter() - begun)
            losses[engine] = model.history_[-1]["validation_loss"]
    medians = {engine: statistics.median(listed) for engine, listed in seconds.items()}
    result = {
        "cell": given.cell, "threads": torch.get_num_threads(), "torch": torch.__version__, "seconds": seconds,
        "median": medians, "ratio": medians["torch"] / medians["native"], "validation_loss": losses,
    }  # fmt: skip
    text = json.dumps(result, indent=1)
    print(text)
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(given.out, (text + "\n").encode())


if __name__ == "__main__":
    main()
