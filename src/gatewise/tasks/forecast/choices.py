"""The choices of network and loss that an estimator's parameters make, checked, and settled by the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.data import Panel
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.tasks.forecast import architectures, likelihoods
from gatewise.tasks.options import check_count

__all__ = ["NetworkChoices", "check_together", "held_out_rows", "seasons_of"]

_LOSSES = ("auto", "pinball", "relative", "owa", "mse", "mae", "likelihood")
_CHANNELS = ("independent", "joint")
_SAMPLING = ("uniform", "scale")
# Integers that are small enough for their steps to matter are taken for counts.
_LARGEST_COUNT_MEAN = 50.0
# As many segments as Lin et al. 2023 have for their longest lookback (720 steps in segments of 48).
_SEGMENTS = 15


@dataclass(frozen=True)
class NetworkChoices:
    """Architecture, normalisation, channels and loss. Their meaning is `Forecaster`'s."""

    architecture: str
    revin: bool
    channels: str
    loss: str
    likelihood: str
    segment_length: int | None
    num_samples: int
    validation: float | int
    sampling: str = "uniform"

    @classmethod
    def from_estimator(cls, estimator: Any) -> NetworkChoices:
        """Check the parameters of a `Forecaster`.

        Raises:
            ArgumentError, ArgumentTypeError: naming the parameter.
        """
        architectures.check_name(estimator.architecture)
        for name, allowed in (
            ("channels", _CHANNELS), ("loss", _LOSSES), ("likelihood", ("auto", *likelihoods.names())),
            ("sampling", _SAMPLING),
        ):  # fmt: skip
            value = getattr(estimator, name)
            if value not in allowed:
                raise ArgumentError(
                    f"{name}: one of {', '.join(map(repr, allowed))} is expected, came {value!r}"
                )
        if not isinstance(estimator.revin, bool | np.bool_):
            raise ArgumentTypeError(f"revin: True or False is expected, came {estimator.revin!r}")
        for name, least in (("num_samples", 2), ("segment_length", 1)):
            value = getattr(estimator, name)
            if value is None and name == "segment_length":
                continue
            if not isinstance(value, int | np.integer) or isinstance(value, bool):
                raise ArgumentTypeError(f"{name}: an integer is expected, came {value!r}")
            if value < least:
                raise ArgumentError(f"{name}: at least {least} is expected, came {value}")
        if estimator.architecture == "deepar" and estimator.loss not in ("auto", "likelihood"):
            raise ArgumentError(
                f'loss: "likelihood" is expected with architecture="deepar", which samples from one, came '
                f"{estimator.loss!r}"
            )
        loss = estimator.loss
        if loss == "auto":
            loss = "likelihood" if estimator.architecture == "deepar" else "pinball"
        if estimator.sampling == "scale" and estimator.channels == "joint":
            raise ArgumentError(
                'sampling: "uniform" is expected with channels="joint", whose windows hold all series, came "scale"'
            )
        _check_validation(estimator.validation)
        return cls(
            architecture=estimator.architecture, revin=bool(estimator.revin), channels=estimator.channels, loss=loss,
            likelihood=estimator.likelihood, segment_length=estimator.segment_length,
            num_samples=int(estimator.num_samples), validation=estimator.validation, sampling=estimator.sampling,
        )  # fmt: skip

    def settled(self, panel: Panel, lookback: int, horizon: int) -> dict[str, Any]:
        """What the data decide, as fields of a `NetworkPlan`.

        Raises:
            DataError: the likelihood is of counts and the target holds other values, or the series are to be forecast
                together and have different stamps.
        """
        if self.channels == "joint":
            check_together(panel)
        return {
            "architecture": self.architecture,
            "revin": self.revin,
            "channels": len(panel) if self.channels == "joint" else 1,
            "loss": self.loss,
            "likelihood": self._likelihood(panel),
            "segment_length": self.segment_length or max(1, min(lookback // _SEGMENTS, horizon)),
            "num_samples": self.num_samples,
            "lookback": lookback,
        }

    def _likelihood(self, panel: Panel) -> str:
        seen = panel.target[~np.isnan(panel.target)]
        other = (seen < 0) | (seen != np.round(seen))
        if self.likelihood == "negative_binomial" and self.loss == "likelihood" and other.any():
            raise DataError(
                'likelihood: "negative_binomial" is for counts, but the target holds '
                f'{seen[other][0]:g}; choose "student_t" or "gaussian"'
            )
        if self.likelihood != "auto":
            return self.likelihood
        counts = len(seen) > 0 and not other.any() and seen.mean() < _LARGEST_COUNT_MEAN
        return "negative_binomial" if counts else "student_t"


def check_together(panel: Panel, names: list[str] | None = None) -> None:
    """Check that series can be the channels of one window.

    Args:
        panel: the series.
        names: those that were fitted; None: any.

    Raises:
        DataError: they are other series, or their stamps differ.
    """
    if names is not None and list(panel.names) != list(names):
        raise DataError(
            f'channels: a model fitted with channels="joint" forecasts its {len(names)} series together, each time '
            f"all of them ({names[0]!r} to {names[-1]!r}); the table holds {len(panel)}, {panel.names[0]!r} to "
            f"{panel.names[-1]!r}"
        )
    first = panel.stamps[: panel.starts[1]]
    for index in range(1, len(panel)):
        own = panel.stamps[panel.starts[index] : panel.starts[index + 1]]
        if len(own) != len(first) or (own != first).any():
            raise DataError(
                f'channels: "joint" needs series of equal stamps, but {panel.names[index]!r} has {len(own)} rows to '
                f"{panel.show(own[-1])} and {panel.names[0]!r} has {len(first)} to "
                f'{panel.show(first[-1])}; cut them alike, or choose "independent"'
            )


def held_out_rows(panel: Panel, validation: float | int, horizon: int) -> np.ndarray:
    """How many last rows of each series are held back.

    Raises:
        DataError: a series has too few rows for what was asked.
    """
    if isinstance(validation, int | np.integer):
        held = np.full(len(panel), int(validation), dtype=np.int64)
    else:
        held = (panel.lengths * validation).astype(np.int64)
    held = np.maximum(held, horizon)
    short = np.flatnonzero(panel.lengths - held < 2)
    if len(short):
        index = int(short[0])
        raise DataError(
            f"validation: {held[index]} rows are to be held back, but series {panel.names[index]!r} has only "
            f"{panel.lengths[index]}; hold back fewer"
        )
    return held


def seasons_of(season_length: Any, architecture: str) -> tuple[int, ...]:
    """The lengths of the seasons; none where the frequency says it.

    Raises:
        ArgumentError, ArgumentTypeError: `season_length` is neither None, an integer nor a sequence of such.
    """
    if season_length is None:
        return ()
    several = isinstance(season_length, tuple | list)
    for one in season_length if several else (season_length,):
        check_count("season_length", one)
    lengths = tuple(int(one) for one in season_length) if several else (int(season_length),)
    if not lengths or len(set(lengths)) != len(lengths):
        raise ArgumentError(
            f"season_length: different lengths are expected, such as (24, 168), came {season_length!r}"
        )
    if len(lengths) > 1 and architecture == "deepar":
        raise ArgumentError(
            'season_length: one length is expected with architecture="deepar", whose paths go on from their own '
            f"values, came {season_length!r}"
        )
    return lengths


def _check_validation(value: Any) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole and not isinstance(value, float):
        raise ArgumentTypeError(f"validation: a share or a number of rows is expected, came {value!r}")
    if value <= 0 or (not whole and value >= 1):
        raise ArgumentError(
            f"validation: a share above 0 and below 1, or at least 1 row, is expected, came {value!r}"
        )
