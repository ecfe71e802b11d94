"""What a layer's arguments must be to each other: cells, sizes and regularisers that go together or not."""

from __future__ import annotations

import pytest
import torch

import gatewise
from gatewise import cells, nn
from gatewise.errors import ArgumentError, ArgumentTypeError

MISFITS = {
    "several inputs, several layers": (("gru_d", 3, 4, 2), {}, "num_layers: expected 1 for the cell 'gru_d'"),
    "heads": (("slstm", 3, 6), {"heads": 4}, "hidden_size: expected a multiple of 4"),
    "no projection given": (
        ("lstm_projected", 3, 6),
        {},
        "proj_size: expected a size for the cell 'lstm_projected'",
    ),
    "nothing to project": (("gru", 3, 6), {"proj_size": 2}, "proj_size: expected 0 for the cell 'gru'"),
    "no recurrent weight": (
        ("sru", 3, 6),
        {"recurrent_dropout": 0.1},
        "recurrent_dropout: expected 0 for the cell",
    ),
    "no recurrent matrix": (
        ("indrnn", 3, 6),
        {"weight_drop": 0.1},
        "weight_drop: expected 0 for the cell 'indrnn'",
    ),
    "both ways, backwards": (
        ("gru", 3, 6),
        {"reverse": True, "bidirectional": True},
        "reverse: expected False",
    ),
    "unknown option": (("gru", 3, 6), {"heads": 2}, "heads"),
    "too many layers": (("gru", 3, 6, 10**9), {}, "num_layers: expected at most"),
    "too wide": (("gru", 10**9, 10**9), {}, "input_size, hidden_size, num_layers: expected at most"),
    "zoneout for other states": (
        ("lstm", 3, 6),
        {"zoneout": (0.1,)},
        "zoneout: expected one number, or one per state",
    ),
}


@pytest.mark.parametrize(("args", "options", "message"), MISFITS.values(), ids=MISFITS)
def test_misfits(args, options, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        nn.Recurrent(*args, **options)


def test_projection_is_the_lstms_alone() -> None:
    for kind in (nn.GRU, nn.RNN):
        with pytest.raises(
            ArgumentError, match="proj_size argument is only supported for LSTM, not RNN or GRU"
        ):
            kind(3, 4, proj_size=2)


def test_another_cell_behind_a_torch_name() -> None:
    peephole = nn.LSTM(3, 4, cell="lstm_peephole")
    output, _ = peephole(torch.zeros(5, 2, 3))
    assert output.shape == (5, 2, 4)
    assert "peephole_i_l0" in peephole.state_dict()
    assert isinstance(nn.GRU(3, 4, cell="gru_reset_before")(torch.zeros(5, 2, 3))[1], torch.Tensor)
    for kind, cell in ((nn.LSTM, "gru"), (nn.GRU, "lstm")):
        with pytest.raises(ArgumentError, match="cell: expected one with the states"):
            kind(3, 4, cell=cell)


def test_cells_programs_and_names_are_taken_alike() -> None:
    @gatewise.cell(states="h", gates="z n")
    def little(gate, state):
        z = gatewise.spec.sigmoid(gate.z)
        return z * state.h + (1 - z) * gatewise.spec.tanh(gate.n)

    x = torch.randn(5, 2, 3)
    layers = [nn.Recurrent(given, 3, 4) for given in (little, cells.get(little))]
    layers[1].load_state_dict(layers[0].state_dict())
    assert torch.equal(layers[0](x)[0], layers[1](x)[0])
    assert repr(layers[0]).startswith("Recurrent('little', 3, 4")
    with pytest.raises(ArgumentTypeError, match="cell: expected a name, a Cell or a Program, got int"):
        nn.Recurrent(3, 3, 4)


def test_repr_shows_what_differs() -> None:
    shown = repr(
        nn.Recurrent("lstm", 3, 4, 2, zoneout=0.1, init="orthogonal", residual=True, checkpoint_every=8)
    )
    assert shown == (
        "Recurrent('lstm', 3, 4, num_layers=2, residual=True, checkpoint_every=8, init='orthogonal', "
        "zoneout=(0.1, 0.1))"
    )
    assert repr(nn.GRU(3, 4)) == "GRU(3, 4)"
