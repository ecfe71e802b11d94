"""Settings that belong together, by the kind of data they were found on."""

from __future__ import annotations

from typing import Any

from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.tasks.forecast.choices import seasons_of

__all__ = ["many_series"]


def many_series(horizon: int, season_length: Any) -> dict[str, Any]:
    """For many series of different size; the meaning is `Forecaster.many_series`'s.

    Args:
        horizon: steps to forecast.
        season_length: steps of a season, or of several from the shortest on.

    Returns:
        Parameters of a `Forecaster`.

    Raises:
        ArgumentError, ArgumentTypeError: season_length is no length, or the lengths do not rise.

    Example:
        >>> many_series(48, (24, 168))["season_length"]
        (24, 168, 336, 504)
    """
    if season_length is None:
        raise ArgumentTypeError(
            "season_length: an integer or several, such as (24, 168), is expected, came None"
        )
    seasons = seasons_of(season_length, "segrnn")
    if seasons[0] < 2 or list(seasons) != sorted(seasons):
        raise ArgumentError(
            f"season_length: lengths of at least 2 that rise, such as (24, 168), are expected, came {season_length!r}"
        )
    longest = seasons[-1]
    return {
        "horizon": horizon,
        "lookback": 2 * longest,
        "season_length": (*seasons, 2 * longest, 3 * longest),
        "cell": "gru",
        "architecture": "segrnn",
        "segment_length": seasons[0] if len(seasons) > 1 else None,
        "scaling": "log",
        "revin": True,
        "loss": "owa",
        "validation": horizon,
        "batch_size": 256,
        "max_epochs": 10,
        "patience": None,
    }
