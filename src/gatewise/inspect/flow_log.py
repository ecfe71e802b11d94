"""What a monitor saw, step by step, and the JSONL file that it can be appended to."""

from __future__ import annotations

import json
import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gatewise.errors import StoreError
from gatewise.inspect.flow_numbers import plain
from gatewise.inspect.horizon import HorizonEstimate, Reach
from gatewise.inspect.verdict import Verdict
from gatewise.store.files import store_error

__all__ = ["FlowLog", "FlowRecord", "MonitorWarning", "MonitoredLayer", "read_records"]


class MonitorWarning(UserWarning):
    """A monitor's record could not be written to its file; the training goes on."""


@dataclass(frozen=True)
class MonitoredLayer:
    """The gradient's flow through one layer in one direction, in one step of a training.

    Attributes:
        name: Its place in the model, its layer and direction.
        cell: The cell's name.
        lags: Distances from each sequence's end, in steps, from 0 on.
        loss_gradient: The norm of d loss / d h_t at each, all states together, in the mean over the sequences.
        reach: How much of a gradient in a random direction at the last step arrives there: the root mean square over
            directions, the median over sequences; 1 at lag 0.
        horizon: The memory horizon of `reach`.
        verdict: What it means.
    """

    name: str
    cell: str
    lags: Int[np.ndarray, " lags"]
    loss_gradient: Float[np.ndarray, " lags"]
    reach: Float[np.ndarray, " lags"]
    horizon: HorizonEstimate
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; None for what is infinite or unknown."""
        return {
            "name": self.name,
            "cell": self.cell,
            "lags": self.lags.tolist(),
            "loss_gradient": plain(self.loss_gradient),
            "reach": plain(self.reach),
            "horizon": self.horizon.to_dict(),
            "verdict": self.verdict.to_dict(),
        }


@dataclass(frozen=True)
class FlowRecord:
    """What was seen in one step.

    Attributes:
        run: Which run of the monitor, from 0; an ensemble has one for each member.
        step: From 1.
        loss: Before the step; None where nobody told it.
        gradient_norm: The 2-norm over all parameters, before clipping; None where no gradient came.
        gradient_norms: The same by group of parameters.
        updates: By group, the norm of the step's update over that of the weights. About 0.001 is usual; much above it
            training is unsteady, much below it the group hardly learns.
        layers: The recurrent layers, in the model's order.
    """

    run: int
    step: int
    loss: float | None
    gradient_norm: float | None
    gradient_norms: dict[str, float]
    updates: dict[str, float]
    layers: tuple[MonitoredLayer, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: None for what is unknown, "nan", "inf" or "-inf" where a loss, norm or update is not finite."""
        return {
            "run": self.run,
            "step": self.step,
            "loss": _stored(self.loss),
            "gradient_norm": _stored(self.gradient_norm),
            "gradient_norms": {name: _stored(x) for name, x in self.gradient_norms.items()},
            "updates": {name: _stored(x) for name, x in self.updates.items()},
            "layers": [layer.to_dict() for layer in self.layers],
        }

    @staticmethod
    def from_dict(stored: dict[str, Any]) -> FlowRecord:
        """The record that :meth:`to_dict` gave; what a layer's lists do not know comes back as NaN."""
        layers = tuple(
            MonitoredLayer(
                layer["name"],
                layer["cell"],
                np.array(layer["lags"], np.int64),
                _array(layer["loss_gradient"]),
                _array(layer["reach"]),
                _horizon(layer["horizon"]),
                Verdict(**layer["verdict"]),
            )
            for layer in stored["layers"]
        )
        return FlowRecord(
            int(stored["run"]),
            int(stored["step"]),
            _told(stored["loss"]),
            _told(stored["gradient_norm"]),
            {name: _number(x) for name, x in stored["gradient_norms"].items()},
            {name: _number(x) for name, x in stored["updates"].items()},
            layers,
        )


def _stored(number: float | None) -> float | str | None:
    if number is None:
        return None
    return float(number) if math.isfinite(number) else str(float(number))


def _told(stored: float | str | None) -> float | None:
    return None if stored is None else float(stored)


def _number(stored: float | str | None) -> float:
    return math.nan if stored is None else float(stored)


def _array(stored: list[float | None]) -> np.ndarray:
    return np.array([_number(x) for x in stored], np.float64)


def _horizon(stored: dict[str, Any]) -> HorizonEstimate:
    reaches = tuple(
        Reach(float(r["share"]), math.inf if r["lag"] is None else float(r["lag"]), bool(r["extrapolated"]))
        for r in stored["reaches"]
    )
    return HorizonEstimate(int(stored["window"]), _number(stored["rate"]), reaches)


class FlowLog:
    """A JSONL file that records are appended to, one line each, in one write: a killed run leaves whole lines.

    Args:
        path: The file; what an earlier run left of a last line is cut off.

    Raises:
        StoreError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with open(path, "a+b") as file:
                file.truncate(_whole(file))
        except OSError as error:
            raise store_error("write", path, error) from error

    def append(self, record: FlowRecord) -> None:
        """Adds a line; where that fails it warns, and the training goes on."""
        line = json.dumps(record.to_dict(), allow_nan=False).encode() + b"\n"
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as error:
            warnings.warn(str(store_error("write", self.path, error)), MonitorWarning, stacklevel=2)


def _whole(file: Any) -> int:
    """How many bytes of a file are whole lines."""
    end: int = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - (1 << 16))
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + int(newline) + 1
        end = start
    return 0


def read_records(path: str | os.PathLike[str]) -> list[FlowRecord]:
    """The records in a monitor's file; of a step that was done again after a resume, the later one.

    A last line that is not whole is left out: a run that is being written, or was killed in the middle of a write.

    Args:
        path: The file.

    Raises:
        StoreError: It cannot be read, or a line is no record.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise store_error("read", path, error) from error
    found: dict[tuple[int, int], FlowRecord] = {}
    for number, line in enumerate(lines, 1):
        try:
            record = FlowRecord.from_dict(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StoreError(
                f"{os.fspath(path)}: expected a monitor's record in line {number}, got something else "
                f"({type(error).__name__}); was it written by FlowMonitor?"
            ) from error
        found[record.run, record.step] = record
    return [found[key] for key in sorted(found)]
