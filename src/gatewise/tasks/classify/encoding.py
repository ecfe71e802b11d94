"""Sequences as tensors: numbers scaled, categories numbered, missing values with what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from gatewise.data.sequences import Sequences
from gatewise.errors import DataError

__all__ = ["Encoded", "Encoder", "fit_encoder", "since_last_seen"]

Whole = NDArray[np.int64]
Real = NDArray[np.float64]
# Scaled values beyond this many standard deviations are cut: one wrong decimal point must not rule a network.
CLIP = 10.0
# A channel that is never negative and leans further to the right than this is taken by its logarithm.
_SKEWED = 3.0
# A category that comes less often than this in training is taken as unseen, so that "unseen" is learned.
_RARE = 3
_REGULAR = 0.01
# Quantiles of a channel that are kept for scaling="rank"; scores then end at 2.6 deviations.
_KNOTS = 101


@dataclass(frozen=True)
class Encoder:
    """What was learned of the data, enough to turn any sequences of the same kind into inputs.

    Args:
        channels: the channels' names.
        log: whether a channel is taken by its logarithm (sign kept, log(1 + |x|)).
        centre, spread: of each channel, after the logarithm.
        gaps: whether a channel had missing values in training.
        categories: column -> known categories; a category's number is its place, counted from 1; 0 is unseen.
        unseen: "unknown" or "error".
        scaling: "standard", "rank", "instance" or "none".
        timed: whether sequences have times of their own.
        intervals: whether the time since the row before is an input, for rows that are not evenly spaced.
        time_scale: the unit of time inside, in seconds or in the time column's own unit.
        streams: whether the cell reads mask and time for itself (GRU-D).
        summary: whether the network is told which values were observed, for its summary of each channel.
        knots: for "rank", the quantiles of each channel in training; empty for a channel that was never observed.
    """

    channels: tuple[str, ...]
    log: tuple[bool, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    gaps: tuple[bool, ...]
    categories: dict[str, tuple[str, ...]]
    unseen: str
    scaling: str
    timed: bool
    intervals: bool
    time_scale: float
    streams: bool
    summary: bool = False
    knots: tuple[tuple[float, ...], ...] = ()

    @property
    def width(self) -> int:
        """Numbers at each step: values, and for a plain cell whether and how long ago they were observed."""
        told = 0 if self.streams else 2 * sum(self.gaps)
        return len(self.channels) + told + int(self.intervals)

    def scale(self, values: Float[np.ndarray, "rows channels"]) -> Float[np.ndarray, "rows channels"]:
        """Values in units of the training data's deviation, or normal scores, or ("instance", "none") as they are."""
        if self.scaling == "rank":
            columns = [_ranked(values[:, index], knots) for index, knots in enumerate(self.knots)]
            return np.stack(columns, axis=1) if columns else values
        if self.scaling != "standard":
            return values
        bent = np.where(np.array(self.log, dtype=bool), np.sign(values) * np.log1p(np.abs(values)), values)
        return np.clip((bent - np.array(self.centre)) / np.array(self.spread), -CLIP, CLIP)

    def numbers(self, column: str, texts: NDArray[np.object_]) -> Whole:
        """Numbers of categories; 0 for one that is missing or was not seen in training.

        Raises:
            DataError: one was not seen, and `unseen` is "error".
        """
        place = {text: number for number, text in enumerate(self.categories[column], 1)}
        codes = np.array([place.get(text, 0) for text in texts.tolist()], dtype=np.int64)
        if self.unseen == "error" and (codes == 0).any():
            row = int(np.flatnonzero(codes == 0)[0])
            raise DataError(
                f"column {column!r}: the category {texts[row]!r} (row {row}) was not seen in training; known are "
                f'{", ".join(self.categories[column][:8])}. Remove such rows, or say unseen="unknown"'
            )
        return codes

    def encode(self, sequences: Sequences) -> Encoded:
        """Make the inputs of every row; but for "instance" scaling they depend on that row and earlier ones only."""
        self.check(sequences)
        values = self.scale(_instance_scaled(sequences) if self.scaling == "instance" else sequences.values)
        seen = ~np.isnan(values)
        back = _last_rows(seen, sequences)
        carried = np.where(back >= 0, np.take_along_axis(values, np.maximum(back, 0), axis=0), 0.0)
        since = since_last_seen(seen, sequences.times, sequences.starts) / self.time_scale
        interval = _intervals(sequences) / self.time_scale
        parts = [carried]
        if not self.streams:
            gaps = np.flatnonzero(self.gaps)
            parts += [seen[:, gaps], np.log1p(since[:, gaps])]
        if self.intervals:
            parts.append(np.log1p(interval)[:, None])
        inputs = np.concatenate(parts, axis=1)
        codes = [self.numbers(name, sequences.texts[:, i]) for i, name in enumerate(sequences.categories)]
        numbered = np.stack(codes, axis=1) if codes else np.zeros((sequences.rows, 0), dtype=np.int64)
        told: dict[str, Real] = {}
        if self.streams:
            told = {
                "m": self._with_interval(seen.astype(np.float64), 1.0),
                "d": self._with_interval(since, 0.0),
            }
            told["d_back"] = self._with_interval(_since_next_seen(seen, sequences) / self.time_scale, 0.0)
        if self.summary:
            told["seen"] = seen.astype(np.float64)
        return Encoded(
            self,
            sequences,
            _padded(inputs),
            _padded(numbered),
            {name: _padded(one) for name, one in told.items()},
        )

    def check(self, sequences: Sequences) -> None:
        """Refuse sequences of another kind than the fitted ones."""
        if len(sequences.channels) != len(self.channels):
            raise DataError(
                f"X: {len(self.channels)} channels are expected, as in fit, came {len(sequences.channels)}"
            )
        if sequences.timed != self.timed:
            raise DataError(
                "X: the model was fitted "
                + (
                    "with times, but none came; give the time column"
                    if self.timed
                    else "without times; leave them out"
                )
            )

    def _with_interval(self, told: Real, value: float) -> Real:
        """The interval is an input like the channels, observed at every step."""
        extra = np.full((len(told), int(self.intervals)), value)
        return np.concatenate([told, extra], axis=1)


@dataclass(frozen=True)
class Encoded:
    """Sequences, encoded; each tensor has one row of zeros more, which padding reads.

    Args:
        encoder, sequences: what by and what of.
        inputs: (rows + 1, width).
        codes: (rows + 1, categories).
        told: for cells that read them: "m", "d" and "d_back", each (rows + 1, width); for a summary: "seen",
            (rows + 1, channels).
    """

    encoder: Encoder
    sequences: Sequences
    inputs: Tensor
    codes: Tensor
    told: dict[str, Tensor]

    def batch(self, chosen: Whole) -> dict[str, Tensor]:
        """Some sequences, padded to the longest, time first: x, codes, lengths (1, batch) and what is told."""
        starts, lengths = self.sequences.starts[:-1][chosen], self.sequences.lengths[chosen]
        steps = np.arange(int(lengths.max()))[:, None]
        rows = torch.from_numpy(np.where(steps < lengths, starts + steps, self.sequences.rows))
        found = {
            "x": self.inputs[rows],
            "codes": self.codes[rows],
            "lengths": torch.from_numpy(lengths)[None],
        }
        return found | {name: one[rows] for name, one in self.told.items()}


def fit_encoder(
    sequences: Sequences,
    *,
    scaling: str,
    unseen: str,
    streams: bool,
    summary: bool = False,
    known: Sequences | None = None,
) -> Encoder:
    """Learn the scales and the categories of the training sequences.

    Args:
        sequences: those that are trained on.
        scaling: "auto", "standard", "rank", "instance" or "none".
        unseen: "unknown" or "error".
        streams: whether the cell reads mask and time for itself.
        summary: whether the network summarises each channel.
        known: all sequences that came to `fit`; their categories are known where `unseen` is "error".
    """
    values = sequences.values
    log = [scaling == "auto" and _leans(values[:, index]) for index in range(values.shape[1])]
    bent = np.where(np.array(log, dtype=bool), np.log1p(np.abs(values)), values)
    counts = (~np.isnan(bent)).sum(axis=0)
    total = np.nansum(bent, axis=0)
    centre = total / np.maximum(counts, 1)
    spread = np.sqrt(np.nansum((bent - centre) ** 2, axis=0) / np.maximum(counts, 1))
    # A constant channel says nothing; it is centred and left as it is.
    spread = np.where(spread > 1e-9 * np.maximum(1.0, np.abs(centre)), spread, 1.0)
    seen = ~np.isnan(values)
    since = since_last_seen(seen, sequences.times, sequences.starts)
    positive = since[since > 0]
    gaps = _intervals(sequences)[1:]
    gaps = gaps[gaps > 0]
    uneven = bool(sequences.timed and len(gaps) and gaps.std() > _REGULAR * gaps.mean())
    whole = sequences if known is None or unseen == "unknown" else known
    least = _RARE if unseen == "unknown" else 1
    return Encoder(
        channels=sequences.channels,
        log=tuple(bool(one) for one in log),
        centre=tuple(centre.tolist()),
        spread=tuple(spread.tolist()),
        gaps=tuple((~seen).any(axis=0).tolist()),
        categories={
            name: _known(whole.texts[:, index], least) for index, name in enumerate(whole.categories)
        },
        unseen=unseen,
        scaling="standard" if scaling == "auto" else scaling,
        timed=sequences.timed,
        intervals=uneven,
        time_scale=float(positive.mean()) if len(positive) else 1.0,
        streams=streams,
        summary=summary,
        knots=tuple(_knots(column) for column in values.T) if scaling == "rank" else (),
    )


def since_last_seen(seen: NDArray[np.bool_], times: Real, starts: Whole) -> Real:
    """The time since a channel was last observed before each row, or since the first row (Che et al. 2018, eq. 2).

    Args:
        seen: (rows, channels).
        times: (rows,).
        starts: (sequences + 1,).

    Returns:
        (rows, channels), 0 in a sequence's first row.
    """
    first = np.repeat(starts[:-1], np.diff(starts))
    rows = np.where(seen, np.arange(len(seen))[:, None], -1)
    last = np.maximum.accumulate(rows, axis=0) if len(rows) else rows
    before = np.concatenate([np.full((1, seen.shape[1]), -1), last[:-1]])
    before = np.maximum(before, first[:, None])
    return np.where((np.arange(len(seen)) == first)[:, None], 0.0, times[:, None] - times[before])


def _since_next_seen(seen: NDArray[np.bool_], sequences: Sequences) -> Real:
    """The same for who reads from the end."""
    starts = sequences.rows - sequences.starts[::-1]
    return since_last_seen(seen[::-1], -sequences.times[::-1], starts)[::-1]


def _last_rows(seen: NDArray[np.bool_], sequences: Sequences) -> Whole:
    """The row of the last observed value of the same sequence, or -1."""
    rows = np.where(seen, np.arange(len(seen))[:, None], -1)
    last = np.maximum.accumulate(rows, axis=0) if len(rows) else rows
    first = np.repeat(sequences.starts[:-1], sequences.lengths)
    return np.where(last >= first[:, None], last, -1)


def _intervals(sequences: Sequences) -> Real:
    """The time since the row before, 0 in a sequence's first."""
    gaps = np.diff(sequences.times, prepend=sequences.times[:1])
    gaps[sequences.starts[:-1]] = 0.0
    return gaps


def _instance_scaled(sequences: Sequences) -> Real:
    """Each sequence less its own mean, by its own deviation, channel by channel."""
    pieces = []
    for piece in sequences.split(sequences.values):
        counts = np.maximum((~np.isnan(piece)).sum(axis=0), 1)
        centred = piece - np.nansum(piece, axis=0) / counts
        spread = np.sqrt(np.nansum(centred**2, axis=0) / counts)
        pieces.append(centred / np.where(spread > 1e-9, spread, 1.0))
    return np.concatenate(pieces)


def _leans(values: Real) -> bool:
    own = values[~np.isnan(values)]
    if len(own) < 3 or own.min() < 0:
        return False
    spread = own.std()
    return bool(spread > 0 and ((own - own.mean()) ** 3).mean() > _SKEWED * spread**3)


def _knots(values: Real) -> tuple[float, ...]:
    """Quantiles in equal steps of what was observed."""
    own = values[~np.isnan(values)]
    return tuple(np.quantile(own, np.linspace(0, 1, _KNOTS)).tolist()) if len(own) else ()


def _ranked(values: Real, knots: tuple[float, ...]) -> Real:
    """Normal scores: where a value stands among those of training, as a deviate of the normal distribution.

    Values that were frequent in training span several knots; they get the middle of these.
    """
    if not knots:
        return np.where(np.isnan(values), np.nan, 0.0)
    places, ends = np.linspace(0, 1, len(knots)), np.array(knots)
    upper = np.interp(values, ends, places)
    lower = 1 - np.interp(-values, -ends[::-1], places)
    edge = 0.5 / len(knots)
    return ndtri(np.clip((upper + lower) / 2, edge, 1 - edge))


def _known(texts: NDArray[np.object_], least: int) -> tuple[str, ...]:
    there = [text for text in texts.tolist() if text is not None]
    names, counts = np.unique(np.array(there, dtype=str), return_counts=True)
    return tuple(str(name) for name, count in zip(names, counts, strict=True) if count >= least)


def _padded(array: NDArray[Any]) -> Tensor:
    kind = np.int64 if array.dtype.kind == "i" else np.float32
    return torch.from_numpy(np.concatenate([array, np.zeros((1, array.shape[1]))]).astype(kind))
