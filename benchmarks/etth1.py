"""ETTh1, long horizons: our forecaster beside DLinear and seasonal naive, on the standard split.

    python benchmarks/etth1.py choose --out benchmarks/results     # settings, by the validation span alone
    python benchmarks/etth1.py run --out benchmarks/results        # three seeds of what was chosen
    python benchmarks/etth1.py show --out benchmarks/results       # the table of what is there
    python benchmarks/etth1.py run --quick --horizons 96 --seeds 0 --out benchmarks/results/quick  # to see that it runs

Every run is one JSON line in etth1.jsonl; what is there is not run again, and a run that was cut off goes on from its
last checkpoint, so that the same command carries on. `--stop-after` ends between two runs once so much time is spent.

Multivariate: the seven channels are seven series of one model, each forecast by itself; horizons 96, 192, 336, 720.
Univariate: the series OT alone; horizons 24, 168, 720, beside the published MSE of LSTMa (Zhou et al. 2021, table 1).
The network starts from the recipe of Lin et al. 2023 (SegRNN): a GRU over segments of 48 hours, 720 hours of lookback,
channels independent, absolute error. CANDIDATES are what `choose` tries, one seed each; it looks at the validation
span and never at the test span, and its choice is the least validation MSE for each task and horizon.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gatewise.data import panel_from_frame
from gatewise.store import atomic_write
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast.batches import Origins

try:
    from benchmarks import etth1_methods as methods
    from benchmarks.resumable import Lines, spread
except ImportError:
    import etth1_methods as methods
    from resumable import Lines, spread

HORIZONS = {"multivariate": (96, 192, 336, 720), "univariate": (24, 168, 720)}
LSTMA = {24: 0.114, 168: 0.236, 720: 0.683}
AIM = 0.390
BASE: dict[str, Any] = {
    "architecture": "segrnn", "cell": "gru", "lookback": 720, "segment_length": 48, "hidden_size": 512, "dropout": 0.5,
    "loss": "mae", "batch_size": 256, "learning_rate": 1e-3, "max_epochs": 30, "patience": 5, "engine": "native",
}  # fmt: skip
# The native engine is named since "auto" leaves so few steps to torch's kernels: at 256 units a training step of 256
# windows took a fifth less processor time on it (one thread, horizons 96 and 720 alike).
# Of the published recipe, patience is halved and the widths tried first are smaller: hours on two cores otherwise.
# The authors' script for this set (scripts/SegRNN/etth1.sh of their repository) has segments of 24 and less dropout.
SCRIPT: dict[str, Any] = {
    "segment_length": 24, "dropout": 0.1, "batch_size": 64, "learning_rate": 3e-4, "identify": True,
}  # fmt: skip
# Differences from BASE. "identify": whether the channel's name is an input.
CANDIDATES: dict[str, dict[str, dict[str, Any]]] = {
    "multivariate": {
        "width 128": {"hidden_size": 128},
        "width 128, named": {"hidden_size": 128, "identify": True},
        "width 128, mse, named": {"hidden_size": 128, "loss": "mse", "identify": True},
        "width 128, segment 24, named": {"hidden_size": 128, "segment_length": 24, "identify": True},
        "width 128, dropout 0.2": {"hidden_size": 128, "dropout": 0.2},
        "width 128, revin": {"hidden_size": 128, "revin": True},
        "width 128, day and week": {"hidden_size": 128, "season_length": (24, 168)},
        "width 256, named": {"hidden_size": 256, "identify": True},
        "script, width 128": {**SCRIPT, "hidden_size": 128},
        "script, width 256": {**SCRIPT, "hidden_size": 256},
        "script": SCRIPT,
        "published": {},
    },
    "univariate": {
        "width 128": {"hidden_size": 128},
        "width 128, lookback 336": {"hidden_size": 128, "lookback": 336},
        "width 128, segment 24, lookback 336": {"hidden_size": 128, "lookback": 336, "segment_length": 24},
        "width 128, mse": {"hidden_size": 128, "loss": "mse"},
        "width 128, revin": {"hidden_size": 128, "revin": True},
    },
}
QUICK = {"hidden_size": 32, "max_epochs": 2}


def main() -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=("choose", "run", "show"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--task", choices=tuple(HORIZONS), nargs="+", default=list(HORIZONS))
    parser.add_argument("--horizons", type=int, nargs="+", help="of each task; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--candidates", nargs="+", help="names of CANDIDATES; all by default")
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    parser.add_argument("--quick", action="store_true", help="small models, to see that it runs")
    arguments = parser.parse_args()
    lines = Lines(arguments.out / "etth1.jsonl", {"quick": arguments.quick, "base": BASE})
    if arguments.stage != "show":
        work = functools.partial(one, arguments.out / "etth1-checkpoints", quick=arguments.quick)
        lines.run(keys(arguments, lines.rows), work, stop_after=arguments.stop_after)
    text = markdown(lines.rows, quick=arguments.quick)
    atomic_write(arguments.out / "etth1.md", text.encode())
    print(text)


def keys(arguments: argparse.Namespace, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs that were asked for, in order."""
    found = []
    for task in arguments.task:
        for horizon in HORIZONS[task]:
            if arguments.horizons and horizon not in arguments.horizons:
                continue
            key = {"stage": arguments.stage, "task": task, "horizon": horizon}
            if arguments.stage == "choose":
                names = arguments.candidates or CANDIDATES[task]
                found += [key | {"method": "gatewise", "setting": name, "seed": 0} for name in names]
                continue
            setting = (arguments.candidates or [chosen(rows, task, horizon)])[0]
            found.append(key | {"method": "seasonal naive", "setting": "", "seed": 0})
            for seed in arguments.seeds:
                found.append(key | {"method": "DLinear", "setting": "published", "seed": seed})
                found.append(key | {"method": "gatewise", "setting": setting, "seed": seed})
    return found


def chosen(rows: list[dict[str, Any]], task: str, horizon: int) -> str:
    """The candidate of the least validation MSE at this horizon, else at the nearest one where some were tried."""
    tried = select(rows, stage="choose", task=task)
    if not tried:
        return next(iter(CANDIDATES[task]))
    nearest = min((row["key"]["horizon"] for row in tried), key=lambda other: abs(other - horizon))
    return min(select(tried, horizon=nearest), key=lambda row: row["validation_mse"])["key"]["setting"]


def select(rows: list[dict[str, Any]], **key: Any) -> list[dict[str, Any]]:
    """The rows that agree with a part of the key."""
    return [row for row in rows if key.items() <= row["key"].items()]


def one(folder: Path, *, quick: bool, **key: Any) -> dict[str, Any]:
    """One run."""
    values = methods.load()
    if key["task"] == "univariate":
        values = values[:, -1:]
    if key["method"] == "seasonal naive":
        standard = methods.standardised(values)
        return methods.seasonal_naive(standard, methods.VALIDATION, methods.END, key["horizon"])
    if key["method"] == "DLinear":
        return methods.dlinear(methods.standardised(values), key["horizon"], key["seed"], quick=quick)
    return ours(values, key, folder, quick=quick)


def ours(values: np.ndarray, key: dict[str, Any], folder: Path, *, quick: bool) -> dict[str, Any]:
    """One forecaster: fitted to the rows before the test span, the validation rows held back within them."""
    setting = BASE | CANDIDATES[key["task"]][key["setting"]] | (QUICK if quick else {})
    identify = setting.pop("identify", False)
    place = folder / "-".join(str(value).replace(" ", "_") for value in key.values())
    model = Forecaster(
        horizon=key["horizon"], quantiles=(), scaling="standard",
        random_state=key["seed"], validation=methods.VALIDATION - methods.TRAIN, checkpoint_folder=place,
        progress=False, **({"season_length": methods.SEASON} | setting),
    )  # fmt: skip
    model.fit(table(values[: methods.VALIDATION], identify=identify))
    if model.stopped_ == "interrupted":
        raise SystemExit("interrupted; the same command goes on from the last checkpoint")
    whole = table(values, identify=identify)
    found: dict[str, Any] = {
        "validation_mse": span_errors(model, whole, methods.TRAIN, methods.VALIDATION)["mse"],
        "epochs": len(model.history_), "best_epoch": model.best_epoch_, "stopped": model.stopped_,
        "fit_seconds": round(model.fit_seconds_, 1),
    }  # fmt: skip
    if key["stage"] == "run":
        begun = time.perf_counter()
        found |= span_errors(model, whole, methods.VALIDATION, methods.END)
        found["predict_seconds"] = round(time.perf_counter() - begun, 1)
    shutil.rmtree(place, ignore_errors=True)
    return found


def table(values: np.ndarray, *, identify: bool) -> pa.Table:
    """A long table. Its time is the row's number: no calendar, as in the published recipe."""
    rows, channels = values.shape
    names = np.repeat(methods.CHANNELS[-channels:], rows)
    columns = {"unique_id": names, "ds": np.tile(np.arange(rows), channels), "y": values.T.reshape(-1)}
    return pa.table(columns | ({"channel": names} if identify else {}))


def span_errors(model: Forecaster, frame: pa.Table, begin: int, end: int) -> dict[str, float]:
    """MSE and MAE over every window of a span, on values standardised by the training rows."""
    fitted = model.fitted_
    panel = panel_from_frame(frame, "error")
    horizon, channels = fitted.encoder.horizon, len(panel)
    encoded, _ = fitted.encode(panel, np.full(channels, begin))
    squared = absolute = number = 0.0
    # A part at a time: 700 values for each of 15,000 windows take memory.
    for rows in np.array_split(np.arange(begin - 1, end - horizon), 8):
        origins = Origins(np.repeat(np.arange(channels), len(rows)), np.tile(rows, channels))
        forecast = fitted.quantiles(encoded, origins)[..., fitted.levels.index(0.5)]
        ahead = (panel.starts[:-1][origins.series] + origins.rows)[:, None] + 1 + np.arange(horizon)
        gap = (forecast - panel.target[ahead]) / fitted.scaler.size[origins.series][:, None]
        squared, absolute = squared + np.square(gap).sum(), absolute + np.abs(gap).sum()
        number += gap.size
    return {"mse": squared / number, "mae": absolute / number}


def markdown(everything: list[dict[str, Any]], *, quick: bool) -> str:
    """What is there, as tables: means and spreads over the seeds."""
    lines = ["# ETTh1", "", methods.__doc__.split("\n\n")[1].replace("\n", " ").strip(), ""]
    for task, horizons in HORIZONS.items():
        rows = select(everything, stage="run", task=task)
        if not rows:
            continue
        if quick:
            lines += ["A quick run is among these: the numbers mean nothing.", ""]
        lines += [f"## {task.capitalize()}", "", "| method | horizon | setting | seeds | MSE | MAE | fit, s |",
                  "| --- | ---: | --- | ---: | ---: | ---: | ---: |"]  # fmt: skip
        for method in ("gatewise", "DLinear", "seasonal naive"):
            for horizon in horizons:
                own = select(rows, method=method, horizon=horizon)
                for setting in dict.fromkeys(row["key"]["setting"] for row in own):
                    same = select(own, setting=setting)
                    seconds = np.mean([row["seconds"] for row in same])
                    lines.append(
                        f"| {method} | {horizon} | {setting} | {len(same)} | {spread(same, 'mse')} | "
                        f"{spread(same, 'mae')} | {seconds:.0f} |"
                    )
        # What was tried on the test span before the choice was made is in the table and counts for no mean.
        counted = [
            row for row in rows if row["key"]["method"] != "gatewise"
            or row["key"]["setting"] == chosen(everything, task, row["key"]["horizon"])
        ]  # fmt: skip
        lines += ["", *verdict(counted, task, horizons), ""]
    return "\n".join(lines)


def verdict(rows: list[dict[str, Any]], task: str, horizons: tuple[int, ...]) -> list[str]:
    """In words, beside the aims, as far as the runs go."""
    means = {
        method: [
            np.mean([row["mse"] for row in select(rows, method=method, horizon=horizon)] or [np.nan])
            for horizon in horizons
        ]
        for method in ("gatewise", "DLinear", "seasonal naive")
    }  # fmt: skip
    own = means["gatewise"]
    if task == "univariate":
        return [
            f"Horizon {horizon}: MSE {value:.3f}, {'below' if value < LSTMA[horizon] else 'NOT below'} the "
            f"{LSTMA[horizon]} published for LSTMa."
            for horizon, value in zip(horizons, own, strict=True)
            if np.isfinite(value)
        ]
    if not np.isfinite(own).all():
        return ["Not all horizons are there yet: no mean."]
    text = ", ".join(f"{method} {np.mean(value):.3f}" for method, value in means.items())
    reached = "reached" if np.mean(own) <= AIM else "NOT reached"
    return [f"Mean MSE over the horizons: {text}. The aim, at most {AIM:.3f} (SegRNN's level), is {reached}."]


if __name__ == "__main__":
    main()
