"""How far back a trained network looks: what of a gradient at the last step arrives so many steps before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gatewise.errors import ArgumentError
from gatewise.inspect import FlowMonitor, MonitoredLayer
from gatewise.inspect.recording import LongestCalls, layers_of, record
from gatewise.inspect.verdict import LEAST_WINDOW, VANISHING
from gatewise.nn import Recurrent

__all__ = ["ROWS", "middle", "reach_of", "reached", "watched"]

ROWS = 4
"""Sequences that are looked at: so many does a monitor look at."""
_STEPS = 1024
_DIGITS = 5

Result = TypeVar("Result")


def reach_of(calls: Iterable[tuple[Recurrent, Tensor, Tensor | None]]) -> dict[str, Any] | None:
    """What of a gradient in a random direction is left by lag, of the layer in which most is left.

    The root mean square over directions, the median over sequences (see `gatewise.inspect.FlowMonitor`).

    Args:
        calls: layers, and sequences as they take them: steps, and which of them count (None: all).

    Returns:
        Plain JSON: "lags" and the "share" left at each; "window", the longest lag; "lag", after how many steps 1 % is
        left, None where it is endless; "beyond", whether that lies outside of the window. None where no sequence is
        long enough to say anything, or a number is not finite.
    """
    found = [one for call in calls for one in _measured(*call) if _known(one)]
    if not found:
        return None
    best = max(found, key=lambda one: one.horizon.reach(VANISHING).lag)
    lag = best.horizon.reach(VANISHING)
    return {
        "layer": best.name,
        "lags": best.lags.tolist(),
        "share": [float(f"{share:.{_DIGITS}g}") for share in best.reach],
        "window": best.horizon.window,
        "lag": round(lag.lag, 2) if math.isfinite(lag.lag) else None,
        "beyond": lag.extrapolated,
    }


def _measured(module: Recurrent, steps: Tensor, mask: Tensor | None) -> Sequence[MonitoredLayer]:
    """A pass over the sequences whose gradient begins at the last states, under a monitor."""
    monitor = FlowMonitor(every=1)
    with monitor.watch(module):
        _, state = module(steps.detach().clone().requires_grad_(), mask=mask)
        (state if isinstance(state, Tensor) else state[0]).sum().backward()
    module.zero_grad()
    return monitor.records[-1].layers


def _known(one: MonitoredLayer) -> bool:
    return one.horizon.window >= LEAST_WINDOW and bool(np.isfinite(one.reach).all())


def watched(estimator: Any, run: Callable[[], Result]) -> tuple[Result, dict[str, Any] | None]:
    """Runs a fitted estimator; what that gives, and how far its network looks back on the longest of its calls.

    Args:
        estimator: with a network that is to be looked at.
        run: runs it.
    """
    try:
        modules = layers_of(estimator)
    except ArgumentError:  # a network without recurrent layers
        return run(), None
    longest = LongestCalls()
    with record(estimator, each=longest.visit):
        result = run()
    calls = (
        (modules[path], *longest.part(modules[path], path, rows=ROWS, steps=_STEPS))
        for path, trace in longest.traces.items()
        if len(trace.layer.program.inputs) == 1
    )
    return result, reach_of(calls)


def reached(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What was measured of some runs; older lines have nothing of it."""
    return [row["reach"] for row in rows if row.get("reach")]


def middle(found: Sequence[Mapping[str, Any]]) -> tuple[float, bool]:
    """The median over runs of the steps after which 1 % is left, and whether that lies beyond the window."""
    lags: NDArray[np.float64] = np.sort([math.inf if one["lag"] is None else one["lag"] for one in found])
    lag = float(lags[(len(lags) - 1) // 2])
    return lag, lag > min(one["window"] for one in found)
