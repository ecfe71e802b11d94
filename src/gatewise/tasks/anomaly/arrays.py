"""Arrays and lists of arrays as series: one, several of a length, or ragged ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from gatewise.errors import ArgumentTypeError, DataError
from gatewise.nn.arguments import no_type_check

__all__ = ["series_of_array"]

Values = NDArray[np.float64]


@no_type_check
def series_of_array(
    data: Any, missing: str, expected: tuple[str, ...] | None
) -> tuple[list[str], list[Values], NDArray[np.int64]]:
    """The series of an array, each of shape (time, channels).

    Args:
        data: (time, channels): one series; (samples, time, channels): several; a list of (time, channels).
        missing: "mask" lets NaN pass.
        expected: the channels that are expected; None takes any number.

    Returns:
        Names, series, and the place of each row among all rows.

    Raises:
        ArgumentTypeError: not an array of numbers.
        DataError: a wrong number of dimensions or channels, no rows, or values that cannot be used.
    """
    several = isinstance(data, list | tuple) and len(data) > 0 and all(np.ndim(one) == 2 for one in data)
    if several:
        values = [_checked(one, missing, f"X[{index}]") for index, one in enumerate(data)]
    elif not hasattr(data, "toarray") and getattr(data, "ndim", 2) == 3:
        values = [_checked(one, missing, f"X[{index}]") for index, one in enumerate(np.asarray(data))]
    else:
        values = [_checked(data, missing, "X")]
    if not values:
        raise DataError(
            "X: no series came; expected an array of shape (time, channels) or a list of such arrays"
        )
    widths = sorted({one.shape[1] for one in values})
    if len(widths) > 1:
        raise DataError(f"X: all series need the same channels, came series with {widths} columns")
    if expected is not None and widths[0] != len(expected):
        raise DataError(
            f"X has {widths[0]} features, but AnomalyDetector is expecting {len(expected)} features as input "
            "(one column per channel, as in fit)"
        )
    rows = sum(len(one) for one in values)
    return [str(index) for index in range(len(values))], values, np.arange(rows, dtype=np.int64)


def _checked(data: Any, missing: str, name: str) -> Values:
    """One series by scikit-learn's check, whose errors are also ours."""
    finite: Any = "allow-nan" if missing == "mask" else True
    try:
        checked: Values = check_array(data, dtype=np.float64, ensure_all_finite=finite)
    except TypeError as error:
        raise ArgumentTypeError(f"{name}: {error}") from error
    except ValueError as error:
        raise DataError(f"{name} (an array of shape (time, channels)): {error}") from error
    return checked
