"""Prepared weights and single steps: right numbers, errors of a known size, no change unnoticed."""

from __future__ import annotations

import copy
import pickle
import threading

import pytest
import torch

import gatewise
from gatewise import cells, nn
from gatewise.engines.reference import unroll
from gatewise.errors import ArgumentError, ArgumentTypeError, EngineError

FORMATS = ("float32", "bfloat16", "int8")
# Half a unit of the last place that is kept: 2^-9 of each weight in bfloat16, 1/254 of the largest of a column in int8.
ROUNDING = {"float32": 0.0, "bfloat16": 2.0**-9, "int8": 1 / 254 + 2.0**-15}
STREAMED = [name for name in cells.names() if len(cells.get(name).inputs) == 1]


def layer(name: str, **options):
    torch.manual_seed(3)
    projected = {"proj_size": 5} if cells.get(name).output_width != "hidden" else {}
    return nn.Recurrent(name, 6, 8, **projected, **options).eval()


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("weights", FORMATS)
def test_products_are_those_of_rounded_weights(library, kernel, weights, rows):
    """A relu network of one step is one product: its error follows from the rounding of the weights."""
    torch.manual_seed(rows)
    rnn = nn.RNN(300, 37, nonlinearity="relu", bias=False).eval()
    x = torch.randn(1, rows, 300)
    with torch.no_grad():
        got = nn.prepare(rnn, weights)(x)[0][0]
        w = rnn.weight_ih_l0.double()
        exact = torch.relu(x[0].double() @ w.t())
        # int8: each weight is off by half a step of its column, and x by half a step of its largest number.
        size = w.abs().amax(1)[None] * x[0].double().abs().sum(-1, keepdim=True)
        size = size + (x[0].double().abs().amax(-1, keepdim=True) * w.abs().sum(1)[None]) * (
            weights == "int8"
        )
        if weights == "bfloat16":
            size = x[0].double().abs() @ w.abs().t()
    # The sum itself: as many roundings as terms.
    bound = ROUNDING[weights] * size + 300 * 2.0**-24 * (x[0].double().abs() @ w.abs().t())
    assert (got.double() - exact).abs().le(bound).all()
    if weights != "float32":
        assert not torch.allclose(got.double(), exact, rtol=1e-6, atol=0)


def test_bfloat16_is_torchs_own_rounding(library, kernel):
    """With inputs that pick single weights out, the numbers are torch's bfloat16, bit for bit."""
    rnn = nn.RNN(19, 21, nonlinearity="relu", bias=False).eval()
    with torch.no_grad():
        rnn.weight_ih_l0.abs_()
        got = nn.prepare(rnn, "bfloat16")(torch.eye(19)[None])[0][0]
    assert torch.equal(got, rnn.weight_ih_l0.detach().bfloat16().float().t())


@pytest.mark.parametrize("weights", FORMATS)
@pytest.mark.parametrize("name", STREAMED)
def test_steps_are_the_sequence(library, name, weights):
    """Every cell: steps of a prepared layer give what its own whole call gives, and about what the original does."""
    original = layer(name, num_layers=2)
    frozen = nn.prepare(original, weights)
    x = torch.randn(6, 3, 6)
    with torch.no_grad():
        whole, final = frozen(x)
        expected = original(x)[0]
        state, steps = None, []
        for x_t in x:
            y_t, state = frozen.step(x_t, state)
            steps.append(y_t)
    # The same products in the same order; int8 rounds inputs by the block, whose rows are the same.
    torch.testing.assert_close(torch.stack(steps), whole, rtol=0, atol=2e-6)
    for ours, theirs in zip(state, final, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)
    # On average over the output: a normalisation may magnify the rounding of single units.
    error = (whole - expected).square().mean().sqrt()
    assert error <= {"float32": 1e-6, "bfloat16": 0.01, "int8": 0.04}[weights]


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("name", STREAMED)
def test_plain_steps_are_the_librarys(library, name, rows):
    """Without gradients a step of a few rows needs no torch, and equals the readable loop."""
    module = layer(name)
    x = torch.randn(5, rows, 6)
    with torch.no_grad():
        begin = [s[0] for s in module._begin(rows, x)]
        expected, _ = unroll(module.program, [x], begin, [p.detach() for p in module.all_weights[0]])
        state, steps = None, []
        for x_t in x:
            y_t, state = module.step(x_t, state)
            steps.append(y_t)
    torch.testing.assert_close(torch.stack(steps), expected["output"], rtol=1e-5, atol=2e-6)


def test_double_is_exact_and_has_no_fewer_bits(library):
    module = nn.GRU(4, 6, dtype=torch.float64).eval()
    x = torch.randn(5, 2, 4, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(nn.prepare(module)(x)[0], module(x)[0], rtol=1e-13, atol=1e-13)
    with pytest.raises(ArgumentError, match="float32 parameters"):
        nn.prepare(module, "int8")


@pytest.mark.parametrize("weights", FORMATS)
def test_ragged_and_both_directions(library, weights):
    module = nn.LSTM(4, 6, num_layers=2, bidirectional=True).eval()
    frozen = nn.prepare(module, weights)
    x, lengths = torch.randn(7, 3, 4), torch.tensor([7, 0, 4])
    with torch.no_grad():
        ours, theirs = frozen(x, lengths=lengths), module(x, lengths=lengths)
    torch.testing.assert_close(ours[0], theirs[0], rtol=0.05, atol=0.05)
    assert (ours[0][4:, 2] == 0).all()
    assert gatewise.explain(frozen, x).engine == "native"
    assert weights in gatewise.explain(frozen, x).reasons["torch"]


@pytest.mark.parametrize("make", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells_can_be_prepared(library, make):
    cell = make(4, 6).eval()
    frozen, x = nn.prepare(cell), torch.randn(9, 4)
    with torch.no_grad():
        torch.testing.assert_close(frozen(x), cell(x), rtol=1e-5, atol=2e-6)
        native = make(4, 6, engine="native")
        native.load_state_dict(cell.state_dict())
        torch.testing.assert_close(native(x[:2]), cell(x[:2]), rtol=1e-5, atol=2e-6)
    with pytest.raises(EngineError, match="derivatives"):
        frozen(x.requires_grad_(True))


def test_a_frozen_copy_stays_as_it_is(library):
    module = nn.LSTM(4, 6)
    frozen = nn.prepare(torch.nn.Sequential(module))
    assert not frozen.training
    assert module.training
    assert frozen.state_dict().keys() == torch.nn.Sequential(module).state_dict().keys()
    for change in (
        frozen.train,
        frozen.double,
        lambda: frozen.load_state_dict(torch.nn.Sequential(module).state_dict()),
    ):
        with pytest.raises(ArgumentError, match="prepare"):
            change()
    with pytest.raises(EngineError, match="derivatives"):
        frozen[0](torch.randn(3, 2, 4, requires_grad=True))
    with torch.no_grad():
        module.weight_ih_l0.fill_(9.0)  # the original may change: the copy has its own
        x = torch.randn(3, 2, 4)
        before = frozen[0](x)[0]
        again = copy.deepcopy(frozen)[0](x)[0]
        assert torch.equal(before, again)
        assert torch.equal(pickle.loads(pickle.dumps(frozen))[0](x)[0], before)  # noqa: S301
        frozen[0].weight_ih_l0.fill_(9.0)
        with pytest.raises(EngineError, match="changed in place"):
            frozen[0](x)


def test_what_cannot_be_prepared(library):
    with pytest.raises(ArgumentError, match="bfloat16, int8"):
        nn.prepare(nn.LSTM(3, 4), "int4")
    with pytest.raises(ArgumentError, match="without any"):
        nn.prepare(torch.nn.Linear(3, 4))
    with pytest.raises(ArgumentTypeError, match=r"torch\.nn\.Module"):
        nn.prepare("lstm")
    with pytest.raises(ArgumentError, match="engine"):
        nn.prepare(nn.LSTM(3, 4, engine="torch"))


def test_numbers_that_are_none(library, kernel):
    """NaN and infinity in weights or inputs give no plausible number in any format."""
    for weights in FORMATS:
        rnn = nn.RNN(5, 20, nonlinearity="relu", bias=False).eval()
        x = torch.ones(1, 2, 5)
        with torch.no_grad():
            rnn.weight_ih_l0[3, 2] = float("nan")
            assert nn.prepare(rnn, weights)(x)[0][0, :, 3].isnan().all()
            rnn.weight_ih_l0[3, 2] = 0.5
            x[0, 1, 4] = float("nan")
            out = nn.prepare(rnn, weights)(x)[0][0]
            assert out[1].isnan().all()
            assert out[0].isfinite().all()


def test_threads_of_python_do_not_share_a_step(library):
    """Steps from several threads of Python at once: each gets its own numbers."""
    frozen = nn.prepare(nn.LSTM(16, 32))
    xs = [torch.randn(1, 16) for _ in range(4)]
    with torch.no_grad():
        expected = [frozen.step(x)[0] for x in xs]
    wrong: list[int] = []

    def work(k: int) -> None:
        with torch.no_grad():
            for _ in range(300):
                if not torch.equal(frozen.step(xs[k])[0], expected[k]):
                    wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_was_packed_for_another_kernel_is_refused(library):
    """Packed memory says for which kernel, format and size it was made; anything else is an error of the call."""
    frozen = nn.prepare(nn.GRU(4, 6))
    x = torch.randn(3, 2, 4)
    with torch.no_grad():
        frozen(x)
        (packed, _, _) = next(iter(frozen._prepared[0]._made.values()))
        for place in (0, 4, 8, 12, 16):
            kept = packed[place].item()
            packed[place] = (kept + 1) % 256
            with pytest.raises(RuntimeError, match="does not fit"):
                frozen(x)
            packed[place] = kept
        frozen(x)


@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU])
def test_warm_steps_are_the_cold_ones(library, make):
    """From the second step on all that does not move is bound: same bits, other shapes and other tensors included."""
    frozen = nn.prepare(make(6, 8, num_layers=2))
    with torch.no_grad():
        for rows in (2, 2, 3, 1):
            x_t = torch.randn(rows, 6)
            state = frozen.step(x_t)[1]
            cold = copy.deepcopy(frozen).step(x_t, state)
            assert frozen._warm is not None
            for _ in range(2):
                warm = frozen.step(x_t, state)
                assert torch.equal(warm[0], cold[0])
                assert all(map(torch.equal, warm[1], cold[1]))
        # What is not laid out like that, or another dtype, takes the way with all checks.
        wide = torch.randn(1, 12)[:, ::2]
        assert torch.equal(
            frozen.step(wide, state)[0], copy.deepcopy(frozen).step(wide.contiguous(), state)[0]
        )
        with pytest.raises(gatewise.errors.ShapeError, match="x_t"):
            frozen.step(torch.randn(1, 5), state)
        with pytest.raises(gatewise.errors.ShapeError, match="x_t"):
            frozen.step(torch.randn(1, 6).double(), state)
        with pytest.raises(gatewise.errors.ShapeError, match="state"):
            frozen.step(torch.randn(2, 6), state)
    # Nothing is differentiable in a bound step: with a gradient asked for it is not taken.
    x_t = torch.randn(1, 6, requires_grad=True)
    assert frozen._warm(x_t, state) is None
    with torch.no_grad():
        frozen.weight_hh_l1.add_(1)
        with pytest.raises(EngineError, match="changed in place"):
            frozen.step(torch.randn(1, 6), state)


def test_it_may_be_made_in_inference_mode():
    module, x = layer("lstm"), torch.randn(4, 3, 6)
    with torch.inference_mode():
        torch.testing.assert_close(nn.prepare(module)(x)[0], module(x)[0])
