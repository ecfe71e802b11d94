"""Which engine runs, why not the others, and that a named one never gives way in silence."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import gatewise
from gatewise import nn
from gatewise.engines import launch, native, observed
from gatewise.engines.executor import run as executor_run
from gatewise.engines.launch import PROGRAM_ENGINES, ProgramEngine
from gatewise.engines.native import library
from gatewise.errors import ArgumentError, EngineError


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
def test_torch_runs_what_it_has_kernels_for(layer):
    explanation = gatewise.explain(layer(3, 4, num_layers=2, bidirectional=True), torch.zeros(5, 2, 3))
    assert explanation.engine == "torch"
    assert set(explanation.reasons) == {"reference", "native", "cuda"}
    assert "engine: torch" in str(explanation)


@pytest.mark.parametrize(
    ("module", "extras", "reason"),
    [
        (lambda: nn.LSTM(3, 4, cell="lstm_peephole"), {}, "no kernel for 'lstm_peephole'"),
        (lambda: nn.GRU(3, 4), {"mask": torch.ones(5, 2, dtype=torch.bool)}, "mask"),
        (lambda: nn.GRU(3, 4), {"resets": torch.zeros(5, 2, dtype=torch.bool)}, "resets"),
        (lambda: nn.LSTM(3, 4, zoneout=0.1), {}, "zoneout"),
        (lambda: nn.LSTM(3, 4, recurrent_dropout=0.1), {}, "recurrent_dropout"),
        (lambda: nn.LSTM(3, 4, num_layers=2, residual=True), {}, "residual"),
        (lambda: nn.LSTM(3, 4, checkpoint_every=2), {}, "checkpoint_every"),
        (lambda: nn.LSTM(3, 4, dtype=torch.bfloat16), {}, "bfloat16"),
    ],
)
def test_the_program_runs_what_torch_cannot(module, extras, reason):
    built = module()
    x = torch.zeros(5, 2, 3, dtype=next(built.parameters()).dtype)
    explanation = gatewise.explain(built, x, **extras)
    assert explanation.engine == ("reference" if x.dtype == torch.bfloat16 else "native")
    assert reason in explanation.reasons["torch"]


def test_a_named_engine_that_is_not_there_says_so():
    with pytest.raises(EngineError, match="not part of this version"):
        nn.LSTM(3, 4, engine="cuda")(torch.zeros(5, 2, 3))


def test_native_runs_where_it_was_measured_to_be_faster():
    for layer, shape, expected in [
        (nn.GRU(3, 4), (40, 2, 3), "native"), (nn.GRU(3, 4), (5, 2, 3), "torch"), (nn.RNN(3, 4), (40, 2, 3), "native"),
        (nn.LSTM(3, 4), (128, 1, 3), "native"), (nn.LSTM(3, 4), (5, 64, 3), "torch"),
        (nn.LSTM(3, 650), (40, 2, 3), "torch"), (nn.LSTM(3, 640), (40, 2, 3), "native"),
    ]:  # fmt: skip
        explanation = gatewise.explain(layer, torch.zeros(shape))
        assert explanation.engine == expected
        assert expected == "torch" or "native takes less time" in explanation.reasons["torch"]
    ragged = gatewise.explain(nn.LSTM(3, 4), torch.zeros(40, 2, 3), lengths=torch.tensor([40, 7]))
    assert ragged.engine == "native"


def test_without_the_library_the_others_run_and_explain_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(library, "_load", lambda: (None, "no C++ compiler was found"))
    explanation = gatewise.explain(nn.GRU(3, 4, cell="mgu"), torch.zeros(40, 2, 3))
    assert explanation.engine == "reference"
    assert "no C++ compiler" in explanation.reasons["native"]
    assert gatewise.explain(nn.GRU(3, 4), torch.zeros(40, 2, 3)).engine == "torch"
    with pytest.raises(EngineError, match="no C\\+\\+ compiler"):
        nn.LSTM(3, 4, engine="native")(torch.zeros(5, 2, 3))


def test_a_named_engine_that_cannot_run_says_why():
    with pytest.raises(EngineError, match="torch's kernels know no zoneout"):
        nn.LSTM(3, 4, engine="torch", zoneout=0.2)(torch.zeros(5, 2, 3))
    with pytest.raises(ArgumentError, match="expected one of auto"):
        nn.LSTM(3, 4, engine="fast")(torch.zeros(5, 2, 3))


def test_a_second_engine_fits_in_without_touching_nn(monkeypatch):
    """A new row of the table is chosen, named in explanations, and used in both directions of differentiation."""
    ran: list[str] = []

    def run(program, *operands, **options):
        ran.append(program.name)
        return executor_run(program, *operands, **options)

    def can_run(program, inputs, states, tensors):
        return None if states[0].dtype == torch.float32 else "this engine computes in float32"

    monkeypatch.setattr(
        "gatewise.engines.launch.PROGRAM_ENGINES",
        [ProgramEngine("native", can_run, run), *PROGRAM_ENGINES[1:]],
    )
    monkeypatch.setattr("gatewise.engines.choose.PROGRAM_ENGINES", gatewise.engines.launch.PROGRAM_ENGINES)
    layer = nn.Recurrent("mgu", 3, 4)
    layer(torch.zeros(5, 2, 3))[0].sum().backward()
    assert ran == ["mgu", "d(mgu)"]
    assert gatewise.explain(layer, torch.zeros(5, 2, 3)).engine == "native"
    wide = gatewise.explain(layer.double(), torch.zeros(5, 2, 3, dtype=torch.float64))
    assert wide.engine == "reference"
    assert wide.reasons["native"] == "this engine computes in float32"


def test_observed_collects_every_call():
    with observed() as calls:
        nn.GRU(3, 4)(torch.zeros(5, 2, 3))
        nn.Recurrent("sru", 3, 4)(torch.zeros(5, 2, 3))
    assert [call.engine for call in calls] == ["torch", "native"]


def test_torch_func_and_eager_agree():
    """Under torch.func torch's kernels cannot be seen through: the program runs and gives the same numbers."""
    layer = nn.LSTM(3, 4, dtype=torch.float64)
    x = torch.randn(2, 5, 2, 3, dtype=torch.float64)
    mapped = torch.func.vmap(lambda one: layer(one)[0])(x)
    torch.testing.assert_close(mapped, torch.stack([layer(one)[0] for one in x]), rtol=1e-12, atol=1e-12)


@pytest.mark.skipif(native.reason_absent() is not None, reason="the native engine is not there")
def test_second_derivatives_run_where_explain_says(monkeypatch):
    layer, x = nn.Recurrent("lstm_layer_norm", 3, 4), torch.randn(20, 2, 3, requires_grad=True)
    assert gatewise.explain(layer, x).derivatives.endswith("programs generated from this one, on native too")
    ran = []
    row = launch.PROGRAM_ENGINES[0]
    watched = dataclasses.replace(row, run=lambda program, *rest, **options: (
        ran.append(program.name), row.run(program, *rest, **options))[1])  # fmt: skip
    monkeypatch.setattr(launch, "PROGRAM_ENGINES", [watched])
    (first,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    assert second.abs().max() > 0
    # The program itself, its derivative, and the derivatives of both: each a program that the native engine ran.
    assert len(ran) >= 3
    assert len(set(ran)) >= 3
    torch_layer = nn.LSTM(3, 4, engine="torch")
    assert gatewise.explain(torch_layer, x).derivatives == "first and second by torch's own autograd"


def test_double_backward_in_float32_by_every_path():
    for layer in (nn.LSTM(3, 4), nn.GRU(3, 4), nn.Recurrent("lstm_layer_norm", 3, 4)):
        x = torch.randn(4, 2, 3, requires_grad=True)
        (first,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
        assert torch.isfinite(second).all()
        assert second.abs().max() > 0
