"""The errors that Gatewise raises: each says what was expected, what came and what to do.

Most of them are also the built-in error that a caller would expect, so that code written for `torch.nn` or
scikit-learn keeps working (docs/decisions/0005).

Example:
    >>> from gatewise.errors import ShapeError
    >>> issubclass(ShapeError, ValueError) and issubclass(ShapeError, RuntimeError)
    True
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "CellDefinitionError",
    "DataError",
    "EngineError",
    "GatewiseError",
    "ShapeError",
    "StoreError",
    "meant",
    "no_type_check",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def no_type_check(function: _Function) -> _Function:
    """Marks a public edge that takes whatever a user passes and raises Gatewise's own errors.

    The suite's run-time type checks skip functions decorated with this name (as with `typing.no_type_check`,
    which would also hide the annotations from static checkers; this does not).
    """
    return function


def meant(name: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, where one is near.

    Example:
        >>> meant("zoneoute", ["zoneout", "dropout"])
        "; did you mean 'zoneout'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1) if isinstance(name, str) else []
    return f"; did you mean {near[0]!r}?" if near else ""


class GatewiseError(Exception):
    """Every error that Gatewise raises on purpose; catch this to catch them all."""


class ArgumentError(GatewiseError, ValueError):
    """An argument has a value that it cannot have."""


class ShapeError(ArgumentError, RuntimeError):
    """A tensor's shape, dtype, device or length does not fit.

    torch raises RuntimeError here and others ValueError, so callers catch either; this is both.
    """


class ArgumentTypeError(GatewiseError, TypeError):
    """An argument has a type that it cannot have."""


class CellDefinitionError(GatewiseError, ValueError):
    """A cell's equations are not a cell: found when it is declared."""


class EngineError(GatewiseError, RuntimeError):
    """An engine that was named cannot run what was asked, for the reason given."""


class StoreError(GatewiseError, ValueError):
    """A model folder or checkpoint is torn, unknown or not what was asked for."""


class DataError(GatewiseError, ValueError):
    """A table cannot be used as it is: a column, a stamp or a value is wrong."""
