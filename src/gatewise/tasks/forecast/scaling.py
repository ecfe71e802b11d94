"""From a target's own units to numbers of order one and back, series by series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatewise.data import Panel
from gatewise.errors import ArgumentError

__all__ = ["TargetScaler", "fit_scaler", "series_scales", "undo_scaling"]

# A log transform is worth it where the values are positive and lean this far to the right (an exponential: 2).
_SKEWED = 1.0
# The log is linear below this share of the mean, so that values near zero do not dominate.
_LINEAR_BELOW = 1 / 50
# No forecast leaves this many times the range that was seen (guards the exponential, not the model's quality).
_FARTHEST = 10.0


@dataclass(frozen=True)
class TargetScaler:
    """Series by series: sign(y) log(1 + |y| / unit) where `log`, then minus centre, by spread.

    Args:
        log: whether the logarithm is taken.
        unit, centre, spread: float64 of shape (series,).
        size: float64 of shape (series,), the standard deviation in the target's own unit; losses are in it.
        lowest, highest: float64 of shape (series,), what a forecast may not leave, in the target's own unit.
    """

    log: bool
    unit: NDArray[np.float64]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    size: NDArray[np.float64]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]

    def forward(self, values: NDArray[np.float64], series: NDArray[np.int64]) -> NDArray[np.float64]:
        """Scale values of the given series (both of one shape)."""
        if self.log:
            values = np.sign(values) * np.log1p(np.abs(values) / self.unit[series])
        return (values - self.centre[series]) / self.spread[series]

    def inverse(
        self,
        scaled: NDArray[np.float64],
        series: NDArray[np.int64],
        last: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Undo `forward` for forecasts, which may not leave the range that was seen by far.

        Args:
            scaled: forecasts.
            series: of the leading dimensions of `scaled`.
            last: the last value before each forecast, of the shape of `series`: a series that has grown since it was
                fitted may go on from where it is.
        """
        grown = (..., *(None,) * (scaled.ndim - series.ndim))
        lowest, highest = self.lowest[series], self.highest[series]
        if last is not None:
            reach = _FARTHEST * np.abs(last)
            lowest = np.where((lowest >= 0) & (last >= 0), lowest, np.minimum(lowest, last - reach))
            highest = np.maximum(highest, last + reach)
        return np.clip(self.unscaled(scaled, series), lowest[grown], highest[grown])

    def unscaled(self, scaled: NDArray[np.float64], series: NDArray[np.int64]) -> NDArray[np.float64]:
        """Undo `forward`; `series` has the leading dimensions of `scaled`."""
        grown = (..., *(None,) * (scaled.ndim - series.ndim))
        values = scaled * self.spread[series][grown] + self.centre[series][grown]
        if self.log:
            values = np.sign(values) * np.expm1(np.minimum(np.abs(values), 700.0)) * self.unit[series][grown]
        return values

    def constants(self, series: NDArray[np.int64]) -> dict[str, Tensor]:
        """What the loss needs to undo the scaling of each row of a batch, as float32 tensors of shape (batch,)."""
        names = ("unit", "centre", "spread", "size", "lowest", "highest")
        return {name: torch.tensor(getattr(self, name)[series], dtype=torch.float32) for name in names}


def undo_scaling(
    scaled: Float[Tensor, "positions batch *rest"], constants: dict[str, Tensor], *, log: bool
) -> Float[Tensor, "positions batch *rest"]:
    """Undo the scaling in torch, in units of the series' standard deviation, differentiably."""
    shape = (1, -1, *(1,) * (scaled.dim() - 2))
    unit, centre, spread, size = (
        constants[name].reshape(shape) for name in ("unit", "centre", "spread", "size")
    )
    values = scaled * spread + centre
    if log:
        # Beyond the range that was seen the exponential goes on as its tangent: finite, with a useful gradient.
        edge = (
            torch.log1p(constants["highest"] / _FARTHEST * 2 / constants["unit"])
            .reshape(shape)
            .clamp(min=1.0)
        )
        inside = values.abs().minimum(edge)
        values = values.sign() * (torch.expm1(inside) + torch.exp(inside) * (values.abs() - inside)) * unit
    return values / size


def fit_scaler(panel: Panel, scaling: str) -> TargetScaler:
    """Learn the scaling of each series from its observed values.

    Raises:
        ArgumentError: scaling is none of "auto", "standard", "log", "none".
    """
    if scaling not in ("auto", "standard", "log", "none"):
        raise ArgumentError(
            f'scaling: one of "auto", "standard", "log", "none" is expected, came {scaling!r}'
        )
    owner = panel.series_of_rows()
    seen = ~np.isnan(panel.target)
    values, owner = panel.target[seen], owner[seen]
    count = len(panel)
    mean, deviation = _moments(values, owner, count)
    log = scaling == "log" or (scaling == "auto" and _leans_right(values, owner, mean, deviation))
    unit = (
        np.where(np.abs(mean) > 0, _mean_size(values, owner, count) * _LINEAR_BELOW, 1.0)
        if log
        else np.ones(count)
    )
    unit = np.where(unit > 0, unit, 1.0)
    if scaling == "none":
        centre, spread = np.zeros(count), np.ones(count)
    elif log:
        centre, spread = _moments(np.sign(values) * np.log1p(np.abs(values) / unit[owner]), owner, count)
    else:
        centre, spread = mean, deviation
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, owner, values)
    np.maximum.at(high, owner, values)
    reach = np.maximum(high - low, np.maximum(np.abs(high), np.abs(low))) + 1e-9
    lowest = np.where(low >= 0, 0.0, low - _FARTHEST * reach)
    return TargetScaler(log, unit, centre, spread, deviation, lowest, high + _FARTHEST * reach)


def series_scales(panel: Panel) -> NDArray[np.float64]:
    """1 + the mean size of each series' observed values, (series,): nu of Salinas et al. 2020, sec. 3.3."""
    seen = ~np.isnan(panel.target)
    return 1 + _mean_size(panel.target[seen], panel.series_of_rows()[seen], len(panel))


def _moments(
    values: NDArray[np.float64], owner: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation per series; the deviation of a constant series counts as 1."""
    number = np.maximum(np.bincount(owner, minlength=count), 1)
    mean = np.bincount(owner, values, minlength=count) / number
    deviation = np.sqrt(np.bincount(owner, (values - mean[owner]) ** 2, minlength=count) / number)
    constant = deviation <= 1e-9 * np.maximum(np.abs(mean), 1e-300)
    return mean, np.where(constant | (deviation == 0), 1.0, deviation)


def _mean_size(values: NDArray[np.float64], owner: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    return np.bincount(owner, np.abs(values), minlength=count) / np.maximum(
        np.bincount(owner, minlength=count), 1
    )


def _leans_right(
    values: NDArray[np.float64],
    owner: NDArray[np.int64],
    mean: NDArray[np.float64],
    deviation: NDArray[np.float64],
) -> bool:
    if values.min() < 0:
        return False
    scaled = (values - mean[owner]) / deviation[owner]
    number = np.maximum(np.bincount(owner, minlength=len(mean)), 1)
    skewness = np.bincount(owner, scaled**3, minlength=len(mean)) / number
    return bool(np.median(skewness) > _SKEWED)
