"""Losses relative to the value: their numbers, worked out from forecasts in the target's own unit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from gatewise.errors import ArgumentError
from gatewise.tasks.forecast.batches import Origins, make_batch
from gatewise.tasks.forecast.fitting import _in_loss_units
from gatewise.tasks.forecast.metrics import mase_scale
from gatewise.tasks.forecast.network import ForecastNetwork
from gatewise.tasks.forecast.objective import ForecastObjective
from tests.tasks.series import small

LEVELS = (0.1, 0.5, 0.9)


def frame() -> pd.DataFrame:
    """Two positive series of very different sizes, one with a gap."""
    generator = np.random.default_rng(0)
    steps = np.arange(80)
    values = [level * (2 + np.sin(steps * np.pi / 2) + 0.2 * generator.random(80)) for level in (3.0, 5000.0)]
    values[0][70] = np.nan
    parts = [
        pd.DataFrame({"unique_id": name, "ds": steps, "y": y}) for name, y in zip("ab", values, strict=True)
    ]
    return pd.concat(parts)


class Constant(ForecastNetwork):
    """Forecasts the same scaled quantiles always."""

    def __init__(self, plan, said: torch.Tensor) -> None:
        super().__init__(plan)
        self.said = nn.Parameter(said)

    def forward(self, windows) -> torch.Tensor:
        return self.said.expand(*windows.last.shape, *self.said.shape)


@pytest.mark.parametrize("loss", ["relative", "owa"])
def test_a_loss_is_that_of_the_values(loss) -> None:
    common = {"scaling": "log", "missing": "mask", "season_length": 4, "horizon": 3, "lookback": 6}
    model = small(loss=loss, **common).fit(frame())
    fitted = model.fitted_
    panel = model._panel(frame())[0]
    history = panel.between(np.zeros(2, dtype=np.int64), np.array([60, 60]))
    encoded = _in_loss_units(fitted.encode(panel, panel.lengths)[0], history, loss)
    origins = Origins(np.array([0, 0, 1, 1]), np.array([66, 68, 66, 75]))
    objective = ForecastObjective(encoded, origins, log=True, plan=fitted.network.plan)
    said = torch.tensor([[-0.5, 0.0, 0.4], [-0.1, 0.2, 0.3], [0.0, 0.1, 0.9]])
    network = Constant(fitted.network.plan, said)
    batch = make_batch(encoded, origins.series, origins.rows, 1, np.array([0]), panel.lengths[origins.series])
    found = objective.loss(network, batch)

    forecasts = fitted.scaler.inverse(np.broadcast_to(said.numpy(), (4, 3, 3)).astype(float), origins.series)
    truth = np.stack(
        [
            panel.target[80 * s + r + 1 : 80 * s + r + 4]
            for s, r in zip([0, 0, 1, 1], origins.rows, strict=True)
        ]
    )
    unit = fitted.scaler.unit[origins.series][:, None]
    logs = np.log1p(truth / unit)[..., None] - np.log1p(forecasts / unit[..., None])
    scale = mase_scale(history.target, history.starts, 4)[origins.series][:, None, None]
    expected = mean_pinball(logs)
    if loss == "owa":
        expected = mean_pinball((truth[..., None] - forecasts) / scale) + 25 * expected
    assert float(found) == pytest.approx(expected, rel=1e-4)
    assert objective.validate(network)["loss"] == pytest.approx(expected, rel=1e-4)


def mean_pinball(error: np.ndarray) -> float:
    """Over the levels, and the values that were observed."""
    level = np.array(LEVELS)
    return float(np.nanmean(np.maximum(level * error, (level - 1) * error)))


@pytest.mark.parametrize(("loss", "scaling"), [("relative", "standard"), ("owa", "auto")])
def test_logarithms_have_to_be_taken(loss, scaling) -> None:
    with pytest.raises(ArgumentError, match=f'scaling: "log" is expected with loss="{loss}"'):
        small(loss=loss, scaling=scaling, missing="mask").fit(frame())
