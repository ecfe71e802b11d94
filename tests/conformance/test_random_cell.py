"""Adding a cell touches one file: a random one, written to a temporary file, passes everything."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import pytest

from gatewise.spec import Cell
from tests.conformance.checks import CHECKS

UNARY = ("tanh", "sigmoid", "relu", "softplus", "exp", "absolute")


def random_source(seed: int) -> str:
    """A cell of random equations: two states, a split gate, a projection through a weight of its own."""
    draw = random.Random(seed)
    terms = ["sigmoid(gate.a)", "tanh(gate.b)", "state.h", "state.c", "unit.scale * state.c", "gate.s.x"]
    lines = []
    for k in range(6):
        one, two = draw.sample(terms, 2)
        form = draw.choice(
            [f"{one} + {two}", f"{one} * tanh({two})", f"sigmoid({one}) * {two}", f"{one} - 0.5 * {two}",
             f"select(greater({one}, {two}), {one}, tanh({two}))", f"maximum({one}, 0.1 * {two})",
             f"{one} / (1.5 + sigmoid({two}))", f"tanh({draw.choice(UNARY)}(0.3 * tanh({one})))",
             f"tanh(normalize({one}, 'norm{k}'))", f"tanh(recur({one}, 'extra{k}', 'hidden'))"]
        )  # fmt: skip
        lines.append(f"    v{k} = {form}")
        terms.append(f"v{k}")
    body = "\n".join(lines)
    return f'''
from gatewise.spec import absolute, cell, exp, greater, maximum, normalize, recur, relu, select, sigmoid, softplus, tanh

@cell(states="h c", gates="a b s:split", retain="a", cite="drawn by lot, {seed}")
def drawn(gate, state, unit):
    """A random cell."""
{body}
    c = sigmoid(gate.a) * state.c + 0.5 * tanh(v5)
    return tanh(c + gate.s.x + v4 * tanh(gate.s.h) + gate.b), c
'''


def load(path: Path) -> Cell:
    spec = importlib.util.spec_from_file_location("drawn_cell", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.drawn


@pytest.mark.parametrize("seed", range(3))
def test_random_cell_passes_everything(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "drawn.py"
    path.write_text(random_source(seed))
    program = load(path).program()
    for check in CHECKS:
        check(program)
