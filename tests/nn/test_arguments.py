"""What layers are given that they cannot take is said in Gatewise's own errors; numpy's numbers are numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

from gatewise import nn
from gatewise.errors import GatewiseError

X, GRU = torch.zeros(5, 2, 3), nn.GRU(3, 4)
GENERAL = nn.Attention("general", 4, 6)
MEMORY = GENERAL.prepare(torch.zeros(5, 2, 6))

WRONG = {
    "lengths on meta": lambda: GRU(X, lengths=torch.tensor([5, 2], device="meta")),
    "lengths sparse": lambda: GRU(X, lengths=torch.tensor([5, 2]).to_sparse()),
    "lengths of truth values": lambda: GRU(X, lengths=[True, False]),
    "lengths of numpy floats": lambda: GRU(X, lengths=np.array([5.0, 2.0])),
    "last of a vector": lambda: nn.RecurrentState((torch.zeros(3),), directions=2).last(),
    "last of a number": lambda: nn.RecurrentState((1,), directions=2).last(),
    "select of a number": lambda: nn.RecurrentState((1,), directions=2).select([0]),
    "of a number": lambda: nn.RecurrentState.of(GRU, 5),
    "of no layer": lambda: nn.RecurrentState.of(5, torch.zeros(1)),
    "of numbers": lambda: nn.RecurrentState.of(GRU, [1]),
    "cell twice": lambda: nn.Bidirectional("gru", 3, 4, cell="lstm"),
    "rounds": lambda: nn.Recurrent("lstm_mogrifier", 3, 4, rounds=2**31),
    "attention too large": lambda: nn.Attention("additive", 2**31, 2**31),
    "score list": lambda: nn.Attention(["dot"], 3, 3),
    "coverage": lambda: nn.Attention("additive", 3, 3, coverage=1),
    "sequence": lambda: GENERAL.prepare(5),
    "sequence axes": lambda: GENERAL.prepare(torch.zeros(3)),
    "sequence dtype": lambda: GENERAL.prepare(torch.zeros(5, 2, 6, dtype=torch.float64)),
    "memory lengths": lambda: GENERAL.prepare(torch.zeros(5, 2, 6), torch.tensor([9, 2])),
    "query": lambda: GENERAL(5, MEMORY),
    "query axes": lambda: GENERAL(torch.zeros(4), MEMORY),
    "query dtype": lambda: GENERAL(torch.zeros(1, 2, 4, dtype=torch.int64), MEMORY),
    "memory": lambda: GENERAL(torch.zeros(1, 2, 4), 5),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_raise_our_own_errors(name) -> None:
    with pytest.raises(GatewiseError, match="expected"):
        WRONG[name]()


def test_numbers_of_numpy() -> None:
    assert torch.equal(GRU(X, lengths=np.array([5, 2]))[0], GRU(X, lengths=[np.int64(5), np.int32(2)])[0])
    one = nn.GRU(
        np.int64(3), np.int64(4), num_layers=np.int32(2), dropout=np.float32(0.5), zoneout=np.float64(0.5)
    )
    assert (type(one.hidden_size), one.dropout, one.zoneout) == (int, 0.5, (0.5,))


@pytest.mark.parametrize(
    ("given", "near"),
    [({"zoneoute": 0.1}, "zoneout"), ({"cell": "lstmm"}, "lstm"), ({"init": "orthogonall"}, "orthogonal")],
)
def test_a_misspelt_name_is_answered_with_the_nearest(given, near) -> None:
    with pytest.raises(GatewiseError, match=f"did you mean '{near}'"):
        nn.Recurrent(**{"cell": "gru", "input_size": 3, "hidden_size": 4} | given)


def test_a_pruned_layer_is_prepared_with_its_present_weights() -> None:
    gru, x = nn.GRU(3, 4), torch.randn(5, 2, 3)
    prune.l1_unstructured(gru, "weight_hh_l0", amount=0.5)
    with torch.no_grad():
        gru.weight_hh_l0_orig.mul_(3)
        torch.testing.assert_close(nn.prepare(gru)(x)[0], gru(x)[0])
    with pytest.raises(GatewiseError, match="backward_layer: expected one"):
        nn.Bidirectional(gru)
