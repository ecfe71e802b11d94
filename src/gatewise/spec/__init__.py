"""What a cell is: the operation table, tracing, the program graph, its derivative and its printers.

Knows no torch module, no device and no file.
"""

from gatewise.spec.cell import Cell, cell
from gatewise.spec.expression import (
    absolute,
    exp,
    greater,
    log,
    log_sigmoid,
    maximum,
    minimum,
    normalize,
    project,
    recur,
    relu,
    select,
    sigmoid,
    softplus,
    sqrt,
    tanh,
)
from gatewise.spec.program import Program, State, Stream, TensorSpec

__all__ = [
    "Cell", "Program", "State", "Stream", "TensorSpec", "absolute", "cell", "exp", "greater", "log", "log_sigmoid",
    "maximum", "minimum", "normalize", "project", "recur", "relu", "select", "sigmoid", "softplus", "sqrt", "tanh",
]  # fmt: skip
