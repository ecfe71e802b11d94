"""``@cell``: from a Python function with a cell's equations to a program.

The function is called once with recording values. Its parameters are asked for by name: ``gate`` (the matrix
part, per gate), ``state`` (previous states), ``unit`` (per-unit parameters), ``stream`` (raw inputs); anything
after ``*`` is an option of the cell with its default.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gatewise.errors import ArgumentError, ArgumentTypeError, CellDefinitionError, meant, no_type_check
from gatewise.spec.builder import Builder
from gatewise.spec.expression import Arithmetic, Value, WeightRef, normalize, parameter
from gatewise.spec.program import Label, Program, State, Stream, TensorSpec, Width

__all__ = ["Cell", "cell"]

GATE_KINDS = ("sum", "split", "input", "diagonal")
ACTIVATIONS = ("sigmoid", "tanh", "relu", "exp", "softplus")


# What a layer takes beside a cell's own options (gatewise.nn.Recurrent), for a misspelt one.
LAYER_EXTRAS = (
    "recurrent_dropout", "zoneout", "weight_drop", "layer_norm", "residual", "learn_initial_state", "init",
    "chrono_steps", "checkpoint_every", "engine", "reverse", "proj_size", "dropout", "num_layers", "batch_first",
    "bidirectional",
)  # fmt: skip


@dataclass(frozen=True)
class _Gates:
    """How the matrix part of a cell is laid out."""

    kinds: tuple[tuple[str, str], ...]
    bias: str  # "both" | "single" | "none"
    layer_norm: bool
    blocks: int

    @cached_property
    def kind_of(self) -> dict[str, str]:
        return dict(self.kinds)

    @cached_property
    def _rows(self) -> dict[tuple[str, ...], tuple[tuple[str, Width], ...]]:
        return {}

    def rows(self, *kinds: str) -> tuple[tuple[str, Width], ...]:
        # One tuple for all gates: what is declared again is known to be the same without going through it.
        if kinds not in self._rows:
            self._rows[kinds] = tuple((name, "hidden") for name, kind in self.kinds if kind in kinds)
        return self._rows[kinds]


class Gate(Arithmetic):
    """One gate: its parts ``x`` and ``h``, its weights ``W`` and ``R``, and, as a value, their sum."""

    def __init__(self, space: GateSpace, name: str, kind: str) -> None:
        self._space, self.name, self.kind = space, name, kind

    @property
    def W(self) -> WeightRef:
        """The gate's input weight."""
        layout = self._space._layout
        return WeightRef(
            "weight_ih", self.name, "hidden", "input", rows=layout.rows("sum", "split", "input", "diagonal")
        )

    @property
    def R(self) -> WeightRef:
        """The gate's recurrent weight."""
        if self.kind not in ("sum", "split"):
            raise CellDefinitionError(
                f"{self._space._builder.name}: gate {self.name!r} is of kind {self.kind!r} and has no recurrent "
                'weight; declare it as a plain gate or as ":split"'
            )
        layout = self._space._layout
        return WeightRef(
            "weight_hh", self.name, "hidden", "recurrent", layout.blocks, rows=layout.rows("sum", "split")
        )

    @property
    def x(self) -> Value:
        """The input part W x, normalised where asked, plus its bias."""
        product = self._normal(self.W.product(self._space._x), "ih")
        value = product if self._space._layout.bias == "none" else product + self._bias("bias_ih")
        self._space._note(self.name, value)
        return value

    @property
    def h(self) -> Value:
        """The recurrent part R h, normalised where asked, plus its bias where the cell has two."""
        product = self._normal(self.R.product(self._space._h), "hh")
        value = product + self._bias("bias_hh") if self._space._layout.bias == "both" else product
        self._space._note(self.name, value)
        return value

    @property
    def value(self) -> Value:
        """The gate as a whole."""
        self._space._used.add(self.name)
        if self.kind == "split":
            raise CellDefinitionError(
                f"{self._space._builder.name}: gate {self.name!r} is split: use gate.{self.name}.x and "
                f"gate.{self.name}.h"
            )
        if self.kind == "input":
            total = self.x
        elif self.kind == "diagonal":
            total = self.x + self._vector("diagonal_hh", "unit", "diagonal") * self._space._h
        elif self._space._layout.bias == "both":
            # Both biases on the input side, so that they leave the time loop together.
            outside = self.x + self._bias("bias_hh")
            total = outside + self._normal(self.R.product(self._space._h), "hh")
        else:
            total = self.x + self.h
        self._space._note(self.name, total)
        return total

    def _normal(self, value: Value, which: str) -> Value:
        layout = self._space._layout
        if not layout.layer_norm:
            return value
        # All gates at once, so that their gains are stacked in the order of their weights.
        rows = layout.rows(*GATE_KINDS) if which == "ih" else layout.rows("sum", "split")
        self._space._builder.declare(TensorSpec(f"norm_{which}_gain", "vector", rows, None, "gain", "ones"))
        return normalize(value, f"norm_{which}.{self.name}", shift=False)

    def _bias(self, tensor: str) -> Value:
        kinds = GATE_KINDS if tensor == "bias_ih" else ("sum", "split")
        return self._vector(tensor, "bias", *kinds)

    def _vector(self, tensor: str, role: str, *kinds: str) -> Value:
        builder = self._space._builder
        builder.declare(TensorSpec(tensor, "vector", self._space._layout.rows(*kinds), None, role))
        return Value(builder, builder.param(f"{tensor}.{self.name}"))


class GateSpace:
    """``gate.f`` and its like; ``gate.of(x=..., h=...)`` gives the same gates over other vectors."""

    def __init__(
        self, builder: Builder, layout: _Gates, x: Value, h: Value, parent: GateSpace | None = None
    ) -> None:
        self._builder, self._layout, self._x, self._h = builder, layout, x, h
        self._used: set[str] = set() if parent is None else parent._used
        self._noted: list[tuple[str, int]] = [] if parent is None else parent._noted

    def of(self, *, x: Value | None = None, h: Value | None = None) -> GateSpace:
        """The same gates with W acting on another x, R on another h (GRU-D, Mogrifier)."""
        return GateSpace(
            self._builder, self._layout, self._x if x is None else x, self._h if h is None else h, self
        )

    def _note(self, name: str, value: Value) -> None:
        """Remembers where a gate's value, or one of its parts, sits, for its label."""
        self._noted.append((name, value.index))

    def __getattr__(self, name: str) -> Gate:
        if name.startswith("_"):
            raise AttributeError(name)
        kinds = self._layout.kind_of
        if name not in kinds:
            raise CellDefinitionError(
                f"{self._builder.name}: unknown gate {name!r}; it has {list(kinds)}. "
                'Name it in @cell(gates="...")'
            )
        self._used.add(name)
        return Gate(self, name, kinds[name])


class _Names:
    """``state.h``, ``stream.x``: values by name."""

    def __init__(self, builder: Builder, make: Callable[[str], int]) -> None:
        self._builder, self._make = builder, make

    def __getattr__(self, name: str) -> Value:
        if name.startswith("_"):
            raise AttributeError(name)
        return Value(self._builder, self._make(name))


class UnitSpace:
    """``unit.p_i``: a parameter per unit; ``unit("mean", width="input", init="zeros")`` says more."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def __call__(self, name: str, *, width: Width = "hidden", init: str = "uniform") -> Value:
        if init not in ("uniform", "ones", "zeros", "normal"):
            raise CellDefinitionError(
                f"{self._builder.name}: init: expected uniform, ones, zeros or normal, got {init!r}"
            )
        stack, _, part = name.partition(".")
        return parameter(self._builder, stack, part or "all", width, "unit", init)

    def __getattr__(self, name: str) -> Value:
        if name.startswith("_"):
            raise AttributeError(name)
        return self(name)


class Cell:
    """A cell: its equations and how its gates are made. Made by :func:`cell`.

    Attributes:
        name: The function's name.
        title, cite, doc: What it is, where it comes from, the function's docstring.
        options: The keyword options with their defaults.
    """

    def __init__(self, function: Callable[..., Any], declaration: dict[str, Any]) -> None:
        self.function = function
        self.name: str = function.__name__
        self.title: str = declaration.pop("title") or self.name
        self.cite: str = declaration.pop("cite")
        self.doc: str = inspect.getdoc(function) or ""
        self._declaration = declaration
        parameters = inspect.signature(function).parameters.values()
        self.options: dict[str, Any] = {
            p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY
        }
        self._wanted = [p.name for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        self._check_signature()
        self._cache: dict[object, Program] = {}
        self.program()

    def __repr__(self) -> str:
        return f"Cell({self.name!r})"

    def _check_signature(self) -> None:
        known = ("gate", "state", "unit", "stream")
        unknown = [name for name in self._wanted if name not in known]
        if unknown:
            raise CellDefinitionError(
                f"{self.name}: expected parameters named {', '.join(known)} and options after *, got {unknown}"
            )
        for name, default in self.options.items():
            if default is inspect.Parameter.empty:
                raise CellDefinitionError(f"{self.name}: the option {name!r} needs a default value")

    def program(self, *, bias: bool = True, layer_norm: bool = False, **options: Any) -> Program:
        """The cell's program.

        Args:
            bias: Whether the gates have biases.
            layer_norm: Normalise each gate's two products (Ba et al. 2016).
            **options: The cell's own options, such as ``heads``.

        Raises:
            ArgumentError: An option that the cell does not have.
            CellDefinitionError: The equations cannot be.
        """
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            raise ArgumentError(
                f"{unknown[0]}: the cell {self.name!r} has no such option; it has {sorted(self.options) or 'none'}"
                + meant(unknown[0], (*self.options, *LAYER_EXTRAS))
            )
        merged = {**self.options, **options}
        for name, value in merged.items():
            if type(value) is not type(self.options[name]):
                raise ArgumentTypeError(
                    f"{name}: expected {type(self.options[name]).__name__} for the cell {self.name!r}, "
                    f"got {type(value).__name__}"
                )
        key = (bias, layer_norm, tuple(sorted(merged.items())))
        if key not in self._cache:
            self._cache[key] = self._trace(bias, layer_norm, merged)
        return self._cache[key]

    def _trace(self, bias: bool, layer_norm: bool, options: dict[str, Any]) -> Program:
        declared = self._declaration
        states = tuple(State(n, w) for n, w in _parse(self.name, "states", declared["states"], "hidden"))
        streams = tuple(Stream(n, w) for n, w in _parse(self.name, "inputs", declared["inputs"], "input"))
        kinds = tuple((n, str(k)) for n, k in _parse(self.name, "gates", declared["gates"], "sum"))
        for name, kind in kinds:
            if kind not in GATE_KINDS:
                raise CellDefinitionError(
                    f"{self.name}: gates: expected one of the kinds {GATE_KINDS} after ':', got {name}:{kind}"
                )
        builder = Builder(self.name, streams, states)
        blocks = _blocks(self.name, declared["blocks"], options)
        layout = _Gates(
            kinds, declared["bias"] if bias else "none", layer_norm or declared["layer_norm"], blocks
        )
        x, h = Value(builder, builder.input(streams[0].name)), Value(builder, builder.state(states[0].name))
        gates = GateSpace(builder, layout, x, h)
        given = {
            "gate": gates,
            "state": _Names(builder, builder.state),
            "stream": _Names(builder, builder.input),
            "unit": UnitSpace(builder),
        }
        result = self._call([given[name] for name in self._wanted], options)
        unused = [name for name, _ in kinds if name not in gates._used]
        if unused:
            raise CellDefinitionError(
                f"{self.name}: the gate {unused[0]!r} is declared but never used; use it or remove it from gates"
            )
        return self._finish(builder, result, gates._noted)

    def _call(self, given: list[Any], options: dict[str, Any]) -> tuple[Any, ...]:
        try:
            result = self.function(*given, **options)
        except TypeError as error:
            raise CellDefinitionError(
                f"{self.name}: the equations raised TypeError: {error}. Write them with the functions of "
                "gatewise.spec (sigmoid, tanh, exp, ...) and with + - * /"
            ) from error
        return result if isinstance(result, tuple) else (result,)

    def _finish(self, builder: Builder, result: tuple[Any, ...], noted: list[tuple[str, int]]) -> Program:
        states = builder.states
        if len(result) not in (len(states), len(states) + 1):
            names = ", ".join(state.name for state in states)
            raise CellDefinitionError(
                f"{self.name}: expected the next states ({names}) to be returned, the output before them where it "
                f"is not the first state; got {len(result)} values: a state is never returned, or one too many"
            )
        values = [getattr(item, "value", item) for item in result]
        for position, item in enumerate(values):
            if not isinstance(item, Value):
                raise CellDefinitionError(
                    f"{self.name}: returned value {position} is {type(item).__name__}, expected a value of the step"
                )
        for state, item in zip(states, values[-len(states) :], strict=True):
            if item.width != state.width:
                raise CellDefinitionError(
                    f"{self.name}: the next state {state.name!r} has width {item.width!r}, expected {state.width!r}"
                )
        program = builder.finish(
            output=values[0].index,
            next=[item.index for item in values[-len(states) :]],
            labels=[Label(name, index) for name, index in noted],
            retain=self._declaration["retain"],
            admit=self._declaration["admit"],
            title=self.title, cite=self.cite, doc=self.doc,
        )  # fmt: skip
        declared = [token.partition(":")[0] for token in self._declaration["gates"].split()]
        return replace(program, labels=_activated(program, declared))


def _activated(program: Program, declared: list[str]) -> tuple[Label, ...]:
    """One label a gate: its activation where a single one follows, otherwise the gate's sum."""
    users = program.users()
    chosen: dict[str, Label] = {}
    activated: set[str] = set()
    for label in program.labels:
        node = label.node
        while len(users[node]) == 1 and program.nodes[users[node][0]].op in ("add", "mul"):
            node = users[node][0]
        if len(users[node]) == 1 and program.nodes[users[node][0]].op in ACTIVATIONS:
            chosen[label.name] = Label(label.name, users[node][0])
            activated.add(label.name)
        elif label.name not in activated:
            chosen[label.name] = label
    return tuple(chosen[name] for name in declared if name in chosen)


def _blocks(name: str, option: str | None, options: dict[str, Any]) -> int:
    if option is None:
        return 1
    blocks = options[option]
    if not isinstance(blocks, int) or blocks < 1:
        raise ArgumentError(
            f"{option}: expected a positive whole number for the cell {name!r}, got {blocks!r}"
        )
    return blocks


def _parse(cell_name: str, what: str, text: str, default: str) -> list[tuple[str, Width]]:
    """Reads "h c:proj" as [("h", default), ("c", "proj")]."""
    entries: list[tuple[str, Width]] = []
    for token in text.split():
        name, _, width = token.partition(":")
        if width.isdecimal() and int(width) == 0:
            raise CellDefinitionError(f"{cell_name}: {what}: expected a width of at least 1, got {token!r}")
        if not name.isidentifier() or name.startswith("_") or name == "of":
            raise CellDefinitionError(f"{cell_name}: {what}: expected plain names, got {name!r}")
        if name in dict(entries):
            raise CellDefinitionError(f"{cell_name}: {what}: the name {name!r} appears twice")
        entries.append((name, int(width) if width.isdecimal() else width or default))
    if not entries and what != "gates":
        raise CellDefinitionError(f"{cell_name}: {what}: expected at least one name, got {text!r}")
    return entries


@no_type_check
def cell(
    *,
    states: str,
    gates: str = "",
    inputs: str = "x",
    bias: str = "single",
    layer_norm: bool = False,
    blocks: str | None = None,
    retain: str | None = None,
    admit: str | None = None,
    title: str = "",
    cite: str = "",
) -> Callable[[Callable[..., Any]], Cell]:
    """Declares a recurrent cell by its equations.

    Args:
        states: Names of the states, "h c"; "h:proj" gives one another width. The first is what R multiplies.
        gates: Names of the gates, "i f g o". A gate is W x + R h + b; ``:split`` keeps the two parts apart
            (``gate.n.x``, ``gate.n.h``, ``gate.n.R``), ``:input`` has only W x + b, ``:diagonal`` has a weight per
            unit in place of R.
        inputs: Names of the input streams, the first being x; "x m:input d:input" for GRU-D.
        bias: "single" (one bias a gate) or "both" (torch's two).
        layer_norm: Normalise each gate's two products always.
        blocks: Name of the option that says how many diagonal blocks R has.
        retain: The gate that keeps the old state (forget bias and chrono initialisation act on it).
        admit: The gate that lets new content in.
        title: A readable name.
        cite: Author, year.

    Returns:
        A decorator that gives a :class:`Cell`, usable wherever a cell's name is.

    Raises:
        ArgumentTypeError: A name, title or reference that is no text, or something else than a function.
        CellDefinitionError: At once, where the definition cannot be.

    Example:
        >>> from gatewise import cell
        >>> from gatewise.spec import sigmoid, tanh
        >>> @cell(states="h", gates="z n", retain="z", cite="an example")
        ... def leaky(gate, state):
        ...     z = sigmoid(gate.z)
        ...     return z * state.h + (1 - z) * tanh(gate.n)
        >>> [tensor.name for tensor in leaky.program().tensors]
        ['weight_ih', 'weight_hh', 'bias_ih']
    """
    for argument, given, absent in (
        ("states", states, False), ("gates", gates, False), ("inputs", inputs, False), ("bias", bias, False),
        ("title", title, False), ("cite", cite, False), ("blocks", blocks, True), ("retain", retain, True),
        ("admit", admit, True),
    ):  # fmt: skip
        if not isinstance(given, str) and not (absent and given is None):
            raise ArgumentTypeError(
                f"{argument}: expected a text{' or None' if absent else ''}, got {type(given).__name__}; "
                "names stand in one text with spaces between"
            )
    if not isinstance(layer_norm, bool):
        raise ArgumentTypeError(f"layer_norm: expected True or False, got {type(layer_norm).__name__}")
    if bias not in ("single", "both"):
        raise CellDefinitionError(f"bias: expected 'single' or 'both', got {bias!r}")
    declaration = {
        "states": states, "gates": gates, "inputs": inputs, "bias": bias, "layer_norm": layer_norm,
        "blocks": blocks, "retain": retain, "admit": admit, "title": title, "cite": cite,
    }  # fmt: skip

    @no_type_check
    def declare(function: Callable[..., Any]) -> Cell:
        if not inspect.isroutine(function):
            raise ArgumentTypeError(
                f"function: expected a function with the equations, got {type(function).__name__}; "
                "put @cell(...) before its def"
            )
        names = [token.partition(":")[0] for token in gates.split()]
        for what, name in (("retain", retain), ("admit", admit)):
            if name is not None and name not in names:
                raise CellDefinitionError(
                    f"{function.__name__}: {what}: unknown gate {name!r}; it has {names}"
                )
        return Cell(function, dict(declaration))

    return declare
