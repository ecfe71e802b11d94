"""Public sets beside the simpler methods: traffic flow, S&P 500, temperatures, M4 hourly, Beijing's air, ETTh1.

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
- beijing-air: PM2.5 of 2014, 24 hours ahead from every hour, as in forecast_beijing.py, which has further methods.
- etth1: the seven channels, 96 hours ahead from every hour of the standard split's test months, for the intervals; the
  errors of its long horizons are etth1.py's.

The rows before the test span are all that is learned from; their last part stops the training and calibrates. Settings
were chosen on spans before the test spans, after fits to the rows before those (docs/results/forecast-sets.md says
which). Quantiles are 2.5, 10, 50, 90 and 97.5 %, so that 80 and 95 % intervals can be counted.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import gzip
import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from scipy.stats import binom

from gatewise.data import examples
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast.adaptive import Recent
from gatewise.tasks.forecast.metrics import coverage, measure

try:
    from benchmarks import etth1_methods
    from benchmarks.etth1 import table as etth1_table
    from benchmarks.resumable import Lines, data_folder, spread
except ImportError:
    import etth1_methods
    from etth1 import table as etth1_table
    from resumable import Lines, data_folder, spread

QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)
QUICK = {"max_epochs": 1, "hidden_size": 8}
# Weeks of the same hours as starting points, each window by its own level, and M4's own two errors.
M4 = {
    "horizon": 48, "lookback": 336, "season_length": (24, 168, 336, 504), "architecture": "segrnn",
    "segment_length": 24, "hidden_size": 64, "scaling": "log", "revin": True, "loss": "owa", "validation": 48,
    "batch_size": 256, "max_epochs": 10, "patience": None, "engine": "native",
}  # fmt: skip
# As etth1.py chose, but for the width and the loss, which here is that of quantiles.
ETTH1 = {
    "horizon": 96, "lookback": 720, "season_length": 24, "architecture": "segrnn", "segment_length": 48,
    "hidden_size": 128, "dropout": 0.5, "scaling": "standard", "batch_size": 256, "learning_rate": 1e-3,
    "max_epochs": 30, "patience": 5, "engine": "native",
}  # fmt: skip
# Where a span of months or years is walked through, what came before a forecast calibrates it.
FOLLOWING = {"calibration": "adaptive"}
# From so many test values on, coverage has to be within 3 points of nominal.
MANY = 5000


@dataclass(frozen=True)
class Task:
    """A set and its protocol.

    Args:
        train, whole: long tables: the rows to learn from, and these with the test rows.
        start: the first stamp of the test span; None: the rows after those fitted.
        parameters: of the forecaster.
        published: what others report, in words.
        cells: which are run.
    """

    train: pa.Table
    whole: pa.Table
    start: Any
    parameters: dict[str, Any] = field(default_factory=dict)
    published: str = ""
    cells: tuple[str, ...] = ("gru",)


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
    parameters = {"horizon": 1, "lookback": 36, "missing": "mask", "freq": "5min", "max_epochs": 60}
    return Task(
        parts[0], pa.concat_tables(parts), np.datetime64("2016-03-04"), parameters | FOLLOWING,
        "the repository's LSTM: MAE 7.21, RMSE 9.90; GRU 7.20 and 9.97",
    )  # fmt: skip


def sp500(root: Path) -> Task:
    """The price, month by month since 1871."""
    table = pyarrow.csv.read_csv(root / "sp500-monthly" / "data.csv")
    whole = pa.table({"ds": table["Date"], "y": table["SP500"].cast(pa.float64())})
    first = int(0.8 * whole.num_rows)
    return Task(
        whole.slice(0, first), whole, np.datetime64(str(whole["ds"][first])),
        {"horizon": 12, "lookback": 60, "scaling": "log", "revin": True} | FOLLOWING,
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
        {"horizon": 7, "lookback": 60, "missing": "mask", "freq": "D", "revin": True} | FOLLOWING,
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
        _long(parts["train"]), _long(whole), None, M4,
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


def beijing_air(root: Path) -> Task:
    """The bundled hourly PM2.5 with the weather."""
    whole = examples.load("beijing-air")
    start = np.datetime64(examples.get("beijing-air").test_start)
    train = whole.filter(pc.less(whole["ds"], start.astype("datetime64[us]").item()))
    parameters = {"horizon": 24, "missing": "mask"}
    return Task(train, whole, start, parameters | FOLLOWING, cells=("lstm",))


def etth1(root: Path) -> Task:
    """Electricity transformers, seven series of one model, without a calendar."""
    values = etth1_methods.load()
    return Task(
        etth1_table(values[: etth1_methods.VALIDATION], identify=False),
        etth1_table(values, identify=False),
        etth1_methods.VALIDATION,
        {**ETTH1, "validation": etth1_methods.VALIDATION - etth1_methods.TRAIN} | FOLLOWING,
    )


SETS = {
    "pems-flow": pems_flow, "sp500": sp500, "temperatures": temperatures, "m4-hourly": m4_hourly,
    "beijing-air": beijing_air, "etth1": etth1,
}  # fmt: skip


def main() -> None:
    """Do the runs that are not there yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="tiny models, one seed, to see that it runs")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--cells", nargs="+", help="in place of the set's own")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--max-time", type=float, default=None, help="seconds of training for each run")
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    parser.add_argument("--table", action="store_true", help="run nothing: print what is there")
    arguments = parser.parse_args()
    root = data_folder() / "time-series-forecasting"
    begun = time.perf_counter()
    for name in arguments.sets:
        task = SETS[name](root)
        parameters = task.parameters | ({"max_time": arguments.max_time} if arguments.max_time else {})
        parameters |= QUICK if arguments.quick else {}
        lines = Lines(arguments.out / "forecast_sets.jsonl", {"set": name, "parameters": parameters})
        seeds = arguments.seeds[:1] if arguments.quick else arguments.seeds
        keys = [{"cell": cell, "seed": seed} for cell in arguments.cells or task.cells for seed in seeds]

        def work(cell: str, seed: int, name=name, task=task, parameters=parameters) -> dict:
            print(f"{name}, {cell}, seed {seed}", flush=True)
            return one(
                task,
                parameters,
                cell,
                seed,
                arguments.out / "checkpoints",
                kept(arguments.out, name, cell, seed),
            )

        left = None if arguments.stop_after is None else arguments.stop_after - (time.perf_counter() - begun)
        if arguments.table:
            rows = [row for row in lines.rows if row["key"] in keys]
        else:
            rows = lines.run(keys, work, stop_after=left)
        files = [kept(arguments.out, name, row["key"]["cell"], row["key"]["seed"]) for row in rows]
        print("\n" + "\n".join([markdown(name, task, rows), *averaged(files)]) + "\n", flush=True)


def kept(out: Path, name: str, cell: str, seed: int) -> Path:
    """Where a run's forecasts are kept."""
    return out / "forecast_sets" / f"{name}-{cell}-{seed}.npz"


def one(
    task: Task, parameters: dict[str, Any], cell: str, seed: int, checkpoints: Path, forecasts: Path
) -> dict:
    """Fit and test once; DLinear, which is always the same, with seed 0."""
    # A folder for these very settings: what another run left there is not gone on from.
    digest = hashlib.sha256(json.dumps([parameters, cell, seed], sort_keys=True).encode()).hexdigest()[:12]
    folder = checkpoints / f"forecast_sets-{digest}"
    model = Forecaster(
        cell=cell, quantiles=QUANTILES, random_state=seed, checkpoint_folder=folder, **parameters
    )
    model.fit(task.train)
    if model.stopped_ == "interrupted":
        raise SystemExit("interrupted; the same command goes on from here")
    evaluation = model.evaluate(task.whole, start=task.start, every=1, linear=seed == 0)
    test = evaluation.back_test
    forecasts.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(forecasts, quantiles=test.quantiles, actual=test.actual, scale=test.scale)
    # The same fit with the factors of the held-back rows alone, where it is calibrated on the latest ones, too.
    fitted = model.fitted_
    model.fitted_ = dataclasses.replace(fitted, recent=Recent())
    split = evaluation
    if fitted.recent.rows:
        split = model.evaluate(task.whole, start=task.start, every=1, linear=False)
    print(f"\n{evaluation}\n", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    errors = {("model" if key == cell else key): asdict(value) for key, value in evaluation.errors.items()}
    return {
        "windows": evaluation.windows,
        "points": evaluation.points,
        "errors": errors,
        "intervals": {f"{share:g}": found for share, found in evaluation.intervals.items()},
        "split_intervals": {f"{share:g}": found for share, found in split.intervals.items()},
        "verdict": evaluation.verdict,
        "fit_seconds": round(model.fit_seconds_, 1),
        "epochs": len(model.history_),
        "best_epoch": model.best_epoch_,
        "stopped": model.stopped_,
    }


def markdown(name: str, task: Task, rows: list[dict]) -> str:
    """A set's table: each cell as mean and spread of its seeds, the simpler methods, and coverage."""
    if not rows:
        return f"## {name}\n\nNothing is there yet."
    windows, points, horizon = rows[0]["windows"], rows[0]["points"], task.parameters["horizon"]
    lines = [
        f"## {name}",
        "",
        f"{windows:,} forecasts, {points:,} values. {task.published}".strip(),
        "",
        "| method | MAE | RMSE | MASE | sMAPE % | OWA | CRPS | 80 % holds | 95 % holds | 80 %, split | 95 %, split |",
        "| --- " + "| ---: " * 10 + "|",
    ]
    for cell in dict.fromkeys(row["key"]["cell"] for row in rows):
        own = [row for row in rows if row["key"]["cell"] == cell]
        shares = [
            spread([{"share": 100 * row[how][key]} for row in own], "share", 1)
            for how in ("intervals", "split_intervals")
            for key in ("0.8", "0.95")
        ]
        label = f"gatewise {cell}, {len(own)} seed{'s' if len(own) > 1 else ''}"
        lines.append(_line(label, [row["errors"]["model"] for row in own], shares))
    simple = {key: value for row in rows for key, value in row["errors"].items() if key != "model"}
    lines += [_line(key, [value], [""] * 4) for key, value in simple.items()]
    lines += [
        "",
        "Asked of the intervals: " + "; ".join(asked(share, points, horizon) for share in (0.8, 0.95)),
    ]
    return "\n".join(lines)


def averaged(files: list[Path]) -> list[str]:
    """The forecasts of all seeds as one: the mean of their quantiles, level by level."""
    there = [np.load(path) for path in files if path.exists()]
    if len(there) < 2:
        return []
    quantiles, actual, scale = (
        np.mean([file["quantiles"] for file in there], axis=0),
        there[0]["actual"],
        there[0]["scale"],
    )
    counts = ~np.isnan(actual)
    found = measure(quantiles[..., 2], actual, counts, scale)
    below = coverage(quantiles, actual, counts)
    return [
        f"All {len(there)} together (mean of their quantiles): MAE {found.mae:.3f}, RMSE {found.rmse:.3f}, MASE "
        f"{found.mase:.3f}, sMAPE {found.smape:.3f}; 80 % holds {100 * (below[3] - below[1]):.1f}, 95 % "
        f"{100 * (below[4] - below[0]):.1f}."
    ]


def asked(share: float, points: int, horizon: int) -> str:
    """What an interval's share has to lie in: 3 points from nominal, or the binomial interval of 95 %.

    Windows overlap, so that the values of one stretch of time are counted up to `horizon` times, and the steps of one
    window hang together: the binomial interval is that of as many trials as whole windows lie side by side.
    """
    if points >= MANY:
        return f"{100 * share:.0f} % within 3 points ({points:,} values)"
    trials = max(1, points // horizon**2)
    low, high = (float(binom.ppf(tail, trials, share)) / trials for tail in (0.025, 0.975))
    return f"{100 * share:.0f} % in {100 * low:.1f} to {100 * high:.1f} (binomial, {trials:,} trials)"


def _line(label: str, errors: list[dict], shares: list[str]) -> str:
    keys = (("mae", 3), ("rmse", 3), ("mase", 3), ("smape", 3), ("owa", 3), ("crps", 3))
    return (
        f"| {label} | " + " | ".join([*(spread(errors, key, digits) for key, digits in keys), *shares]) + " |"
    )


if __name__ == "__main__":
    main()
