"""Walk-forward cross-validation: fit up to a cutoff, forecast the horizon after it, move on.

What a window's fit and forecast are given is cut out of the table first: rows up to the cutoff, and of the rows
after it only the columns that are known for the future.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewise.data import Panel
from gatewise.data.future import lengthened
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.tasks.forecast.evaluation import BackTest, Evaluation, judge
from gatewise.tasks.forecast.fitted import Fitted
from gatewise.tasks.forecast.leaks import check_cutoffs
from gatewise.tasks.forecast.training import Origins

__all__ = ["CrossValidation", "Plan", "cross_validate"]

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """Which windows, and how often to fit.

    Args:
        horizon: steps of each forecast.
        n_windows: how many cutoffs, at least 1.
        step_size: steps from one cutoff to the next, at least 1.
        refit: fit anew at every cutoff (1), at every so many (n), or only at the first (0).
        align: "time": one cutoff for all series, so that no series shows another's future; "end": each series counts
            from its own last row.
    """

    horizon: int
    n_windows: int
    step_size: int
    refit: int
    align: str

    @classmethod
    def checked(cls, horizon: int, n_windows: Any, step_size: Any, refit: Any, align: Any) -> Plan:
        """The plan that the arguments describe.

        Raises:
            ArgumentError, ArgumentTypeError: naming the argument.
        """
        step = horizon if step_size is None else step_size
        for name, value in (("n_windows", n_windows), ("step_size", step)):
            if not isinstance(value, int | np.integer) or isinstance(value, bool):
                raise ArgumentTypeError(f"{name}: an integer is expected, came {value!r}")
            if value < 1:
                raise ArgumentError(f"{name}: at least 1 is expected, came {value}")
        if not isinstance(refit, bool | int | np.integer) or refit < 0:
            raise ArgumentTypeError(
                f"refit: True, False, or after how many windows to fit again is expected, came {refit!r}"
            )
        if align not in ("time", "end"):
            raise ArgumentError(f'align: "time" or "end" is expected, came {align!r}')
        return cls(int(horizon), int(n_windows), int(step), int(refit), align)

    def windows(self, panel: Panel) -> tuple[Whole, Whole]:
        """The cutoffs' stamps, and the rows of each series up to each cutoff; both of shape (windows, series).

        Rows are 0 where a series has no history or no whole horizon after the cutoff.

        Raises:
            DataError: a window has no series with a history and a whole horizon.
        """
        back = self.horizon + self.step_size * np.arange(self.n_windows - 1, -1, -1)
        if self.align == "end":
            ends = panel.lengths[None] - back[:, None]
            first = np.broadcast_to(panel.stamps[panel.starts[:-1]], ends.shape)
            cutoffs = panel.frequency.ahead(first, ends - 1)
        else:
            last = np.broadcast_to(panel.stamps.max(), back.shape)
            moments = panel.frequency.ahead(last, -back)
            ends = np.stack([np.add.reduceat(panel.stamps <= cut, panel.starts[:-1]) for cut in moments])
            cutoffs = np.broadcast_to(moments[:, None], ends.shape)
        ends = np.where((ends >= 1) & (ends + self.horizon <= panel.lengths), ends, 0).astype(np.int64)
        empty = np.flatnonzero((ends == 0).all(axis=1))
        if len(empty):
            raise DataError(
                f"n_windows: window {int(empty[0]) + 1} of {self.n_windows} lies {int(back[empty[0]])} steps before "
                f"the end, where no series has a history and {self.horizon} rows after it (the longest has "
                f"{int(panel.lengths.max())} rows). Choose fewer windows, a smaller step_size or a shorter horizon."
            )
        return cutoffs, ends


@dataclass(frozen=True)
class CrossValidation:
    """What came out.

    Args:
        evaluation: errors beside the simpler methods', over all windows.
        table: unique_id, ds, cutoff, y, y_hat and the quantiles, as the kind of frame that came in.
    """

    evaluation: Evaluation
    table: Any


def cross_validate(
    panel: Panel,
    plan: Plan,
    fit: Callable[[Panel, int], Fitted],
    *,
    model: str,
    shown: tuple[float, ...],
    linear: bool,
) -> CrossValidation:
    """Walk forward through a panel.

    Args:
        panel: the table.
        plan: the windows.
        fit: fits to a panel; the window's number tells runs apart.
        model: the model's name in tables.
        shown: the levels that the table shows.
        linear: whether to fit DLinear at every refit too.
    """
    cutoffs, ends = plan.windows(panel)
    tests: list[BackTest] = []
    fitted, learned = None, ends[0]
    for window in range(plan.n_windows):
        if fitted is None or (plan.refit and window % plan.refit == 0):
            history = _history(panel, cutoffs[window], ends[window], plan.horizon + 2)
            fitted, learned = fit(history, window), ends[window]
        tests.append(_one_window(panel, cutoffs[window], ends[window], learned, fitted, linear=linear))
    test = _joined(tests)
    evaluation = judge(test, model=model, every=plan.step_size)
    return CrossValidation(evaluation, _table(test, shown))


def _history(panel: Panel, cutoffs: Whole, ends: Whole, least: int) -> Panel:
    """Rows up to the cutoff of the series that have so many; what a fit is given."""
    keep = np.flatnonzero(ends >= least)
    seen = np.concatenate([[0], np.cumsum(~np.isnan(panel.target))])
    begins = panel.starts[:-1][keep]
    keep = keep[seen[begins + ends[keep]] > seen[begins]]
    if not len(keep):
        raise DataError(
            f"n_windows: before a cutoff no series has the {least} rows that a fit needs (the longest has "
            f"{int(ends.max())}). Choose fewer windows, a smaller step_size or a shorter horizon."
        )
    history = panel.select(keep).between(np.zeros(len(keep), dtype=np.int64), ends[keep])
    check_cutoffs(history, cutoffs[keep])
    return history


def _one_window(
    panel: Panel, cutoffs: Whole, ends: Whole, learned: Whole, fitted: Fitted, *, linear: bool
) -> BackTest:
    """All methods' forecasts of one window, and what came."""
    keep = np.flatnonzero(ends)
    ours, rows = panel.select(keep), ends[keep]
    horizon = fitted.encoder.horizon
    ahead = ours.starts[:-1, None] + rows[:, None] + np.arange(horizon)
    known = {name: ours.covariates[name][ahead] for name in fitted.encoder.covariates.roles.future}
    history = ours.between(np.zeros_like(rows), rows)
    check_cutoffs(history, cutoffs[keep])
    # Behind the history lie rows in which all is missing but what is known for the future.
    whole = lengthened(history, known, horizon)
    encoded, scales = fitted.encode(whole, rows)
    origins = Origins(np.arange(len(keep)), rows - 1)
    first = np.where(learned[keep] > 0, learned[keep], rows)
    test = fitted.compare(whole, encoded, origins, scales, np.minimum(first, rows), linear=linear)
    return dataclasses.replace(
        test, panel=panel, series=keep, rows=panel.starts[:-1][keep] + rows - 1, actual=ours.target[ahead]
    )


def _joined(tests: list[BackTest]) -> BackTest:
    """The windows' back-tests as one; a method counts where it forecast in all of them."""
    first = tests[0]
    names = [name for name in first.others if all(name in test.others for test in tests)]

    def join(field: str) -> Any:
        return np.concatenate([getattr(test, field) for test in tests])

    fields = ("series", "rows", "quantiles", "naive", "seasonal", "actual", "scale")
    return dataclasses.replace(
        first,
        **{field: join(field) for field in fields},
        others={name: np.concatenate([test.others[name] for test in tests]) for name in names},
    )


def _table(test: BackTest, shown: tuple[float, ...]) -> Any:
    panel, horizon = test.panel, test.actual.shape[1]
    if panel.frame is None:
        return None
    # By cutoff, then series: as the windows came.
    ahead = test.rows[:, None] + 1 + np.arange(horizon)
    columns: dict[str, Any] = {"y": test.actual.reshape(-1), "y_hat": test.median.reshape(-1)}
    columns |= {f"q{level:g}": test.quantiles[..., test.levels.index(level)].reshape(-1) for level in shown}
    ids = [panel.ids[index] for index in test.series for _ in range(horizon)]
    cutoffs = {"cutoff": np.repeat(panel.stamps[test.rows], horizon)}
    return panel.frame.build(ids, panel.stamps[ahead].reshape(-1), panel.kind, columns, cutoffs)
