"""A table that is forecast with each cell in turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from torch import nn

from gatewise.compare.problems import Measure, Trivial
from gatewise.compare.suggest import check_keys
from gatewise.compare.tables import TableTask, read_data
from gatewise.compare.variants import Variant
from gatewise.data import examples, panel_from_frame
from gatewise.data.frames import ID, TARGET, TIME, open_frame, stamp_values
from gatewise.data.frequency import parse_stamp
from gatewise.errors import DataError
from gatewise.tasks import Forecaster
from gatewise.tasks.base import Estimator
from gatewise.tasks.forecast.evaluation import NAIVE, SEASONAL
from gatewise.tasks.forecast.network import ForecastNetwork

__all__ = ["ForecastTable"]

# Without a start, this last share of the longest series is held out.
_TEST_SHARE = 0.2


@dataclass(frozen=True)
class ForecastTable(TableTask):
    """A long table that a `Forecaster` forecasts; measured by MAE over the origins of the held-out span.

    Args:
        data: a file's path, or an example's name.
        options: further parameters of the `Forecaster`.
        horizon: steps to forecast.
        columns: names in the file by what they are: unique_id, ds, y.
        test_start: the first held-out stamp; None: the example's, or the last fifth.
    """

    horizon: int = 24
    columns: Mapping[str, str] = field(default_factory=dict)
    test_start: Any = None
    kind: ClassVar[str] = "forecast"
    decided: ClassVar[tuple[str, ...]] = (*TableTask.decided, "horizon")

    def __post_init__(self) -> None:
        """Check the columns' roles too."""
        super().__post_init__()
        check_keys("problem: forecast: columns", self.columns, (ID, TIME, TARGET))

    @property
    def measure(self) -> Measure:
        """The mean absolute error, in the target's unit."""
        return Measure("mae", "mean absolute error", goal=None, lower=True)

    @staticmethod
    def _estimator_class() -> type[Estimator]:
        return Forecaster

    @staticmethod
    def _network(plan: Any) -> nn.Module:
        return ForecastNetwork(plan)

    def estimator(self, variant: Variant, **further: Any) -> Any:
        """The forecaster with a cell; missing values are left out unless the options say otherwise."""
        missing = self.options.get("missing", "mask")
        return super().estimator(variant, horizon=self.horizon, missing=missing, **further)

    def check(self, variants: Iterable[Variant]) -> None:
        """Raises where a cell, a parameter or the table cannot be."""
        for variant in variants:
            self.estimator(variant)
        self._data()

    def fit(self, estimator: Any) -> None:
        """Fit to the rows before the held-out span."""
        table, first, _ = self._data()
        stamps, _ = stamp_values(open_frame(table)[0])
        estimator.fit(table.filter(pa.array(stamps < first)))

    def judge(self, estimator: Any) -> tuple[dict[str, float], Trivial, bool]:
        """Errors on the held-out span, beside the better one of last value and seasonal naive."""
        table, first, counted = self._data()
        start: Any = first if counted else f"{np.datetime64(first, 'ns')}Z"
        found = estimator.evaluate(table, start=start, linear=False)
        errors = {name: float(found.errors[name].mae) for name in (NAIVE, SEASONAL)}
        best = min(errors, key=errors.__getitem__)
        own = found.errors[found.model]
        return (
            {"mae": float(own.mae), "rmse": float(own.rmse)},
            Trivial(best, errors[best]),
            found.beats_trivial,
        )

    def _data(self) -> tuple[pa.Table, int, bool]:
        """The table, the first stamp that is held out, and whether stamps are plain numbers."""
        start = self.test_start
        if start is None and self.data in examples.names():
            start = examples.get(self.data).test_start
        return _prepared(self.data, tuple(self.columns.items()), start, self.horizon)


@lru_cache(maxsize=1)
def _prepared(
    data: str, columns: tuple[tuple[str, str], ...], start: Any, horizon: int
) -> tuple[pa.Table, int, bool]:
    table = examples.load(data) if data in examples.names() else read_data(data, dict(columns))
    panel = panel_from_frame(table, "mask")
    if start is not None:
        first = parse_stamp(start, panel.kind, panel.zone)
    else:
        longest = int(panel.lengths.argmax())
        held = max(horizon, int(panel.lengths[longest] * _TEST_SHARE))
        end = int(panel.starts[longest + 1])
        first = int(panel.stamps[max(end - held, int(panel.starts[longest]))])
    if not (panel.stamps < first).any() or not (panel.stamps >= first).any():
        raise DataError(
            f"problem: forecast: test_start: {start!r} leaves no rows to fit to or none to test on in {data!r}"
        )
    return table, int(first), panel.kind == "integer"
