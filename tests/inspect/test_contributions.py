"""Contributions add up: exactly by what a state retained, within their tolerance by integrated gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gatewise import nn
from gatewise.errors import ArgumentError, ShapeError
from gatewise.inspect import integrated_gradients, retained_contributions, trace


@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_coupled", "min_gru", "sru", "slstm", "lstm_peephole"])
def test_what_a_state_retained_adds_up_exactly(cell) -> None:
    torch.manual_seed(0)
    model = nn.Recurrent(cell, 3, 4).double()
    x = torch.randn(25, 2, 3, dtype=torch.float64)
    hx = tuple(torch.rand(1, 2, 4, dtype=torch.float64) + 0.5 for _ in model.state_names)
    [one] = trace(model, x, hx, lengths=[25, 11])
    for state, share in one.retained.items():
        for row, steps in ((0, 25), (1, 11)):
            found = retained_contributions(one, state, 2, row=row)
            assert len(found.scores) == steps
            assert found.complete
            assert found.value == one.states[state][steps - 1, row, 2].item()
            assert found.base + found.scores.sum() == pytest.approx(found.value, abs=1e-12)
        kept = float(torch.prod(share[:, 0, 2]))
        assert retained_contributions(one, state, 2).base == pytest.approx(
            kept * float(one.start[state][0, 2])
        )


def test_an_lstm_wrote_i_times_g() -> None:
    torch.manual_seed(0)
    [one] = trace(nn.LSTM(3, 4).double(), torch.randn(9, 1, 3, dtype=torch.float64))
    gates = {name: value[:, 0, 1].numpy() for name, value in one.gates.items()}
    found = retained_contributions(one, "c", 1, at=6)
    wanted = [gates["i"][t] * gates["g"][t] * np.prod(gates["f"][t + 1 : 7]) for t in range(7)]
    np.testing.assert_allclose(found.scores, [*wanted, 0, 0], rtol=1e-9, atol=1e-15)


def test_a_layer_that_runs_backwards() -> None:
    torch.manual_seed(0)
    _, back = trace(nn.LSTM(3, 4, bidirectional=True).double(), torch.randn(9, 1, 3, dtype=torch.float64))
    found = retained_contributions(back, "c", 1)
    assert found.value == back.states["c"][0, 0, 1].item()
    assert found.complete
    middle = retained_contributions(back, "c", 1, at=5)
    assert middle.value == back.states["c"][5, 0, 1].item()
    assert middle.complete
    assert not middle.scores[:5].any()


def test_integrated_gradients_of_a_linear_function_are_its_terms() -> None:
    torch.manual_seed(0)
    x, weights = torch.randn(6, 1, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    found = integrated_gradients(lambda some: (some * weights[:, None]).sum((0, 2)) + 2.0, x)
    np.testing.assert_allclose(found.scores, (x[:, 0] * weights).sum(1), rtol=1e-12)
    assert found.base == pytest.approx(2.0)
    assert found.complete


def test_integrated_gradients_of_a_network_are_complete() -> None:
    torch.manual_seed(0)
    model = nn.LSTM(3, 8).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 4
    x = torch.randn(30, 1, 3, dtype=torch.float64)
    found = integrated_gradients(lambda some: model(some)[0][-1, :, 5], x)
    assert found.complete
    assert found.value == pytest.approx(model(x)[0][-1, 0, 5].item())
    # From another baseline the same number is explained by other parts.
    other = integrated_gradients(lambda some: model(some)[0][-1, :, 5], x, baseline=torch.ones_like(x))
    assert other.value == found.value
    assert other.base != found.base


def test_what_is_not_complete_says_so() -> None:
    # A step function has no gradient to integrate: nothing adds up, and the result says it.
    found = integrated_gradients(
        lambda some: (some.sum((0, 2)) > 1.0).double() + 0.0 * some.sum((0, 2)), torch.ones(4, 1, 1)
    )
    assert not found.complete
    assert found.points == 256


def test_bad_input() -> None:
    [one] = trace(nn.RNN(3, 4), torch.randn(5, 1, 3))
    with pytest.raises(ArgumentError, match=r"none in the cell 'rnn_tanh'.*integrated_gradients"):
        retained_contributions(one, "h", 0)
    [one] = trace(nn.GRU(3, 4), torch.randn(5, 1, 3))
    for wrong, said in (
        ({"unit": 4}, "unit: 0 to 3"),
        ({"row": 1}, "row: 0 to 0"),
        ({"at": 5}, "at: a step"),
    ):
        with pytest.raises(ArgumentError, match=said):
            retained_contributions(one, "h", **{"unit": 0, **wrong})
    with pytest.raises(ShapeError, match=r"vectors: \(time, 1, width\)"):
        integrated_gradients(lambda some: some, torch.zeros(3, 2, 1))
    with pytest.raises(ShapeError, match=r"function: \(batch,\) numbers"):
        integrated_gradients(lambda some: some, torch.zeros(3, 1, 1))
