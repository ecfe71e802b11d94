"""Budgets: the width that is solved has the real network's number of parameters, and no other is nearer."""

from __future__ import annotations

import pytest
import torch

import gatewise
from gatewise import cells
from gatewise.compare.network import Network, count_parameters, nearest_width, solve_width, width_step
from gatewise.compare.variants import cells_of_file, parse_variant
from gatewise.errors import ArgumentError, DataError

COMPARED = [name for name in cells.names() if len(cells.get(name).inputs) == 1]


def network(name: str, width: int, layers: int = 1, **options) -> Network:
    return Network(parse_variant(name), 3, 2, width, num_layers=layers, by_step=False, span=50, **options)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", COMPARED)
def test_the_count_is_the_network_s(name, layers) -> None:
    program = cells.get(name)
    for width in (width_step(program) * 3, width_step(program) * 8):
        made = network(name, width, layers)
        assert count_parameters(program, 3, 2, width, layers) == sum(p.numel() for p in made.parameters())


@pytest.mark.parametrize("name", COMPARED)
def test_no_other_width_is_nearer(name) -> None:
    program = cells.get(name)
    step = width_step(program)
    for parameters in (2003,):
        solved = solve_width(program, 3, 2, parameters)
        distance = {
            width: abs(count_parameters(program, 3, 2, width) - parameters)
            for width in range(step, 400, step)
        }
        assert distance[solved] == min(distance.values())
        assert solved == min(width for width, one in distance.items() if one == distance[solved])


def test_a_budget_that_cannot_be() -> None:
    with pytest.raises(
        ArgumentError, match=r"20 parameters are too few for 'lstm'.*narrowest network has 28"
    ):
        solve_width(cells.get("lstm"), 3, 2, 20)
    with pytest.raises(ArgumentError, match="more than 65,536 units"):
        nearest_width(lambda width: width, 10**6, step=1, name="thin")


@pytest.mark.parametrize("by_step", [True, False])
def test_answers_end_with_the_sequence(by_step) -> None:
    made = Network(parse_variant("gru"), 3, 2, 5, by_step=by_step, span=9).eval()
    steps = torch.randn(3, 6, 3, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([6, 4, 1])
    answer = made(steps, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = made(steps[row : row + 1, :length], torch.tensor([length]))
        other = answer[row : row + 1, :length] if by_step else answer[row : row + 1]
        torch.testing.assert_close(alone, other, rtol=1e-5, atol=1e-6)


def test_variants_start_as_they_say() -> None:
    torch.manual_seed(0)
    chrono = network("lstm+chrono", 200).recurrent
    forget = (chrono.bias_ih_l0 + chrono.bias_hh_l0).detach()[200:400]
    # log U(1, T - 1) at T = 50: between 0 and log 49.
    assert 0 <= float(forget.min()) < 1
    assert 3.5 < float(forget.max()) <= 3.9
    assert parse_variant("lstm+layer_norm").program.name == "lstm_layer_norm"
    assert parse_variant("gru+orthogonal").init == "orthogonal"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ltsm", "'ltsm' is not known; did you mean 'lstm"),
        ("lstm+crono", "'crono' is not known; did you mean 'chrono'"),
        ("lstm+chrono+orthogonal", "sets init twice"),
        ("rnn_tanh+chrono", "expected a cell with a bias on a gate that keeps its state"),
        (7, "came 7"),
    ],
)
def test_names_that_cannot_be(name, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        parse_variant(name)


MINE = """
from gatewise.spec import cell, sigmoid, tanh

@cell(states="h", gates="z n", title="Mine", cite="a test")
def my_leaky(gate, state):
    z = sigmoid(gate.z)
    return z * state.h + (1 - z) * tanh(gate.n)
"""


def test_cells_of_a_file(tmp_path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    own = cells_of_file(path)
    variant = parse_variant("my_leaky", own)
    assert variant.program == gatewise.cells.get(own["my_leaky"])
    with pytest.raises(ArgumentError, match="'my_leaki'.*did you mean 'my_leaky'"):
        parse_variant("my_leaki", own)
    path.write_text(MINE.replace("my_leaky", "lstm"))
    with pytest.raises(ArgumentError, match="'lstm' is a registered cell's name"):
        cells_of_file(path)
    path.write_text("1 / 0")
    with pytest.raises(DataError, match="ZeroDivisionError"):
        cells_of_file(path)
    path.write_text("x = 1")
    with pytest.raises(DataError, match="declares no cell"):
        cells_of_file(path)
    with pytest.raises(DataError, match="there is no file"):
        cells_of_file(tmp_path / "none.py")
