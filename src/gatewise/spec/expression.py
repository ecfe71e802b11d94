"""What a cell's equations are written with: values that record themselves, and the functions over them.

Example:
    >>> from gatewise.spec import cell, sigmoid, tanh
    >>> @cell(states="h", gates="z n", cite="an example")
    ... def leaky(gate, state):
    ...     z = sigmoid(gate.z)
    ...     return z * state.h + (1 - z) * tanh(gate.n)
    >>> leaky.program().has_recurrent_product
    True
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gatewise.errors import CellDefinitionError
from gatewise.spec.builder import Builder
from gatewise.spec.program import TensorSpec, Width

__all__ = [
    "Arithmetic", "Value", "WeightRef", "absolute", "exp", "greater", "log", "log_sigmoid", "maximum", "minimum",
    "normalize", "parameter", "project", "recur", "relu", "select", "sigmoid", "softplus", "sqrt", "tanh",
]  # fmt: skip

Number = int | float
Operand: TypeAlias = "Arithmetic | Number"


class Arithmetic:
    """Operators that write nodes: shared by values and gates."""

    def __add__(self, other: Operand) -> Value:
        return _apply("add", self, other)

    def __radd__(self, other: Number) -> Value:
        return _apply("add", other, self)

    def __sub__(self, other: Operand) -> Value:
        return _apply("sub", self, other)

    def __rsub__(self, other: Number) -> Value:
        return _apply("sub", other, self)

    def __mul__(self, other: Operand) -> Value:
        return _apply("mul", self, other)

    def __rmul__(self, other: Number) -> Value:
        return _apply("mul", other, self)

    def __truediv__(self, other: Operand) -> Value:
        return _apply("div", self, other)

    def __rtruediv__(self, other: Number) -> Value:
        return _apply("div", other, self)

    def __neg__(self) -> Value:
        return _apply("neg", self)

    def __bool__(self) -> bool:
        raise CellDefinitionError(
            "a value inside a cell has no truth; use select(condition, a, b) in place of if, and, or, not"
        )


@dataclass(frozen=True, eq=False)
class Value(Arithmetic):
    """A value inside a step; arithmetic on it writes nodes into the program."""

    builder: Builder
    index: int

    @property
    def width(self) -> Width:
        """The symbolic width of this value."""
        return self.builder.nodes[self.index].width


def _as_value(builder: Builder, item: object) -> Value:
    if isinstance(item, Value):
        if item.builder is not builder:
            raise CellDefinitionError(
                f"{builder.name}: a value of another cell's trace was used; build it inside"
            )
        return item
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise CellDefinitionError(
            f"{builder.name}: expected values and numbers in the equations, got {type(item).__name__}; "
            "use the functions of gatewise.spec (sigmoid, tanh, ...), not those of torch, numpy or math"
        )
    return Value(builder, builder.const(item))


def _plain(item: object) -> object:
    """A gate stands for its value."""
    return getattr(item, "value", item)


def _apply(op: str, *items: object) -> Value:
    plain = [_plain(item) for item in items]
    builder = next((item.builder for item in plain if isinstance(item, Value)), None)
    if builder is None:
        raise CellDefinitionError(
            f"{op}: expected at least one value of the step among its arguments, got "
            f"{', '.join(type(item).__name__ for item in items)}"
        )
    return Value(builder, builder.apply(op, *(_as_value(builder, item).index for item in plain)))


def exp(a: Operand) -> Value:
    """e to the power of a."""
    return _apply("exp", a)


def log(a: Operand) -> Value:
    """Natural logarithm."""
    return _apply("log", a)


def sqrt(a: Operand) -> Value:
    """Square root."""
    return _apply("sqrt", a)


def tanh(a: Operand) -> Value:
    """Hyperbolic tangent."""
    return _apply("tanh", a)


def sigmoid(a: Operand) -> Value:
    """Logistic sigmoid 1 / (1 + exp(-a))."""
    return _apply("sigmoid", a)


def softplus(a: Operand) -> Value:
    """log(1 + exp(a)), without overflow."""
    return _apply("softplus", a)


def log_sigmoid(a: Operand) -> Value:
    """log of the logistic sigmoid, without underflow."""
    return -softplus(-_apply("add", a, 0.0))


def relu(a: Operand) -> Value:
    """max(a, 0)."""
    return _apply("relu", a)


def absolute(a: Operand) -> Value:
    """|a|."""
    return _apply("abs", a)


def maximum(a: Operand, b: Operand) -> Value:
    """The larger of both; at a tie the derivative goes to b."""
    return _apply("maximum", a, b)


def minimum(a: Operand, b: Operand) -> Value:
    """The smaller of both; at a tie the derivative goes to b."""
    return _apply("minimum", a, b)


def greater(a: Operand, b: Operand) -> Value:
    """The truth value a > b, for select."""
    return _apply("greater", a, b)


def select(condition: Arithmetic, a: Operand, b: Operand) -> Value:
    """a where the condition holds, b elsewhere."""
    return _apply("select", condition, a, b)


@dataclass(frozen=True)
class WeightRef:
    """A weight that a gate owns: ``gate.n.R`` (recurrent) or ``gate.n.W`` (input)."""

    tensor: str
    part: str
    width: Width
    role: str
    blocks: int = 1
    rows: tuple[tuple[str, Width], ...] = ()

    def product(self, vector: Value) -> Value:
        """This weight times a vector."""
        builder = vector.builder
        rows = self.rows or ((self.part, self.width),)
        builder.declare(TensorSpec(self.tensor, "matrix", rows, vector.width, self.role, blocks=self.blocks))
        return Value(builder, builder.linear(vector.index, f"{self.tensor}.{self.part}"))


def _vector(item: Operand, where: str) -> Value:
    plain = _plain(item)
    if not isinstance(plain, Value):
        raise CellDefinitionError(f"{where}: vector: expected a value of the step, got {type(item).__name__}")
    return plain


def recur(vector: Operand, weight: str | WeightRef, width: Width | None = None) -> Value:
    """A further matrix product inside the step, with any vector.

    Args:
        vector: The vector to multiply; where it depends on no state the product leaves the time loop.
        weight: A gate's weight (``gate.n.R``, ``gate.n.W``), or a name for a new one; "stack.part" stacks several
            of them into one tensor ``weight_stack``.
        width: Rows of a new weight: "hidden", "input", ... or a number. Not needed for a gate's weight.

    Raises:
        CellDefinitionError: A shape cannot be, or a new weight has no width.
    """
    value = _vector(vector, "recur")
    if isinstance(weight, WeightRef):
        return weight.product(value)
    if not isinstance(weight, str) or not all(piece.isidentifier() for piece in weight.split(".")):
        raise CellDefinitionError(f"recur: weight: expected a name or a gate's weight, got {weight!r}")
    if width is None:
        raise CellDefinitionError(
            f'recur: width: the new weight {weight!r} needs its rows, for example "hidden"'
        )
    stack, _, part = weight.partition(".")
    depends = _depends_on_state(value)
    role = "recurrent" if depends else "input"
    return WeightRef(f"weight_{stack}", part or stack, width, role).product(value)


def _depends_on_state(value: Value) -> bool:
    seen, stack = set(), [value.index]
    nodes = value.builder.nodes
    while stack:
        index = stack.pop()
        if nodes[index].op == "state":
            return True
        if index not in seen:
            seen.add(index)
            stack.extend(nodes[index].args)
    return False


def project(vector: Operand, width: Width = "proj") -> Value:
    """The projection of LSTM with projection (Sak et al. 2014): ``weight_hr`` times the vector."""
    value = _vector(vector, "project")
    return WeightRef("weight_hr", "r", width, "projection").product(value)


def normalize(vector: Operand, name: str = "norm", *, shift: bool = True, eps: float = 1e-5) -> Value:
    """Layer normalisation over the units (Ba et al. 2016), with a gain and, unless refused, a shift.

    Args:
        vector: What to normalise.
        name: Name of its parameters: ``name_gain`` and ``name_shift``; "stack.part" stacks several.
        shift: Whether to learn a shift; not needed where a bias is added anyway.
        eps: Added to the variance.
    """
    value = _vector(vector, "normalize")
    builder, width = value.builder, value.width
    if width == 1:
        raise CellDefinitionError(
            f"{builder.name}: normalize: expected a vector over units, got one value a row"
        )
    inverse = Value(builder, builder.inverse_width(width))
    centred = value - Value(builder, builder.sum(value.index)) * inverse
    variance = Value(builder, builder.sum((centred * centred).index)) * inverse
    # One division a row: over the units, and in the derivative, there are products alone.
    result = centred * (1 / sqrt(variance + eps))
    stack, _, part = name.partition(".")
    result = result * parameter(builder, f"{stack}_gain", part or "all", width, "gain", "ones")
    if shift:
        result = result + parameter(builder, f"{stack}_shift", part or "all", width, "shift", "zeros")
    return result


def parameter(builder: Builder, tensor: str, part: str, width: Width, role: str, init: str) -> Value:
    """One part of a stacked vector parameter, declared where it is new."""
    builder.declare(TensorSpec(tensor, "vector", ((part, width),), None, role, init))
    return Value(builder, builder.param(f"{tensor}.{part}"))
