"""The operation table: one row per pointwise operation, and everything that is ever said about it.

A row holds the operation's number form (constant folding), its torch form, its C++ and JavaScript texts, its
LaTeX and its derivative. Every engine and printer reads this table; nothing else in the library knows what ``tanh`` is.

The derivative of ``y = op(a, b, ...)`` is given as a function of the incoming cotangent ``g``, the result
``y`` and the arguments; it is written in the same operations, so that it can be differentiated again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["OPERATIONS", "Operation"]


@dataclass(frozen=True)
class Operation:
    """One row of the table.

    Attributes:
        name: The operation's name in programs and in JSON.
        arguments: Names of its arguments, used by the text forms.
        number: The operation on Python floats, for constant folding.
        torch: A Python expression over the argument names, ``torch`` and ``F``.
        cpp: A C++ expression over the argument names; ``mark`` makes a truth value of a comparison and ``test``
            the condition of a choice.
        javascript: A JavaScript expression over the argument names, for pages that run a cell (truth is 0 or 1).
        latex: A LaTeX template with ``{a}``, ``{b}``, ``{c}``.
        text: A plain-text template for equations.
        derivative: ``(m, g, y, *arguments) -> cotangents``, one per argument, None where there is none;
            ``m`` offers the functions of :mod:`gatewise.spec.expression`.
        precedence: Binding strength in printed equations (3 call, 2 product, 1 sum).
        cheap: Whether recomputing it in the backward pass costs less than saving it.
        commutative: Whether the two arguments may be swapped.
        boolean: Whether the result is a truth value.
    """

    name: str
    arguments: tuple[str, ...]
    number: Callable[..., float | bool]
    torch: str
    cpp: str
    javascript: str
    latex: str
    text: str
    derivative: Callable[..., tuple[Any, ...]]
    precedence: int = 3
    cheap: bool = True
    commutative: bool = False
    boolean: bool = False


def _sigmoid(a: float) -> float:
    if a >= 0:
        return 1.0 / (1.0 + math.exp(-a))
    return math.exp(a) / (1.0 + math.exp(a))


def _softplus(a: float) -> float:
    return max(a, 0.0) + math.log1p(math.exp(-abs(a)))


_ROWS = (
    Operation(
        "add",
        ("a", "b"),
        lambda a, b: a + b,
        "a + b",
        "a + b",
        "a + b",
        "{a} + {b}",
        "{a} + {b}",
        lambda m, g, y, a, b: (g, g),
        precedence=1,
        commutative=True,
    ),
    Operation(
        "sub",
        ("a", "b"),
        lambda a, b: a - b,
        "a - b",
        "a - b",
        "a - b",
        "{a} - {b}",
        "{a} - {b}",
        lambda m, g, y, a, b: (g, -g),
        precedence=1,
    ),
    Operation(
        "mul",
        ("a", "b"),
        lambda a, b: a * b,
        "a * b",
        "a * b",
        "a * b",
        r"{a} \odot {b}",
        "{a} ⊙ {b}",
        lambda m, g, y, a, b: (g * b, g * a),
        precedence=2,
        commutative=True,
    ),
    Operation(
        "div",
        ("a", "b"),
        lambda a, b: a / b,
        "a / b",
        "a / b",
        "a / b",
        r"\frac{{{a}}}{{{b}}}",
        "{a} / {b}",
        lambda m, g, y, a, b: (g / b, -(g * y / b)),
        precedence=2,
    ),
    Operation(
        "neg",
        ("a",),
        lambda a: -a,
        "-a",
        "-a",
        "-a",
        "-{a}",
        "−{a}",
        lambda m, g, y, a: (-g,),
        precedence=2,
    ),
    Operation(
        "exp",
        ("a",),
        math.exp,
        "torch.exp(a)",
        "exp(a)",
        "Math.exp(a)",
        r"\exp\left({a}\right)",
        "exp({a})",
        lambda m, g, y, a: (g * y,),
        cheap=False,
    ),
    Operation(
        "log",
        ("a",),
        math.log,
        "torch.log(a)",
        "log(a)",
        "Math.log(a)",
        r"\log\left({a}\right)",
        "log({a})",
        lambda m, g, y, a: (g / a,),
        cheap=False,
    ),
    Operation(
        "sqrt",
        ("a",),
        math.sqrt,
        "torch.sqrt(a)",
        "sqrt(a)",
        "Math.sqrt(a)",
        r"\sqrt{{{a}}}",
        "√({a})",
        lambda m, g, y, a: (0.5 * (g / y),),
        cheap=False,
    ),
    Operation(
        "tanh",
        ("a",),
        math.tanh,
        "torch.tanh(a)",
        "tanh(a)",
        "Math.tanh(a)",
        r"\tanh\left({a}\right)",
        "tanh({a})",
        lambda m, g, y, a: (g * (1.0 - y * y),),
        cheap=False,
    ),
    Operation(
        "sigmoid",
        ("a",),
        _sigmoid,
        "torch.sigmoid(a)",
        "sigmoid(a)",
        "a >= 0 ? 1 / (1 + Math.exp(-a)) : Math.exp(a) / (1 + Math.exp(a))",
        r"\sigma\left({a}\right)",
        "σ({a})",
        lambda m, g, y, a: (g * (y * (1.0 - y)),),
        cheap=False,
    ),
    Operation(
        "softplus",
        ("a",),
        _softplus,
        "-F.logsigmoid(-a)",
        "softplus(a)",
        "Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)))",
        r"\operatorname{{softplus}}\left({a}\right)",
        "softplus({a})",
        lambda m, g, y, a: (g * m.sigmoid(a),),
        cheap=False,
    ),
    Operation(
        "relu",
        ("a",),
        lambda a: max(a, 0.0),
        "torch.relu(a)",
        "a > 0 ? a : (a != a ? a : 0)",
        "Math.max(a, 0)",
        r"\operatorname{{relu}}\left({a}\right)",
        "relu({a})",
        lambda m, g, y, a: (m.select(m.greater(a, 0.0), g, 0.0),),
    ),
    Operation(
        "abs",
        ("a",),
        abs,
        "torch.abs(a)",
        "fabs(a)",
        "Math.abs(a)",
        r"\left|{a}\right|",
        "|{a}|",
        lambda m, g, y, a: (m.select(m.greater(a, 0.0), g, m.select(m.greater(0.0, a), -g, 0.0)),),
    ),
    Operation(
        "maximum",
        ("a", "b"),
        max,
        "torch.maximum(a, b)",
        "a > b || a != a ? a : b",
        "Math.max(a, b)",
        r"\max\left({a}, {b}\right)",
        "max({a}, {b})",
        lambda m, g, y, a, b: (m.select(m.greater(a, b), g, 0.0), m.select(m.greater(a, b), 0.0, g)),
    ),
    Operation(
        "minimum",
        ("a", "b"),
        min,
        "torch.minimum(a, b)",
        "a < b || a != a ? a : b",
        "Math.min(a, b)",
        r"\min\left({a}, {b}\right)",
        "min({a}, {b})",
        lambda m, g, y, a, b: (m.select(m.greater(b, a), g, 0.0), m.select(m.greater(b, a), 0.0, g)),
    ),
    Operation(
        "greater",
        ("a", "b"),
        lambda a, b: a > b,
        "torch.gt(a, b)",
        "mark(a > b)",
        "a > b ? 1 : 0",
        r"\left[{a} > {b}\right]",
        "[{a} > {b}]",
        lambda m, g, y, a, b: (None, None),
        boolean=True,
    ),
    Operation(
        "select",
        ("a", "b", "c"),
        lambda a, b, c: b if a else c,
        "torch.where(a, b, c)",
        "test(a) ? b : c",
        "a ? b : c",
        r"\operatorname{{where}}\left({a}, {b}, {c}\right)",
        "where({a}, {b}, {c})",
        lambda m, g, y, a, b, c: (None, m.select(a, g, 0.0), m.select(a, 0.0, g)),
    ),
)

OPERATIONS: dict[str, Operation] = {row.name: row for row in _ROWS}
