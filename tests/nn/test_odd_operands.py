"""Operands that torch itself stumbles over: sparse and meta tensors, zeros without memory, sizes beyond the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatewise import nn
from gatewise.errors import ArgumentError, GatewiseError


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Zeros without memory, cut out of more of them: torch's own readers of numbers crash on these."""
    return torch._efficientzerotensor((2, *shape), dtype=dtype)[1]


ODD: dict[str, Callable[[Tensor], Any]] = {
    "sparse": lambda x: x.to_sparse(),
    "meta": lambda x: x.to("meta"),
    "complex": lambda x: x.to(torch.complex64),
    "bytes": lambda x: b"3",
    "object": lambda x: object(),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("method", ["log_likelihood", "log_partition", "marginals", "viterbi"])
@pytest.mark.parametrize("argument", ["scores", "tags", "lengths", "mask"])
def test_crf_refuses_odd_operands(argument: str, method: str, kind: str) -> None:
    """Each by an error of Gatewise's own that names the argument."""
    given: dict[str, Any] = {"scores": torch.randn(5, 2, 3)}
    if method == "log_likelihood":
        given["tags"] = torch.zeros(5, 2, dtype=torch.int64)
    if argument == "lengths":
        given["lengths"] = torch.tensor([5, 3])
    if argument == "mask":
        given["mask"] = torch.ones(5, 2, dtype=torch.bool)
    if argument not in given:
        return
    given[argument] = ODD[kind](given[argument])
    with pytest.raises(GatewiseError, match=f"^{argument}"):
        getattr(nn.CRF(3), method)(**given)


@pytest.mark.parametrize("kind", ["sparse", "meta", "complex"])
@pytest.mark.parametrize("score", ["dot", "general", "additive"])
@pytest.mark.parametrize("argument", ["sequence", "query"])
def test_attention_refuses_odd_operands(argument: str, score: str, kind: str) -> None:
    """Also where a score has no weights that could tell."""
    attention = nn.Attention(score, 4, 4)
    given = {"sequence": torch.randn(5, 2, 4), "query": torch.randn(3, 2, 4)}
    given[argument] = ODD[kind](given[argument])
    with pytest.raises(GatewiseError, match="^(sequence|query)"):
        attention(given["query"], attention.prepare(given["sequence"]))
    with pytest.raises(GatewiseError, match=r"^sequence.*floating"):
        nn.Attention("dot", 4, 4).prepare(torch.ones(5, 2, 4, dtype=torch.int32))


def test_select_refuses_sparse_and_takes_zeros() -> None:
    """Indices are read."""
    state = nn.RecurrentState((torch.randn(1, 2, 3),), names=("h",), directions=1)
    with pytest.raises(GatewiseError, match=r"^indices.*dense"):
        state.select(torch.tensor([0, 1]).to_sparse())
    assert torch.equal(state.select(zeros(1, dtype=torch.int64))[0], state[0][:, :1])
    with pytest.raises(GatewiseError, match=r"^device"):
        nn.RecurrentState.from_bytes(state.to_bytes(), device="nowhere")


@pytest.mark.parametrize("sizes", [zeros(2, dtype=torch.int64), torch.tensor([2, 1]).to_sparse()])
def test_batch_sizes_without_memory_are_refused(sizes: Tensor) -> None:
    """They crashed the process, or showed torch's internals."""
    packed = tuple.__new__(PackedSequence, (torch.randn(3, 4), sizes, None, None))
    with pytest.raises(GatewiseError, match=r"^input.*batch_sizes"):
        nn.LSTM(4, 6)(packed)


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
@pytest.mark.parametrize("place", ["input", "hx"])
def test_single_cells_take_zeros_without_memory(kind: type, place: str) -> None:
    """The same numbers as with ordinary zeros; torch's cells raise "ZeroTensors are immutable"."""
    cell = kind(4, 6)

    def step(null: Callable[..., Tensor]) -> Tensor:
        x = null(2, 4) if place == "input" else torch.ones(2, 4)
        h = null(2, 6) if place == "hx" else torch.ones(2, 6)
        found = cell(x, (h, torch.ones(2, 6)) if kind is nn.LSTMCell else h)
        return found[0] if isinstance(found, tuple) else found

    assert torch.equal(step(zeros), step(torch.zeros))


def test_step_takes_zeros_without_memory() -> None:
    """So does a layer's step, on torch's kernels too."""
    lstm = nn.LSTM(4, 6, engine="torch").eval()
    state = (torch.ones(1, 2, 6), torch.ones(1, 2, 6))
    assert torch.equal(lstm.step(zeros(2, 4), state)[0], lstm.step(torch.zeros(2, 4), state)[0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.RNN(2**31, 6),
        lambda: nn.LSTM(4, 2**20),
        lambda: nn.LSTM(4, 1000, num_layers=50_000 // 4),
        lambda: nn.Recurrent("lstm_peephole", 2**31, 100),
        lambda: nn.LSTMCell(2**31, 6),
        lambda: nn.GRUCell(6, 2**18),
        lambda: nn.Bidirectional("lstm", 2**31, 6),
        lambda: nn.Attention("general", 2**80, 2**80),
        lambda: nn.Attention("additive", 10**400, 4),
    ],
)
def test_weights_beyond_the_memory_are_refused(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any is taken; on the meta device, where they take none, they may be made."""
    monkeypatch.setattr("gatewise.nn.arguments._memory", lambda: 2**33)
    with pytest.raises(ArgumentError, match=r"size.*(memory of 8 GiB|at most)"):
        make()
    assert nn.LSTM(4, 2**15, device="meta").weight_hh_l0.shape == (2**17, 2**15)


def test_a_twin_beyond_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second layer of a Bidirectional counts beside the first."""
    layer = nn.GRU(4, 8)
    held = sum(p.numel() * p.element_size() for p in layer.parameters())
    monkeypatch.setattr("gatewise.nn.arguments._memory", lambda: 2 * held - 1)
    with pytest.raises(ArgumentError, match="memory"):
        nn.Bidirectional(layer)
