"""What is compared: a cell, and how it starts. "lstm+chrono" is the LSTM with chrono initialisation."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatewise import cells
from gatewise.compare.suggest import unknown
from gatewise.errors import ArgumentError, DataError, GatewiseError
from gatewise.nn.init import INITS, check_init
from gatewise.spec import Cell, Program

__all__ = ["Variant", "cells_of_file", "parse_variant"]

# What may stand behind a cell's name, and what it sets. Chrono's steps come from the problem.
_ADDED: dict[str, tuple[str, Any]] = {
    **{name: ("init", name) for name in INITS if name != "torch"},
    "layer_norm": ("layer_norm", True),
}


@dataclass(frozen=True)
class Variant:
    """A cell as it takes part in a comparison.

    Args:
        name: what it is called, such as "lstm+chrono".
        cell: the cell's name.
        program: its equations.
        init: how its parameters start: "torch", "orthogonal" or "chrono".
        training: options of the training that are its own.
    """

    name: str
    cell: str
    program: Program
    init: str = "torch"
    training: Mapping[str, Any] = field(default_factory=dict)

    def chrono_steps(self, span: int) -> int | None:
        """What chrono initialisation is told for a problem with dependencies of up to `span` steps."""
        return max(span, 3) if self.init == "chrono" else None


def parse_variant(text: object, own: Mapping[str, Cell] | None = None, training: Any = None) -> Variant:
    """A variant from its name.

    Args:
        text: a cell's name, and behind plus signs "chrono" (Tallec & Ollivier 2018), "orthogonal" (Saxe et al. 2014,
            and forget bias 1) or "layer_norm" (Ba et al. 2016).
        own: cells of the user's own by name.
        training: options of the training that are this variant's own, or None.

    Raises:
        ArgumentError: an unknown cell or addition, or one that the cell cannot have.

    Example:
        >>> variant = parse_variant("lstm+chrono")
        >>> variant.cell, variant.init, variant.chrono_steps(100)
        ('lstm', 'chrono', 100)
    """
    if not isinstance(text, str) or not text:
        raise ArgumentError(f'cells: names such as "lstm" or "lstm+chrono" are expected, came {text!r}')
    name, *added = text.split("+")
    declared = own or {}
    if name not in declared and name not in cells.names():
        raise unknown("cells", name, [*declared, *cells.names()])
    options: dict[str, Any] = {}
    for word in added:
        if word not in _ADDED:
            raise unknown(f"cells: {text!r}: the addition", word, _ADDED)
        key, value = _ADDED[word]
        if key in options:
            raise ArgumentError(f"cells: {text!r} sets {key} twice; choose one")
        options[key] = value
    init = str(options.pop("init", "torch"))
    try:
        program = cells.get(declared.get(name, name), **options)
        check_init(init, 3 if init == "chrono" else None, program)
    except GatewiseError as error:
        raise ArgumentError(f"cells: {text!r} cannot be: {error}") from error
    return Variant(text, name, program, init, dict(training or {}))


def cells_of_file(path: Path) -> dict[str, Cell]:
    """The cells that a Python file declares with `gatewise.cell`, by name. The file is run.

    Raises:
        DataError: there is no such file, it fails, or it declares no cell.
        ArgumentError: a cell has the name of a registered one.
    """
    if not path.is_file():
        raise DataError(f"cell_file: there is no file {str(path)!r}; name a Python file that declares cells")
    spec = importlib.util.spec_from_file_location("gatewise_user_cells", path)
    if spec is None or spec.loader is None:
        raise DataError(f"cell_file: {str(path)!r} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DataError(f"cell_file: {str(path)!r} fails with {type(error).__name__}: {error}") from error
    found = {one.name: one for one in vars(module).values() if isinstance(one, Cell)}
    if not found:
        raise DataError(f"cell_file: {str(path)!r} declares no cell; use the decorator gatewise.cell")
    return _unregistered(found)


def _unregistered(found: dict[str, Cell]) -> dict[str, Cell]:
    taken: Iterable[str] = sorted(set(found) & set(cells.names()))
    for name in taken:
        raise ArgumentError(f"cell_file: {name!r} is a registered cell's name; give yours another")
    return found
