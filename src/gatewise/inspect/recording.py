"""What the recurrent layers of any model see and do while it runs: every call's gates and states."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.inspect.retention import with_retention
from gatewise.nn import Recurrent
from gatewise.nn.arguments import no_type_check
from gatewise.nn.autocast import run_call
from gatewise.spec import Program
from gatewise.spec.transforms import with_zoneout

__all__ = ["Layer", "LongestCalls", "Recording", "Trace", "layers_of", "networks_of", "record", "trace"]

# How deep a fitted estimator is searched for its networks.
_DEEPEST = 8
# Numbers that a recording keeps where nothing else is said: 256 MB in float32.
_MOST_NUMBERS = 2**26


@dataclass(frozen=True)
class Layer:
    """One layer and direction of a recurrent module.

    Attributes:
        name: where it is in the model, in words: "recurrent, layer 1 of 2, backward".
        module: the module's path in the model; "" for the model itself.
        number: of the layer in its module, from 0.
        direction: 0 forward in time, 1 backward.
        program: the cell's.
    """

    name: str
    module: str
    number: int
    direction: int
    program: Program


@dataclass(frozen=True)
class Trace:
    """What one layer did in one call.

    Attributes:
        layer: which.
        input: (time, batch, features) what the module was given; the same for all its layers.
        gates: by name, (time, batch, units).
        states: by name, (time, batch, units), after each step.
        retained: by name of the state, (time, batch, units): the factor with which a unit's old state enters its new
            one; only of states that have one (see `gatewise.inspect.retention`).
        start: by name of the state, (batch, units), what the layer started from.
        valid: (time, batch), which steps count: neither padding nor masked.
        fresh: whether the call began with the initial state, and so with a new sequence.
    """

    layer: Layer
    input: Float[Tensor, "time batch features"]
    gates: Mapping[str, Tensor]
    states: Mapping[str, Tensor]
    retained: Mapping[str, Tensor]
    start: Mapping[str, Tensor]
    valid: Bool[Tensor, "time batch"]
    fresh: bool

    def rows(self, values: Float[Tensor, "time batch units"]) -> NDArray[np.float64]:
        """The steps that count, one under the other: (steps, units)."""
        return values[self.valid].double().cpu().numpy()


class Recording:
    """The calls that a model made while it was recorded.

    Attributes:
        traces: one for each call, layer and direction, in the order of the calls; empty where each was visited.
        calls: how many calls were seen.
        steps: how many steps count in them, those of each sequence added up.
        full: whether later calls were left out, since `most_numbers` were kept.
    """

    def __init__(self, most_numbers: int) -> None:
        self.traces: list[Trace] = []
        self.calls, self.steps, self.full = 0, 0, False
        self._most, self._kept = most_numbers, 0

    def layers(self) -> list[Layer]:
        """The layers that ran, in order."""
        return list({one.layer.name: one.layer for one in self.traces}.values())

    def of(self, layer: str) -> list[Trace]:
        """The traces of one layer, by its name."""
        found = [one for one in self.traces if one.layer.name == layer]
        if not found:
            names = ", ".join(repr(one.name) for one in self.layers()) or "none"
            raise ArgumentError(f"layer: one of those recorded ({names}) is expected, came {layer!r}")
        return found

    def keep(self, one: Trace) -> None:
        """Keep a trace, as long as there is room."""
        size = sum(v.numel() for values in (one.gates, one.states, one.retained) for v in values.values())
        if self.traces and self._kept + size > self._most:
            self.full = True
            return
        self._kept += size
        self.traces.append(one)


@contextmanager
@no_type_check
def record(
    model: Any, *, each: Callable[[Trace], None] | None = None, most_numbers: int = _MOST_NUMBERS
) -> Iterator[Recording]:
    """Watch every recurrent layer of a model while the block runs, whoever calls it.

    Results of the model do not change. Each call is run once more for its gates and states, without gradients and
    without dropout, so that recording takes about twice the time.

    Args:
        model: a module, or a fitted estimator.
        each: what is called with every trace, as it comes; nothing is kept then, so that memory stays bounded.
        most_numbers: how many numbers are kept where there is no `each`; later calls are left out (`Recording.full`).

    Yields:
        The recording, filled as the block runs.

    Raises:
        ArgumentError: there is no recurrent layer in it.
        ArgumentTypeError: neither a module nor an estimator that was fitted.

    Example:
        >>> import torch
        >>> from gatewise import inspect, nn
        >>> model = torch.nn.Sequential(nn.Recurrent("lstm", 3, 5))
        >>> with inspect.record(model) as recording:
        ...     output, _ = model(torch.zeros(7, 4, 3))
        >>> [one.name for one in recording.layers()], recording.traces[0].gates["f"].shape
        (['0'], torch.Size([7, 4, 5]))
    """
    modules = layers_of(model)
    if each is not None and not callable(each):
        raise ArgumentTypeError(f"each: a function of a trace is expected, came {type(each).__name__}")
    recording = Recording(most_numbers)
    handles = []
    try:
        for path, module in modules.items():
            watcher = _Watcher(path, module, recording, recording.keep if each is None else each)
            # Watched where they are looked up: a hook would send single steps another way, whose last bits may differ.
            for name in ("forward", "step"):
                module.__dict__[name] = getattr(watcher, name)
                handles.append(lambda module=module, name=name: module.__dict__.pop(name, None))
        yield recording
    finally:
        for handle in handles:
            handle()


class _Watcher:
    """Sees the calls of one module."""

    def __init__(
        self, path: str, module: Recurrent, recording: Recording, visit: Callable[[Trace], None]
    ) -> None:
        self.path, self.module, self.recording, self.visit = path, module, recording, visit
        self._inner = False

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        result = type(self.module).forward(self.module, *args, **kwargs)
        if not self._inner:
            self._see(args, kwargs)
        return result

    def step(self, x_t: Any, state: Any = None, *, streams: Any = None) -> Any:
        with self._within():
            result = type(self.module).step(self.module, x_t, state, streams=streams)
        axis = 0 if x_t.dim() == 1 or not self.module.batch_first else 1
        if streams is not None:
            named = streams if isinstance(streams, Mapping) else dict(enumerate(streams))
            longer = {name: row.unsqueeze(axis) for name, row in named.items()}
            streams = longer if isinstance(streams, Mapping) else list(longer.values())
        self._see((x_t.unsqueeze(axis), state), {"streams": streams})
        return result

    @contextmanager
    def _within(self) -> Iterator[None]:
        """Calls of the module in here are parts of one that is seen."""
        before, self._inner = self._inner, True
        try:
            yield
        finally:
            self._inner = before

    def _see(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        with self._within():
            traces = trace(self.module, *args, path=self.path, **kwargs)
        self.recording.calls += 1
        self.recording.steps += int(traces[0].valid.sum())
        for one in traces:
            self.visit(one)


class LongestCalls:
    """Remembers, for each module, what its longest call was given; `visit` is what `record` takes as `each`.

    Attributes:
        traces: by module path, one of the longest call.
    """

    def __init__(self) -> None:
        self.traces: dict[str, Trace] = {}

    def visit(self, trace: Trace) -> None:
        """Look at one trace."""
        before = self.traces.get(trace.layer.module)
        if before is None or len(trace.input) > len(before.input):
            self.traces[trace.layer.module] = trace

    def part(
        self, module: Recurrent, path: str, *, rows: int, steps: int
    ) -> tuple[Float[Tensor, "first second features"], Bool[Tensor, "first second"]]:
        """The first steps of a call's longest sequences, and which of them count, as the module takes them.

        Args:
            module: the module.
            path: its own.
            rows, steps: at most so many.
        """
        one = self.traces[path]
        order = np.argsort(-one.valid.sum(0).cpu().numpy(), kind="stable")[:rows]
        chosen = sorted(int(place) for place in order)
        x, valid = (of[:steps, chosen] for of in (one.input, one.valid))
        return (x.transpose(0, 1), valid.t()) if module.batch_first else (x, valid)


@torch.no_grad()
@no_type_check
def trace(
    module: Recurrent, input: Tensor | PackedSequence, hx: Any = None, *, path: str = "", streams: Any = None,
    lengths: Any = None, mask: Any = None, resets: Any = None, return_gates: bool = False,
) -> list[Trace]:  # fmt: skip
    """Run a layer once and give what each of its layers and directions did.

    Args:
        module: a recurrent layer.
        input, hx, streams, lengths, mask, resets: as in `Recurrent.forward`; a packed sequence is padded.
        path: what the module is called.
        return_gates: has no effect; it is here so that what a call was given can be passed on.

    Returns:
        One trace for each layer and direction. Dropout is off, whatever the module's mode.

    Example:
        >>> import torch
        >>> from gatewise import nn
        >>> [one] = trace(nn.GRU(3, 5), torch.zeros(7, 4, 3))
        >>> sorted(one.gates), sorted(one.states)
        (['n', 'r', 'z'], ['h'])
    """
    if not isinstance(module, Recurrent):
        raise ArgumentTypeError(f"module: a gatewise.nn layer is expected, came {type(module).__name__}")
    if isinstance(input, PackedSequence):
        input, lengths = pad_packed_sequence(input, batch_first=module.batch_first)
    call, _ = module._call(input, hx, streams, lengths, mask, resets, True)
    program = module.program
    if any(call.zoneout):
        program = with_zoneout(program, call.zoneout, False)
    plain = {"training": False, "seed": None, "prepared": None, "zoneout": ()}
    result = run_call(call._replace(program=with_retention(program), **plain))
    x = call.inputs[0]
    valid = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    if call.lengths is not None:
        valid &= torch.arange(len(x), device=x.device)[:, None] < call.lengths.to(x.device)
    if call.mask is not None:
        valid &= call.mask
    found = []
    for place, steps in enumerate(result.trace or ()):
        number, direction = divmod(place, call.directions)
        layer = Layer(
            _name(module, path, number, direction),
            path,
            number,
            direction or int(call.reverse),
            module.program,
        )
        parts = _parted(module.program, steps)
        start = {name: rows[place] for name, rows in zip(module.state_names, call.states, strict=True)}
        found.append(Trace(layer, x, *parts, start, valid, hx is None))
    return found


def _parted(program: Program, steps: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], ...]:
    """Gates, states and retained shares under their own names, from a call's trace."""
    states = {state.name: steps[state.name] for state in program.states}
    gates, retained = {}, {}
    for name, value in steps.items():
        own = name.removeprefix("gate_") if name.removeprefix("gate_") in states else name
        if own.startswith("retained_"):
            retained[own.removeprefix("retained_")] = value
        elif name not in states:
            gates[own] = value
    return gates, states, retained


def _name(module: Recurrent, path: str, number: int, direction: int) -> str:
    parts = [path] if path else [type(module).__name__]
    if module.num_layers > 1:
        parts.append(f"layer {number + 1} of {module.num_layers}")
    if module.bidirectional:
        parts.append("backward" if direction else "forward")
    return ", ".join(parts)


@no_type_check
def layers_of(model: Any) -> dict[str, Recurrent]:
    """The recurrent modules of a model, by their path in it.

    Raises:
        ArgumentError: there is none.
        ArgumentTypeError: neither a module nor an estimator that was fitted.
    """
    networks = networks_of(model)
    found: dict[str, Recurrent] = {}
    for prefix, network in networks.items():
        for path, module in network.named_modules():
            if isinstance(module, Recurrent):
                found[".".join(part for part in (prefix, path) if part)] = module
    if not found:
        raise ArgumentError(
            f"model: one with a recurrent layer of gatewise.nn is expected, came {type(model).__name__} without any; "
            "there is nothing to inspect in it"
        )
    return found


@no_type_check
def networks_of(model: Any) -> dict[str, torch.nn.Module]:
    """The networks of a module or a fitted estimator, by a short name ("" where there is one alone)."""
    if isinstance(model, torch.nn.Module):
        return {"": model}
    learned = {name: value for name, value in getattr(model, "__dict__", {}).items() if name.endswith("_")}
    found = list(_search(learned, 0, set()))
    if not found:
        raise ArgumentTypeError(
            f"model: a torch module, or an estimator that was fitted, is expected, came {type(model).__name__}"
        )
    if len(found) == 1:
        return {"": found[0]}
    return {f"network {number + 1}": network for number, network in enumerate(found)}


def _search(value: Any, depth: int, seen: set[int]) -> Iterator[torch.nn.Module]:
    if id(value) in seen or depth > _DEEPEST:
        return
    seen.add(id(value))
    if isinstance(value, torch.nn.Module):
        yield value
        return
    inner: Sequence[Any] = ()
    if isinstance(value, Mapping):
        inner = list(value.values())
    elif isinstance(value, list | tuple) and len(value) <= 64:
        inner = value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = [getattr(value, field.name) for field in dataclasses.fields(value)]
    elif hasattr(value, "fitted_"):
        inner = [value.__dict__]
    for one in inner:
        yield from _search(one, depth + 1, seen)
