"""The estimator's parameters, checked: each concern as one frozen object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise import cells, train
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn.arguments import no_type_check
from gatewise.spec import Program
from gatewise.tasks.anomaly.likelihood import TAIL_WINDOW
from gatewise.tasks.options import check_count, training_config

__all__ = ["METHODS", "THRESHOLDS", "Options"]

METHODS = ("forecast", "reconstruction", "quantile")
THRESHOLDS = ("spot", "dspot", "rate", "labels")
_WARMUP_STEPS, _WEIGHT_DECAY = 10, 1e-4


@dataclass(frozen=True)
class Options:
    """The parameters of an `AnomalyDetector`, checked. Their meaning is the detector's."""

    method: str
    program: Program
    hidden_size: int
    num_layers: int
    dropout: float
    horizon: int
    lookback: int
    levels: tuple[float, ...]
    rescale: float | None
    tolerance: float
    level: bool
    likelihood: tuple[int, int] | None
    quiet: int | float
    threshold: str | float
    rate: float
    depth: int
    missing: str
    spacing: str
    batch_size: int | None
    engine: str
    progress: bool
    train: train.TrainConfig

    @classmethod
    @no_type_check
    def from_estimator(cls, estimator: Any, seed: int) -> Options:
        """Check the parameters of a detector.

        Raises:
            ArgumentError, ArgumentTypeError: naming the parameter.
        """
        _check_choice("method", estimator.method, METHODS)
        _check_choice("missing", estimator.missing, ("error", "mask"))
        _check_choice("spacing", estimator.spacing, ("even", "rows"))
        for name in ("hidden_size", "num_layers", "horizon", "drift_depth"):
            check_count(name, getattr(estimator, name), 1)
        check_count("lookback", estimator.lookback, 2)
        if estimator.batch_size is not None:
            check_count("batch_size", estimator.batch_size, 1)
        _check_number("dropout", estimator.dropout, "at least 0 and below 1", lambda v: 0 <= v < 1)
        _check_number(
            "false_alarm_rate", estimator.false_alarm_rate, "above 0 and below 1", lambda v: 0 < v < 1
        )
        if estimator.rescale is not None:
            _check_number("rescale", estimator.rescale, "of at least 2 rows, or None,", lambda v: v >= 2)
        _check_number("tolerance", estimator.tolerance, "above 0", lambda v: 0 < v < np.inf)
        if not isinstance(estimator.level, bool | np.bool_):
            raise ArgumentTypeError(f"level: True or False is expected, came {estimator.level!r}")
        if estimator.level and estimator.method == "quantile":
            raise ArgumentError(
                'level: method "quantile" scores by its band alone; choose "forecast" or "reconstruction", or False'
            )
        config = training_config(estimator, seed, warmup_steps=_WARMUP_STEPS, weight_decay=_WEIGHT_DECAY)
        return cls(
            method=estimator.method,
            program=cells.get(estimator.cell),
            hidden_size=int(estimator.hidden_size),
            num_layers=int(estimator.num_layers),
            dropout=float(estimator.dropout),
            horizon=int(estimator.horizon) if estimator.method == "forecast" else 1,
            lookback=int(estimator.lookback),
            levels=_levels(estimator.quantiles) if estimator.method == "quantile" else (),
            rescale=None if estimator.rescale is None else float(estimator.rescale),
            tolerance=float(estimator.tolerance),
            level=bool(estimator.level),
            likelihood=_likelihood(estimator.likelihood),
            quiet=_quiet(estimator.quiet),
            threshold=_threshold(estimator.threshold),
            rate=float(estimator.false_alarm_rate),
            depth=int(estimator.drift_depth),
            missing=estimator.missing,
            spacing=estimator.spacing,
            batch_size=estimator.batch_size,
            engine=estimator.engine,
            progress=bool(estimator.progress),
            train=config,
        )


@no_type_check
def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(f"{name}: one of {', '.join(map(repr, choices))} is expected, came {value!r}")


@no_type_check
def _check_number(name: str, value: Any, words: str, fits: Any) -> None:
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: a number is expected, came {value!r} ({type(value).__name__})")
    if not fits(value):
        raise ArgumentError(f"{name}: a number {words} is expected, came {value!r}")


@no_type_check
def _levels(quantiles: Any) -> tuple[float, ...]:
    try:
        levels = [float(level) for level in quantiles]
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"quantiles: a sequence of levels such as (0.05, 0.5, 0.95) is expected, came {quantiles!r}"
        ) from None
    unfit = any(not 0 < level < 1 for level in levels) or len(set(levels)) != len(levels)
    if unfit or not levels or min(levels) >= 0.5 or max(levels) <= 0.5:
        raise ArgumentError(
            f"quantiles: different levels between 0 and 1 on both sides of 0.5 are expected, came {quantiles!r}"
        )
    return tuple(sorted({*levels, 0.5}))


@no_type_check
def _likelihood(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if isinstance(value, str) and value == "tail":
        return (TAIL_WINDOW, 0)
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ArgumentTypeError(
            f'likelihood: None, "tail", or two numbers of rows (long, short) are expected, came {value!r}'
        )
    for one in value:
        check_count("likelihood", one, 1)
    if value[0] <= value[1]:
        raise ArgumentError(f"likelihood: (long, short) with long above short is expected, came {value!r}")
    return (int(value[0]), int(value[1]))


@no_type_check
def _quiet(value: Any) -> int | float:
    if isinstance(value, float | np.floating):
        if not 0 < value < 1:
            raise ArgumentError(
                f"quiet: an integer number of rows, or a share of the fitted rows between 0 and 1, is expected, came "
                f"{value!r}"
            )
        return float(value)
    check_count("quiet", value, 0)
    return int(value)


@no_type_check
def _threshold(value: Any) -> str | float:
    if isinstance(value, str):
        _check_choice("threshold", value, THRESHOLDS)
        return value
    _check_number(
        "threshold", value, f"or one of {', '.join(map(repr, THRESHOLDS))}", lambda v: bool(np.isfinite(v))
    )
    return float(value)
