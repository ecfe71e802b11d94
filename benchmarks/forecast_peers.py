"""Forecasters side by side: ours, neuralforecast's LSTM, GRU and DeepAR, darts' RNNModel and BlockRNNModel.

    python benchmarks/forecast_peers.py --out benchmarks/results                    # all of it: hours
    python benchmarks/forecast_peers.py --quick --data beijing --out benchmarks/results/quick  # to see that it runs

One run on one machine: the same rows, the same lookback and horizon, the same forecasts' origins, errors computed here
from each one's forecasts. Peers live in an environment of their own (benchmarks/peers/setup.sh makes it); each runs in
a fresh process, as ours do, and times exclude imports. Nobody looks at the test rows before the end. One JSON line per
run in forecast_peers.jsonl; what is there is not run again.

Data: "beijing", the bundled hourly PM2.5 (gaps filled with the last value for all, and not counted), 2014 held out, a
forecast of 24 hours every day; "m4" (needs GATEWISE_DATA), the 414 hourly series of the M4 competition, the last 48
hours.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import gatewise
from gatewise.data import examples, panel_from_frame
from gatewise.data.calendar import calendar_features, calendar_names
from gatewise.data.frequency import parse_stamp
from gatewise.store import atomic_write
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast.batches import Origins
from gatewise.tasks.forecast.metrics import mase_scale

try:
    from benchmarks.forecast_sets import M4
    from benchmarks.resumable import Lines, spread
except ImportError:
    from forecast_sets import M4
    from resumable import Lines, spread

OURS: dict[str, dict[str, Any]] = {
    "gatewise lstm": {"cell": "lstm"},
    "gatewise gru": {"cell": "gru"},
    "gatewise deepar": {"cell": "lstm", "architecture": "deepar", "likelihood": "student_t"},
    # With the settings that forecast_sets.py has for M4, found before its last 48 hours were looked at.
    "gatewise gru, set for M4": {"cell": "gru", **M4},
}
ONLY = {"gatewise gru, set for M4": "m4"}
PEERS = (
    "neuralforecast LSTM", "neuralforecast GRU", "neuralforecast DeepAR", "darts RNNModel", "darts BlockRNNModel",
)  # fmt: skip
NAIVE = "seasonal naive"
HERE = Path(__file__).parent


def main() -> None:
    """Run what is not there yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--data", nargs="+", choices=("beijing", "m4"), default=["beijing", "m4"])
    parser.add_argument("--methods", nargs="+", choices=(*OURS, *PEERS), default=[*OURS, *PEERS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    parser.add_argument("--worker", nargs=3, metavar=("METHOD", "DATA", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        fit_ours(*arguments.worker, seed=arguments.seeds[0], quick=arguments.quick)
        return
    lines = Lines(arguments.out / "forecast_peers.jsonl", {"quick": arguments.quick})
    makers = {"beijing": beijing, "m4": m4}
    loaded: dict[str, dict[str, np.ndarray]] = {}

    def work(data: str, method: str, seed: int) -> dict[str, Any]:
        if data not in loaded:
            loaded[data] = makers[data]()
        if method == NAIVE:
            return errors(loaded[data], seasonal_naive(loaded[data]))
        return run(method, loaded[data], seed, quick=arguments.quick)

    keys = []
    for name in arguments.data:
        keys.append({"data": name, "method": NAIVE, "seed": 0})
        # The methods in turns, so that a change of the machine's speed meets all of them.
        keys += [
            {"data": name, "method": one, "seed": seed}
            for seed in arguments.seeds
            for one in arguments.methods
            if ONLY.get(one, name) == name
        ]
    lines.run(keys, work, stop_after=arguments.stop_after)
    text = markdown(lines.rows, quick=arguments.quick)
    atomic_write(arguments.out / "forecast_peers.md", text.encode())
    print(text)


def beijing() -> dict[str, np.ndarray]:
    """Beijing's air: one series of 43,824 hours."""
    panel = panel_from_frame(examples.load("beijing-air"), "mask")
    seen = np.where(np.isnan(panel.target), 0, np.arange(panel.rows))
    filled = panel.target[np.maximum.accumulate(seen)]
    first = int(np.searchsorted(panel.stamps, parse_stamp(examples.get("beijing-air").test_start, "time")))
    known = calendar_features(panel.stamps, calendar_names(panel.frequency, panel.kind))
    return {
        "values": np.nan_to_num(filled, nan=np.nanmean(panel.target[:first])), "observed": ~np.isnan(panel.target),
        "starts": np.array([0, panel.rows]), "known": known, "stamps": panel.stamps, "horizon": np.array(24),
        "lookback": np.array(72), "season": np.array(24), "test": np.array(panel.rows - first), "step": np.array(24),
        "validation": np.array(first // 10),
    }  # fmt: skip


def m4() -> dict[str, np.ndarray]:
    """M4 hourly: 414 series of 700 or 960 hours and 48 to forecast, without dates."""
    folder = Path(os.environ.get("GATEWISE_DATA") or ".") / "time-series-forecasting" / "m4-hourly"
    if not folder.exists():
        raise SystemExit("m4: set GATEWISE_DATA to the folder that holds time-series-forecasting/m4-hourly")
    series = []
    with (
        gzip.open(folder / "Hourly-train.csv.gz", "rt") as train,
        gzip.open(folder / "Hourly-test.csv.gz", "rt") as test,
    ):
        for past, future in zip(list(csv.reader(train))[1:], list(csv.reader(test))[1:], strict=True):
            if past[0] != future[0]:
                raise SystemExit(f"m4: the files' series differ, {past[0]} and {future[0]}")
            series.append(
                np.array([float(value) for value in past[1:] + future[1:] if value not in ("", "NA")])
            )
    values = np.concatenate(series)
    return {
        "values": values, "observed": np.ones(len(values), dtype=bool), "known": np.zeros((len(values), 0), np.float32),
        "starts": np.cumsum([0, *map(len, series)]), "horizon": np.array(48), "lookback": np.array(168),
        "season": np.array(24), "test": np.array(48), "step": np.array(48), "validation": np.array(48),
    }  # fmt: skip


def origins(data: dict[str, np.ndarray]) -> np.ndarray:
    """The last row that each forecast sees, series by series: that before the held-out rows, then every step."""
    horizon, test, step = (int(data[name]) for name in ("horizon", "test", "step"))
    return np.concatenate([np.arange(end - test - 1, end - horizon, step) for end in data["starts"][1:]])


def seasonal_naive(data: dict[str, np.ndarray]) -> np.ndarray:
    """The last season again and again."""
    season = int(data["season"])
    return data["values"][origins(data)[:, None] - season + 1 + np.arange(int(data["horizon"])) % season]


def run(method: str, data: dict[str, np.ndarray], seed: int, *, quick: bool) -> dict[str, Any]:
    """One method in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        given, came = Path(folder) / "data.npz", Path(folder) / "forecasts.npz"
        np.savez(given, **data)
        if method in OURS:
            command = [
                sys.executable,
                __file__,
                "--worker",
                method,
                str(given),
                str(came),
                "--seeds",
                str(seed),
            ]
        else:
            setup = subprocess.run([HERE / "peers" / "setup.sh"], capture_output=True, text=True, check=True)
            python = setup.stdout.strip().splitlines()[-1]
            command = [python, str(HERE / "peers" / "fit_peer.py"), method, "--data", str(given)]
            command += ["--out", str(came), "--seed", str(seed)]
        begun = time.perf_counter()
        done = subprocess.run(command + (["--quick"] if quick else []), capture_output=True, text=True, check=False,
                              cwd=folder)  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{method} failed:\n{done.stderr[-3000:]}")
        with np.load(came) as file:
            forecasts, about = file["forecasts"], json.loads(str(file["about"]))
    return errors(data, forecasts) | about | {"process_seconds": time.perf_counter() - begun}


def errors(data: dict[str, np.ndarray], forecasts: np.ndarray) -> dict[str, float]:
    """MAE, RMSE, sMAPE and MASE over the observed values; MASE series by series, then over windows."""
    season, test = int(data["season"]), int(data["test"])
    last, starts = origins(data), data["starts"]
    if forecasts.shape != (len(last), int(data["horizon"])):
        raise SystemExit(
            f"forecasts of shape {(len(last), int(data['horizon']))} are expected, came {forecasts.shape}"
        )
    ahead = last[:, None] + 1 + np.arange(int(data["horizon"]))
    came, counts = data["values"][ahead], data["observed"][ahead]
    row = np.arange(starts[-1]) - np.repeat(starts[:-1], np.diff(starts))
    learned = data["values"][row < np.repeat(np.diff(starts) - test, np.diff(starts))]
    scales = mase_scale(learned, starts - test * np.arange(len(starts)), season)
    scale = scales[np.searchsorted(starts, last, side="right") - 1][:, None]
    gap = np.abs(forecasts - came)
    size = np.abs(forecasts) + np.abs(came)
    return {
        "mae": float(gap[counts].mean()),
        "rmse": float(np.sqrt(np.square(gap[counts]).mean())),
        "smape": float((200 * gap / np.where(size > 0, size, 1))[counts].mean()),
        "mase": float((gap / scale)[counts].mean()),
        "points": int(counts.sum()),
    }


def fit_ours(method: str, given: str, came: str, *, seed: int, quick: bool) -> None:
    """Ours by its defaults, in this process."""
    with np.load(given) as file:
        data = {name: file[name] for name in file.files}
    starts, test, horizon = data["starts"], int(data["test"]), int(data["horizon"])
    lengths = np.diff(starts)
    row = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
    stamps = data["stamps"].astype("datetime64[ns]") if "stamps" in data else row
    names = np.repeat([f"{series:05d}" for series in range(len(lengths))], lengths)
    table = pa.table({"unique_id": names, "ds": stamps, "y": data["values"]})
    history = table.filter(row < np.repeat(lengths - test, lengths))
    shared = {"horizon": horizon, "lookback": int(data["lookback"]), "season_length": int(data["season"])}
    own = shared | OURS[method] | ({"max_epochs": 1} if quick else {})
    model = Forecaster(**own, random_state=seed, progress=False)
    begun = time.perf_counter()
    model.fit(history)
    fit = time.perf_counter() - begun
    begun = time.perf_counter()
    fitted = model.fitted_
    panel = panel_from_frame(table, "error")
    last = origins(data)
    series = np.searchsorted(starts, last, side="right") - 1
    encoded, _ = fitted.encode(panel, panel.lengths - test)
    quantiles = fitted.quantiles(encoded, Origins(series, last - starts[series]))
    seconds = time.perf_counter() - begun
    about = {"fit_seconds": fit, "predict_seconds": seconds, "version": gatewise.__version__}
    np.savez(came, forecasts=quantiles[..., fitted.levels.index(0.5)], about=json.dumps(about))


def markdown(rows: list[dict[str, Any]], *, quick: bool) -> str:
    """A table for each data set, our seeds and theirs as means and spreads."""
    lines = ["# Forecasters side by side", ""]
    for name in dict.fromkeys(row["key"]["data"] for row in rows):
        own = [row for row in rows if row["key"]["data"] == name]
        lines += [f"## {name}", ""]
        if quick:
            lines += ["A quick run: the numbers mean nothing.", ""]
        lines += ["| method | seeds | MAE | RMSE | sMAPE % | MASE | fit, s | predict, s |",
                  "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
        for method in dict.fromkeys(row["key"]["method"] for row in own):
            same = [row for row in own if row["key"]["method"] == method]
            cells = [spread(same, key, digits) for key, digits in (
                ("mae", 2), ("rmse", 2), ("smape", 2), ("mase", 3), ("fit_seconds", 1), ("predict_seconds", 1),
            )]  # fmt: skip
            lines.append(f"| {method} | {len(same)} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
