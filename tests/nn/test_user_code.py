"""What users do with torch's layers works on these: copies, functional calls, parametrisations, autocast, ..."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch.nn.utils import parametrize

from gatewise import engines, nn
from tests.nn.helpers import LAYERS, assert_equal, differentiate

TIME, BATCH, INPUT, HIDDEN = 5, 3, 4, 6


def pair(kind: str, **options):
    theirs_class, ours_class, extra = LAYERS[kind]
    theirs, ours = (
        theirs_class(INPUT, HIDDEN, **extra, **options),
        ours_class(INPUT, HIDDEN, **extra, **options),
    )
    ours.load_state_dict(theirs.state_dict())
    return theirs.double(), ours.double()


def problem() -> torch.Tensor:
    return torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)


@pytest.mark.parametrize("kind", LAYERS)
def test_functional_call_sees_the_weights_it_is_given(kind) -> None:
    theirs, ours = pair(kind, num_layers=2)
    x = problem()
    other = {name: p.detach() * 1.5 for name, p in ours.named_parameters()}
    expected = torch.func.functional_call(theirs, other, (x,))
    assert_equal(torch.func.functional_call(ours, other, (x,)), expected)
    assert not torch.allclose(ours(x)[0], expected[0])


@pytest.mark.parametrize("kind", LAYERS)
def test_deepcopy_is_independent(kind) -> None:
    _, ours = pair(kind)
    x = problem()
    other = copy.deepcopy(ours)
    with torch.no_grad():
        for p in ours.parameters():
            p.mul_(0)
    assert torch.count_nonzero(ours(x)[0]) == 0
    assert torch.count_nonzero(other(x)[0]) > 0


class Halved(torch.nn.Module):
    def forward(self, weight):
        return weight / 2


@pytest.mark.parametrize("kind", LAYERS)
def test_parametrize(kind) -> None:
    _, ours = pair(kind)
    x = problem()
    half = copy.deepcopy(ours)
    with torch.no_grad():
        half.weight_hh_l0.div_(2)
    parametrize.register_parametrization(ours, "weight_hh_l0", Halved())
    assert_equal(ours(x), half(x))
    row = x[0]
    assert_equal(ours.step(row), half.step(row))
    original = ours.parametrizations.weight_hh_l0.original
    assert_equal(differentiate(ours(x), [original])[0], differentiate(half(x), [half.weight_hh_l0])[0] / 2)
    assert [w.shape for w in ours.all_weights[0]] == [w.shape for w in half.all_weights[0]]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("old", [False, True])
def test_weight_norm(kind, old) -> None:
    _, ours = pair(kind)
    x = problem()
    expected = ours(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        apply = torch.nn.utils.weight_norm if old else parametrize_weight_norm
        apply(ours, "weight_hh_l0")
    assert_equal(ours(x), expected)
    scale = ours.weight_hh_l0_g if old else ours.parametrizations.weight_hh_l0.original0
    with torch.no_grad():
        scale.mul_(0)
    zeroed, again = ours(x), ours(x)
    assert_equal(again, zeroed)
    assert not torch.allclose(zeroed[0], expected[0])


def parametrize_weight_norm(module, name):
    return torch.nn.utils.parametrizations.weight_norm(module, name)


def test_assigned_parameters_are_used() -> None:
    _, ours = pair("gru")
    x = problem()
    ours.weight_ih_l0 = torch.nn.Parameter(torch.zeros_like(ours.weight_ih_l0))
    assert torch.equal(ours(x)[0][:, 0], ours(2 * x)[0][:, 0])
    assert ours._flat_weights[0] is ours.weight_ih_l0


def test_flatten_parameters_is_silent() -> None:
    layer = nn.LSTM(INPUT, HIDDEN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer.flatten_parameters()
        copy.deepcopy(layer)(torch.zeros(2, 1, INPUT))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", LAYERS)
def test_autocast(kind, dtype) -> None:
    """As torch's layers on a GPU: the whole layer in autocast's dtype, gradients in the parameters' own."""
    ours = LAYERS[kind][1](INPUT, HIDDEN, 2, **LAYERS[kind][2])
    x = torch.randn(TIME, BATCH, INPUT, requires_grad=True)
    expected = ours(x)[0]
    with torch.autocast("cpu", dtype=dtype):
        output, state = ours(x)
        mixed = ours(x.to(dtype), state)[0]
        row, _ = ours.step(x[0].detach(), state)
    assert output.dtype == mixed.dtype == row.dtype == dtype
    # One rounding to 8 (bfloat16) or 11 bits of each of a few dozen terms, over five steps and two layers.
    torch.testing.assert_close(output.float(), expected, rtol=0, atol=16 * torch.finfo(dtype).eps)
    output.float().sum().backward()
    assert x.grad.dtype == ours.weight_ih_l0.grad.dtype == torch.float32
    with torch.autocast("cpu", dtype=dtype):
        double = LAYERS[kind][1](INPUT, HIDDEN, dtype=torch.float64, **LAYERS[kind][2])
        assert double(x.double())[0].dtype == torch.float64  # autocast leaves float64 alone, as in torch


def test_engines_see_no_autocast(monkeypatch) -> None:
    """Some operations leave autocast's dtype again (exp on a GPU): inside the loop that would mix dtypes."""
    seen: list[bool] = []

    def record(call):
        seen.append(torch.is_autocast_enabled("cpu"))
        return engines.run(call)

    monkeypatch.setattr("gatewise.nn.autocast.run", record)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        nn.GRU(INPUT, HIDDEN)(torch.zeros(TIME, BATCH, INPUT))
    assert seen == [False]


@pytest.mark.parametrize("module", [torch.nn.LSTMCell, torch.nn.GRUCell, torch.nn.RNNCell])
def test_autocast_of_cells(module) -> None:
    ours = getattr(nn, module.__name__)(INPUT, HIDDEN)
    x = torch.randn(BATCH, INPUT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = ours(x)
    h, expected = (got[0], ours(x)[0]) if isinstance(got, tuple) else (got, ours(x))
    assert h.dtype == torch.bfloat16
    torch.testing.assert_close(h.float(), expected, rtol=0, atol=8 * torch.finfo(torch.bfloat16).eps)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", LAYERS)
def test_half_precision_on_the_cpu(kind, dtype) -> None:
    """torch's own fail here in training (pytorch #88136)."""
    ours = LAYERS[kind][1](INPUT, HIDDEN, dtype=dtype, **LAYERS[kind][2])
    output, _ = ours(torch.randn(TIME, BATCH, INPUT, dtype=dtype))
    output.float().sum().backward()
    assert output.dtype == ours.weight_hh_l0.grad.dtype == dtype


def test_moving_and_casting() -> None:
    layer = nn.GRU(INPUT, HIDDEN).to(torch.float64)
    assert layer(torch.zeros(2, 1, INPUT, dtype=torch.float64))[0].dtype == torch.float64
    assert layer.to("meta")(torch.zeros(2, 1, INPUT, dtype=torch.float64, device="meta"))[0].shape == (
        2,
        1,
        HIDDEN,
    )


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_torch_func(kind) -> None:
    """grad, vmap over inputs, and over an ensemble's stacked parameters."""
    theirs, ours = pair(kind, num_layers=2)
    x = problem()
    weights = {name: p.detach() for name, p in ours.named_parameters()}

    def loss(w, one):
        return torch.func.functional_call(ours, w, (one,))[0].square().sum()

    grads = torch.func.grad(loss)(weights, x)
    theirs(x)[0].square().sum().backward()
    assert_equal([grads[n] for n, _ in theirs.named_parameters()], [p.grad for p in theirs.parameters()])
    many = torch.stack([x, x.flip(0)])
    per_example = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, many)
    assert_equal(per_example["weight_hh_l0"][0], grads["weight_hh_l0"])
    stacked, _ = torch.func.stack_module_state([ours, copy.deepcopy(ours)])
    both = torch.func.vmap(lambda w: torch.func.functional_call(ours, w, (x,))[0])(stacked)
    assert_equal(both[1], ours(x)[0])


def test_explain_names_an_engine() -> None:
    layer = nn.LSTM(INPUT, HIDDEN)
    reason = nn.explain(layer, torch.zeros(2, 1, INPUT))
    assert reason.engine in str(reason)
    masked = nn.explain(layer, torch.zeros(2, 1, INPUT), mask=torch.ones(2, 1, dtype=torch.bool))
    assert masked.engine != reason.engine or reason.reasons != masked.reasons


@pytest.mark.usefixtures("without_run_time_types")
@pytest.mark.parametrize(("kind", "batch_first"), [("lstm", True), ("gru", False)])
def test_compiles_whole_with_every_edge(kind, batch_first) -> None:
    """The edge of a layer adds no graph break: layouts, lengths, masks, resets and streaming steps."""
    torch._dynamo.reset()  # each case compiles the same code for another layer
    ours = LAYERS[kind][1](INPUT, HIDDEN, 2, batch_first=batch_first, **LAYERS[kind][2])
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager", dynamic=True)
    for time, batch in ((5, 3), (7, 2)):
        shape = (batch, time) if batch_first else (time, batch)
        x, mask, resets = torch.randn(*shape, INPUT), torch.rand(shape) > 0.3, torch.rand(shape) > 0.8
        lengths = torch.randint(0, time + 1, (batch,))
        expected = ours(x, lengths=lengths, mask=mask, resets=resets)
        got = compiled(x, lengths=lengths, mask=mask, resets=resets)
        torch.testing.assert_close(got[0], expected[0])
    step = torch.compile(ours.step, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(step(x[0, :1])[0], ours.step(x[0, :1])[0])
