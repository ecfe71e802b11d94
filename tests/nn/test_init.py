"""What each initialiser promises about the parameters."""

from __future__ import annotations

import math

import pytest
import torch

from gatewise import cells, nn
from gatewise.errors import ArgumentError

HIDDEN = 8


def parts(module: nn.Recurrent, tensor: str) -> dict[str, torch.Tensor]:
    spec = module.program.tensor(tensor)
    rows = getattr(module, f"{tensor}_l0").detach().split(HIDDEN)
    return dict(zip([name for name, _ in spec.parts], rows, strict=True))


def bias_of(module: nn.Recurrent, gate: str) -> torch.Tensor:
    found = [t.name for t in module.program.tensors if t.role == "bias" and gate in dict(t.parts)]
    return sum(parts(module, name)[gate] for name in found)


def assert_orthogonal(block: torch.Tensor) -> None:
    torch.testing.assert_close(block @ block.T, torch.eye(len(block)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", ["lstm", "gru", "ugrnn", "lstm_peephole", "gru_reset_before"])
def test_orthogonal_blocks_and_an_open_gate(cell) -> None:
    module = nn.Recurrent(cell, 5, HIDDEN, init="orthogonal")
    for block in parts(module, "weight_hh").values():
        assert_orthogonal(block)
    program = module.program
    gates = dict(program.tensor("bias_ih").parts)
    for gate in gates:
        expected = 1.0 if gate == program.retain else 0.0
        assert torch.equal(bias_of(module, gate), torch.full((HIDDEN,), expected))
    bound = math.sqrt(6 / (5 + HIDDEN))
    assert float(module.weight_ih_l0.detach().abs().max()) <= bound


def test_orthogonal_heads_and_admitting_gates() -> None:
    module = nn.Recurrent("slstm", 5, HIDDEN, init="orthogonal", heads=2)
    for rows in parts(module, "weight_hh").values():
        for block in rows.chunk(2):
            assert_orthogonal(block)
    coupled = nn.Recurrent("lstm_coupled", 5, HIDDEN, init="orthogonal")
    assert torch.equal(bias_of(coupled, "i"), torch.full((HIDDEN,), -1.0))  # f = 1 - i opens


@pytest.mark.parametrize("cell", ["lstm", "gru", "min_lstm", "min_gru", "lstm_coupled", "lstm_1997"])
def test_chrono_biases(cell) -> None:
    steps = 50
    module = nn.Recurrent(cell, 5, 8 * HIDDEN, init="chrono", chrono_steps=steps)
    program = module.program

    def bias(gate: str) -> torch.Tensor:
        total = torch.zeros(8 * HIDDEN)
        for spec in program.tensors:
            if spec.role == "bias" and gate in dict(spec.parts):
                rows = getattr(module, f"{spec.name}_l0").detach().split(8 * HIDDEN)
                total = total + rows[[name for name, _ in spec.parts].index(gate)]
        return total

    keep = bias(program.retain) if program.retain else -bias(program.admit)
    assert float(keep.min()) >= 0.0
    assert float(keep.max()) <= math.log(steps - 1)
    assert float(keep.exp().mean()) == pytest.approx(steps / 2, rel=0.25)  # exp(b_f) is uniform on [1, T - 1]
    if program.retain and program.admit:
        assert torch.equal(bias(program.admit), -keep)


def test_init_errors() -> None:
    for options, match in (
        ({"init": "other"}, "init: expected one of"),
        ({"init": "chrono"}, "chrono_steps: expected the longest dependency"),
        ({"init": "chrono", "chrono_steps": 2}, "at least 3"),
        ({"init": "chrono", "chrono_steps": 9, "bias": False}, "bias=True"),
        ({"chrono_steps": 9}, "chrono_steps: expected None"),
    ):
        with pytest.raises(ArgumentError, match=match):
            nn.LSTM(3, 4, **options)
    with pytest.raises(ArgumentError, match="a bias on a gate that keeps its state"):
        nn.Recurrent("rnn_tanh", 3, 4, init="chrono", chrono_steps=9)


@pytest.mark.parametrize("cell", cells.names())
@pytest.mark.parametrize("init", ["torch", "orthogonal"])
def test_every_cell_starts_finite_and_reproducibly(cell, init) -> None:
    options = {"proj_size": 3} if cell == "lstm_projected" else {}
    made = []
    for _ in range(2):
        torch.manual_seed(5)
        made.append(nn.Recurrent(cell, 5, HIDDEN, init=init, **options))
    for one, two in zip(*(m.parameters() for m in made), strict=True):
        assert bool(one.isfinite().all())
        assert torch.equal(one, two)
    half = nn.Recurrent(cell, 5, HIDDEN, init=init, dtype=torch.bfloat16, **options)
    assert all(p.dtype == torch.bfloat16 and bool(p.isfinite().all()) for p in half.parameters())
    nn.Recurrent(cell, 5, HIDDEN, init=init, device="meta", **options)
