"""A record as a row of tokens, one for each field: bins of numbers, numbers of categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["FieldTokens"]

# A number with no more values than these in training has a token for each; others are cut at quantiles and evenly.
_FEW_VALUES, _QUANTILES, _EVEN = 24, 16, 8
_MISSING, _BELOW = 0, 1


@dataclass(frozen=True)
class FieldTokens:
    """What turns records into tokens.

    A number's tokens are: 0 missing, 1 below all that training showed, then the bins, and the last above all. A
    category's: 0 missing or not shown in training, then the known ones. Numbers are cut after sign(x) log(1 + |x|), at
    quantiles, where the records are, and evenly besides, where few are: what is rare has bins of its own.

    Args:
        channels: column of numbers -> the rising edges of its bins.
        categories: column of text -> its known categories.
    """

    channels: dict[str, tuple[float, ...]]
    categories: dict[str, tuple[str, ...]]

    @classmethod
    def fit(
        cls,
        values: NDArray[np.float64],
        texts: NDArray[np.object_],
        channels: tuple[str, ...],
        names: tuple[str, ...],
    ) -> Self:
        """Learn edges and categories.

        Args:
            values: (records, channels) numbers, NaN where missing.
            texts: (records, categories) text, None where missing.
            channels, names: of the columns.
        """
        return cls(
            {name: _edges(values[:, index]) for index, name in enumerate(channels)},
            {
                name: tuple(sorted({one for one in texts[:, index].tolist() if one is not None}))
                for index, name in enumerate(names)
            },
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many tokens each field has, the categories' fields first."""
        return tuple(len(known) + 1 for known in self.categories.values()) + tuple(
            len(edges) + 2 for edges in self.channels.values()
        )

    def encode(self, values: NDArray[np.float64], texts: NDArray[np.object_]) -> NDArray[np.int64]:
        """(records, fields) tokens, the categories' fields first."""
        columns = []
        for index, known in enumerate(self.categories.values()):
            place = {text: number for number, text in enumerate(known, 1)}
            columns.append(
                np.array([place.get(text, 0) for text in texts[:, index].tolist()], dtype=np.int64)
            )
        for index, edges in enumerate(self.channels.values()):
            bent = _bent(values[:, index])
            found = np.searchsorted(np.array(edges), bent, side="right") + _BELOW
            columns.append(np.where(np.isnan(bent), _MISSING, found))
        return np.stack(columns, axis=1).astype(np.int64)

    def record(self, row: Mapping[str, Any]) -> NDArray[np.int64]:
        """(1, fields) tokens of one record, a mapping from column to value; None is missing."""
        values = [np.nan if row[name] is None else float(row[name]) for name in self.channels]
        texts = [row[name] for name in self.categories]
        return self.encode(
            np.array([values], dtype=np.float64), np.array([texts], dtype=object).reshape(1, len(texts))
        )


def _bent(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def _edges(values: NDArray[np.float64]) -> tuple[float, ...]:
    bent = _bent(values[~np.isnan(values)])
    there = np.unique(bent)
    if not len(there):
        return (0.0,)
    if len(there) <= _FEW_VALUES:
        inner = (there[1:] + there[:-1]) / 2
    else:
        cuts = np.concatenate(
            [
                np.quantile(bent, np.arange(1, _QUANTILES) / _QUANTILES),
                np.linspace(there[0], there[-1], _EVEN + 1)[1:-1],
            ]
        )
        # Half way to the next value: the least value (often 0, and frequent) and the largest have bins of their own.
        ends = [(there[0] + there[1]) / 2, (there[-1] + there[-2]) / 2]
        inner = np.unique(np.concatenate([cuts, ends]))
    margin = 1e-6 * max(1.0, float(np.abs(there).max()))
    return tuple(np.unique(np.concatenate([[there[0] - margin], inner, [there[-1] + margin]])).tolist())
