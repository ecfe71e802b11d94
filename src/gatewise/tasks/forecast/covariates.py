"""Columns beside the target: numbers of order one, and codes of categories that the network embeds.

A column is past (known up to a forecast's origin), known for the future, or static (one value per series). Text is a
category. Everything is learned from the rows that a model is fitted to and kept in the model folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewise.data import Panel
from gatewise.errors import DataError

__all__ = ["CovariateEncoder", "Covariates", "Roles", "fit_covariates", "static_values"]

_SKEWED = 2.0
# The log is linear below this share of the mean, so that values near zero do not dominate.
_LINEAR_BELOW = 1 / 50
_MOST_CATEGORIES = 4096
Scale = tuple[float, float, float]


@dataclass(frozen=True)
class Roles:
    """Which columns are more than past covariates.

    Args:
        future: known for the future.
        static: one value per series.
        unseen: "error", or "unknown": what a category means that the model was not fitted with.
    """

    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    unseen: str = "error"


@dataclass(frozen=True)
class Covariates:
    """A panel's columns, encoded.

    Args:
        numeric: float32 of shape (rows, numeric columns); a missing value is the last one seen, or average.
        codes: int32 of shape (rows, categorical columns); 0 is missing or unknown.
        static: float32 of shape (series, static numeric columns).
        static_codes: int32 of shape (series, static categorical columns).
    """

    numeric: NDArray[np.float32]
    codes: NDArray[np.int32]
    static: NDArray[np.float32]
    static_codes: NDArray[np.int32]


@dataclass(frozen=True)
class CovariateEncoder:
    """How columns beside the target become inputs.

    Args:
        numeric: name -> (log unit or 0 for no logarithm, centre, spread).
        categories: name -> the categories that were seen, sorted; their codes begin at 1.
        roles: which of them are known for the future, and which are static.
    """

    numeric: dict[str, Scale]
    categories: dict[str, tuple[str, ...]]
    roles: Roles = field(default_factory=Roles)

    @property
    def moving(self) -> tuple[list[str], list[str]]:
        """Names of the numeric and of the categorical columns that change within a series.

        Those that are known for the future stand last.
        """
        return self._moving(self.numeric), self._moving(self.categories)

    def _moving(self, names: Iterable[str]) -> list[str]:
        moving = [name for name in names if name not in self.roles.static]
        return sorted(moving, key=lambda name: name in self.roles.future)

    @property
    def standing(self) -> tuple[list[str], list[str]]:
        """Names of the numeric and of the categorical static columns."""
        static = self.roles.static
        return [n for n in self.numeric if n in static], [n for n in self.categories if n in static]

    @property
    def known(self) -> tuple[list[int], list[int]]:
        """Places, among the moving columns, of those that are known for the future."""
        numeric, categories = self.moving
        future = self.roles.future
        return [i for i, n in enumerate(numeric) if n in future], [
            i for i, n in enumerate(categories) if n in future
        ]

    @property
    def described(self) -> dict[str, list[str]]:
        """Column names by role ("past", "future", "static"), categories marked as such: for cards and reports."""
        words: dict[str, list[str]] = {"past": [], "future": [], "static": []}
        for name in (*self.numeric, *self.categories):
            role = (
                "static" if name in self.roles.static else "future" if name in self.roles.future else "past"
            )
            count = len(self.categories.get(name, ()))
            words[role].append(f"{name} (category of {count})" if name in self.categories else name)
        return words

    def sizes(self, names: list[str]) -> tuple[int, ...]:
        """How many codes each of these categorical columns has, the unknown's included."""
        return tuple(len(self.categories[name]) + 1 for name in names)

    def encode(self, panel: Panel) -> Covariates:
        """Encode a panel's columns.

        Raises:
            DataError: the table's columns are not those that were fitted, a static column changes within a series,
                or a category was never seen.
        """
        self._check_columns(panel)
        owner_start = panel.starts[:-1]
        first = np.repeat(owner_start, panel.lengths) if self.moving[0] else owner_start
        numeric = np.empty((panel.rows, len(self.moving[0])), dtype=np.float32)
        for place, name in enumerate(self.moving[0]):
            numeric[:, place] = _standardised(_carried(panel.covariates[name], first), *self.numeric[name])
        codes = np.empty((panel.rows, len(self.moving[1])), dtype=np.int32)
        for place, name in enumerate(self.moving[1]):
            codes[:, place] = self._codes(panel, name, panel.covariates[name], panel.starts)
        each = np.arange(len(panel) + 1, dtype=np.int64)
        static = [_standardised(static_values(panel, name), *self.numeric[name]) for name in self.standing[0]]
        static_codes = [
            self._codes(panel, name, static_values(panel, name), each) for name in self.standing[1]
        ]
        count = len(panel)
        return Covariates(
            numeric,
            codes,
            np.stack(static, axis=1).astype(np.float32) if static else np.zeros((count, 0), dtype=np.float32),
            np.stack(static_codes, axis=1) if static_codes else np.zeros((count, 0), dtype=np.int32),
        )

    def _check_columns(self, panel: Panel) -> None:
        expected = {*self.numeric, *self.categories}
        absent = sorted(expected - panel.covariates.keys())
        unknown = sorted(panel.covariates.keys() - expected)
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

    def _codes(
        self, panel: Panel, name: str, values: NDArray[Any], starts: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        if values.dtype != object:  # a column of nothing but missing values
            return np.zeros(len(values), dtype=np.int32)
        known = self.categories[name]
        place: dict[Any, int] = {category: code for code, category in enumerate(known, 1)}
        place[None] = 0
        codes = np.fromiter((place.get(value, -1) for value in values), dtype=np.int32, count=len(values))
        unseen = np.flatnonzero(codes < 0)
        if len(unseen) and self.roles.unseen == "error":
            row = int(unseen[0])
            owner = int(np.searchsorted(starts, row, side="right")) - 1
            shown = [*known[:20], *(["..."] if len(known) > 20 else [])]
            raise DataError(
                f"column {name!r} has a category that the model was not fitted with: {values[row]!r} (series "
                f"{panel.names[owner]!r}); known are {shown}. Refit, make the value missing, or fit with "
                'unseen="unknown".'
            )
        return np.maximum(codes, 0)


def fit_covariates(panel: Panel, roles: Roles) -> CovariateEncoder:
    """Learn the encoding of each further column from all rows of the table.

    Raises:
        DataError: a column that is named is not there, a static one changes within a series, or a text column has
            too many categories.
    """
    for parameter, names in (("future_covariates", roles.future), ("static_covariates", roles.static)):
        for name in names:
            if name not in panel.covariates:
                raise DataError(
                    f"{parameter}: the table has no column {name!r}; its covariates are {sorted(panel.covariates)}"
                )
    numeric: dict[str, Scale] = {}
    categories: dict[str, tuple[str, ...]] = {}
    for name, column in panel.covariates.items():
        values = static_values(panel, name) if name in roles.static else column
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
    return CovariateEncoder(numeric, categories, roles)


def static_values(panel: Panel, name: str) -> NDArray[Any]:
    """A static column's value for each series: that of its first row that has one."""
    values = panel.covariates[name]
    gone = np.equal(values, None).astype(bool) if values.dtype == object else np.isnan(values)
    rows = np.where(gone, panel.rows, np.arange(panel.rows))
    first = np.minimum.reduceat(rows, panel.starts[:-1]) if panel.rows else rows
    found = first < panel.rows
    chosen = values[np.minimum(first, max(panel.rows - 1, 0))]
    chosen = np.where(found, chosen, None if values.dtype == object else np.nan)
    changed = ~gone & (values != np.repeat(chosen, panel.lengths))
    if changed.any():
        row = int(np.flatnonzero(changed)[0])
        owner = int(np.searchsorted(panel.starts, row, side="right")) - 1
        raise DataError(
            f"static_covariates: column {name!r} changes within series {panel.names[owner]!r} (from "
            f"{chosen[owner]!r} to {values[row]!r}); a static covariate has one value per series. Leave it out of "
            "static_covariates to use it as a past covariate."
        )
    return chosen


def _numeric_scale(values: NDArray[np.float64]) -> Scale:
    if not len(values):
        return (0.0, 0.0, 1.0)
    unit = 0.0
    deviation = values.std()
    skewed = deviation > 0 and ((values - values.mean()) ** 3).mean() / deviation**3 > _SKEWED
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
    gone = np.isnan(values)
    if not gone.any():
        return values
    seen = np.where(gone, -1, np.arange(len(values)))
    last = np.maximum.accumulate(seen)
    return np.where(last >= first, values[np.maximum(last, 0)], np.nan)


def _all_missing(values: NDArray[Any]) -> bool:
    return all(value is None or value != value for value in values)
