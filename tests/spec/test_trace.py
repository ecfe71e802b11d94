"""Tracing: folding, sharing, dead code, and errors in a cell's definition."""

from __future__ import annotations

import math

import pytest
import torch

from gatewise import cells
from gatewise.errors import ArgumentError, ArgumentTypeError, CellDefinitionError
from gatewise.spec import cell, maximum, normalize, project, recur, select, sigmoid, tanh
from gatewise.spec.operations import OPERATIONS


def declare(body, **options):
    """A cell from a function, with the states and gates that most tests want."""
    return cell(**{"states": "h", "gates": "a", **options})(body)


def test_numbers_are_folded_and_equal_values_shared():
    @cell(states="h", gates="a")
    def folded(gate, state):
        one = sigmoid(gate.a) * (2 - 1) + 0.0
        two = sigmoid(gate.a) / 1
        return tanh(one) + tanh(two) * 1.0

    operations = [node.op for node in folded.program().nodes]
    assert operations.count("sigmoid") == 1
    assert operations.count("tanh") == 1
    assert "const" not in operations


def test_dead_values_are_dropped():
    @cell(states="h", gates="a")
    def dead(gate, state):
        _ = tanh(gate.a) * 17.0
        return sigmoid(gate.a)

    assert [node.op for node in dead.program().nodes].count("tanh") == 0


def test_equal_cells_have_equal_text():
    def leaky(gate, state):
        """The same."""
        return 0.5 * state.h + tanh(gate.a)

    assert declare(leaky).program().to_json() == declare(leaky).program().to_json()


@pytest.mark.parametrize("name", [n for n, row in OPERATIONS.items() if len(row.arguments) == 1])
def test_number_form_equals_torch_form(name):
    row = OPERATIONS[name]
    for value in (0.3, 1.7):
        torch_form = eval(
            row.torch, {"torch": torch, "F": torch.nn.functional, "a": torch.tensor(value).double()}
        )
        assert math.isclose(row.number(value), torch_form.item(), rel_tol=1e-6), name


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_derivative_equals_autograd(name):
    """Every operation, for value and gradient, against torch."""
    row = OPERATIONS[name]
    if row.boolean:
        pytest.skip("a truth value has no derivative")
    values = torch.tensor([[0.4, 1.3, 2.2], [0.9, 0.2, 1.1]], dtype=torch.float64)
    free = [values[k % 2].clone().requires_grad_() for k in range(len(row.arguments))]
    names = dict(zip(row.arguments, free, strict=True))
    if name == "select":
        names["a"] = torch.tensor([True, False, True])
        free = free[1:]

    class Torch:
        """The functions that derivatives are written with, on tensors."""

        sigmoid = staticmethod(torch.sigmoid)
        greater = staticmethod(lambda a, b: torch.as_tensor(a) > torch.as_tensor(b))
        select = staticmethod(lambda c, a, b: torch.where(c, torch.as_tensor(a), torch.as_tensor(b)).double())

    y = eval(row.torch, {"torch": torch, "F": torch.nn.functional, **names})
    g = torch.tensor([0.7, -1.2, 0.5], dtype=torch.float64)
    found = [x for x in row.derivative(Torch, g, y, *names.values()) if x is not None]
    expected = torch.autograd.grad(y, free, g)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def error_cases():
    def unknown_gate(gate, state):
        return tanh(gate.b)

    def unknown_state(gate, state):
        return tanh(gate.a) + state.c

    def unused_gate(gate, state):
        return tanh(state.h)

    def too_many(gate, state):
        return tanh(gate.a), state.h, state.h

    def torch_function(gate, state):
        return torch.tanh(gate.a)

    def a_branch(gate, state):
        return tanh(gate.a) if gate.a else state.h

    def widths(gate, state, stream):
        return tanh(gate.a) + stream.x

    def wrong_width(gate, state, stream):
        return recur(tanh(gate.a), "out", "input")

    def no_width(gate, state):
        return recur(tanh(gate.a), "out")

    def a_number(gate, state):
        _ = tanh(gate.a)
        return 3

    def strange_parameter(gate, memory):
        return tanh(gate.a)

    def two_shapes(gate, state, stream):
        return recur(stream.x, "w", "hidden") + recur(tanh(gate.a), "w", "hidden")

    def condition(gate, state):
        return select(gate.a + 0.0, state.h, state.h * 2)

    def norm_of_one(gate, state):
        return (
            tanh(gate.a) * normalize(maximum(1.0, 2.0 + 0.0 * state.h), "n") if False else normalize(0.5, "n")
        )

    def infinite(gate, state):
        return tanh(gate.a) * float("inf")

    return {
        "unknown gate 'b'": unknown_gate,
        "unknown state 'c'": unknown_state,
        "declared but never used": unused_gate,
        "got 3 values": too_many,
        "functions of gatewise.spec": torch_function,
        "no truth": a_branch,
        "a shape that cannot be": widths,
        "has width 'input', expected 'hidden'": wrong_width,
        "needs its rows": no_width,
        "is int, expected a value": a_number,
        "expected parameters named": strange_parameter,
        "is used with two shapes": two_shapes,
        "use select(condition": condition,
        "expected a value of the step, got float": norm_of_one,
        "finite numbers": infinite,
    }


@pytest.mark.parametrize("message", list(error_cases()))
def test_errors_are_found_when_the_cell_is_declared(message):
    with pytest.raises(CellDefinitionError) as caught:
        declare(error_cases()[message])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gates": "a:odd"}, "expected one of the kinds"),
        ({"gates": "a a"}, "appears twice"),
        ({"states": ""}, "at least one name"),
        ({"retain": "q"}, "unknown gate 'q'"),
        ({"bias": "three"}, "expected 'single' or 'both'"),
    ],
)
def test_errors_in_the_declaration(options, message):
    with pytest.raises(CellDefinitionError, match=message):
        declare(lambda gate, state: tanh(gate.a), **options)


def test_a_split_gate_is_used_by_its_parts():
    with pytest.raises(CellDefinitionError, match="is split"):
        declare(lambda gate, state: tanh(gate.a), gates="a:split")


def test_options_are_checked():
    with pytest.raises(ArgumentError, match="no such option"):
        cells.get("lstm", heads=2)
    with pytest.raises(ArgumentTypeError, match="heads: expected int"):
        cells.get("slstm", heads="two")
    with pytest.raises(ArgumentError, match="expected one of"):
        cells.get("lsmt")
    with pytest.raises(ArgumentTypeError, match="expected a name, a Cell or a Program"):
        cells.get(3)
    with pytest.raises(ArgumentError, match="a Program is finished"):
        cells.get(cells.get("lstm"), layer_norm=True)


def test_projection_declares_its_weight():
    program = declare(lambda gate, state: project(tanh(gate.a)), states="h:proj").program()
    assert program.tensor("weight_hr").columns == "hidden"
    assert program.shape(program.tensor("weight_hr"), {"proj": 2, "hidden": 5}) == (2, 5)
