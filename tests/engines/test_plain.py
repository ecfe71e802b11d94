"""What memory is walked as it is: lazy signs and zeros, odd addresses, other default devices, modes and traces."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

import gatewise
from gatewise import nn
from gatewise.errors import EngineError, ShapeError
from tests.nn.helpers import assert_equal

DOUBLE = torch.float64


def negative(shape):
    return torch.complex(torch.randn(shape, dtype=DOUBLE), torch.randn(shape, dtype=DOUBLE)).conj().imag


def negative_in_one_piece(shape):
    return torch._neg_view(torch.randn(shape, dtype=DOUBLE))


def zeros_without_memory(shape):
    return torch._efficientzerotensor((shape[0] + 1, *shape[1:]), dtype=DOUBLE)[1:]


def misaligned(shape):
    numbers = torch.randn(shape, dtype=DOUBLE)
    return torch.frombuffer(bytearray(b"\0" + numbers.numpy().tobytes()), dtype=DOUBLE, offset=1).view(shape)


def expanded(shape):
    return torch.randn(shape[-1], dtype=DOUBLE).expand(shape)


def plain(x):
    return torch.zeros(x.shape, dtype=x.dtype) if x._is_zerotensor() else x.clone().contiguous()


def module(kind, **options):
    made = nn.Recurrent("mgu", 3, 4, **options) if kind == "mgu" else getattr(nn, kind)(3, 4, **options)
    return made.double()


MAKERS = [negative, negative_in_one_piece, zeros_without_memory, misaligned, expanded]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "mgu"])
def test_numbers_are_those_of_a_copy(make, kind) -> None:
    for both in (False, True):
        layer = module(kind, bidirectional=both)
        x, count = make((20, 2, 3)), len(layer.state_names)
        states = tuple(make((1 + both, 2, 4)) for _ in range(count))
        given = states if count > 1 else states[0]
        copied = tree_map(plain, given)
        weights = {name: make(tuple(p.shape)) for name, p in layer.named_parameters()}
        for graded in (False, True):
            with torch.set_grad_enabled(graded):
                assert_equal(layer(x, given), layer(plain(x), copied))
                other = torch.func.functional_call(layer, weights, (x,))
                assert_equal(other, torch.func.functional_call(layer, tree_map(plain, weights), (plain(x),)))
        leaf = torch.randn(20, 2, 3, dtype=DOUBLE, requires_grad=True)
        output, cotangent = layer(leaf)[0], make((20, 2, 4 * (1 + both)))
        first = torch.autograd.grad(output, leaf, cotangent, retain_graph=True)
        assert_equal(first, torch.autograd.grad(output, leaf, plain(cotangent)))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "mgu"])
@pytest.mark.parametrize("prepared", [False, True])
def test_steps_take_them_too(make, kind, prepared) -> None:
    layer = module(kind)
    layer = nn.prepare(layer) if prepared else layer
    row, count = make((2, 3)), len(layer.state_names)
    states = tuple(make((1, 2, 4)) for _ in range(count))
    given = states if count > 1 else states[0]
    if kind == "LSTM" and make is zeros_without_memory and not prepared:
        given = (plain(states[0]), plain(states[1]))  # torch's own cell takes no such state
    with torch.no_grad():
        expected = layer.step(plain(row), tree_map(plain, given))
        assert_equal(layer.step(row, given), expected)
        assert_equal(layer.step(row, given), expected)  # a prepared layer is warm by now
        if prepared:
            assert_equal(layer(row[None], given)[0][0], expected[0])


def test_freed_memory_is_named() -> None:
    x = torch.randn(20, 2, 3)
    x.untyped_storage().resize_(0)
    with torch.no_grad(), pytest.raises(EngineError, match="storage was freed"):
        nn.GRU(3, 4)(x)


@pytest.mark.usefixtures("without_run_time_types")  # a size is a tensor while it is traced
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}])
@pytest.mark.parametrize("kind", ["LSTM", "mgu"])
def test_a_trace_holds_for_other_numbers(kind, options, graded) -> None:
    layer = module(kind, **options)
    first, x = torch.randn(2, 20, 2, 3, dtype=DOUBLE)
    with torch.set_grad_enabled(graded):
        traced = torch.jit.trace(layer, first)
        stored = io.BytesIO()
        torch.jit.save(traced, stored)
        stored.seek(0)
        for one in (traced, torch.jit.load(stored)):
            assert_equal(one(x)[0], layer(x)[0])
    leaf = x.clone().requires_grad_()
    got = torch.autograd.grad(traced(leaf)[0].sum(), leaf)
    assert_equal(got, torch.autograd.grad(layer(leaf)[0].sum(), leaf))


@pytest.mark.usefixtures("without_run_time_types")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_prepared_layer_is_not_traced() -> None:
    layer = nn.prepare(nn.GRU(3, 4))
    with pytest.raises(EngineError, match=r"torch\.export or torch\.jit\.trace"):
        torch.jit.trace(layer, torch.zeros(20, 2, 3))


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_batches_of_cotangents(kind, options) -> None:
    """As torch's layers: is_grads_batched, also differentiated again, and jacobian and hessian with vectorize=True."""
    ours = module(kind, **options)
    theirs = getattr(torch.nn, kind)(3, 4, **options).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(17, 2, 3, dtype=DOUBLE, requires_grad=True)
    found = []
    for layer in (ours, theirs):
        output = layer(x)[0]
        many = torch.linspace(-1, 1, 3 * output.numel(), dtype=DOUBLE).view(3, *output.shape)
        leaves = [x, *layer.parameters()]
        grads = torch.autograd.grad(output, leaves, many, is_grads_batched=True, create_graph=True)
        found.append([*grads, *torch.autograd.grad(grads[0].square().sum(), leaves)])
    assert_equal(*found)
    row = torch.randn(17, 1, 3, dtype=DOUBLE)
    for function in (torch.autograd.functional.jacobian, torch.autograd.functional.hessian):

        def outcome(y, layer=ours, whole=function is torch.autograd.functional.jacobian):
            return layer(y)[0][-1] if whole else layer(y)[0].square().sum()

        assert_equal(function(outcome, row, vectorize=True), function(outcome, row))


class Passing(TorchDispatchMode):
    """Hands every operation on."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


class Wrapped(torch.Tensor):
    """A tensor whose numbers lie in another one."""

    @staticmethod
    def __new__(cls, inner):
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, dtype=inner.dtype, strides=inner.stride()
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        def bare(value):
            return value.inner if isinstance(value, Wrapped) else value

        result = function(*tree_map(bare, args), **tree_map(bare, kwargs or {}))
        return tree_map(lambda value: cls(value) if isinstance(value, torch.Tensor) else value, result)


class Named(torch.Tensor):
    """A subclass with torch's own __torch_function__."""


def in_mode(mode):
    def call(layer, x):
        with mode():
            return layer(x)[0]

    return call


WAYS = {
    "dispatch mode": in_mode(Passing),
    "default device": in_mode(lambda: torch.device("meta")),
    "flops": in_mode(lambda: torch.utils.flop_counter.FlopCounterMode(display=False)),
    "saved tensors": in_mode(
        lambda: torch.autograd.graph.saved_tensors_hooks(lambda x: x.clone(), lambda x: x)
    ),
    "wrapped": lambda layer, x: layer(Wrapped(x))[0].inner,
    "subclass": lambda layer, x: layer(x.as_subclass(Named))[0].as_subclass(torch.Tensor),
    "functionalize": lambda layer, x: torch.func.functionalize(lambda y: layer(y)[0])(x),
    "vmap": lambda layer, x: torch.func.vmap(lambda y: layer(y)[0])(x[None])[0],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("steps", [5, 20])
@pytest.mark.parametrize("kind", ["LSTM", "mgu"])
def test_modes_and_subclasses(kind, steps, way) -> None:
    import torch.utils.flop_counter

    if way == "wrapped" and kind == "LSTM" and steps < 16:
        pytest.skip("torch's own kernel, which unwraps this subclass")
    layer = module(kind, bidirectional=True)
    x = torch.randn(steps, 2, 3, dtype=DOUBLE)
    assert_equal(WAYS[way](layer, x), layer(x)[0])


@pytest.mark.parametrize("cell", ["lstm_layer_norm", "lstm_mogrifier", "min_gru", "slstm"])
def test_another_default_device_and_dtype(cell) -> None:
    """Plans, constants and results are where the operands are; a fresh cell, so that no plan is kept from before."""
    layer = nn.Recurrent(cell, 3, 8, dtype=torch.float32, device="cpu")
    x = torch.randn(20, 2, 3, requires_grad=True)
    other, dtype = copy.deepcopy(layer), torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.bfloat16)
        with torch.device("meta"):
            output, _ = layer(x, lengths=[20, 7])
            (found,) = torch.autograd.grad(output.sum(), x)
            with torch.no_grad():
                row = layer.step(x[0])[0]
    finally:
        torch.set_default_dtype(dtype)
    expected = other(x, lengths=[20, 7])[0]
    assert torch.equal(output, expected)
    assert torch.equal(found, torch.autograd.grad(expected.sum(), x)[0])
    with torch.no_grad():
        assert torch.equal(row, other.step(x[0])[0])


def test_torchs_own_kernel_is_given_zeros_with_memory() -> None:
    module, x = nn.LSTM(4, 6), torch.zeros(2, 3, 4)
    hx = (torch.randn(1, 3, 6), torch._efficientzerotensor((1, 3, 6)))
    given = torch._efficientzerotensor((2, *x.shape))[1]
    assert gatewise.explain(module, x).engine == "torch"
    got, wanted = module(given, hx), module(x, (hx[0], torch.zeros(1, 3, 6)))
    torch.testing.assert_close(got, wanted, rtol=0, atol=0)


def test_packed_sizes_of_any_strides() -> None:
    x, sizes = torch.randn(3, 4), torch.tensor([[2, 7], [1, 7]])[:, 0]
    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        module = kind(4, 6)
        given = tuple.__new__(PackedSequence, (x, sizes, None, None))
        wanted = module(PackedSequence(x, sizes.contiguous()))[0].data
        assert torch.equal(module(given)[0].data, wanted)


def test_lengths_of_a_subclass_are_looked_at() -> None:
    lengths = torch.tensor([4, 5, 5]).as_subclass(Named)
    with pytest.raises(ShapeError, match="lengths"):
        nn.GRU(4, 6)(torch.randn(4, 3, 4), lengths=lengths)
