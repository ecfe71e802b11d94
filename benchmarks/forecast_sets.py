"""Public sets beside the simpler methods: traffic flow, S&P 500, daily temperatures, M4 hourly.

    export GATEWISE_DATA=../shared/data
    python benchmarks/forecast_sets.py --out benchmarks/results            # all, an hour or more
    python benchmarks/forecast_sets.py --quick --out benchmarks/results/quick  # to see that it runs
    python benchmarks/forecast_sets.py --out benchmarks/results --table    # the results as Markdown

Each run (a set, a cell, a seed) appends one JSON line to forecast_sets.jsonl; a run that is there is not done again,
and one that was interrupted goes on from its checkpoints. Protocols, the same for every method:

- pems-flow: one detector, 5-minute flow, the files' own split (workdays of January and February 2016; March). One step
  ahead from every row, as in the repository that published the set (LSTM: MAE 7.21, RMSE 9.90). Days that the
  files leave out are missing rows.
- sp500: the monthly price alone (the other columns are interpolated between quarters, and so know the future), twelve
  months ahead from every month of the last fifth.
- temperatures: daily minima in Melbourne, seven days ahead from every day of 1989 and 1990.
- m4-hourly: 414 series, 48 steps ahead from the end of each training series, as in the competition.

The rows before the test span are all that is learned from; their last tenth stops, chooses and calibrates. Quantiles
are 2.5, 10, 50, 90 and 97.5 %, so that 80 and 95 % intervals can be counted.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import gzip
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from gatewise.tasks import Forecaster
from gatewise.tasks.forecast.adaptive import Recent

try:
    from benchmarks.machine import describe
except ImportError:
    from machine import describe

QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)
QUICK = {"max_epochs": 1, "hidden_size": 8}
FOLDER = "time-series-forecasting"


@dataclass(frozen=True)
class Task:
    """A set and its protocol.

    Args:
        train, whole: long tables: the rows to learn from, and these with the test rows.
        start: the first stamp of the test span; None: the rows after those fitted.
        parameters: of the forecaster.
        published: what others report, in words.
    """

    train: pa.Table
    whole: pa.Table
    start: Any
    parameters: dict[str, Any] = field(default_factory=dict)
    published: str = ""


def pems_flow(root: Path) -> Task:
    """Traffic flow of one detector."""
    parts = []
    for name in ("train", "test"):
        with gzip.open(root / "pems-traffic-flow" / f"{name}.csv.gz", "rt", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))[1:]
        stamps = [time.strptime(row[0], "%d/%m/%Y %H:%M") for row in rows]
        texts = [time.strftime("%Y-%m-%dT%H:%M", one) for one in stamps]
        parts.append(
            pa.table(
                {"ds": np.array(texts, dtype="datetime64[s]"), "y": np.array([float(row[1]) for row in rows])}
            )
        )
    parameters = {"horizon": 1, "lookback": 36, "missing": "mask", "freq": "5min"}
    return Task(
        parts[0], pa.concat_tables(parts), np.datetime64("2016-03-04"), parameters,
        "the repository's LSTM: MAE 7.21, RMSE 9.90; GRU 7.20 and 9.97",
    )  # fmt: skip


def sp500(root: Path) -> Task:
    """The price, month by month since 1871."""
    table = pyarrow.csv.read_csv(root / "sp500-monthly" / "data.csv")
    whole = pa.table({"ds": table["Date"], "y": table["SP500"].cast(pa.float64())})
    first = int(0.8 * whole.num_rows)
    return Task(
        whole.slice(0, first), whole, np.datetime64(str(whole["ds"][first])),
        {"horizon": 12, "lookback": 60, "scaling": "log"},
    )  # fmt: skip


def temperatures(root: Path) -> Task:
    """Daily minima; the 31st of December of leap years is missing."""
    table = pyarrow.csv.read_csv(root / "classic-univariate" / "daily-min-temperatures.csv")
    whole = pa.table({"ds": table["Date"], "y": table["Temp"].cast(pa.float64())})
    train = whole.filter(
        np.asarray(whole["ds"].to_numpy()).astype("datetime64[D]") < np.datetime64("1989-01-01")
    )
    return Task(
        train,
        whole,
        np.datetime64("1989-01-01"),
        {"horizon": 7, "lookback": 60, "missing": "mask", "freq": "D"},
    )


def m4_hourly(root: Path) -> Task:
    """The competition's hourly series."""
    parts = {}
    for name in ("train", "test"):
        with gzip.open(root / "m4-hourly" / f"Hourly-{name}.csv.gz", "rt") as file:
            parts[name] = {
                row[0]: np.array([float(value) for value in row[1:] if value])
                for row in list(csv.reader(file))[1:]
            }
    whole = {name: np.concatenate([values, parts["test"][name]]) for name, values in parts["train"].items()}
    return Task(
        _long(parts["train"]), _long(whole), None, {"horizon": 48, "lookback": 336, "season_length": 24},
        "ES-RNN: sMAPE 9.328, MASE 0.893, OWA 0.440; the RNN benchmark 14.698 and 3.048; Naive2 18.383 and 2.395",
    )  # fmt: skip


def _long(series: dict[str, np.ndarray]) -> pa.Table:
    return pa.table(
        {
            "unique_id": [name for name, values in series.items() for _ in values],
            "ds": np.concatenate([np.arange(len(values)) for values in series.values()]),
            "y": np.concatenate(list(series.values())),
        }
    )


SETS = {"pems-flow": pems_flow, "sp500": sp500, "temperatures": temperatures, "m4-hourly": m4_hourly}


def main() -> None:
    """Do the runs that are not there yet, or print what is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="tiny models, one seed, to see that it runs")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--max-time", type=float, default=None, help="seconds of training for each run")
    parser.add_argument(
        "--table", action="store_true", help="print the results as Markdown and do nothing else"
    )
    arguments = parser.parse_args()
    results = arguments.out / "forecast_sets.jsonl"
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    if arguments.table:
        print(markdown(done))
        return
    root = Path(os.environ.get("GATEWISE_DATA", "../shared/data")) / FOLDER
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.sets:
        task = SETS[name](root)
        for cell in arguments.cells:
            for seed in arguments.seeds[:1] if arguments.quick else arguments.seeds:
                wanted = {"set": name, "cell": cell, "seed": seed, "quick": arguments.quick}
                if any(wanted.items() <= row.items() for row in done):
                    continue
                folder = (
                    arguments.out
                    / "checkpoints"
                    / f"{name}-{cell}-{seed}{'-quick' if arguments.quick else ''}"
                )
                row = wanted | one(
                    task, cell, seed, folder, quick=arguments.quick, max_time=arguments.max_time
                )
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")


def one(task: Task, cell: str, seed: int, folder: Path, *, quick: bool, max_time: float | None) -> dict:
    """Fit and test once."""
    parameters = task.parameters | (QUICK if quick else {})
    model = Forecaster(
        cell=cell,
        quantiles=QUANTILES,
        random_state=seed,
        checkpoint_folder=folder,
        max_time=max_time,
        **parameters,
    )
    model.fit(task.train)
    if model.stopped_ == "interrupted":
        raise SystemExit("interrupted; the same command goes on from here")
    evaluation = model.evaluate(task.whole, start=task.start, every=1)
    # The same fit, calibrated on the latest windows before each forecast instead.
    split = model.fitted_
    held = int((split.context.lengths.max() if task.start is None else len(task.train)) * 0.1)
    model.fitted_ = dataclasses.replace(split, recent=Recent(max(held, model.horizon)))
    adaptive = model.evaluate(task.whole, start=task.start, every=1, linear=False)
    model.fitted_ = split
    print(f"\n{cell}, seed {seed}\n{evaluation}\n", flush=True)
    errors = {("model" if key == cell else key): asdict(value) for key, value in evaluation.errors.items()}
    return {
        "parameters": parameters,
        "windows": evaluation.windows,
        "points": evaluation.points,
        "errors": errors,
        "intervals": {f"{share:g}": found for share, found in evaluation.intervals.items()},
        "adaptive_intervals": {f"{share:g}": found for share, found in adaptive.intervals.items()},
        "verdict": evaluation.verdict,
        "fit_seconds": model.fit_seconds_,
        "epochs": len(model.history_),
        "stopped": model.stopped_,
        "published": task.published,
        "machine": describe()["text"],
    }


def markdown(rows: list[dict]) -> str:
    """A table per set: each cell as mean and spread of its seeds, the simpler methods, and coverage."""
    lines = []
    for name in SETS:
        own = [row for row in rows if row["set"] == name and not row["quick"]]
        if not own:
            continue
        lines += [
            f"## {name}",
            "",
            f"{own[0]['windows']:,} forecasts, {own[0]['points']:,} values. {own[0]['published']}",
        ]
        lines += [
            "",
            "| method | MAE | RMSE | MASE | sMAPE % | OWA | CRPS | 80 % holds | 95 % holds | 80, adaptive | 95 |",
        ]
        lines += ["| --- " + "| ---: " * 10 + "|"]
        for cell in dict.fromkeys(row["cell"] for row in own):
            seeds = [row for row in own if row["cell"] == cell]
            shares = [
                _spread([100 * row[how][key] for row in seeds], 1)
                for how in ("intervals", "adaptive_intervals")
                for key in ("0.8", "0.95")
            ]
            label = f"gatewise {cell}, {len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
            lines.append(_line(label, [row["errors"]["model"] for row in seeds], shares))
        lines += [_line(key, [value], [""] * 4) for key, value in own[0]["errors"].items() if key != "model"]
        lines += ["", own[0]["machine"], ""]
    return "\n".join(lines)


def _line(label: str, errors: list[dict], shares: list[str]) -> str:
    keys = (("mae", 3), ("rmse", 3), ("mase", 3), ("smape", 3), ("owa", 3), ("crps", 3))
    cells = [_spread([row[key] for row in errors if row[key] is not None], digits) for key, digits in keys]
    return f"| {label} | " + " | ".join([*cells, *shares]) + " |"


def _spread(values: list[float], digits: int) -> str:
    if not values:
        return ""
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


if __name__ == "__main__":
    main()
