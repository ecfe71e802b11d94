"""A hundred thousand short series: peak memory and windows a second of `Forecaster.fit`.

    python benchmarks/forecast_scale.py --out benchmarks/results             # 100,000 series of 100 steps, some minutes
    python benchmarks/forecast_scale.py --quick --out benchmarks/results/quick  # 2,000 series, to see that it runs

Each run is a process of its own, whose peak is the kernel's figure for it (ru_maxrss), the interpreter, torch and the
pages of the mapped file that it touched included. The series are made here (a weekly wave, a level and noise of their
own, a covariate known for the future, a static and a categorical column), written once into an Arrow file, and read by
mapping it. One JSON line per run is appended to forecast_scale.jsonl; a run that is there already is not done again.
An epoch is one pass over the windows.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from gatewise.data import read_table, write_table
from gatewise.tasks import Forecaster

try:
    from benchmarks.resumable import Lines
except ImportError:
    from resumable import Lines

STEPS, HORIZON, LOOKBACK = 100, 14, 28
DAY = 86_400_000_000_000
# The largest first: it is the one that is asked for.
RUNS = tuple((series, cell) for cell in ("lstm", "gru") for series in (100_000, 10_000, 1_000))


def main() -> None:
    """Do the runs that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="2,000 series, to see that it runs")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--max-time", type=float, default=None, help="seconds of training for each run")
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    parser.add_argument("--one", nargs=2, metavar=("SERIES", "CELL"), help="one run, in this process")
    arguments = parser.parse_args()
    if arguments.one:
        series, cell = int(arguments.one[0]), arguments.one[1]
        print(json.dumps(one(arguments.out, series, cell, arguments.epochs, arguments.max_time)))
        return

    def work(series: int, cell: str) -> dict:
        command = [sys.executable, __file__, "--out", str(arguments.out), "--epochs", str(arguments.epochs)]
        if arguments.max_time is not None:
            command += ["--max-time", str(arguments.max_time)]
        # Its progress goes to this process' terminal or log.
        finished = subprocess.run(
            [*command, "--one", str(series), cell], stdout=subprocess.PIPE, text=True, check=True
        )
        return json.loads(finished.stdout.splitlines()[-1])

    settings = {
        "steps": STEPS,
        "horizon": HORIZON,
        "lookback": LOOKBACK,
        "epochs": arguments.epochs,
        "max_time": arguments.max_time,
    }
    lines = Lines(arguments.out / "forecast_scale.jsonl", settings)
    keys = [
        {"series": series, "cell": cell} for series, cell in (((2_000, "lstm"),) if arguments.quick else RUNS)
    ]
    print(markdown(lines.run(keys, work, stop_after=arguments.stop_after)))


def markdown(rows: list[dict]) -> str:
    """A line for each run."""
    lines = [
        "| series x steps | cell | rows | peak, MiB | before the table | with predict | windows a second | fit, s "
        "| predict, s |",
        "| --- | --- " + "| ---: " * 7 + "|",
    ]
    for row in rows:
        key, settings = row["key"], row["settings"]
        lines.append(
            f"| {key['series']:,} x {settings['steps']} | {key['cell']} | {key['series'] * settings['steps']:,} | "
            f"{row['peak_mib']:,.0f} | {row['before_mib']:,.0f} | {row['peak_with_predict_mib']:,.0f} | "
            f"{row['windows_per_second']:,.0f} | {row['fit_seconds']:.0f} | {row['predict_seconds']:.0f} |"
        )
    return "\n".join(lines)


def one(folder: Path, series: int, cell: str, epochs: int, max_time: float | None = None) -> dict:
    """Fit to so many series and say what it took."""
    table = read_table(made(folder, series))
    before = peak()
    model = Forecaster(
        horizon=HORIZON, lookback=LOOKBACK, cell=cell, hidden_size=32, max_epochs=epochs, max_time=max_time,
        random_state=0,
        future_covariates=("promotion",), static_covariates=("size",), categorical=("kind",), device="cpu",
    )  # fmt: skip
    model.fit(table)
    fitted = peak()
    begun = time.perf_counter()
    future = pa.table(_future(series))
    rows = model.predict(future=future).num_rows
    return {
        "stopped": model.stopped_,
        "windows_per_second": model.windows_per_second_,
        "fit_seconds": model.fit_seconds_,
        "predict_seconds": time.perf_counter() - begun,
        "forecast_rows": rows,
        "before_mib": before,
        "peak_mib": fitted,
        "peak_with_predict_mib": peak(),
        "threads": torch.get_num_threads(),
    }


def peak() -> float:
    """The most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def made(folder: Path, series: int) -> Path:
    """The file with the series, made where it is not there, by a process of its own: its memory is not the fit's."""
    path = folder / f"forecast_scale_{series}.arrow"
    if not path.exists():
        code = (
            f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]; import forecast_scale as f; f.make"
        )
        subprocess.run([sys.executable, "-c", f"{code}({str(path)!r}, {series})"], check=True)
    return path


def make(path: str, series: int) -> None:
    """Write the series."""
    generator = np.random.default_rng(0)
    day = np.arange(STEPS)
    level = generator.lognormal(3, 1, (series, 1))
    wave = np.sin(2 * np.pi * (day / 7 + generator.random((series, 1))))
    promotion = (generator.random((series, STEPS)) < 0.1).astype(np.float64)
    values = level * (1.5 + wave + promotion + 0.3 * generator.normal(size=(series, STEPS)))
    each = np.repeat(np.arange(series), STEPS)
    write_table(
        pa.table(
            {
                "unique_id": pa.DictionaryArray.from_arrays(each.astype(np.int32), _names(series)),
                "ds": pa.array(np.tile(day * DAY, series), pa.timestamp("ns")),
                "y": values.reshape(-1),
                "promotion": promotion.reshape(-1),
                "size": np.repeat(np.log(level[:, 0]), STEPS),
                "kind": (each % 20).astype(np.float64),
            }
        ),
        path,
    )


def _names(series: int) -> pa.Array:
    return pa.array([f"series {index:06d}" for index in range(series)])


def _future(series: int) -> dict:
    ahead = (STEPS + np.arange(HORIZON)) * DAY
    each = np.repeat(np.arange(series), HORIZON).astype(np.int32)
    return {
        "unique_id": pa.DictionaryArray.from_arrays(each, _names(series)),
        "ds": pa.array(np.tile(ahead, series), pa.timestamp("ns")),
        "promotion": np.zeros(series * HORIZON),
    }


if __name__ == "__main__":
    main()
