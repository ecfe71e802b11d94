"""A whole inspection of a model: its health, single sequences in detail, units that tell something, contributions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatewise.errors import ArgumentError, EngineError
from gatewise.inspect.contributions import Contributions, integrated_gradients
from gatewise.inspect.features import number_features, text_features
from gatewise.inspect.health import Health, examine
from gatewise.inspect.ranges import gate_ranges, state_ranges
from gatewise.inspect.recording import Recording, Trace, layers_of, record
from gatewise.inspect.retention import retained_gate, retained_states
from gatewise.inspect.units import Activations, Response, activations, find_units
from gatewise.nn.arguments import no_type_check
from gatewise.store.documents import plain

__all__ = ["Along", "Example", "Explained", "Inspection", "UnitAlong", "inspect_model"]

# Steps of single sequences that units are searched in, and that are kept for pictures.
_MOST_STEPS, _MOST_SHOWN = 50_000, 1600
_MOST_UNITS = 24
_FEWEST_STEPS = 100
# Steps whose contributions are told.
_MOST_EXPLAINED = 256


@dataclass(frozen=True)
class Example:
    """One sequence that the model is run on alone.

    Attributes:
        labels: (time,) what the model read at each step, as it is to be shown.
        pieces: (time,) the same as parts of a text, which features of texts are read from; None: it is no text.
        run: runs the model on it.
    """

    labels: tuple[str, ...]
    pieces: tuple[str, ...] | None
    run: Callable[[], Any]


@dataclass(frozen=True)
class Along:
    """Some units of one gate or state along a sequence.

    Attributes:
        layer, name, kind: where: the layer, the gate or state, "gate" or "state".
        range: of its values, infinite where the cell sets none.
        units: (units,) their numbers: those that move most.
        values: (time, units).
    """

    layer: str
    name: str
    kind: str
    range: tuple[float, float]
    units: tuple[int, ...]
    values: Float[np.ndarray, "time units"]


@dataclass(frozen=True)
class UnitAlong:
    """A unit that tells a feature, along a piece of text that took no part in its choice.

    Attributes:
        response: how well it tells it.
        labels: (time,) the text.
        values: (time,) the unit's.
    """

    response: Response
    labels: tuple[str, ...]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Explained:
    """What past inputs add to a layer's output after the last step of the first sequence.

    Attributes:
        layer: which.
        labels: (time,).
        contributions: to the output's length along its own direction.
    """

    layer: str
    labels: tuple[str, ...]
    contributions: Contributions


@dataclass(frozen=True)
class Inspection:
    """All that was found.

    Attributes:
        model, data: what was inspected on what, in words.
        health: statistics and findings over all of the data.
        labels: (time,) of the first example.
        along: its gates and states, layer by layer.
        responses: the unit that tells each feature best.
        units: the strongest of them along the text; empty where it is none.
        searched: (units, steps) that were searched; zeros where nothing was.
        explained: contributions, or None.
    """

    model: str
    data: str
    health: Health
    labels: tuple[str, ...]
    along: tuple[Along, ...]
    responses: tuple[Response, ...]
    units: tuple[UnitAlong, ...]
    searched: tuple[int, int]
    explained: Explained | None

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values; what pictures show along a sequence is left to the report."""
        explained = None
        if self.explained is not None:
            explained = plain(self.explained, digits=6) | {"complete": self.explained.contributions.complete}
        return {
            "model": self.model, "data": self.data, **self.health.to_dict(),
            "units": [one.to_dict() | {"holds": one.holds} for one in self.responses],
            "searched": {"units": self.searched[0], "steps": self.searched[1]}, "contributions": explained,
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [str(self.health)]
        held = [one for one in self.responses if one.holds]
        if held:
            lines.append(
                "Units that tell something, chosen on one half of the steps and tested on the other:"
            )
            lines += [f"- {one}" for one in held]
        elif self.responses:
            lines.append(
                "No single unit tells one of the features searched for better than the step's input or chance."
            )
        return "\n".join(lines)


@no_type_check
def inspect_model(
    model: Any, run: Callable[[], Any], examples: Sequence[Example], *, name: str = "a model", data: str = "data",
    history: Iterable[Any] | None = None,
) -> Inspection:  # fmt: skip
    """Inspect a model: over all of the data, and sequence by sequence on a few examples.

    Args:
        model: a module or a fitted estimator.
        run: runs it over all of the data.
        examples: sequences that it can be run on alone; of the first, gates and states are kept for pictures.
        name, data: what the two are called.
        history: records of its training, as in `gatewise.inspect.health`.

    Raises:
        ArgumentError: there is no recurrent layer, or no step went through one.
        ArgumentTypeError: neither a module nor an estimator that was fitted.

    Example:
        >>> from gatewise import nn
        >>> _ = torch.manual_seed(0)
        >>> lstm, x = nn.LSTM(3, 5), torch.randn(40, 1, 3)
        >>> one = Example(tuple(map(str, range(40))), None, lambda: lstm(x))
        >>> found = inspect_model(lstm, lambda: lstm(torch.randn(40, 8, 3)), [one])
        >>> [(part.name, part.values.shape) for part in found.along]
        [('f', (40, 5)), ('c', (40, 5))]
    """
    health = examine(model, run, history=history)
    first: Recording | None = None
    joined = _Joined()
    for example in examples:
        if joined.steps >= _MOST_STEPS:
            break
        with record(model) as recording:
            example.run()
        joined.add(recording, example)
        first = recording if first is None else first
    labels = examples[0].labels[:_MOST_SHOWN] if examples else ()
    traces = [] if first is None else _of_length(first, len(examples[0].labels))
    responses, units, searched = joined.search()
    return Inspection(
        name, data, health, labels, tuple(part for own in _by_layer(traces) for part in _along(own)),
        tuple(responses), tuple(units), searched, _explained(model, traces, labels),
    )  # fmt: skip


class _Joined:
    """Examples one after the other: what units did, and what came in."""

    def __init__(self) -> None:
        self.steps = 0
        self.parts: list[Activations] = []
        self.labels: list[str] = []
        self.pieces: list[str] | None = []
        self.inputs: list[NDArray[np.float64]] = []

    def add(self, recording: Recording, example: Example) -> None:
        traces = _of_length(recording, len(example.labels))
        if not traces:
            return
        own = activations(traces, kinds=("state",))
        if self.parts and own.names != self.parts[0].names:
            return
        self.parts.append(own)
        self.steps += len(own.values)
        self.labels += example.labels
        self.pieces = (
            None if example.pieces is None or self.pieces is None else [*self.pieces, *example.pieces]
        )
        layer = traces[0].layer.name
        self.inputs += [
            one.input[:, 0][one.valid[:, 0]].double().cpu().numpy()
            for one in traces
            if one.layer.name == layer
        ]

    def search(self) -> tuple[list[Response], list[UnitAlong], tuple[int, int]]:
        """The units that tell each feature best, the strongest along the second half, how much was searched."""
        if self.steps < _FEWEST_STEPS:
            return [], [], (0, 0)
        units = Activations(np.concatenate([one.values for one in self.parts]), self.parts[0].names)
        if self.pieces is None:
            # The features are what came in: what the step's own input tells of them would be all.
            inputs = np.concatenate(self.inputs)[:, :16]
            known = np.isfinite(inputs).all(0)
            names = [f"input {place + 1}" for place in np.flatnonzero(known)]
            features = number_features(inputs[:, known], names)
            found = find_units(units, features)
        else:
            found = find_units(units, text_features(self.pieces), inputs=self.labels)
        searched = (len(units.names), len(units.values))
        if self.pieces is None:
            return found, [], searched
        half = slice(len(units.values) // 2, len(units.values) // 2 + _MOST_SHOWN)
        shown = [one for one in found if one.holds][:3] or found[:1]
        pieces = tuple(self.pieces[half])
        return (
            found,
            [UnitAlong(one, pieces, units.of(one.unit)[half].astype(float)) for one in shown],
            searched,
        )


def _of_length(recording: Recording, steps: int) -> list[Trace]:
    """The traces of layers that ran over exactly the steps of one sequence."""
    kept = []
    for layer in recording.layers():
        own = recording.of(layer.name)
        if all(one.valid.shape[1] == 1 for one in own) and sum(int(one.valid.sum()) for one in own) == steps:
            kept += own
    return kept


def _by_layer(traces: Sequence[Trace]) -> list[list[Trace]]:
    layers: dict[str, list[Trace]] = {}
    for one in traces:
        layers.setdefault(one.layer.name, []).append(one)
    return list(layers.values())


def _along(traces: list[Trace]) -> list[Along]:
    """Of one layer: the gate that retains (or the first), and the state that it acts on (or the first)."""
    one, program = traces[0], traces[0].layer.program
    kept = retained_states(program)
    state = kept[0] if kept else program.states[0].name
    gate = (retained_gate(program, state) if kept else None) or next(iter(one.gates), None)
    wanted = [("state", state, state_ranges(program)[state])]
    if gate is not None and not (len(one.gates) == 1 and gate == state):
        wanted.insert(0, ("gate", gate, gate_ranges(program)[gate]))
    found = []
    for kind, name, bounds in wanted:
        parts = [(own.gates if kind == "gate" else own.states)[name][:, 0][own.valid[:, 0]] for own in traces]
        values = torch.cat(parts)[:_MOST_SHOWN].float().cpu().numpy()
        units = np.sort(np.argsort(-values.std(0), kind="stable")[:_MOST_UNITS])
        found.append(Along(one.layer.name, name, kind, bounds, tuple(units.tolist()), values[:, units]))
    return found


def _explained(model: Any, traces: Sequence[Trace], labels: tuple[str, ...]) -> Explained | None:
    """Integrated gradients of the last layer's output, along its own direction, in its first call."""
    last = [one for one in traces if not one.layer.direction and len(one.layer.program.inputs) == 1]
    if not last or len(last[-1].input) < 2:
        return None
    layer = last[-1].layer
    trace = next(one for one in last if one.layer.name == layer.name)
    module = layers_of(model)[layer.module]
    x = trace.input[:_MOST_EXPLAINED]
    was, module.training = module.training, False
    try:
        with torch.no_grad():
            output = _last(module, x)[0]
        size = float(output.norm())
        if not 0 < size < math.inf:
            return None
        found = integrated_gradients(lambda some: _last(module, some) @ (output / size), x)
    except (ArgumentError, EngineError):  # a module prepared for inference gives no gradients
        return None
    finally:
        module.training = was
    return Explained(layer.name, labels[: len(x)], found)


def _last(module: Any, x: Tensor) -> Tensor:
    """(batch, features) the output after the last step of (time, batch, features)."""
    if module.batch_first:
        return module(x.transpose(0, 1))[0][:, -1]  # type: ignore[no-any-return]
    return module(x)[0][-1]  # type: ignore[no-any-return]
