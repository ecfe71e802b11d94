"""Beijing air quality, 24 hours ahead: Gatewise beside the trivial methods and gradient boosting.

    python benchmarks/forecast_beijing.py --out benchmarks/results            # all of it, about ten minutes
    python benchmarks/forecast_beijing.py --quick --out benchmarks/results/quick  # a minute, to see that it runs

The protocol, the same for every method:

- The held-out span is 2014. A forecast is made from every hour whose next 24 hours lie in it (8,737 origins).
- Errors are over the observed values of these windows; missing ones (2,067 of 43,824 rows) count for nobody.
- Rows up to the end of 2013 may be learned from; their last tenth is for choosing (early stopping, calibration,
  gradient boosting's settings). Nothing of 2014 enters any choice.
- Inputs are the last 72 hours of PM2.5 and weather, and the calendar of the hour that is forecast.

Gatewise runs with its defaults, three seeds. Gradient boosting is scikit-learn's HistGradientBoostingRegressor on the
absolute error, with the horizon as a feature; its settings are chosen on the validation rows, and it is then fitted
to all rows before 2014, the validation rows included (Gatewise never trains on those). benchmarks/neuralforecast runs
a peer in the same protocol, in an environment of its own; its result file is shown beside these if it is there.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import sklearn
import torch
from sklearn.ensemble import HistGradientBoostingRegressor

import gatewise
from gatewise.data import examples, panel_from_frame
from gatewise.data.frequency import parse_stamp
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast.metrics import measure

try:
    from benchmarks.machine import describe
except ImportError:
    from machine import describe

HORIZON, LOOKBACK = 24, 72
VALIDATION_SHARE = 0.1
LAGS = (*range(25), 35, 47, 71)
COVARIATE_LAGS = (0, 1, 3, 6, 12, 24, 48)
WINDOWS = (6, 12, 24, 48, 72)
SETTINGS = (
    {"max_leaf_nodes": 31, "min_samples_leaf": 100, "learning_rate": 0.05, "max_iter": 300},
    {
        "max_leaf_nodes": 63,
        "min_samples_leaf": 200,
        "learning_rate": 0.05,
        "max_iter": 300,
        "l2_regularization": 1.0,
    },
    {
        "max_leaf_nodes": 31,
        "min_samples_leaf": 500,
        "learning_rate": 0.03,
        "max_iter": 600,
        "max_features": 0.5,
    },
    {
        "max_leaf_nodes": 15,
        "min_samples_leaf": 500,
        "learning_rate": 0.05,
        "max_iter": 600,
        "max_features": 0.5,
    },
)


def main() -> None:
    """Run what was asked for and write result files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="small models, to see that it runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cell", default="lstm")
    arguments = parser.parse_args()
    table = examples.load("beijing-air")
    start = np.datetime64(examples.get("beijing-air").test_start)
    rows = [ours(table, start, arguments.cell, seed, quick=arguments.quick) for seed in arguments.seeds]
    evaluation = rows[-1].pop("evaluation")
    for row in rows[:-1]:
        row.pop("evaluation")
    trivial = [
        {"method": name, "seconds": 0.0, **asdict(evaluation.errors[name])}
        for name in list(evaluation.errors)[1:]
    ]
    boosting = gradient_boosting(table, start, evaluation, quick=arguments.quick)
    peer = arguments.out / "forecast_beijing_neuralforecast.json"
    peers = json.loads(peer.read_text())["results"] if peer.exists() else []
    for row in peers:
        # MASE has the same denominator for all methods.
        row["mase"] = row["mae"] * trivial[0]["mase"] / trivial[0]["mae"]
    document = {
        "benchmark": "forecast_beijing",
        "quick": arguments.quick,
        "windows": evaluation.windows,
        "points": evaluation.points,
        "span": evaluation.span,
        "results": [*rows, boosting, *peers, *trivial],
        "environment": environment(),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "forecast_beijing.json").write_text(json.dumps(document, indent=2) + "\n")
    text = markdown(document)
    (arguments.out / "forecast_beijing.md").write_text(text)
    print(text)


def ours(table, start: np.datetime64, cell: str, seed: int, *, quick: bool) -> dict:
    """One seed of the forecaster, by its defaults."""
    small = {"max_epochs": 2, "hidden_size": 16} if quick else {}
    model = Forecaster(horizon=HORIZON, cell=cell, missing="mask", random_state=seed, progress=False, **small)
    begun = time.perf_counter()
    model.fit(table.filter(pc.less(table["ds"], start.astype("datetime64[us]").item())))
    seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    evaluation = model.evaluate(table, start=start, every=1)
    print(f"gatewise {cell}, seed {seed}: {seconds:.0f} s\n{evaluation}\n", flush=True)
    return {
        "method": f"gatewise {cell}",
        "seed": seed,
        "seconds": seconds,
        "predict_seconds": time.perf_counter() - begun,
        "coverage": {f"{level:g}": share for level, share in evaluation.coverage.items()},
        **asdict(evaluation.errors[evaluation.model]),
        "evaluation": evaluation,
    }


def features(panel, origins: np.ndarray, horizons: np.ndarray) -> np.ndarray:
    """One row per (origin, horizon): what is known at the origin, and the calendar of the hour that is forecast."""
    target = panel.target
    seen = np.where(np.isnan(target), 0, np.arange(len(target)))
    last = target[np.maximum.accumulate(seen)]
    known = [last[origins]]
    known += [target[origins - lag] for lag in LAGS]
    for values in panel.covariates.values():
        numbers = np.unique(values, return_inverse=True)[1] if values.dtype == object else values
        known += [numbers[origins - lag].astype(float) for lag in COVARIATE_LAGS]
    filled = np.nan_to_num(last)
    sums = np.concatenate([[0.0], np.cumsum(filled)])
    known += [(sums[origins + 1] - sums[origins + 1 - width]) / width for width in WINDOWS]
    known.append((origins - np.maximum.accumulate(seen)[origins]).astype(float))
    table = np.repeat(np.stack(known, axis=1).astype(np.float32), len(horizons), axis=0)
    ahead = (origins[:, None] + horizons).reshape(-1)
    hours = panel.stamps[ahead] // 3_600_000_000_000
    moments = panel.stamps[ahead].astype("datetime64[ns]")
    day = (moments - moments.astype("datetime64[Y]")).astype("timedelta64[D]").astype(int)
    calendar = [hours % 24, (hours // 24 + 3) % 7, day, np.tile(horizons, len(origins))]
    return np.concatenate([table, np.stack(calendar, axis=1).astype(np.float32)], axis=1)


def gradient_boosting(table, start: np.datetime64, evaluation, *, quick: bool) -> dict:
    """Settings chosen on the validation rows; fitted to all rows before the held-out span."""
    panel = panel_from_frame(table, "mask")
    first = int(np.searchsorted(panel.stamps, parse_stamp(start, "time")))
    begin = first - int(first * VALIDATION_SHARE)
    horizons = np.arange(1, HORIZON + 1)
    # Every third origin for learning: neighbours share 23 of 24 targets, and more of them changed nothing.
    step = 48 if quick else 3
    oldest = max(LAGS) + 24

    def examples_of(low: int, high: int, every: int) -> tuple[np.ndarray, np.ndarray]:
        origins = np.arange(low, high - HORIZON, every)
        ahead = (origins[:, None] + horizons).reshape(-1)
        observed = ~np.isnan(panel.target[ahead])
        return features(panel, origins, horizons)[observed], panel.target[ahead][observed]

    begun = time.perf_counter()
    train, check = examples_of(oldest, begin, step), examples_of(begin - 1, first, 3 * step)
    settings = SETTINGS[:1] if quick else SETTINGS
    scores = []
    for setting in settings:
        chosen = {**setting, **({"max_iter": 20} if quick else {})}
        model = HistGradientBoostingRegressor(
            loss="absolute_error", early_stopping=False, random_state=0, **chosen
        )
        model.fit(*train)
        scores.append((float(np.abs(model.predict(check[0]) - check[1]).mean()), chosen))
        print(f"gradient boosting: validation MAE {scores[-1][0]:.2f} with {chosen}", flush=True)
    best = min(scores, key=lambda score: score[0])[1]
    searched = time.perf_counter() - begun
    begun = time.perf_counter()
    model = HistGradientBoostingRegressor(loss="absolute_error", early_stopping=False, random_state=0, **best)
    model.fit(*examples_of(oldest, first, step))
    seconds = time.perf_counter() - begun
    test = evaluation.back_test
    begun = time.perf_counter()
    forecast = model.predict(features(panel, test.rows, horizons)).reshape(test.actual.shape)
    errors = measure(forecast, test.actual, test.counts, test.scale)
    print(f"gradient boosting: {seconds:.0f} s, {searched:.0f} s to choose; {errors}", flush=True)
    return {
        "method": "gradient boosting (scikit-learn)",
        "seconds": seconds,
        "search_seconds": searched,
        "predict_seconds": time.perf_counter() - begun,
        "settings": best,
        **asdict(errors),
    }


def environment() -> dict:
    """Machine, versions, commit."""
    facts = {key: value for key, value in describe().items() if key != "text"}
    return facts | {
        "date": time.strftime("%Y-%m-%d"),
        "torch_threads": torch.get_num_threads(),
        "gatewise": gatewise.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
    }


def markdown(document: dict) -> str:
    """The results as a table, our seeds as mean and spread."""
    lines = [
        "# Beijing air quality, 24 hours ahead",
        "",
        f"{document['windows']:,} forecasts, {document['span'][0]} to {document['span'][1]}, one from every hour; "
        f"{document['points']:,} observed values, the same for all methods."
        + (" A quick run: the numbers mean nothing." if document["quick"] else ""),
        "",
        "| method | MAE | RMSE | MASE | sMAPE % | pinball | q0.1 / q0.5 / q0.9 cover | fit, s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: |",
    ]
    methods = list(dict.fromkeys(row["method"] for row in document["results"]))
    for method in methods:
        rows = [row for row in document["results"] if row["method"] == method]
        name = method if len(rows) == 1 else f"{method}, mean of {len(rows)} seeds"
        cells = [
            _spread([row[key] for row in rows], digits)
            for key, digits in (("mae", 2), ("rmse", 1), ("mase", 3), ("smape", 1))
        ]
        loss = [row["pinball"] for row in rows if row.get("pinball") is not None]
        cells.append(_spread(loss, 2) if loss else "")
        shares = [row["coverage"] for row in rows if row.get("coverage")]
        cells.append(
            " / ".join(f"{np.mean([share[key] for share in shares]):.1%}" for key in shares[0])
            if shares
            else ""
        )
        cells.append(
            _spread([row["seconds"] for row in rows], 0) if any(row["seconds"] for row in rows) else ""
        )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Environment: " + ", ".join(f"{key} {value}" for key, value in document["environment"].items()),
        "",
    ]
    return "\n".join(lines)


def _spread(values: list[float], digits: int) -> str:
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


if __name__ == "__main__":
    main()
