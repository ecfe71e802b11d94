"""What a layer returns is the user's own: changed in place, named in profiles; and what torch.jit.script is told."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from gatewise import nn
from gatewise.errors import EngineError
from tests.nn.helpers import assert_equal

CHANGES = {
    "slice": lambda y, h: y[1:3].zero_(),
    "whole": lambda y, h: y.mul_(2).add_(1),
    "relu": lambda y, h: torch.relu_(y),
    "state": lambda y, h: h.mul_(3),
    "layer of a state": lambda y, h: h[0].zero_(),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("steps", [5, 20])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2},
        {"bidirectional": True},
        {"batch_first": True},
        {"num_layers": 2, "bidirectional": True},
    ],
)
def test_outputs_and_states_may_be_changed_in_place(options, steps, change) -> None:
    theirs = torch.nn.LSTM(3, 4, **options).double()
    ours = nn.LSTM(3, 4, **options).double()
    ours.load_state_dict(theirs.state_dict())
    shape = (2, steps, 3) if options.get("batch_first") else (steps, 2, 3)
    x = torch.randn(shape, dtype=torch.float64)
    for packed in [False] if options.get("batch_first") else [False, True]:
        found = []
        for layer in (ours, theirs):
            leaf = x.clone().requires_grad_()
            y, (h, c) = layer(pack_sequence([leaf[:, 0], leaf[:-2, 1]]) if packed else leaf)
            y = y.data if packed else y
            CHANGES[change](y, h)
            total = y.square().sum() + h.pow(3).sum() + c.sum()
            found.append(torch.autograd.grad(total, [leaf, *layer.parameters()]))
        assert_equal(*found)


@pytest.mark.parametrize("cell", ["gru", "mgu", "min_gru"])
def test_an_output_without_a_graph_takes_one(cell) -> None:
    y, _ = nn.Recurrent(cell, 3, 4).requires_grad_(False)(torch.randn(20, 2, 3))
    weight = torch.ones(4, requires_grad=True)
    y[3:] = weight
    y.sum().backward()
    assert weight.grad.tolist() == [34.0] * 4


@pytest.mark.parametrize("graded", [False, True])
def test_the_output_of_a_step_is_not_its_state(graded) -> None:
    with torch.set_grad_enabled(graded):
        y, state = nn.GRU(3, 4).step(torch.randn(2, 3))
        before = state.clone()
        y.mul_(2)
    assert torch.equal(state, before)


def test_layers_have_names_in_a_profile() -> None:
    x = torch.randn(20, 2, 3)
    with torch.profiler.profile() as profile:
        nn.GRU(3, 4)(x)
        nn.LSTM(3, 4)(x[:3])
    assert {"gatewise::gru", "gatewise::lstm"} <= {event.key for event in profile.key_averages()}


@pytest.mark.parametrize(
    "make", [lambda: nn.GRU(3, 4), lambda: nn.LSTMCell(3, 4), lambda: nn.Bidirectional("mgu", 3, 4)]
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_script_names_what_works(make) -> None:
    with pytest.raises(EngineError, match=r"torch\.export\.export"):
        torch.jit.script(torch.nn.Sequential(make()))
