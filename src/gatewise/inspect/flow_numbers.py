"""What is measured of a gradient's way through time, as plain numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from gatewise.inspect.horizon import HorizonEstimate
from gatewise.inspect.verdict import Verdict, median_rows

__all__ = ["GradientFlow", "LayerFlow", "plain"]

_SEVERITY = ("exploding", "mixed", "vanishing", "unknown", "healthy")


@dataclass(frozen=True)
class LayerFlow:
    """The gradient's way through one layer in one direction. All numbers are numpy's.

    Lags count steps back from a sequence's last step, as the layer runs: in the reverse direction the last step is the
    first in time. Steps that a mask or a length leaves out are no steps.

    Attributes:
        name: "layer 0", "layer 0 reverse", ...
        cell: The cell's name.
        layer, direction: Which; direction 1 is the reverse one of a bidirectional layer.
        state_names: The cell's states.
        loss_gradient: (time,), the norm of d loss / d state, all states together, in the mean over the sequences for
            which the step counts; NaN where it counts for none. The state is the one that the step at that time hands
            on: what it does in later steps, and for a state that is also the output, in the output.
        loss_gradient_by_state: The same for each state alone.
        loss_gradient_by_lag: (time,), as `loss_gradient`, by lag from 0 on: each sequence from its own last step.
        lags: (lags,), in steps, from 1 on.
        log_jacobian: (rows, lags), natural logarithm of the largest singular value of d h_T / d h_(T-lag), all states
            together, for the sequences looked at; -inf where it is 0, NaN where a sequence is shorter.
        log_rms: (rows, lags), the same for the root mean square over all directions, the Frobenius norm over the
            square root of the width; NaN where the method was "power".
        converged: (rows, lags), whether the power iteration met its tolerance.
        method: "dense" or "power".
        horizon: The effective memory horizon.
        verdict: What it means.
    """

    name: str
    cell: str
    layer: int
    direction: int
    state_names: tuple[str, ...]
    loss_gradient: Float[np.ndarray, " time"]
    loss_gradient_by_state: dict[str, Float[np.ndarray, " time"]]
    loss_gradient_by_lag: Float[np.ndarray, " time"]
    lags: Int[np.ndarray, " lags"]
    log_jacobian: Float[np.ndarray, "rows lags"]
    log_rms: Float[np.ndarray, "rows lags"]
    converged: Bool[np.ndarray, "rows lags"]
    method: str
    horizon: HorizonEstimate
    verdict: Verdict

    @property
    def jacobian_norm(self) -> Float[np.ndarray, " lags"]:
        """The largest singular value of d h_T / d h_(T-lag) by lag, the median over the sequences looked at."""
        with np.errstate(over="ignore"):
            return np.exp(median_rows(self.log_jacobian))

    @property
    def rms_gain(self) -> Float[np.ndarray, " lags"]:
        """What a random direction keeps of its norm in the mean square, the median over the sequences looked at."""
        with np.errstate(over="ignore"):
            return np.exp(median_rows(self.log_rms))

    def describe(self) -> str:
        """One paragraph."""
        horizon, parts = self.horizon, [f"{self.name} ({self.cell}): {self.verdict.sentence}"]
        if horizon.window:
            parts.append(f"Memory horizon: {'; '.join(map(str, horizon.reaches))}.")
        if math.isfinite(horizon.time_constant):
            parts.append(
                f"Time constant of the slowest direction: {horizon.time_constant:.3g} steps (norm x "
                f"{math.exp(horizon.rate):.4g} a step)."
            )
        if not self.converged.all():
            missed = int((~self.converged).sum())
            parts.append(
                f"{missed} of {self.converged.size} norms did not reach the tolerance: lower bounds."
            )
        if self.verdict.suggestion:
            parts.append(self.verdict.suggestion)
        return " ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; None for what is infinite or unknown."""
        return {
            "name": self.name,
            "cell": self.cell,
            "layer": self.layer,
            "direction": self.direction,
            "state_names": list(self.state_names),
            "loss_gradient": plain(self.loss_gradient),
            "loss_gradient_by_state": {name: plain(x) for name, x in self.loss_gradient_by_state.items()},
            "loss_gradient_by_lag": plain(self.loss_gradient_by_lag),
            "lags": self.lags.tolist(),
            "jacobian_norm": plain(self.jacobian_norm),
            "rms_gain": plain(self.rms_gain),
            "log_jacobian": [plain(row) for row in self.log_jacobian],
            "converged": bool(self.converged.all()),
            "method": self.method,
            "horizon": self.horizon.to_dict(),
            "verdict": self.verdict.to_dict(),
        }


def plain(numbers: Float[np.ndarray, " count"]) -> list[float | None]:
    """An array as JSON has it: None for what is infinite or unknown."""
    return [float(x) if math.isfinite(x) else None for x in numbers]


@dataclass(frozen=True)
class GradientFlow:
    """The gradient's way through all layers of a module.

    Attributes:
        layers: One for each layer and direction, from the input up.
        steps: Of the padded input.
        sequences: Of the batch.
        rows: Positions in the batch of the sequences whose Jacobians were looked at.
    """

    layers: tuple[LayerFlow, ...]
    steps: int
    sequences: int
    rows: tuple[int, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the layers' verdicts."""
        return min((layer.verdict for layer in self.layers), key=lambda v: _SEVERITY.index(v.kind))

    def describe(self) -> str:
        """A few paragraphs: what was looked at, and one for each layer."""
        head = f"Gradient flow through {self.steps} steps of {self.sequences} sequences; Jacobians of {len(self.rows)}."
        return "\n".join([head, *(layer.describe() for layer in self.layers)])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; None for what is infinite or unknown."""
        return {
            "steps": self.steps,
            "sequences": self.sequences,
            "rows": list(self.rows),
            "verdict": self.verdict.to_dict(),
            "layers": [layer.to_dict() for layer in self.layers],
        }
