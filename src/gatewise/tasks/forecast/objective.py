"""What training minimises, with missing values left out: pinball, squared or absolute error, or a likelihood."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from gatewise.tasks.forecast.batches import Origins, to_windows
from gatewise.tasks.forecast.encoding import Encoded
from gatewise.tasks.forecast.inference import forecast_scaled
from gatewise.tasks.forecast.plan import NetworkPlan
from gatewise.tasks.forecast.scaling import undo_scaling
from gatewise.tasks.quantiles import mean_counted, pinball

__all__ = ["ForecastObjective"]

# Of the logarithms' error beside that in MASE's unit, in "owa". By M4's own measure it would be Naive2's MASE by its
# sMAPE / 100, 13 for the hourly series; about twice that was picked on a validation part of these.
_RELATIVE_WEIGHT = 25.0


class ForecastObjective:
    """The plan's loss; validated on the held-out span by the same measure of what is forecast.

    Errors are in the target's own unit by the series' standard deviation. Under a squared or absolute error the
    point forecast learns from that error alone, and the gaps of the quantiles from the pinball loss around it.
    A relative error is the pinball loss of the logarithms, whose differences are relative errors of the values; "owa"
    adds it to the pinball loss in the unit of MASE, as M4's measure adds sMAPE and MASE.
    A likelihood is validated by the pinball loss of the forecasts that it leads to: for deepar the likelihood of one
    step says little of paths.

    Args:
        encoded: the data, the held-out span included.
        validation: the origins to validate from.
        log: whether the scaling takes a logarithm.
        plan: says the loss, and tells one run from another.
    """

    def __init__(self, encoded: Encoded, validation: Origins, *, log: bool, plan: NetworkPlan) -> None:
        self._encoded, self._validation, self._log, self._plan = encoded, validation, log, plan

    def fingerprint(self) -> str:
        """Tells one objective from another."""
        plan = replace(self._plan, engine="auto")
        digest = hashlib.sha256(f"{self._log} {plan} {plan.program.to_json()}".encode())
        digest.update(self._validation.series.tobytes() + self._validation.rows.tobytes())
        return digest.hexdigest()

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """The training loss of one batch."""
        plan, windows, counts = self._plan, to_windows(batch, log=self._log), batch["counts"]
        if plan.loss == "likelihood":
            found = model.log_prob(windows, batch["target"], counts)  # type: ignore[operator]
            return mean_counted(-found, counts[..., : found.shape[-1]])
        scale = windows.scale
        constants = {} if scale is None else scale.constants
        scaled = model(windows).float()
        relative = scaled.new_zeros(())
        if plan.loss in ("relative", "owa"):
            spread = constants["spread"].view(1, -1, 1)
            relative = pinball(scaled * spread[..., None], batch["target"] * spread, counts, plan.levels)
            if plan.loss == "relative":
                return relative
        quantiles = undo_scaling(scaled, constants, log=self._log)
        target = undo_scaling(batch["target"], constants, log=self._log)
        if plan.loss in ("pinball", "owa"):
            return pinball(quantiles, target, counts, plan.levels) + _RELATIVE_WEIGHT * relative
        middle = plan.levels.index(0.5)
        error = target - quantiles[..., middle]
        loss = mean_counted(error.square() if plan.loss == "mse" else error.abs(), counts)
        if len(plan.levels) > 1:
            # The gaps are learned around a point that they do not move.
            point = quantiles[..., middle : middle + 1]
            loss = loss + pinball(quantiles - point + point.detach(), target, counts, plan.levels)
        return loss

    def weight(self, batch: Mapping[str, Tensor]) -> float:
        """How many values the mean in `loss` is taken over."""
        one = self._plan.architecture == "deepar" and not self._plan.revin
        return float(batch["counts"][..., : 1 if one else None].sum())

    def validate(self, model: nn.Module) -> dict[str, float]:
        """The loss, and the MAE, in the target's unit by the series' standard deviation."""
        quantiles = forecast_scaled(model, self._encoded, self._validation)
        series = self._validation.series
        size = self._encoded.scaler.size[series][:, None]
        values = self._encoded.scaler.inverse(quantiles, series) / size[..., None]
        scaled, counts = self._encoded.targets(
            series, self._validation.rows[None], self._encoded.panel.lengths[series]
        )
        target = self._encoded.scaler.inverse(scaled[0], series) / size
        error = target[..., None] - values
        level = np.array(self._plan.levels)
        middle = self._plan.levels.index(0.5)
        mae = float(np.abs(error[..., middle])[counts[0]].mean())
        if self._plan.loss == "mse":
            return {"loss": float(np.square(error[..., middle])[counts[0]].mean()), "mae": mae}
        if self._plan.loss == "mae":
            return {"loss": mae, "mae": mae}
        spread = self._encoded.scaler.spread[series][:, None, None]
        relative = (scaled[0][..., None] - quantiles) * spread
        loss, relative_loss = (
            float(np.maximum(level * one, (level - 1) * one).mean(-1)[counts[0]].mean())
            for one in (error, relative)
        )
        if self._plan.loss == "relative":
            loss = relative_loss
        if self._plan.loss == "owa":
            loss += _RELATIVE_WEIGHT * relative_loss
        return {"loss": loss, "mae": mae}
