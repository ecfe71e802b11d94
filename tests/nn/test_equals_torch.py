"""Forward and gradients equal torch.nn's, over every option that torch has; state_dicts pass both ways."""

from __future__ import annotations

import copy
import itertools
import warnings

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from gatewise import nn
from tests.nn.helpers import CELLS, LAYERS, assert_equal, differentiate, distance, leaves

TIME, BATCH, INPUT, HIDDEN = 6, 4, 5, 7
LENGTHS = {"sorted": [6, 4, 4, 1], "unsorted": [4, 1, 6, 4]}
ENGINES = ("auto", "reference")


def pair(kind, layers, bidirectional, batch_first, bias, dtype, engine):
    theirs_class, ours_class, extra = LAYERS[kind]
    options = dict(
        num_layers=layers,
        bidirectional=bidirectional,
        batch_first=batch_first,
        bias=bias,
        dtype=dtype,
        **extra,
    )
    theirs = theirs_class(INPUT, HIDDEN, **options)
    ours = ours_class(INPUT, HIDDEN, engine=engine, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def problem(module, dtype, packed, batch_first):
    """An input and a state with gradients, and the input as the module gets it."""
    generator = torch.Generator().manual_seed(2)
    shape = (BATCH, TIME, INPUT) if batch_first else (TIME, BATCH, INPUT)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    rows = module.num_layers * (2 if module.bidirectional else 1)
    widths = [module.proj_size or HIDDEN, HIDDEN] if isinstance(module, torch.nn.LSTM) else [HIDDEN]
    hx = [
        torch.randn(rows, BATCH, w, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for w in widths
    ]
    given = x
    if packed is not None:
        given = pack_padded_sequence(
            x, LENGTHS[packed], batch_first=batch_first, enforce_sorted=packed == "sorted"
        )
    return x, hx, given


def results(module, x, hx, given):
    output, state = module(given, tuple(hx) if len(hx) > 1 else hx[0])
    data = output.data if isinstance(output, PackedSequence) else output
    outputs = [data, *leaves(state)]
    return outputs, differentiate(outputs, [x, *hx, *module.parameters()]), output


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("packed", [None, "sorted", "unsorted"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", LAYERS)
def test_forward_and_gradients(kind, layers, bidirectional, packed, engine) -> None:
    for batch_first, bias in itertools.product((False, True), (False, True)):
        theirs, ours = pair(kind, layers, bidirectional, batch_first, bias, torch.float64, engine)
        x, hx, given = problem(theirs, torch.float64, packed, batch_first)
        expected, expected_grads, expected_output = results(theirs, x, hx, given)
        got, grads, output = results(ours, x, hx, given)
        assert_equal(got, expected)
        assert_equal(grads, expected_grads)
        if packed is not None:
            for field in ("batch_sizes", "sorted_indices", "unsorted_indices"):
                one, two = getattr(output, field), getattr(expected_output, field)
                assert (one is None) == (two is None)
                assert one is None or torch.equal(one, two)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", LAYERS)
def test_float32_errs_no_more_than_torch(kind, engine) -> None:
    """Against float64: at most four times torch's own error, or 16 units in the last place."""
    for packed, bidirectional in itertools.product((None, "unsorted"), (False, True)):
        exact, _ = pair(kind, 2, bidirectional, False, True, torch.float64, engine)
        theirs, ours = pair(kind, 2, bidirectional, False, True, torch.float32, engine)
        for module in (theirs, ours):
            module.load_state_dict(exact.state_dict())
        exact.load_state_dict(theirs.state_dict())  # the same rounded weights
        truth, truth_grads, _ = results(exact, *_as64(exact, packed))
        expected, expected_grads, _ = results(theirs, *problem(theirs, torch.float32, packed, False))
        got, grads, _ = results(ours, *problem(theirs, torch.float32, packed, False))
        for true, one, two in zip(
            [*truth, *truth_grads], [*expected, *expected_grads], [*got, *grads], strict=True
        ):
            allowed = max(4 * distance(one, true), 16 * torch.finfo(torch.float32).eps)
            assert distance(two, true) <= allowed


def _as64(module, packed):
    """The float32 problem, rounded as it is, in float64."""
    x, hx, _ = problem(module, torch.float32, packed, False)
    x = x.detach().double().requires_grad_()
    hx = [h.detach().double().requires_grad_() for h in hx]
    given = (
        x if packed is None else pack_padded_sequence(x, LENGTHS[packed], enforce_sorted=packed == "sorted")
    )
    return x, hx, given


@pytest.mark.parametrize("kind", LAYERS)
def test_default_state_and_unbatched(kind) -> None:
    theirs, ours = pair(kind, 2, True, True, True, torch.float64, "auto")
    x = torch.randn(TIME, INPUT, dtype=torch.float64)
    assert_equal(ours(x), theirs(x))
    _, state = theirs(x)
    assert_equal(ours(x, state), theirs(x, state))
    batch = x.expand(BATCH, TIME, INPUT)
    assert_equal(ours(batch), theirs(batch))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_same_weights_from_the_same_seed(kind, bidirectional, bias) -> None:
    theirs_class, ours_class, extra = LAYERS[kind]
    made = []
    for module_class in (theirs_class, ours_class):
        torch.manual_seed(11)
        made.append(module_class(INPUT, HIDDEN, 2, bias=bias, bidirectional=bidirectional, **extra))
    theirs, ours = made
    assert list(theirs.state_dict()) == list(ours.state_dict())
    assert [n for n, _ in theirs.named_parameters()] == [n for n, _ in ours.named_parameters()]
    for name, value in theirs.state_dict().items():
        assert torch.equal(value, ours.state_dict()[name])
    assert repr(theirs) == repr(ours)
    assert [[w.shape for w in row] for row in theirs.all_weights] == [
        [w.shape for w in row] for row in ours.all_weights
    ]
    assert theirs._flat_weights_names == ours._flat_weights_names
    assert theirs.mode == ours.mode
    fresh = theirs_class(INPUT, HIDDEN, 2, bias=bias, bidirectional=bidirectional, **extra)
    fresh.load_state_dict(ours.state_dict())  # the other way, strictly
    assert torch.equal(fresh.weight_hh_l1, ours.weight_hh_l1)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_cells(kind, bias) -> None:
    theirs_class, ours_class = CELLS[kind]
    made = []
    for module_class in (theirs_class, ours_class):
        torch.manual_seed(11)
        made.append(module_class(INPUT, HIDDEN, bias=bias, dtype=torch.float64))
    theirs, ours = made
    assert list(theirs.state_dict()) == list(ours.state_dict())
    assert repr(theirs) == repr(ours)
    assert all(torch.equal(a, b) for a, b in zip(theirs.parameters(), ours.parameters(), strict=True))
    assert (ours.bias_ih is None) is not bias
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(BATCH, INPUT, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        state = theirs(x)
    for hx in (None, state):
        expected, got = theirs(x, hx), ours(x, hx)
        assert type(got) is type(expected)
        assert_equal(got, expected)
        assert_equal(
            differentiate(got, [x, *ours.parameters()]), differentiate(expected, [x, *theirs.parameters()])
        )
    row = x[0].detach()
    assert_equal(ours(row), theirs(row))


def test_nonlinearity_of_the_cell() -> None:
    theirs, ours = torch.nn.RNNCell(3, 4, True, "relu"), nn.RNNCell(3, 4, True, "relu")
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3)
    torch.testing.assert_close(ours(x), theirs(x))
    assert repr(ours) == repr(theirs)


def test_positional_arguments_stand_where_torch_has_them() -> None:
    assert (
        nn.RNN(3, 4, 2, "relu", False, True, 0.5, True).extra_repr()
        == torch.nn.RNN(3, 4, 2, "relu", False, True, 0.5, True).extra_repr()
    )
    theirs = torch.nn.LSTM(3, 4, 2, False, True, 0.5, True, 2, "cpu", torch.float64)
    ours = nn.LSTM(3, 4, 2, False, True, 0.5, True, 2, "cpu", torch.float64)
    assert repr(theirs) == repr(ours)
    assert ours.weight_hr_l1_reverse.dtype == torch.float64
    assert nn.GRU(3, 4, 2, False, True, 0.5, True, "cpu", torch.float64).weight_ih_l0.dtype == torch.float64


def test_dropout_between_layers() -> None:
    with pytest.warns(
        UserWarning, match="dropout option adds dropout after all but last recurrent layer"
    ) as caught:
        nn.LSTM(3, 4, dropout=0.5)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = nn.GRU(3, 4, 2, dropout=1.0)
        layer.flatten_parameters()
    x = torch.randn(5, 2, 3)
    again = copy.deepcopy(layer)
    assert_equal(layer(x), again(x), 0.0)  # all dropped: nothing is random
    second = torch.nn.GRU(4, 4)
    second.load_state_dict({n.replace("_l1", "_l0"): p for n, p in layer.state_dict().items() if "_l1" in n})
    torch.testing.assert_close(layer(x)[0], second(torch.zeros(5, 2, 4))[0])  # the upper layer sees zeros
    kept = layer.eval()(x)[0]
    assert not torch.allclose(kept, again(x)[0])
    half = nn.GRU(3, 4, 2, dropout=0.5)
    torch.manual_seed(4)
    one = half(x)[0]
    torch.manual_seed(4)
    assert torch.equal(half(x)[0], one)
    assert not torch.equal(half(x)[0], one)
