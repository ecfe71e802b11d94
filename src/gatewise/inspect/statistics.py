"""What each unit does over a data set: how open its gates are, how far its states move, how long it remembers.

Everything is added up trace by trace, so that memory does not grow with the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from gatewise.errors import ArgumentError
from gatewise.inspect.ranges import Range, gate_ranges, state_ranges
from gatewise.inspect.recording import Layer, Trace
from gatewise.inspect.retention import retained_gate
from gatewise.store.documents import plain

__all__ = ["SATURATION", "LayerStatistics", "Statistics", "Tally", "ValueStatistics", "statistics"]

# How near to its bound a value counts as saturated: a gate above 0.9 is open and below 0.1 shut (Karpathy et al. 2015,
# section 4.2); a tanh is so above 0.9 and below -0.9.
SATURATION = 0.1
# The smallest share retained whose logarithm is taken: exp(-23).
_LEAST = 1e-10
# Units whose common movement is measured; of a wider layer, so many at even distances.
_MOST_TOGETHER = 1024

Units = NDArray[np.float64]


@dataclass(frozen=True)
class ValueStatistics:
    """One gate or state of one layer, unit by unit.

    Attributes:
        name: of the gate or state.
        kind: "gate" or "state".
        range: between which numbers the cell's equations keep it; infinite where they do not.
        mean, deviation: (units,) over all steps that count.
        lowest, highest: (units,) that came.
        low, high: (units,) the share of steps within 0.1 of the lower and of the upper end of its range: a gate that is
            shut or open, a state that is saturated; NaN where there is no such end.
        not_finite: (units,) the share of steps at which it is no finite number; its mean and deviation are none then.
    """

    name: str
    kind: str
    range: Range
    mean: Units
    deviation: Units
    lowest: Units
    highest: Units
    low: Units
    high: Units
    not_finite: Units

    @property
    def is_switch(self) -> bool:
        """Whether it is a gate that opens and shuts: from 0 to 1."""
        return self.kind == "gate" and self.range == (0.0, 1.0)

    @property
    def saturated(self) -> Units:
        """(units,) the share of steps near either end."""
        return np.nan_to_num(self.low) + np.nan_to_num(self.high)


@dataclass(frozen=True)
class LayerStatistics:
    """One layer and direction.

    Attributes:
        name: where it is in the model.
        cell: the cell's name.
        steps: how many count.
        values: of its gates and then of its states.
        time_constants: by name of the state, (units,) steps in which what a unit held decays to 1/e of itself:
            -1 / (mean of log r), with r the share of the old state that is retained at a step. Infinite where all is
            kept. States of which nothing is retained, as in a plain RNN, are missing.
        retained: by name of the state, what r is: the gate's name, or "1 - i" and the like as "formula".
        dimension: by name of the state: the participation ratio (sum of l)^2 / (sum of l^2) of the eigenvalues l of the
            units' covariance: in how many directions the state moves, from 1 to the number of units; 0: not at all;
            NaN where it is not finite.
        input_not_finite: the share of steps at which what the module was given is not finite.
    """

    name: str
    cell: str
    steps: int
    values: tuple[ValueStatistics, ...]
    time_constants: Mapping[str, Units]
    retained: Mapping[str, str]
    dimension: Mapping[str, float]
    input_not_finite: float = 0.0

    def value(self, name: str, kind: str = "gate") -> ValueStatistics:
        """A gate or state by its name."""
        for one in self.values:
            if (one.name, one.kind) == (name, kind):
                return one
        names = ", ".join(repr(one.name) for one in self.values if one.kind == kind)
        raise ArgumentError(f"name: a {kind} of the cell {self.cell!r} ({names}) is expected, came {name!r}")

    @property
    def gates(self) -> tuple[ValueStatistics, ...]:
        """The gates."""
        return tuple(one for one in self.values if one.kind == "gate")

    @property
    def states(self) -> tuple[ValueStatistics, ...]:
        """The states."""
        return tuple(one for one in self.values if one.kind == "state")


@dataclass(frozen=True)
class Statistics:
    """All layers of a model over a data set.

    Attributes:
        layers: in the order in which they ran.
        sequences: how many began.
        longest: the steps of the longest sequence of one call.
    """

    layers: tuple[LayerStatistics, ...]
    sequences: int
    longest: int

    def layer(self, name: str) -> LayerStatistics:
        """A layer by its name."""
        for one in self.layers:
            if one.name == name:
                return one
        names = ", ".join(repr(one.name) for one in self.layers)
        raise ArgumentError(f"name: a layer of the model ({names}) is expected, came {name!r}")

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values; what is not finite is None."""
        found: dict[str, Any] = plain(self, digits=6)
        return found

    def __str__(self) -> str:
        lines = []
        for layer in self.layers:
            lines.append(f"{layer.name}: {layer.cell}, {layer.steps:,} steps")
            for one in layer.values:
                lines.append("  " + _line(one))
            for name, constants in layer.time_constants.items():
                low, middle, high = np.percentile(constants, [10, 50, 90])
                lines.append(
                    f"  time constants of {name}: {_short(middle)} steps in the middle, "
                    f"{_short(low)} to {_short(high)} for 80 % of the units"
                )
        return "\n".join(lines)


class Tally:
    """Adds up traces as they come; `Tally.visit` is what `gatewise.inspect.record` takes as `each`.

    Example:
        >>> import torch
        >>> from gatewise import inspect, nn
        >>> model, tally = nn.LSTM(3, 5), inspect.Tally()
        >>> with inspect.record(model, each=tally.visit):
        ...     for _ in range(3):
        ...         output, _ = model(torch.randn(7, 4, 3))
        >>> found = tally.statistics().layers[0]
        >>> found.steps, found.value("f").mean.shape
        (84, (5,))
    """

    def __init__(self) -> None:
        self._layers: dict[str, _LayerTally] = {}
        self._sequences, self._longest = 0, 0

    def visit(self, trace: Trace) -> None:
        """Add one trace."""
        lengths = trace.valid.sum(0)
        if not int(lengths.sum()):
            return
        own = self._layers.setdefault(trace.layer.name, _LayerTally(trace.layer))
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is counted
            own.add(trace)
        if own is next(iter(self._layers.values())):
            self._sequences += int((lengths > 0).sum()) if trace.fresh else 0
            self._longest = max(self._longest, int(lengths.max()))

    def statistics(self) -> Statistics:
        """What was added so far.

        Raises:
            ArgumentError: nothing was.
        """
        if not self._layers:
            raise ArgumentError(
                "data: at least one step through the recurrent layers is expected, came none; give sequences that "
                "are not empty, and call the model while it is recorded"
            )
        layers = tuple(own.statistics() for own in self._layers.values())
        return Statistics(layers, self._sequences, self._longest)


def statistics(traces: Iterable[Trace]) -> Statistics:
    """Statistics of traces that were kept, as `Recording.traces`.

    Args:
        traces: of any number of calls and layers.

    Raises:
        ArgumentError: there is none.
    """
    tally = Tally()
    for one in traces:
        tally.visit(one)
    return tally.statistics()


class _LayerTally:
    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.steps = self.broken = 0
        self.values: dict[tuple[str, str], _Sums] = {}
        self.logs: dict[str, Units] = {}
        self.together: dict[str, _Covariance] = {}
        self.ranges = {"gate": gate_ranges(layer.program), "state": state_ranges(layer.program)}

    def add(self, trace: Trace) -> None:
        self.steps += int(trace.valid.sum())
        self.broken += int((~np.isfinite(trace.rows(trace.input)).all(1)).sum())
        for kind, values in (("gate", trace.gates), ("state", trace.states)):
            for name, value in values.items():
                rows = trace.rows(value)
                if (kind, name) not in self.values:
                    # A state may begin elsewhere than at zero: what is promised then is what its range is from there.
                    self.values[kind, name] = _Sums(rows.shape[1], self.ranges[kind].get(name))
                self.values[kind, name].add(rows)
                if kind == "state":
                    self.together.setdefault(name, _Covariance(rows.shape[1])).add(rows)
        for name, share in trace.retained.items():
            logs = np.log(np.maximum(np.abs(trace.rows(share)), _LEAST)).sum(0)
            self.logs[name] = self.logs.get(name, 0.0) + logs

    def statistics(self) -> LayerStatistics:
        program = self.layer.program
        constants = {}
        for name, logs in self.logs.items():
            mean = logs / self.steps
            with np.errstate(divide="ignore"):
                constants[name] = np.where(mean < 0, -1.0 / mean, np.where(np.isnan(mean), np.nan, np.inf))
        return LayerStatistics(
            self.layer.name, program.name, self.steps,
            tuple(sums.statistics(name, kind) for (kind, name), sums in self.values.items()),
            constants, {name: retained_gate(program, name) or "formula" for name in constants},
            {name: own.participation() for name, own in self.together.items()}, self.broken / self.steps,
        )  # fmt: skip


class _Sums:
    """Mean, deviation, extremes and saturation of some units, batch by batch (Chan et al. 1979)."""

    def __init__(self, units: int, bounds: Range | None) -> None:
        self.bounds = bounds or (-np.inf, np.inf)
        self.count = 0
        self.mean, self.squares = np.zeros(units), np.zeros(units)
        self.lowest, self.highest = np.full(units, np.inf), np.full(units, -np.inf)
        self.low, self.high, self.broken = np.zeros(units), np.zeros(units), np.zeros(units)

    def add(self, rows: Float[np.ndarray, "steps units"]) -> None:
        count = len(rows)
        mean = rows.mean(0)
        change, total = mean - self.mean, self.count + count
        self.squares += ((rows - mean) ** 2).sum(0) + change**2 * self.count * count / total
        self.mean += change * count / total
        self.count = total
        self.lowest, self.highest = (
            np.minimum(self.lowest, rows.min(0)),
            np.maximum(self.highest, rows.max(0)),
        )
        low, high = self.bounds
        self.low += (rows < low + SATURATION).sum(0)
        self.high += (rows > high - SATURATION).sum(0)
        self.broken += (~np.isfinite(rows)).sum(0)

    def statistics(self, name: str, kind: str) -> ValueStatistics:
        low, high = self.bounds
        nothing = np.full_like(self.mean, np.nan)
        return ValueStatistics(
            name, kind, self.bounds, self.mean, np.sqrt(self.squares / self.count), self.lowest, self.highest,
            self.low / self.count if np.isfinite(low) and np.isfinite(high) else nothing,
            self.high / self.count if np.isfinite(low) and np.isfinite(high) else nothing,
            self.broken / self.count,
        )  # fmt: skip


class _Covariance:
    """How units move together."""

    def __init__(self, units: int) -> None:
        self.kept = np.unique(np.linspace(0, units - 1, min(units, _MOST_TOGETHER)).astype(int))
        self.count, self.sum = 0, np.zeros(len(self.kept))
        self.products = np.zeros((len(self.kept), len(self.kept)))

    def add(self, rows: Float[np.ndarray, "steps units"]) -> None:
        own = rows[:, self.kept]
        self.count += len(own)
        self.sum += own.sum(0)
        self.products += own.T @ own

    def participation(self) -> float:
        if not np.isfinite(self.products).all():
            return float("nan")
        mean = self.sum / self.count
        covariance = self.products / self.count - np.outer(mean, mean)
        squares = float((covariance**2).sum())
        trace = float(np.trace(covariance))
        # Below this it is rounding of the products.
        if trace <= 1e-12 * max(1.0, float(np.trace(self.products)) / self.count):
            return 0.0
        return trace**2 / squares


def _line(one: ValueStatistics) -> str:
    text = f"{one.kind} {one.name}: mean {one.mean.mean():.3g}, deviation {one.deviation.mean():.3g}"
    if one.is_switch:
        return text + f"; open {one.high.mean():.0%}, shut {one.low.mean():.0%} of the time"
    if np.isfinite(one.low).all():
        return text + f"; saturated {one.saturated.mean():.0%} of the time"
    return text


def _short(steps: float) -> str:
    return "endless" if not np.isfinite(steps) else f"{steps:,.3g}"
