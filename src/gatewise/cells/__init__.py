"""The registered cells: declarations only, one file per family.

Adding a cell touches one file: whatever a module in this folder declares with ``@cell`` is registered.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gatewise.errors import ArgumentError, ArgumentTypeError, meant
from gatewise.spec import Cell, Program

__all__ = ["CellInfo", "describe", "get", "names"]


@dataclass(frozen=True)
class CellInfo:
    """What a registered cell is.

    Attributes:
        name, title, cite, doc: As declared.
        options: The cell's own options with their defaults.
    """

    name: str
    title: str
    cite: str
    doc: str
    options: dict[str, Any]


@lru_cache(maxsize=1)
def _registry() -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    for module in pkgutil.iter_modules(__path__):
        for item in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            if isinstance(item, Cell):
                found[item.name] = item
    return found


def names() -> tuple[str, ...]:
    """Names of all registered cells, sorted.

    Example:
        >>> "lstm" in names()
        True
    """
    return tuple(sorted(_registry()))


def _cell(name: str) -> Cell:
    try:
        return _registry()[name]
    except KeyError:
        raise ArgumentError(
            f"cell: expected one of {', '.join(names())}, a Cell made with @gatewise.cell or a Program, got {name!r}; "
            "see gatewise.cells.names()" + meant(name, names())
        ) from None


def describe(name: str) -> CellInfo:
    """What a registered cell is.

    Raises:
        ArgumentError: No cell of that name.

    Example:
        >>> describe("gru").cite
        'Cho et al. 2014'
    """
    found = _cell(name)
    return CellInfo(found.name, found.title, found.cite, found.doc, dict(found.options))


def get(cell: object, *, bias: bool = True, layer_norm: bool = False, **options: Any) -> Program:
    """The program of a cell.

    Args:
        cell: A registered name, a cell of your own, or a program (returned as it is).
        bias: Whether the gates have biases.
        layer_norm: Whether each gate's two products are normalised. For ``lstm`` and ``gru`` it gives
            ``lstm_layer_norm`` and ``gru_layer_norm``.
        **options: The cell's own options, such as ``heads`` of ``slstm``.

    Raises:
        ArgumentError: An unknown name or option.
        ArgumentTypeError: Something that is no cell.

    Example:
        >>> get("slstm", heads=4).tensors[1].blocks
        4
    """
    if isinstance(cell, Program):
        if layer_norm or options or not bias:
            raise ArgumentError(
                "cell: a Program is finished: bias, layer_norm and options cannot change it; pass the Cell or its name"
            )
        return cell
    if isinstance(cell, str):
        if layer_norm and cell in ("lstm", "gru"):
            cell = f"{cell}_layer_norm"
        cell = _cell(cell)
    if not isinstance(cell, Cell):
        raise ArgumentTypeError(
            f"cell: expected a name, a Cell or a Program, got {type(cell).__name__}; see gatewise.cells.names()"
        )
    return cell.program(bias=bias, layer_norm=layer_norm, **options)
