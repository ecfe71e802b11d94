"""From a target's own units to numbers of order one and back, series by series; covariates likewise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatewise.data import Panel
from gatewise.errors import ArgumentError, DataError

__all__ = ["CovariateEncoder", "TargetScaler", "fit_covariates", "fit_scaler", "undo_scaling"]

# A log transform is worth it where the values are positive and lean this far to the right (an exponential: 2).
_SKEWED = 1.0
# The log is linear below this share of the mean, so that values near zero do not dominate.
_LINEAR_BELOW = 1 / 50
# No forecast leaves this many times the range that was seen (guards the exponential, not the model's quality).
_FARTHEST = 10.0
_MOST_CATEGORIES = 64


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

    def inverse(self, scaled: NDArray[np.float64], series: NDArray[np.int64]) -> NDArray[np.float64]:
        """Undo `forward`; `series` has the leading dimensions of `scaled`."""
        grown = (..., *(None,) * (scaled.ndim - series.ndim))
        values = scaled * self.spread[series][grown] + self.centre[series][grown]
        if self.log:
            values = np.sign(values) * np.expm1(np.minimum(np.abs(values), 700.0)) * self.unit[series][grown]
        return np.clip(values, self.lowest[series][grown], self.highest[series][grown])

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


@dataclass(frozen=True)
class CovariateEncoder:
    """Columns beside the target, as inputs of order one.

    Args:
        numeric: name -> (log unit or 0 for no logarithm, centre, spread).
        categories: name -> the categories that were seen, sorted; each gets an input that is 0 or 1.
    """

    numeric: dict[str, tuple[float, float, float]]
    categories: dict[str, tuple[str, ...]]

    @property
    def width(self) -> int:
        """Number of inputs."""
        return len(self.numeric) + sum(len(known) for known in self.categories.values())

    def encode(self, panel: Panel) -> NDArray[np.float32]:
        """Inputs of shape (rows, width); a missing number is carried forward, a missing category is all zeros.

        Raises:
            DataError: the table's columns are not those that were fitted, or a category was never seen.
        """
        self._check_columns(panel)
        first = panel.starts[:-1][panel.series_of_rows()]
        inputs = [
            _standardised(_carried(panel.covariates[name], first), *how) for name, how in self.numeric.items()
        ]
        for name, known in self.categories.items():
            codes = _codes(panel, name, known)
            inputs.extend((codes == code).astype(np.float32) for code in range(len(known)))
        if not inputs:
            return np.zeros((panel.rows, 0), dtype=np.float32)
        return np.stack(inputs, axis=1).astype(np.float32)

    def _check_columns(self, panel: Panel) -> None:
        expected = {*self.numeric, *self.categories}
        absent, unknown = (
            sorted(expected - panel.covariates.keys()),
            sorted(panel.covariates.keys() - expected),
        )
        if absent or unknown:
            faults = [f"column {name!r} is missing" for name in absent]
            faults += [f"column {name!r} is unknown" for name in unknown]
            raise DataError(
                f"{', '.join(faults)}: the model was fitted with the covariates {sorted(expected)}. Give those."
            )
        for name in expected:
            text = panel.covariates[name].dtype == object
            if text != (name in self.categories) and panel.rows and not _all_missing(panel.covariates[name]):
                raise DataError(
                    f"column {name!r} holds {'text' if text else 'numbers'}, but held "
                    f"{'numbers' if text else 'text'} when the model was fitted; convert it"
                )


def fit_covariates(panel: Panel) -> CovariateEncoder:
    """Learn the encoding of each further column from all rows of the table.

    Raises:
        DataError: a text column has too many categories.
    """
    numeric: dict[str, tuple[float, float, float]] = {}
    categories: dict[str, tuple[str, ...]] = {}
    for name, values in panel.covariates.items():
        if values.dtype == object:
            known = tuple(sorted({value for value in values if value is not None}))
            if len(known) > _MOST_CATEGORIES:
                raise DataError(
                    f"column {name!r} has {len(known)} categories, at most {_MOST_CATEGORIES} are expected in a "
                    "covariate; drop it or merge the rare ones"
                )
            categories[name] = known
        else:
            numeric[name] = _numeric_scale(values[~np.isnan(values)])
    return CovariateEncoder(numeric, categories)


def _numeric_scale(values: NDArray[np.float64]) -> tuple[float, float, float]:
    if not len(values):
        return (0.0, 0.0, 1.0)
    unit = 0.0
    deviation = values.std()
    skewed = deviation > 0 and ((values - values.mean()) ** 3).mean() / deviation**3 > 2 * _SKEWED
    if values.min() >= 0 and skewed:
        unit = float(values[values > 0].mean() * _LINEAR_BELOW)
        values = np.log1p(values / unit)
    spread = float(values.std())
    return (
        unit,
        float(values.mean()),
        spread if spread > 1e-9 * max(1.0, abs(float(values.mean()))) else 1.0,
    )


def _standardised(
    values: NDArray[np.float64], unit: float, centre: float, spread: float
) -> NDArray[np.float64]:
    if unit:
        values = np.sign(values) * np.log1p(np.abs(values) / unit)
    # What was never seen before counts as average.
    return np.nan_to_num((values - centre) / spread, nan=0.0)


def _carried(values: NDArray[np.float64], first: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each missing value replaced by the last one seen in its series (NaN where there is none)."""
    if values.dtype == object:
        return np.full(len(values), np.nan)
    seen = np.where(np.isnan(values), -1, np.arange(len(values)))
    last = np.maximum.accumulate(seen) if len(seen) else seen
    return np.where(last >= first, values[np.maximum(last, 0)], np.nan)


def _codes(panel: Panel, name: str, known: tuple[str, ...]) -> NDArray[np.int64]:
    place: dict[Any, int] = {category: code for code, category in enumerate(known)}
    values = panel.covariates[name]
    codes = np.empty(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        missing = value is None or value != value
        code = -1 if missing else place.get(value)
        if code is None:
            owner = int(np.searchsorted(panel.starts, row, side="right")) - 1
            raise DataError(
                f"column {name!r} has a category that the model was not fitted with: {value!r} (series "
                f"{panel.names[owner]!r}); known are {list(known)}. Refit, or make the value missing."
            )
        codes[row] = code
    return codes


def _all_missing(values: NDArray[Any]) -> bool:
    return all(value is None or value != value for value in values)
