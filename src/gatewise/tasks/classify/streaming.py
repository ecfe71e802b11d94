"""A stream: rows one at a time, and after each one the probabilities of all that came so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatewise.data.magnitude import FARTHEST, size_faults
from gatewise.errors import ArgumentError, DataError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.classify.fitted import Fitted

__all__ = ["ClassifierStream"]


class ClassifierStream:
    """One sequence as it arrives. `SequenceClassifier.stream()` makes it.

    Args:
        fitted: a causal classifier.
        missing: "error" or "mask", as in the classifier.

    Attributes:
        steps: how many rows have come.
    """

    def __init__(self, fitted: Fitted, missing: str) -> None:
        fitted.check_causal("stream")
        self._fitted, self._missing = fitted, missing
        self.reset()

    def reset(self) -> None:
        """Begin anew, as with a new sequence."""
        channels = len(self._fitted.encoder.channels)
        self.steps = 0
        self._state: Any = None
        self._carried = np.zeros(channels)
        # When each channel was last observed; before that, when the first row came.
        self._seen_at = np.zeros(channels)
        self._begun = 0.0
        self._time = 0.0

    @no_type_check
    def push(self, row: Any, time: float | None = None) -> NDArray[np.float64]:
        """Take a row and say what the sequence so far is.

        Args:
            row: (channels,) numbers, or a mapping from the columns' names to their values.
            time: when the row was taken, in the unit of the times that were fitted (seconds for dates); never
                earlier than the row before. None where the model was fitted without times.

        Returns:
            (classes,) calibrated probabilities: the numbers of `predict_proba` for the rows so far (or, with
            output="step", of its last row).

        Raises:
            DataError: the row does not fit.
        """
        encoder = self._fitted.encoder
        values, texts = self._read(row)
        moment = self._moment(time)
        scaled = encoder.scale(values[None])[0]
        seen = ~np.isnan(scaled)
        since = np.zeros(len(seen)) if self.steps == 0 else moment - self._seen_at
        interval = 0.0 if self.steps == 0 else moment - self._time
        self._carried = np.where(seen, scaled, self._carried)
        self._seen_at = np.where(seen, moment, self._seen_at)
        batch = self._inputs(seen, since / encoder.time_scale, interval / encoder.time_scale, texts)
        with torch.no_grad():
            logits, self._state = self._fitted.network.step(batch, self._state)
        self._time, self.steps = moment, self.steps + 1
        return self._fitted.calibrated(logits.double().cpu().numpy())[0]

    def _inputs(
        self,
        seen: NDArray[np.bool_],
        since: Float[np.ndarray, " channels"],
        interval: float,
        texts: dict[str, Any],
    ) -> dict[str, Tensor]:
        encoder = self._fitted.encoder
        parts = [self._carried]
        if not encoder.streams:
            gaps = np.flatnonzero(encoder.gaps)
            parts += [seen[gaps], np.log1p(since[gaps])]
        extra = np.array([np.log1p(interval)]) if encoder.intervals else np.zeros(0)
        codes = [encoder.numbers(name, np.array([text], dtype=object))[0] for name, text in texts.items()]
        rows: dict[str, Any] = {"x": np.concatenate([*parts, extra])}
        if encoder.streams:
            rows["m"] = np.concatenate([seen, np.ones(len(extra))])
            rows["d"] = np.concatenate([since, np.zeros(len(extra))])
        if encoder.summary:
            rows["seen"] = seen
        device = next(self._fitted.network.parameters()).device
        found = {
            name: torch.from_numpy(one.astype(np.float32))[None].to(device) for name, one in rows.items()
        }
        found["codes"] = torch.tensor([codes], dtype=torch.int64, device=device)
        return found

    def _read(self, row: Any) -> tuple[NDArray[np.float64], dict[str, Any]]:
        encoder = self._fitted.encoder
        names = (*encoder.channels, *encoder.categories)
        if isinstance(row, Mapping):
            absent, unknown = [n for n in names if n not in row], [n for n in row if n not in names]
            if absent or unknown:
                raise DataError(
                    f"row: the columns {list(names)} are expected; absent: {absent}, not known: {unknown}"
                )
            texts = {name: row[name] for name in encoder.categories}
            given: Any = [row[name] for name in encoder.channels]
        elif encoder.categories:
            raise DataError(f"row: a mapping from each of {list(names)} to its value is expected")
        else:
            texts, given = {}, row
        try:
            values = np.array(
                [np.nan if one is None else one for one in np.atleast_1d(given)], dtype=np.float64
            )
        except (TypeError, ValueError) as error:
            raise DataError(f"row: numbers are expected; {error}") from error
        if values.shape != (len(encoder.channels),):
            raise DataError(f"row: {len(encoder.channels)} channels are expected, came shape {values.shape}")
        if any(bad.any() for bad, *_ in size_faults(values)) or (
            self._missing == "error" and np.isnan(values).any()
        ):
            bad = int(np.flatnonzero(~(np.abs(values) <= FARTHEST))[0])
            raise DataError(
                f"row: {encoder.channels[bad]!r} is {values[bad]}, a finite number of at most {FARTHEST:g} is expected"
            )
        for name, text in texts.items():
            if text is not None and not isinstance(text, str):
                raise DataError(f"row: {name!r} is a category; text is expected, came {text!r}")
        return values, texts

    def _moment(self, time: float | None) -> float:
        """The time since the first row."""
        if not self._fitted.encoder.timed:
            if time is not None:
                raise ArgumentError("time: the model was fitted without times; leave it out")
            return float(self.steps)
        if time is None or not np.isfinite(time):
            raise ArgumentError(
                f"time: a number is expected, as the model was fitted with times, came {time!r}"
            )
        if self.steps == 0:
            self._begun = float(time)
        moment = float(time) - self._begun
        if moment < self._time:
            raise ArgumentError(
                f"time: at least {self._time + self._begun} is expected, the row before's, came {time}"
            )
        return moment
