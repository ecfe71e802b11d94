"""Every registered cell, every check."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatewise import cells
from gatewise.spec import Program
from tests.conformance.checks import CHECKS

OPTIONS = {"slstm": {"heads": 2}}


@pytest.mark.parametrize("name", cells.names())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_cell(name: str, check: Callable[[Program], None]) -> None:
    check(cells.get(name, **OPTIONS.get(name, {})))


@pytest.mark.parametrize("name", cells.names())
@pytest.mark.parametrize("options", [{"bias": False}, {"layer_norm": True}], ids=str)
def test_cell_with_options(name: str, options: dict[str, bool]) -> None:
    program = cells.get(name, **options, **OPTIONS.get(name, {}))
    for check in CHECKS[:4]:
        check(program)
