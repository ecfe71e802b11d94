"""The state object: a tuple that can be read out, cut, selected from, stored and passed through torch's trees."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils import _pytree

from gatewise import nn
from gatewise.errors import ArgumentError, ArgumentTypeError, ShapeError, StoreError
from tests.nn.helpers import assert_equal

TIME, BATCH, INPUT, HIDDEN = 5, 4, 3, 6


def made(bidirectional: bool = False, batched: bool = True, **options) -> tuple[nn.LSTM, nn.RecurrentState]:
    module = nn.LSTM(INPUT, HIDDEN, 2, bidirectional=bidirectional, dtype=torch.float64, **options)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64) if batched else torch.randn(TIME, INPUT).double()
    return module, module(x)[1]


def test_it_is_torchs_tuple() -> None:
    _, state = made()
    h, c = state
    assert isinstance(state, tuple)
    assert len(state) == 2
    assert state[0] is h
    assert state[-1] is c
    assert state.names == ("h", "c")
    assert h.shape == c.shape == (2, BATCH, HIDDEN)
    rebuilt = type(state)(x * 2 for x in state)  # as accelerate and DataParallel rebuild tuples
    assert torch.equal(rebuilt[1], c * 2)
    with pytest.raises(ArgumentError, match=r"RecurrentState.of\(module, state\)"):
        rebuilt.last()  # whether it is bidirectional is lost: no guess
    assert nn.RecurrentState.from_bytes(rebuilt.to_bytes()).directions is None


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_last_is_the_upper_layer_at_each_end(bidirectional, batched) -> None:
    module, _ = made(bidirectional)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    if not batched:
        output, state = module(x[:, 0])
        ahead, behind = output[-1, :HIDDEN], output[0, HIDDEN:]
        assert_equal(state.last(), torch.cat([ahead, behind]) if bidirectional else ahead)
        return
    lengths = torch.tensor([5, 2, 1, 3])
    output, state = module(x, lengths=lengths)
    expected = torch.stack([output[n - 1, row, :HIDDEN] for row, n in enumerate(lengths)])
    if bidirectional:
        expected = torch.cat([expected, output[0, :, HIDDEN:]], dim=-1)
    assert_equal(state.last(), expected)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    assert_equal(module(packed)[1].last(), expected)


def test_of_a_gru() -> None:
    module = nn.GRU(INPUT, HIDDEN, bidirectional=True)
    output, h_n = module(torch.randn(TIME, BATCH, INPUT))
    assert type(h_n) is torch.Tensor
    state = nn.RecurrentState.of(module, h_n)
    torch.testing.assert_close(state.last(), torch.cat([output[-1, :, :HIDDEN], output[0, :, HIDDEN:]], -1))
    assert torch.equal(
        module(torch.zeros(2, BATCH, INPUT), state)[0], module(torch.zeros(2, BATCH, INPUT), h_n)[0]
    )
    with pytest.raises(ShapeError, match="expected 1 tensors"):
        nn.RecurrentState.of(module, (h_n, h_n))


def test_detach_cuts_the_graph() -> None:
    _, state = made()
    assert state[0].requires_grad
    cut = state.detach()
    assert not any(x.requires_grad for x in cut)
    assert (cut.names, cut.directions) == (state.names, state.directions)
    assert_equal(cut, state, 0.0)


def test_select_reorders_rows() -> None:
    module, state = made(bidirectional=True)
    picked = state.select(torch.tensor([2, 2, 0]))
    for one, two in zip(picked, state, strict=True):
        assert torch.equal(one, two[:, [2, 2, 0]])
    assert torch.equal(state.select([1]).last(), state.last()[[1]])
    assert state.select([]).last().shape == (0, 2 * HIDDEN)
    picked[0].sum().backward()
    assert module.weight_hh_l0.grad is not None
    for wrong, error in (
        ([7], ShapeError),
        ([-1], ShapeError),
        ([[0]], ShapeError),
        ([0.5], ArgumentTypeError),
        ("a", ArgumentTypeError),
    ):
        with pytest.raises(error, match="indices: expected"):
            state.select(wrong)
    with pytest.raises(ShapeError, match="batch axis"):
        made(batched=False)[1].select([0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_bytes_come_back(dtype) -> None:
    module, state = made(bidirectional=True)
    state = state.to(dtype)
    again = nn.RecurrentState.from_bytes(state.to_bytes())
    assert (again.names, again.directions) == (("h", "c"), 2)
    assert all(torch.equal(a, b) and a.dtype == dtype for a, b in zip(again, state, strict=True))
    assert not again[0].requires_grad
    if dtype == torch.float64:
        x = torch.randn(2, BATCH, INPUT, dtype=dtype)
        assert_equal(module(x, again), module(x, state), 0.0)


def header(data: bytes, change) -> bytes:
    (length,) = struct.unpack("<Q", data[:8])
    about = json.loads(data[8 : 8 + length])
    change(about)
    text = json.dumps(about).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


HOSTILE = {
    "format": lambda a: a["__metadata__"].update(format="other"),
    "version": lambda a: a["__metadata__"].update(version="2"),
    "no metadata": lambda a: a.pop("__metadata__"),
    "names": lambda a: a["__metadata__"].update(names='["h"]'),
    "names that are no list": lambda a: a["__metadata__"].update(names="7"),
    "deep names": lambda a: a["__metadata__"].update(names="[" * 100_000),
    "directions": lambda a: a["__metadata__"].update(directions="3"),
    "dtype": lambda a: a["0"].update(dtype="I32"),
    "shape": lambda a: a["0"].update(shape=[1 << 60, 1 << 60]),
    "offsets": lambda a: a["0"].update(data_offsets=[0, 1 << 40]),
    "tensor name": lambda a: a.update(x=a.pop("1")),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_headers(change) -> None:
    data = made()[1].to_bytes()
    with pytest.raises(
        StoreError, match="data: expected the bytes of a recurrent state, got .*; write them with"
    ):
        nn.RecurrentState.from_bytes(header(data, change))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    cut=st.integers(0, 700), flips=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=4)
)
def test_torn_bytes_are_refused_or_read(cut, flips) -> None:
    data = bytearray(
        nn.RecurrentState((torch.zeros(1, 2, 3), torch.ones(1, 2, 3)), names=("h", "c")).to_bytes()
    )
    for position, value in flips:
        data[position % len(data)] = value
    with contextlib.suppress(StoreError):  # any other error is a failure
        nn.RecurrentState.from_bytes(bytes(data[: len(data) - cut]))


@pytest.mark.parametrize("data", [None, "text", 7])
def test_no_bytes(data) -> None:
    with pytest.raises(ArgumentTypeError, match="data: expected bytes"):
        nn.RecurrentState.from_bytes(data)


def test_pytree_copy_and_pickle() -> None:
    _, state = made(bidirectional=True)
    state = state.detach()
    doubled = _pytree.tree_map(lambda x: 2 * x, state)
    assert isinstance(doubled, nn.RecurrentState)
    assert (doubled.names, doubled.directions) == (state.names, 2)
    assert torch.equal(doubled[1], 2 * state[1])
    for other in (copy.deepcopy(state), pickle.loads(pickle.dumps(state))):  # noqa: S301
        assert isinstance(other, nn.RecurrentState)
        assert (other.names, other.directions) == (state.names, 2)
        assert_equal(other, state, 0.0)


class Reader(torch.nn.Module):
    """Takes a state in, gives one out and reads it in between."""

    def __init__(self, **options) -> None:
        super().__init__()
        self.lstm = nn.LSTM(INPUT, HIDDEN, **options)

    def forward(self, x, state=None):
        output, state = self.lstm(x, state)
        return output, state, state.last(), state.detach()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_full_graph_compile_returns_it(bidirectional) -> None:
    module = Reader(bidirectional=bidirectional)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    x = torch.randn(TIME, BATCH, INPUT)
    output, state, last, cut = compiled(x)
    assert isinstance(state, nn.RecurrentState)
    assert (state.names, state.directions) == (("h", "c"), 2 if bidirectional else 1)
    expected = module(x)
    torch.testing.assert_close(_pytree.tree_leaves((output, state, last, cut)), _pytree.tree_leaves(expected))
    again = compiled(x, state)[0]
    torch.testing.assert_close(again, module(x, state)[0])


def test_export_and_func() -> None:
    module = Reader().eval()
    x = torch.randn(TIME, BATCH, INPUT)
    exported = torch.export.export(module, (x,)).module()
    assert isinstance(exported(x)[1], nn.RecurrentState)
    torch.testing.assert_close(exported(x)[2], module(x)[2])
    many = torch.stack([x, 2 * x])
    batched = torch.func.vmap(lambda one: module.lstm(one)[1])(many)
    assert isinstance(batched, nn.RecurrentState)
    torch.testing.assert_close(batched[1][1], module(2 * x)[1][1])
