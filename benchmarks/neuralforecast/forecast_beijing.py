"""neuralforecast's LSTM on Beijing air quality, in the protocol of benchmarks/forecast_beijing.py.

Needs neuralforecast and pyarrow, and nothing of Gatewise: the data file is read from the package's folder.

What it is given: the same split (2014 held out, the last tenth of the rest for early stopping), the same horizon and
lookback (24, 72), weather as past covariates where the variant takes them, the calendar as known for the future, the
same quantiles by its multi-quantile loss, missing targets masked by its `available_mask`, the settings of VARIANTS,
and its own defaults for all else except that training ends early when its validation loss stops falling.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from pathlib import Path

import neuralforecast
import numpy as np
import pandas as pd
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MQLoss
from neuralforecast.models import LSTM

HORIZON, LOOKBACK, SEASON = 24, 72, 24
TEST_START = pd.Timestamp("2014-01-01")
QUANTILES = (0.1, 0.5, 0.9)
DATA = Path(__file__).parents[2] / "src" / "gatewise" / "data" / "bundled" / "beijing-air.csv.gz"
WEATHER = ["DEWP", "TEMP", "PRES", "Iws", "Is", "Ir"]
WIND = ["NE", "NW", "SE", "cv"]
VARIANTS = {
    "direct, its default": {"scaler_type": "robust", "hist_exog_list": WEATHER + WIND},
    # The best of nine settings on the validation rows, each after 200 steps. It takes no past covariates, and
    # gives one value for all quantiles.
    "recurrent": {"scaler_type": "standard", "recurrent": True, "encoder_n_layers": 1, "encoder_hidden_size": 64,
                  "learning_rate": 5e-3},
}  # fmt: skip
CALENDAR = ["hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "year_sin", "year_cos"]


def main() -> None:
    """Run the seeds that were asked for and write a result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    frame, actual = load()
    results = [
        run(frame, actual, variant, seed, quick=arguments.quick)
        for variant in VARIANTS
        for seed in arguments.seeds
    ]
    document = {"results": results, "neuralforecast": neuralforecast.__version__, "quick": arguments.quick}
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "forecast_beijing_neuralforecast.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written to {path}")


def load() -> tuple[pd.DataFrame, np.ndarray]:
    """The table as neuralforecast wants it, and the target with its gaps."""
    raw = pd.read_csv(DATA)
    stamps = pd.to_datetime(raw[["year", "month", "day", "hour"]])
    actual = raw["pm2.5"].to_numpy(dtype=float)
    frame = pd.DataFrame({"unique_id": "Beijing", "ds": stamps, "y": raw["pm2.5"].ffill().bfill()})
    frame["available_mask"] = (~np.isnan(actual)).astype(float)
    for name in WEATHER:
        frame[name] = raw[name].astype(float)
    for name in WIND:
        frame[name] = (raw["cbwd"] == name).astype(float)
    for name, phase in (
        ("hour", stamps.dt.hour / 24),
        ("weekday", stamps.dt.dayofweek / 7),
        ("year", stamps.dt.dayofyear / 365.25),
    ):
        frame[f"{name}_sin"], frame[f"{name}_cos"] = np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)
    return frame, actual


def run(frame: pd.DataFrame, actual: np.ndarray, variant: str, seed: int, *, quick: bool) -> dict:
    """Fit one seed on what lies before the held-out span, and forecast from every hour of it."""
    first = int((frame["ds"] < TEST_START).sum())
    validation = int(first * 0.1)
    model = LSTM(
        h=HORIZON,
        input_size=LOOKBACK,
        loss=MQLoss(quantiles=list(QUANTILES)),
        futr_exog_list=CALENDAR,
        max_steps=20 if quick else 1000,
        val_check_steps=10 if quick else 50,
        early_stop_patience_steps=5,
        random_seed=seed,
        accelerator="cpu",
        enable_progress_bar=False,
        logger=False,
        **VARIANTS[variant],
    )
    forecaster = NeuralForecast(models=[model], freq="h")
    begun = time.perf_counter()
    forecaster.fit(frame[:first], val_size=validation)
    seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    forecasts = forecaster.cross_validation(
        frame, n_windows=None, test_size=len(frame) - first, step_size=1, use_fitted=True
    )
    result = errors(forecasts, frame, actual)
    result |= {
        "method": f"neuralforecast {neuralforecast.__version__} LSTM, {variant}",
        "seed": seed,
        "seconds": seconds,
        "predict_seconds": time.perf_counter() - begun,
    }
    print(result, flush=True)
    return result


def errors(forecasts: pd.DataFrame, frame: pd.DataFrame, actual: np.ndarray) -> dict:
    """Errors over the observed values of all windows, as benchmarks/forecast_beijing.py has them."""
    at = pd.Series(np.arange(len(frame)), index=frame["ds"])
    came = actual[at[forecasts["ds"]].to_numpy()]
    columns = [name for name in forecasts.columns if name.startswith("LSTM")]
    if len(columns) != len(QUANTILES):
        raise SystemExit(f"expected {len(QUANTILES)} quantiles, got the columns {columns}")
    # By size: neuralforecast names its columns by version.
    values = np.sort(forecasts[columns].to_numpy(dtype=float), axis=1)
    seen = ~np.isnan(came)
    came, values = came[seen], values[seen]
    gap = came[:, None] - values
    levels = np.array(QUANTILES)
    median = np.abs(came - values[:, 1])
    return {
        "windows": int(forecasts["cutoff"].nunique()),
        "observed": int(seen.sum()),
        "mae": float(median.mean()),
        "rmse": float(np.sqrt(np.square(came - values[:, 1]).mean())),
        "smape": float(200 * (median / (np.abs(came) + np.abs(values[:, 1]))).mean()),
        "pinball": float(np.maximum(levels * gap, (levels - 1) * gap).mean()),
        "coverage": {f"{level:g}": float((gap[:, k] <= 0).mean()) for k, level in enumerate(QUANTILES)},
    }


if __name__ == "__main__":
    main()
