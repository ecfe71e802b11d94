"""What comes in and what goes out: tables and arrays as panels, forecasts as tables of the kind that came."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from gatewise.data import Frequency, Panel, panel_from_array, panel_from_frame
from gatewise.data.frames import FrameKind, is_frame
from gatewise.data.frequency import parse_frequency
from gatewise.data.future import with_future
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError

__all__ = ["behind", "forecast_table", "open_data"]


def open_data(
    estimator: Any, data: Any, known: Frequency | None, least: int, *, observed: bool
) -> tuple[Panel, bool]:
    """A table or array as a panel, and whether it is an array.

    Args:
        estimator: a `Forecaster`, for its parameters `missing`, `freq` and the columns that it names.
        data: a long table, or an array of shape (samples, time).
        known: the step in time of the model that was fitted; None: the parameter's, or inferred.
        least: how many columns an array needs.
        observed: whether each series must have an observed value.
    """
    if estimator.missing not in ("error", "mask"):
        raise ArgumentError(f'missing: "error" or "mask" is expected, came {estimator.missing!r}')
    if is_frame(data):
        frequency = known
        if known is None and estimator.freq is not None:
            frequency = parse_frequency(estimator.freq)
        named = tuple(estimator.categorical)
        return panel_from_frame(data, estimator.missing, frequency, named, observed=observed), False
    if any((*estimator.future_covariates, *estimator.static_covariates, *estimator.categorical)):
        raise ArgumentError(
            "future_covariates, static_covariates, categorical: an array has no columns to be named; give a table"
        )
    return panel_from_array(_checked_array(data, estimator.missing, least), estimator.missing), True


def behind(panel: Panel, future: Any, names: tuple[str, ...], steps: int, missing: Any) -> Panel:
    """The panel with what is known of the steps after it.

    Args:
        panel: the history.
        future: the user's table, or None.
        names: the columns that the model knows for the future.
        steps: how many steps are forecast.
        missing: "error" or "mask".
    """
    if not names and future is not None:
        raise ArgumentError(
            "future: the model was fitted without future_covariates, so nothing would be read from this table; "
            "leave it out, or fit with future_covariates=(...)"
        )
    if not names:
        return panel
    if future is None:
        raise ArgumentError(
            f"future: the model was fitted with the covariates {list(names)}, known for the future; give a table "
            f"with unique_id, ds and these for the {steps} steps after each series' last row"
        )
    return with_future(panel, future, names, steps, missing)


def _checked_array(data: Any, missing: str, least: int) -> NDArray[Any]:
    """An array of shape (samples, time) by scikit-learn's check, whose errors are also ours."""
    finite: Any = "allow-nan" if missing == "mask" else True
    try:
        return check_array(data, dtype=np.float64, ensure_all_finite=finite, ensure_min_features=least)
    except TypeError as error:
        raise ArgumentTypeError(
            f"X: a long table, or an array of shape (samples, time) of numbers, is expected: {error}"
        ) from error
    except ValueError as error:
        raise DataError(f"X (an array of shape (samples, time)): {error}") from error


def forecast_table(
    panel: Panel,
    frame: FrameKind,
    values: NDArray[np.float64],
    levels: tuple[float, ...],
    shown: tuple[float, ...],
) -> Any:
    """The long table of forecasts, of the kind of frame that the panel came from."""
    horizon = values.shape[1]
    ahead = panel.lengths[:, None] + np.arange(horizon)
    # Counted from the first stamp, so that month ends stay month ends.
    first = np.broadcast_to(panel.stamps[panel.starts[:-1]][:, None], ahead.shape)
    stamps = panel.frequency.ahead(first, ahead).reshape(-1)
    columns = {"y_hat": values[..., levels.index(0.5)].reshape(-1)}
    columns |= {f"q{level:g}": values[..., levels.index(level)].reshape(-1) for level in shown}
    ids = [one for one in panel.ids for _ in range(horizon)]
    return frame.build(ids, stamps, panel.kind, columns)
