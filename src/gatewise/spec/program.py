"""The program of one recurrent step: a graph of values in canonical order, and what it reads and writes.

A program is what every engine runs and every model folder carries. It says, for one step in time, how the
inputs and the previous states give an output and the next states. Its derivative is again a program (see
:mod:`gatewise.spec.derivative`), whose states are the cotangents carried backwards in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from gatewise.errors import ArgumentError

__all__ = ["Label", "Node", "Program", "State", "Stream", "Sum", "TensorSpec", "Width", "bind"]

Width = str | int
"""A symbolic size ("input", "hidden", "proj", ...) or a number; 1 marks one value per row."""


@dataclass(frozen=True)
class Node:
    """One value of the step.

    ``op`` is a row of the operation table or one of the structural kinds: ``const`` (attribute: number),
    ``input`` / ``state`` / ``param`` (attribute: name), ``keep`` (a random truth value; attribute: site,
    probability, "step" or "sequence"), ``inverse_width`` (1 / size; attribute: width), ``linear``
    (weight times vector; attribute: "tensor.part"), ``linear_t`` (transposed products summed over parts;
    attribute: tuple of "tensor.part"), ``sum`` (over the units of a row) and ``spread`` (one value a row,
    repeated over the units).
    """

    op: str
    args: tuple[int, ...]
    attribute: str | float | tuple[str, ...] | tuple[int, float, str] | None
    width: Width
    boolean: bool = False


@dataclass(frozen=True)
class Stream:
    """An input given at every step, (time, batch, width)."""

    name: str
    width: Width
    boolean: bool = False


@dataclass(frozen=True)
class State:
    """A state carried from step to step, (batch, width)."""

    name: str
    width: Width


@dataclass(frozen=True)
class TensorSpec:
    """A parameter tensor: a stack of named parts along its first axis.

    Attributes:
        name: torch's name without the layer suffix, e.g. ``weight_ih``.
        kind: "matrix" or "vector".
        parts: (name, width) of each part, stacked along the rows.
        columns: Width of the vectors that a matrix multiplies; None for a vector.
        role: "input", "recurrent", "projection", "bias", "unit", "gain" or "shift".
        init: "uniform", "ones", "zeros" or "normal".
        blocks: Number of diagonal blocks of a block-diagonal matrix; 1 for a full one. A block-diagonal
            matrix is stored as (rows, columns / blocks).
    """

    name: str
    kind: str
    parts: tuple[tuple[str, Width], ...]
    columns: Width | None = None
    role: str = "unit"
    init: str = "uniform"
    blocks: int = 1

    def part_index(self, part: str) -> int:
        """Position of a part by its name."""
        return [name for name, _ in self.parts].index(part)


@dataclass(frozen=True)
class Sum:
    """A result summed over time and batch: the gradient of one part of a parameter tensor.

    With two arguments (u, v) it is the outer product of u and v, with one (u) u itself.
    """

    tensor: str
    part: str
    args: tuple[int, ...]


@dataclass(frozen=True)
class Label:
    """A name for a value inside the step: a gate."""

    name: str
    node: int


Size = TypeVar("Size")
"""A size as an engine has it: a number, or a symbol while a graph is traced."""


def bind(width: Width, sizes: Mapping[str, Size]) -> Size | int:
    """The number that a width stands for.

    Example:
        >>> bind("hidden", {"hidden": 8}), bind(1, {})
        (8, 1)
    """
    if isinstance(width, int):
        return width
    try:
        return sizes[width]
    except KeyError:
        raise ArgumentError(
            f"sizes: expected a number for the width {width!r}, got only {sorted(sizes)}; "
            f"pass {width}_size (for example proj_size for the width 'proj')"
        ) from None


@dataclass(frozen=True)
class Program:
    """One step of a recurrent network.

    Attributes:
        name: The cell's name.
        inputs: The streams that it reads at every step; the first is the layer's input x.
        states: The states that it carries.
        tensors: Its parameter tensors.
        nodes: Its values in canonical topological order.
        output: The node that is the layer's output, or None (derivatives have none).
        next: The node of each next state, in the order of ``states``.
        emits: Further values given out at every step, (name, node).
        sums: Results that are summed over time and batch.
        gradients: The tensors that the sums make up, in the order in which they are given out.
        labels: The gates, by name.
        retain: Name of the gate that keeps the old state (forget bias, chrono initialisation), if any.
        admit: Name of the gate that lets new content in, if any.
        title, cite, doc: What the cell is, where it comes from.
        text: The canonical JSON, which operators and model folders carry (see :mod:`gatewise.spec.serial`).
    """

    name: str
    inputs: tuple[Stream, ...]
    states: tuple[State, ...]
    tensors: tuple[TensorSpec, ...]
    nodes: tuple[Node, ...]
    output: int | None
    next: tuple[int, ...]
    emits: tuple[tuple[str, int], ...] = ()
    sums: tuple[Sum, ...] = ()
    gradients: tuple[TensorSpec, ...] = ()
    labels: tuple[Label, ...] = ()
    retain: str | None = None
    admit: str | None = None
    title: str = field(default="", compare=False)
    cite: str = field(default="", compare=False)
    doc: str = field(default="", compare=False)
    text: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        from gatewise.spec.serial import to_json

        object.__setattr__(self, "text", to_json(self))

    def __copy__(self) -> Program:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Program:
        return self

    @cached_property
    def _hash(self) -> int:
        return hash(
            (self.name, self.inputs, self.states, self.tensors, self.nodes, self.next, self.emits, self.sums)
        )

    def __hash__(self) -> int:
        return self._hash

    @property
    def order(self) -> int:
        """How many times it has been differentiated: 0 for a cell's own program."""
        return self.name.count("d(")

    @property
    def output_width(self) -> Width:
        """Width of the layer's output."""
        if self.output is None:
            raise ArgumentError(f"program {self.name!r} has no output: it is a derivative")
        return self.nodes[self.output].width

    def shape(self, tensor: TensorSpec, sizes: Mapping[str, Any]) -> tuple[Any, ...]:
        """The shape of a parameter tensor for given sizes.

        Example:
            >>> from gatewise import cells
            >>> lstm = cells.get("lstm")
            >>> lstm.shape(lstm.tensors[0], {"input": 3, "hidden": 5})
            (20, 3)
        """
        rows = sum(bind(width, sizes) for _, width in tensor.parts)
        if tensor.columns is None:
            return (rows,)
        return rows, bind(tensor.columns, sizes) // tensor.blocks

    def tensor(self, name: str) -> TensorSpec:
        """The parameter tensor of that name."""
        for spec in (*self.tensors, *self.gradients):
            if spec.name == name:
                return spec
        raise ArgumentError(
            f"tensor: program {self.name!r} has {[t.name for t in self.tensors]}, got {name!r}"
        )

    @cached_property
    def depends_on_state(self) -> tuple[bool, ...]:
        """For each node, whether it depends on a previous state (and so cannot leave the time loop)."""
        flags: list[bool] = []
        for node in self.nodes:
            flags.append(node.op == "state" or any(flags[i] for i in node.args))
        return tuple(flags)

    @cached_property
    def varies(self) -> tuple[bool, ...]:
        """For each node, whether it differs between rows or steps (parameters and numbers do not)."""
        flags: list[bool] = []
        for node in self.nodes:
            flags.append(node.op in ("input", "state", "keep") or any(flags[i] for i in node.args))
        return tuple(flags)

    @cached_property
    def has_recurrent_product(self) -> bool:
        """Whether the step multiplies a matrix with something that depends on a state.

        IndRNN and SRU have none: a streaming kernel can run them.
        """
        return any(
            node.op in ("linear", "linear_t") and any(self.depends_on_state[i] for i in node.args)
            for node in self.nodes
        )

    @cached_property
    def is_linear_in_state(self) -> bool:
        """Whether every next state is affine in its own previous state: a parallel scan is allowed."""
        from gatewise.spec.linearity import coefficients

        return coefficients(self) is not None

    @cached_property
    def held(self) -> dict[int, str]:
        """Nodes that the program gives out as whole sequences: by node, "output" or "emit:<name>"."""
        result: dict[int, str] = {} if self.output is None else {self.output: "output"}
        for name, node in self.emits:
            result.setdefault(node, f"emit:{name}")
        return result

    def users(self) -> list[list[int]]:
        """For each node, the nodes that read it."""
        result: list[list[int]] = [[] for _ in self.nodes]
        for index, node in enumerate(self.nodes):
            for argument in node.args:
                result[argument].append(index)
        return result

    def to_json(self) -> str:
        """The canonical JSON text."""
        return self.text

    @staticmethod
    def from_json(text: str) -> Program:
        """Reads and validates the JSON form.

        Raises:
            CellDefinitionError: The text is not a valid program.
        """
        from gatewise.spec.serial import from_json

        return from_json(text)
