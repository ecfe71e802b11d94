"""ETTh1 as a panel, its windows, and the methods beside ours: seasonal naive, and DLinear as its authors train it.

The standard split (Zhou et al. 2021): 12, 4 and 4 months of hours for training, validation and test, standardised by
the training rows' mean and deviation. Every window whose horizon lies in the span counts, the last ones included;
lookbacks reach back into the span before. Errors are means over channels, windows and steps.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

TRAIN, VALIDATION, END = 8640, 11520, 14400
CHANNELS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
SEASON = 24
# Zeng et al. 2023, "Are transformers effective for time series forecasting?", AAAI; the settings of its ETTh1 script.
DLINEAR = {
    "lookback": 336,
    "kernel": 25,
    "learning_rate": 5e-3,
    "batch_size": 32,
    "epochs": 10,
    "patience": 3,
}


def load() -> np.ndarray:
    """The 14,400 rows of the split, of shape (rows, 7), in the data's own units."""
    folder = os.environ.get("GATEWISE_DATA")
    if not folder:
        raise SystemExit(
            "set GATEWISE_DATA to the folder that holds time-series-forecasting/ett/ETTh1.csv.gz"
        )
    path = Path(folder) / "time-series-forecasting" / "ett" / "ETTh1.csv.gz"
    with gzip.open(path, "rt") as file:
        header = file.readline().strip().split(",")
        if tuple(header[1:]) != CHANNELS:
            raise SystemExit(f"{path}: expected the columns {CHANNELS}, came {header[1:]}")
        rows = [[float(value) for value in line.split(",")[1:]] for line in file]
    return np.array(rows[:END])


def standardised(values: np.ndarray) -> np.ndarray:
    """By the training rows' mean and deviation."""
    return (values - values[:TRAIN].mean(0)) / values[:TRAIN].std(0)


def windows_of(values: np.ndarray, begin: int, end: int, horizon: int) -> np.ndarray:
    """What came in each window of a span: (windows, horizon, channels)."""
    view = np.lib.stride_tricks.sliding_window_view(values[begin:end], horizon, axis=0)
    return view.transpose(0, 2, 1)


def errors(forecast: np.ndarray, came: np.ndarray) -> dict[str, float]:
    """MSE and MAE."""
    gap = forecast - came
    return {"mse": float(np.square(gap).mean()), "mae": float(np.abs(gap).mean())}


def seasonal_naive(values: np.ndarray, begin: int, end: int, horizon: int) -> dict[str, float]:
    """The last day again and again."""
    origins = np.arange(begin, end - horizon + 1)
    back = origins[:, None] - SEASON + np.arange(horizon) % SEASON
    return errors(values[back], windows_of(values, begin, end, horizon))


class DLinear(nn.Module):
    """Trend by a moving average, the rest beside it, a linear map over time for each (Zeng et al. 2023, sec. 4)."""

    def __init__(self, lookback: int, horizon: int, kernel: int) -> None:
        super().__init__()
        self._kernel = kernel
        self.seasonal, self.trend = nn.Linear(lookback, horizon), nn.Linear(lookback, horizon)
        for linear in (self.seasonal, self.trend):
            nn.init.constant_(linear.weight, 1 / lookback)

    def forward(self, past: Tensor) -> Tensor:
        """(batch, channels, lookback) to (batch, channels, horizon)."""
        side = (self._kernel - 1) // 2
        padded = torch.cat([past[..., :1].expand(*past.shape[:-1], side), past,
                            past[..., -1:].expand(*past.shape[:-1], side)], dim=-1)  # fmt: skip
        trend = padded.unfold(-1, self._kernel, 1).mean(-1)
        return self.seasonal(past - trend) + self.trend(trend)


def dlinear(values: np.ndarray, horizon: int, seed: int, *, quick: bool) -> dict[str, float]:
    """Trained and stopped as in the authors' code: Adam on the MSE, the rate halved each epoch, the best epoch kept."""
    torch.manual_seed(seed)
    options = DLINEAR | ({"epochs": 2} if quick else {})
    lookback = int(options["lookback"])
    model = DLinear(lookback, horizon, int(options["kernel"]))
    series = torch.tensor(values, dtype=torch.float32)

    def batch(origins: Tensor) -> tuple[Tensor, Tensor]:
        steps = origins[:, None] + torch.arange(-lookback, horizon)
        rows = series[steps].transpose(1, 2)
        return rows[..., :lookback], rows[..., lookback:]

    def measure(begin: int, end: int) -> dict[str, float]:
        parts = torch.arange(begin, end - horizon + 1).split(512)
        with torch.no_grad():
            found = [(model(past) - came).double() for past, came in map(batch, parts)]
        gap = torch.cat(found)
        return {"mse": float(gap.square().mean()), "mae": float(gap.abs().mean())}

    optimiser = torch.optim.Adam(model.parameters())
    best, state, waited = float("inf"), model.state_dict(), 0
    for epoch in range(int(options["epochs"])):
        for group in optimiser.param_groups:
            group["lr"] = options["learning_rate"] * 0.5**epoch
        order = torch.randperm(TRAIN - lookback - horizon + 1) + lookback
        for origins in order.split(int(options["batch_size"])):
            past, came = batch(origins)
            optimiser.zero_grad()
            loss = (model(past) - came).square().mean()
            loss.backward()
            optimiser.step()
        validation = measure(TRAIN, VALIDATION)["mse"]
        if validation < best:
            best, waited = validation, 0
            state = {name: value.clone() for name, value in model.state_dict().items()}
        else:
            waited += 1
            if waited == options["patience"]:
                break
    model.load_state_dict(state)
    return {"validation_mse": best, **measure(VALIDATION, END)}
