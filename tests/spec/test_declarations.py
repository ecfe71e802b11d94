"""Declarations that cannot be are refused in Gatewise's own words; long and wide ones work."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from gatewise import cell, nn
from gatewise.errors import ArgumentTypeError, CellDefinitionError, GatewiseError
from gatewise.spec import Cell, printers, sigmoid, tanh

WRONG: tuple[Any, ...] = (
    5,
    1.5,
    True,
    b"h",
    ("h",),
    ["h"],
    {},
    3j,
    object(),
    int,
    torch.tensor(1),
    torch.float32,
)


def leaky(gate: Any, state: Any) -> Any:
    """A cell's equations."""
    return sigmoid(gate.z) * state.h + tanh(gate.n)


@pytest.mark.parametrize("value", WRONG, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "argument", ["states", "gates", "inputs", "bias", "blocks", "retain", "admit", "title", "cite"]
)
def test_texts_are_asked_for(argument: str, value: Any) -> None:
    """Each argument by its name."""
    with pytest.raises(ArgumentTypeError, match=f"^{argument}: expected a text"):
        cell(**{"states": "h", "gates": "z n", argument: value})(leaky)


@pytest.mark.parametrize("value", [10**400, -(10**400), float("nan"), float("inf"), None, "x", 3j])
def test_constants_are_finite_numbers(value: Any) -> None:
    """What float64 cannot hold is no number of a step."""
    with pytest.raises(CellDefinitionError):
        cell(states="h", gates="z n")(lambda gate, state: leaky(gate, state) * value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: cell(states="h:0", gates="z n")(leaky),
        lambda: cell(states="h:²", gates="z n")(leaky).program() and nn.Recurrent(leaky, 2, 3),
        lambda: cell(states="h", gates="z n")(5),
        lambda: cell(states="h", gates="z n", layer_norm="yes")(leaky),
    ],
)
def test_other_misuse(call: Any) -> None:
    """Widths, functions and flags."""
    with pytest.raises(GatewiseError):
        call()


def chain(operations: int) -> Cell:
    """One value through many operations."""

    @cell(states="h", gates="z")
    def long(gate: Any, state: Any) -> Any:
        value = gate.z
        for k in range(operations):
            value = value * (1 + 1e-3 * (-1) ** k)
        return tanh(value)

    return long


@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_a_chain_of_two_thousand_operations_runs_and_differentiates(engine: str) -> None:
    """The factors' product is (1 - 1e-6) to the 1,000: a plain tanh cell with that factor gives the same."""
    torch.manual_seed(0)
    layer = nn.Recurrent(chain(2000), 3, 4, dtype=torch.float64, engine=engine)
    plain = nn.Recurrent("rnn_tanh", 3, 4, dtype=torch.float64)
    factor = (1 - 1e-6) ** 1000
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            getattr(plain, name).copy_(weight * factor)
        for name, weight in plain.named_parameters():
            if name.startswith("bias_hh"):
                weight.zero_()
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    y, want = layer(x)[0], plain(x)[0]
    # 2,000 roundings of half a unit of 2.2e-16 each.
    torch.testing.assert_close(y, want, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(y.sum(), x), torch.autograd.grad(want.sum(), x), rtol=1e-11, atol=1e-11
    )


def test_a_chain_is_printed_and_stored() -> None:
    """No walk recurses."""
    made = chain(2000)
    program = made.program()
    assert type(program).from_json(program.text) == program
    assert printers.equations_text(program)[-1].count("0.999") == 1000
    assert printers.page(made)


def test_declaring_many_gates_takes_a_time_in_proportion() -> None:
    """Four times the gates took twenty times as long; a square would be sixteen."""

    def seconds(number: int) -> float:
        names = [f"g{k}" for k in range(number)]

        def wide(gate: Any, state: Any) -> Any:
            return tanh(sum(sigmoid(getattr(gate, name)) for name in names))

        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            cell(states="h", gates=" ".join(names))(wide)
            best = min(best, time.process_time() - began)
        return best

    seconds(10)
    assert seconds(400) < 10 * seconds(100)
