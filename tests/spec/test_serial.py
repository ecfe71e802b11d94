"""The JSON form: canonical, versioned, and refused where anything is off."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewise import cells
from gatewise.errors import CellDefinitionError
from gatewise.spec import Program, cell, sigmoid, tanh
from gatewise.spec.derivative import differentiate, recorded

TEXT = cells.get("lstm_peephole").to_json()


def changed(**fields):
    return json.dumps({**json.loads(TEXT), **fields})


def with_node(position, row):
    document = json.loads(TEXT)
    document["nodes"][position] = row
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[]", "expected an object"),
        ("{", "not valid JSON"),
        (TEXT[:-7], "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        (changed(format="other"), "format: expected"),
        (changed(version=2), "version: expected 1, got 2"),
        (changed(surprise=1), "fields: expected"),
        (changed(name=3), "name: expected a text"),
        (changed(next=[10**9, 0]), "next: expected the number of a node"),
        (changed(next=[0]), "next: expected 2 entries"),
        (changed(output=-1), "output: expected the number of a node"),
        (changed(retain="q"), "retain: unknown gate"),
        (changed(inputs=[["x", "input", False], ["x", "input", False]]), "appears twice"),
        (changed(tensors=[]), "unknown weight"),
        (with_node(0, ["launch", [], None, "hidden", False]), "unknown operation"),
        (with_node(0, ["tanh", [5], None, "hidden", False]), "number of a node below"),
        (with_node(3, ["tanh", [0], None, "input", False]), "expected width"),
        (with_node(0, ["const", [], float("nan"), 1, False]), "NaN is not allowed"),
        (with_node(0, ["state", [], "__class__", "hidden", False]), "unknown state"),
    ],
)
def test_what_cannot_be_is_refused(text, message):
    with pytest.raises(CellDefinitionError, match=message):
        Program.from_json(text)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_is_refused_or_gives_a_valid_program(data):
    """A byte changed anywhere either gives a typed error or a program that reads back the same."""
    position = data.draw(st.integers(0, len(TEXT) - 1))
    text = (
        TEXT[:position]
        + data.draw(st.characters(codec="utf-8"))
        + TEXT[position + data.draw(st.integers(0, 3)) :]
    )
    try:
        program = Program.from_json(text)
    except CellDefinitionError:
        return
    assert Program.from_json(program.to_json()) == program


@pytest.mark.parametrize("name", cells.names())
def test_derivatives_of_both_orders_read_back(name):
    program = recorded(cells.get(name))
    first = differentiate(program, ("output",), ("x",), tuple(t.name for t in program.tensors))
    again = recorded(first)
    emits = tuple(f"emit:{n}" for n, _ in first.emits)
    second = differentiate(
        again, emits, tuple(s.name for s in first.inputs), tuple(t.name for t in first.tensors)
    )
    for derived in (first, again, second):
        assert Program.from_json(derived.to_json()) == derived


def test_a_cell_from_a_notebook_runs_in_a_fresh_process(tmp_path):
    """The text alone is enough: the other process has never seen the cell."""

    @cell(states="h", gates="z n", cite="here")
    def of_this_test(gate, state):
        z = sigmoid(gate.z)
        return z * state.h + (1 - z) * tanh(gate.n)

    path = tmp_path / "cell.json"
    path.write_text(of_this_test.program().to_json(), encoding="utf-8")
    script = (
        "import sys, torch; from gatewise.spec import Program; from gatewise.engines import recurrence\n"
        "p = Program.from_json(open(sys.argv[1], encoding='utf-8').read())\n"
        "t = [torch.ones(p.shape(s, {'input': 3, 'hidden': 4})) for s in p.tensors]\n"
        "print(recurrence(p, [torch.ones(2, 1, 3)], [torch.zeros(1, 4)], t).sequences['output'].sum().item())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) > 0
