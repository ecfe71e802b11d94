"""The detector on a stream: one row in, its score, threshold and blame out, from a state that can be stored."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewise.data.magnitude import size_faults
from gatewise.errors import DataError, StoreError
from gatewise.nn import RecurrentState
from gatewise.nn.arguments import no_type_check
from gatewise.store.weights import pack_tensors, unpack_tensors
from gatewise.tasks.anomaly.distances import with_level
from gatewise.tasks.anomaly.encoding import read_row
from gatewise.tasks.anomaly.fitted import Fitted, error_of, middle_of
from gatewise.tasks.anomaly.network import AheadNetwork, WindowNetwork
from gatewise.tasks.anomaly.scaling import ScaleState
from gatewise.tasks.anomaly.thresholds import threshold_from_state

__all__ = ["Step", "Stream"]

Values = NDArray[np.float64]
_FORMAT = "gatewise.anomaly-stream"
_VERSION = 1


@dataclass(frozen=True)
class Step:
    """What a stream says of one row.

    Args:
        score: higher is stranger; NaN where nothing was observed.
        threshold: what it was held against.
        alarm: whether it was above.
        blame: channel -> what it contributed to the strangeness.
        expected: channel -> what was expected of it, NaN where nothing was.
    """

    score: float
    threshold: float
    alarm: bool
    blame: dict[str, float]
    expected: dict[str, float]


class Stream:
    """Scores rows as they come; the numbers are those of `AnomalyDetector.score_samples` on all rows so far.

    Carried from row to row: the running units, the network's recurrent state (for reconstruction, the last window),
    what was foretold, the error likelihood and the threshold.

    Args:
        fitted: the fitted detector.
    """

    def __init__(self, fitted: Fitted) -> None:
        self._fitted = fitted
        self._scale = fitted.scaler.begin(1)
        self._last_seen = fitted.scaler.level.copy()
        self._state: Any = None
        keep = fitted.plan.window if fitted.plan.method == "reconstruction" else fitted.plan.horizon
        # Ahead: (foretold, level, spread) of the last rows. Window: (inputs, scaled, seen) of them.
        self._kept: deque[tuple[NDArray[Any], ...]] = deque(maxlen=keep)
        self._likelihood = fitted.judging.likelihood()
        self._onset = fitted.judging.onset()
        self._threshold = fitted.threshold.fresh()
        self.rows = 0

    @no_type_check
    def step(self, row: Any) -> Step:
        """Take one row.

        Args:
            row: (channels,), or one number for one channel; NaN where missing.

        Raises:
            DataError: a wrong number of channels, or an infinite value.
        """
        fitted = self._fitted
        values = self._checked(row)
        seen = ~np.isnan(values)
        filled = np.where(seen, values, self._last_seen)
        level, spread = self._scale.level[0], fitted.scaler.spread_of(self._scale)[0]
        inputs, scaled = read_row(filled, seen, level, spread, mask=fitted.mask)
        if isinstance(fitted.network, WindowNetwork):
            parts, expected = self._repeat(inputs, scaled, seen, values, spread)
        else:
            parts, expected = self._compare(values)
        if fitted.level:
            parts = with_level(parts, np.where(seen, scaled, 0.0))
        self._last_seen = filled
        self._scale = fitted.scaler.advance(self._scale, values[None])
        if isinstance(fitted.network, AheadNetwork):
            self._foretell(fitted.network, inputs, filled)
        self.rows += 1
        return self._judge(parts, expected, bool(seen.any()))

    def _checked(self, row: Any) -> Values:
        columns = self._fitted.columns
        try:
            values = np.atleast_1d(np.asarray(row, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise DataError(f"row: numbers are expected, came {row!r}") from error
        if values.shape != (len(columns),):
            raise DataError(
                f"row: {len(columns)} values are expected ({', '.join(columns)}), came shape {values.shape}"
            )
        for bad, what, _ in size_faults(values):
            if bad.any():
                raise DataError(
                    f"row: channel {columns[int(bad.argmax())]!r} is {what}; give NaN for missing"
                )
        if np.isnan(values).any() and not self._fitted.mask:
            raise DataError(
                f"row: channel {columns[int(np.isnan(values).argmax())]!r} is missing (NaN), and the detector "
                "was fitted "
                'with missing="error"; fit it with missing="mask"'
            )
        return values

    def _compare(self, values: Values) -> tuple[Values, Values]:
        """Hold the row against what the last rows foretold of it."""
        plan = self._fitted.plan
        errors = np.full((1, plan.horizon, plan.channels), np.nan)
        expected = np.full(plan.channels, np.nan)
        for ahead, (out, level, spread) in enumerate(reversed(self._kept), start=1):
            scaled = (values - level) / spread
            errors[0, ahead - 1] = error_of(scaled[None], out[None, ahead - 1], plan)[0]
            if ahead == 1:
                expected = middle_of(out[None, 0], plan)[0] * spread + level
        return self._fitted.contributions(errors)[0], expected

    def _foretell(self, network: AheadNetwork, inputs: NDArray[np.float32], filled: Values) -> None:
        level, spread = self._scale.level[0], self._fitted.scaler.spread_of(self._scale)[0]
        last = ((filled - level) / spread).astype(np.float32)
        device = self._fitted.device
        with torch.no_grad():
            out, self._state = network.step(
                torch.from_numpy(inputs[None]).to(device),
                torch.from_numpy(last[None]).to(device),
                self._state,
            )
        self._kept.append((out[0].double().cpu().numpy(), level, spread))

    def _repeat(
        self,
        inputs: NDArray[np.float32],
        scaled: NDArray[np.float32],
        seen: NDArray[np.bool_],
        values: Values,
        spread: Values,
    ) -> tuple[Values, Values]:
        fitted = self._fitted
        window = fitted.plan.window
        if not self._kept:
            self._kept.extend([(inputs, scaled, seen)] * window)
        else:
            self._kept.append((inputs, scaled, seen))
        read, own, observed = (np.stack(parts) for parts in zip(*self._kept, strict=True))
        with torch.no_grad():
            repeated = (
                fitted.network(torch.from_numpy(read[:, None]).to(fitted.device)).double().cpu().numpy()
            )
        errors = np.where(observed[:, None], own[:, None].astype(np.float64) - repeated, np.nan)
        if self.rows < window - 1:
            return np.zeros(len(values)), np.full(len(values), np.nan)
        parts = fitted.contributions(errors.reshape(-1, 1, errors.shape[-1]))
        return parts.mean(axis=0), values - errors[-1, 0] * spread

    def _judge(self, parts: Values, expected: Values, observed: bool) -> Step:
        score = float(self._fitted.combined(parts[None])[0]) if observed else float("nan")
        if self._likelihood is not None:
            score = self._likelihood.step(score)
        if self._onset is not None:
            score = self._onset.step(score)
        alarm, threshold = self._threshold.step(score)
        columns = self._fitted.columns
        return Step(
            score,
            float(threshold),
            bool(alarm),
            dict(zip(columns, parts.tolist() if observed else [float("nan")] * len(columns), strict=True)),
            dict(zip(columns, expected.tolist(), strict=True)),
        )

    def to_bytes(self) -> bytes:
        """All that is carried, as safetensors with JSON; `from_bytes` goes on from it, to the last bit."""
        tensors = {
            "level": torch.from_numpy(self._scale.level.copy()),
            "power": torch.from_numpy(self._scale.power.copy()),
            "last_seen": torch.from_numpy(self._last_seen.copy()),
        }
        for place, kept in enumerate(self._kept):
            for part, values in enumerate(kept):
                tensors[f"kept.{place:05}.{part}"] = torch.from_numpy(np.array(values))
        if self._state is not None:
            parts = self._state if isinstance(self._state, tuple) else (self._state,)
            tensors |= {
                f"state.{index}": part.detach().cpu().contiguous().clone() for index, part in enumerate(parts)
            }
        document = {
            "format": _FORMAT,
            "version": _VERSION,
            "rows": self.rows,
            "columns": list(self._fitted.columns),
            "threshold": self._threshold.state(),
            "likelihood": None if self._likelihood is None else self._likelihood.state(),
            "onset": None if self._onset is None else list(self._onset.recent),
        }
        return pack_tensors(tensors, {"gatewise": json.dumps(document)})

    @classmethod
    def from_bytes(cls, fitted: Fitted, data: bytes, source: str = "the state") -> Stream:
        """A stream that goes on where another was.

        Args:
            fitted: the detector that the other one ran on.
            data: from `to_bytes`.
            source: where it comes from, for errors.

        Raises:
            StoreError: it is none, damaged, or of another detector.
        """
        from pathlib import Path

        try:
            tensors, metadata = unpack_tensors(data, Path(source))
            document = json.loads(metadata["gatewise"])
            if document["format"] != _FORMAT or document["version"] != _VERSION:
                raise StoreError(f"{source} is no state of a stream that this version can read")
            if document["columns"] != list(fitted.columns):
                raise StoreError(
                    f"{source} is the state of another detector: its channels are {document['columns']}"
                )
            stream = cls(fitted)
            stream._restore(tensors, document)
        except StoreError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(
                f"{source} is no state of a stream of this detector ({error}); remove it to start afresh"
            ) from error
        return stream

    def _restore(self, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
        self._scale = ScaleState(tensors["level"].numpy().copy(), tensors["power"].numpy().copy())
        self._last_seen = tensors["last_seen"].numpy().copy()
        places = sorted({name.split(".")[1] for name in tensors if name.startswith("kept.")})
        for place in places:
            self._kept.append(tuple(tensors[f"kept.{place}.{part}"].numpy().copy() for part in range(3)))
        parts = [tensors[name] for name in sorted(tensors) if name.startswith("state.")]
        if parts and isinstance(self._fitted.network, AheadNetwork):
            recurrent = self._fitted.network.recurrent
            self._state = RecurrentState.of(recurrent, [part.to(self._fitted.device) for part in parts])
        self.rows = int(document["rows"])
        self._threshold = threshold_from_state(document["threshold"])
        if self._likelihood is not None:
            self._likelihood = type(self._likelihood).from_state(document["likelihood"])
        if self._onset is not None:
            self._onset.recent.extend(float(one) for one in document["onset"])
