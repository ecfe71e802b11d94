"""Weight drop, recurrent dropout, zoneout, residual and checkpoints mean what their papers say."""

from __future__ import annotations

import pytest
import torch

from gatewise import cells, nn
from tests.nn.helpers import assert_equal, differentiate, layer, streams_for

TIME, BATCH, SIZE = 5, 3, 6


def problem() -> torch.Tensor:
    return torch.randn(TIME, BATCH, SIZE, dtype=torch.float64)


@pytest.mark.parametrize(
    "extra", [{"recurrent_dropout": 0.5}, {"zoneout": 0.5}, {"weight_drop": 0.5}, {"zoneout": (0.0, 0.5)}]
)
def test_random_in_training_alone_and_reproducible(extra) -> None:
    module, plain = layer("lstm", SIZE, SIZE, 2, **extra), layer("lstm", SIZE, SIZE, 2)
    x = problem()
    torch.manual_seed(7)
    one = module(x)
    two = module(x)
    torch.manual_seed(7)
    assert_equal(module(x), one, 0.0)
    assert not torch.equal(one[0], two[0])
    if "zoneout" not in extra:
        assert_equal(module.eval()(x), plain(x))


def test_layers_without_random_parts_leave_the_generator_alone() -> None:
    module = nn.LSTM(3, 4, zoneout=0.5).eval()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    module(torch.zeros(2, 1, 3))
    nn.GRU(3, 4).train()
    torch.set_rng_state(before)
    nn_gru = layer("gru", 3, 4)
    before = torch.get_rng_state()
    nn_gru(torch.zeros(2, 1, 3, dtype=torch.float64))
    assert torch.equal(torch.get_rng_state(), before)


def test_weight_drop_is_one_mask_per_call_on_the_recurrent_matrix() -> None:
    module, plain = layer("lstm", SIZE, SIZE, weight_drop=0.4), layer("lstm", SIZE, SIZE)
    x = problem()
    torch.manual_seed(2)
    output = module(x)
    torch.manual_seed(2)
    mask = torch.nn.functional.dropout(torch.ones_like(plain.weight_hh_l0), 0.4)
    dropped = torch.func.functional_call(plain, {"weight_hh_l0": plain.weight_hh_l0 * mask}, (x,))
    assert_equal(output, dropped)
    grads = differentiate(output, [module.weight_hh_l0])[0]
    assert bool((grads[mask == 0] == 0).all())
    assert bool((grads[mask != 0] != 0).all())
    assert 0 < int((mask == 0).sum()) < mask.numel()


def test_recurrent_dropout_is_one_mask_per_sequence() -> None:
    """With weights that only copy, a dropped unit's contribution is missing at every step, others are scaled."""
    module = nn.RNN(1, 64, nonlinearity="relu", recurrent_dropout=0.5, bias=False, dtype=torch.float64)
    with torch.no_grad():
        module.weight_ih_l0.zero_()
        module.weight_hh_l0.copy_(torch.eye(64))
    output, _ = module(torch.zeros(4, 2, 1, dtype=torch.float64), torch.ones(1, 2, 64, dtype=torch.float64))
    first = output[0]
    assert set(first.unique().tolist()) == {0.0, 2.0}  # kept ones are scaled by 1 / (1 - p)
    for t in range(1, 4):
        assert torch.equal(output[t], first * 2.0**t)
    assert not torch.equal(first[0], first[1])  # rows have masks of their own
    assert 0.3 < float((first == 0).double().mean()) < 0.7


def test_zoneout_keeps_old_states() -> None:
    module, plain = layer("gru", SIZE, 64, zoneout=0.3), layer("gru", SIZE, 64)
    x, h = problem(), torch.randn(1, BATCH, 64, dtype=torch.float64)
    new = plain(x[:1], h)[1][0]
    drawn = module(x[:1], h)[1][0]
    kept = (drawn - h[0]).abs() < 1e-14
    assert_equal(torch.where(kept, h[0], new), drawn)
    assert 0.15 < float(kept.double().mean()) < 0.45
    module.eval()
    assert_equal(module(x[:1], h)[1][0], 0.3 * h[0] + 0.7 * new)  # the expectation


def test_zoneout_per_state() -> None:
    module, plain = layer("lstm", SIZE, SIZE, zoneout=(0.0, 1.0)), layer("lstm", SIZE, SIZE)
    x = problem()[:1]
    state = tuple(torch.randn(1, BATCH, SIZE, dtype=torch.float64) for _ in "hc")
    _, (h, c) = module(x, state)
    assert_equal(c, state[1])
    assert_equal(h, plain(x, state)[1][0])


def test_residual_adds_inputs_from_the_second_layer_on() -> None:
    module = layer("gru", SIZE, SIZE, 2, residual=True)
    x = problem()
    lower, upper = layer("gru", SIZE, SIZE), layer("gru", SIZE, SIZE)
    for one, suffix in ((lower, "_l0"), (upper, "_l1")):
        one.load_state_dict(
            {n.replace(suffix, "_l0"): p for n, p in module.state_dict().items() if suffix in n}
        )
    y = lower(x)[0]
    assert_equal(module(x)[0], upper(y)[0] + y)


@pytest.mark.parametrize("extra", [{}, {"zoneout": 0.3, "recurrent_dropout": 0.2}])
@pytest.mark.parametrize("every", [1, 2, 7])
def test_checkpoints_change_nothing(every, extra) -> None:
    plain = layer("lstm", SIZE, SIZE, 2, bidirectional=True, **extra)
    saving = layer("lstm", SIZE, SIZE, 2, bidirectional=True, checkpoint_every=every, **extra)
    x = problem().requires_grad_()
    results = []
    for module in (plain, saving):
        torch.manual_seed(3)
        output = module(x, lengths=[5, 0, 3])
        results.append((output, differentiate(output, [x, *module.parameters()])))
    assert_equal(results[1], results[0])


def test_layer_norm_is_the_normalised_cell() -> None:
    module = nn.LSTM(SIZE, SIZE, layer_norm=True)
    assert module.program.name == "lstm_layer_norm"
    assert any("norm" in name for name, _ in module.named_parameters())
    assert "layer_norm=True" in repr(module)
    scaled = module(torch.randn(TIME, BATCH, SIZE))[0]
    assert bool(scaled.isfinite().all())


RATES = [
    {"recurrent_dropout": 1.0},
    {"weight_drop": 1.0},
    {"zoneout": 1.0},
    {"zoneout": (0.0, 1.0)},
    {"zoneout": (1.0, 0.0)},
]


@pytest.mark.parametrize("engine", ["reference", "auto"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("extra", RATES)
@pytest.mark.parametrize("cell", ["lstm_peephole", "indrnn", "gru_d", "slstm"])
def test_a_rate_of_one(cell, extra, training, engine) -> None:
    """The limit of rates below one: no parameter takes another's place where one is left without a use."""
    count = len(cells.get(cell).states)
    if (isinstance(extra.get("zoneout"), tuple) and count != 2) or (
        cell == "indrnn" and "weight_drop" in extra
    ):
        pytest.skip("not for this cell")
    near = {
        k: tuple(min(r, 1 - 1e-12) for r in v) if isinstance(v, tuple) else 1 - 1e-12
        for k, v in extra.items()
    }
    found = []
    for options, name in ((extra, engine), (near, "reference")):
        module = layer(cell, SIZE, SIZE, 1, **options, engine=name).train(training)
        x = torch.randn(
            TIME,
            BATCH,
            SIZE,
            dtype=torch.float64,
            generator=torch.Generator().manual_seed(1),
            requires_grad=True,
        )
        streams = streams_for(module, (TIME, BATCH))
        torch.manual_seed(3)
        output, final = module(x, streams=streams, lengths=[5, 0, 3])
        wanted = [x, *module.parameters()]
        first = torch.autograd.grad(output.sin().sum(), wanted, allow_unused=True, create_graph=True)
        found.append([output, *final, *(torch.zeros(()) if g is None else g for g in first)])
        total = sum((g.sin().sum() for g in first if g is not None), torch.zeros(()))
        if total.requires_grad:
            second = torch.autograd.grad(total, wanted, allow_unused=True)
            found[-1] += [torch.zeros(()) if g is None else g for g in second]
        else:
            found[-1] += [torch.zeros(())] * len(wanted)
    for one, limit in zip(*found, strict=True):
        # The limit's rate is 1e-12 away; sums are over fewer than 1e3 terms of at most 10.
        assert float((one - limit).detach().abs().max()) < 1e-8


def test_a_rate_of_one_on_a_prepared_copy() -> None:
    module = nn.Recurrent("lstm_peephole", 3, 4, zoneout=(0.0, 1.0)).eval()
    x, state = torch.randn(5, 2, 3), (torch.rand(1, 2, 4), torch.rand(1, 2, 4))
    with torch.no_grad():
        assert_equal(nn.prepare(module)(x, state)[0], module(x, state)[0], 1e-6)
