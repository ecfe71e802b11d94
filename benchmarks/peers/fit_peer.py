"""One peer on one data set: reads what benchmarks/forecast_peers.py wrote, fits, forecasts, writes forecasts and times.

Needs neuralforecast and darts, and nothing of Gatewise. Each peer runs with its own defaults but for horizon, lookback,
absolute error as its loss (DeepAR: its own Student t), scaling to mean 0 and deviation 1, the calendar where its
interface takes it, and an early end by the validation rows. Of many series darts sees the latest MOST_WINDOWS windows
of each in an epoch: it has no steps that end one, and all windows of M4 would be an epoch of 9,000. neuralforecast's
DeepAR gets 300 steps in place of 1,000, and looks at the validation rows three times: on one core a step on Beijing's
air takes seconds, and a look, by sampling from each of 3,500 windows, minutes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

METHODS = (
    "neuralforecast LSTM", "neuralforecast GRU", "neuralforecast DeepAR", "darts RNNModel", "darts BlockRNNModel",
)  # fmt: skip

MOST_WINDOWS = 64


def main() -> None:
    """Fit the method that was named, and write its forecasts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    with np.load(arguments.data) as file:
        data = {name: file[name] for name in file.files}
    library, name = arguments.method.split()
    run = run_neuralforecast if library == "neuralforecast" else run_darts
    forecasts, about = run(name, data, arguments.seed, quick=arguments.quick)
    np.savez(arguments.out, forecasts=forecasts, about=json.dumps(about))


def parts(data: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The rows of each series."""
    return [np.arange(begin, end) for begin, end in itertools.pairwise(data["starts"])]


def run_neuralforecast(
    name: str, data: dict[str, np.ndarray], seed: int, *, quick: bool
) -> tuple[np.ndarray, dict[str, Any]]:
    """Forecasts of shape (origins, horizon), series by series, and how long it took."""
    import neuralforecast
    import pandas as pd
    from neuralforecast import NeuralForecast, models
    from neuralforecast.losses.pytorch import MAE, DistributionLoss

    horizon, lookback, test = (int(data[key]) for key in ("horizon", "lookback", "test"))
    known = [f"known{place}" for place in range(data["known"].shape[1])]
    frame = pd.concat(
        [
            pd.DataFrame(
                {"unique_id": f"{series:05d}", "ds": np.arange(len(rows)), "y": data["values"][rows]}
                | {column: data["known"][rows, place] for place, column in enumerate(known)}
            )
            for series, rows in enumerate(parts(data))
        ],
        ignore_index=True,
    )
    own: dict[str, Any] = {"scaler_type": "standard", "max_steps": 1000, "val_check_steps": 50}
    if name == "DeepAR":
        own |= {"max_steps": 300, "val_check_steps": 100}
    if quick:
        own |= {"max_steps": 20, "val_check_steps": 10}
    model = getattr(models, name)(
        h=horizon, input_size=lookback, loss=DistributionLoss("StudentT") if name == "DeepAR" else MAE(),
        valid_loss=MAE(), futr_exog_list=known or None, early_stop_patience_steps=5, random_seed=seed,
        accelerator="cpu", enable_progress_bar=False, logger=False, **own,
    )  # fmt: skip
    forecaster = NeuralForecast(models=[model], freq=1)
    lengths = frame.groupby("unique_id")["ds"].transform("size")
    history = frame[frame["ds"] < lengths - test]
    begun = time.perf_counter()
    forecaster.fit(history, val_size=max(horizon, int(data["validation"])))
    fit = time.perf_counter() - begun
    begun = time.perf_counter()
    found = forecaster.cross_validation(
        frame, n_windows=None, test_size=test, step_size=int(data["step"]), use_fitted=True
    )
    seconds = time.perf_counter() - begun
    column = f"{name}-median" if f"{name}-median" in found.columns else name
    found = found.reset_index() if "unique_id" not in found.columns else found
    found = found.sort_values(["unique_id", "cutoff", "ds"])
    about = {"fit_seconds": fit, "predict_seconds": seconds, "version": neuralforecast.__version__}
    return found[column].to_numpy(float).reshape(-1, horizon), about


def run_darts(
    name: str, data: dict[str, np.ndarray], seed: int, *, quick: bool
) -> tuple[np.ndarray, dict[str, Any]]:
    """The same by darts."""
    import darts
    import torch
    from darts import TimeSeries
    from darts.models import BlockRNNModel, RNNModel
    from pytorch_lightning.callbacks import EarlyStopping

    horizon, lookback, test, validation = (
        int(data[key]) for key in ("horizon", "lookback", "test", "validation")
    )
    validation = max(validation, horizon)
    trainer = {
        "accelerator": "cpu", "enable_progress_bar": False, "logger": False, "enable_model_summary": False,
        "callbacks": [EarlyStopping("val_loss", patience=5)],
    }  # fmt: skip
    shared = {
        "model": "LSTM", "input_chunk_length": lookback, "loss_fn": torch.nn.L1Loss(), "random_state": seed,
        "n_epochs": 1 if quick else 100, "pl_trainer_kwargs": trainer,
    }  # fmt: skip
    if name == "RNNModel":
        model: Any = RNNModel(training_length=lookback + horizon, **shared)
    else:
        model = BlockRNNModel(output_chunk_length=horizon, **shared)
    whole, known, scales = [], [], []
    for rows in parts(data):
        values = data["values"][rows]
        seen = values[: len(values) - test]
        scales.append((seen.mean(), seen.std() or 1.0))
        whole.append(TimeSeries.from_values(((values - scales[-1][0]) / scales[-1][1]).astype(np.float32)))
        if data["known"].shape[1]:
            known.append(TimeSeries.from_values(data["known"][rows].astype(np.float32)))
    key = "future_covariates" if name == "RNNModel" else "past_covariates"
    beside = {key: known} if known else {}
    history = [one[: len(one) - test - validation] for one in whole]
    held = [one[max(0, len(one) - test - validation - lookback - horizon) : len(one) - test] for one in whole]
    most = {"max_samples_per_ts": MOST_WINDOWS} if quick or len(history) > 1 else {}
    begun = time.perf_counter()
    model.fit(history, val_series=held, **beside, **({f"val_{key}": known} if known else {}), **most)
    fit = time.perf_counter() - begun
    begun = time.perf_counter()
    found = model.historical_forecasts(
        whole, start=-test, start_format="position", forecast_horizon=horizon, stride=int(data["step"]), retrain=False,
        last_points_only=False, verbose=False, **beside,
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    forecasts = [
        one.values()[:, 0] * spread + centre
        for own, (centre, spread) in zip(found, scales, strict=True)
        for one in own
    ]
    return np.array(forecasts), {"fit_seconds": fit, "predict_seconds": seconds, "version": darts.__version__}


if __name__ == "__main__":
    main()
