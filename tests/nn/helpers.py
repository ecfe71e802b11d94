"""What the tests of the layers share: torch's layers beside Gatewise's, and tolerances with their derivation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree

from gatewise import cells, nn

LAYERS = {
    "rnn_tanh": (torch.nn.RNN, nn.RNN, {"nonlinearity": "tanh"}),
    "rnn_relu": (torch.nn.RNN, nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (torch.nn.LSTM, nn.LSTM, {}),
    "lstm_projected": (torch.nn.LSTM, nn.LSTM, {"proj_size": 3}),
    "gru": (torch.nn.GRU, nn.GRU, {}),
}
CELLS = {
    "rnn": (torch.nn.RNNCell, nn.RNNCell),
    "lstm": (torch.nn.LSTMCell, nn.LSTMCell),
    "gru": (torch.nn.GRUCell, nn.GRUCell),
}


def leaves(tree: Any) -> list[Tensor]:
    """Every tensor in nested tuples."""
    return [leaf for leaf in _pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def differentiate(outputs: Any, inputs: Iterable[Tensor], seed: int = 1) -> list[Tensor]:
    """Gradients of a fixed random projection of all outputs; zeros where an input does not matter."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros((), dtype=torch.float64)
    for leaf in leaves(outputs):
        weights = torch.randn(leaf.shape, generator=generator, dtype=torch.float64)
        total = total + (leaf.double() * weights).sum()
    wanted = list(inputs)
    found = torch.autograd.grad(total, wanted, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(wanted, found, strict=True)]


def distance(got: Tensor, expected: Tensor) -> float:
    """Largest difference over the largest number expected."""
    if expected.numel() == 0:
        return 0.0
    got, expected = got.detach().double(), expected.detach().double()
    scale = max(float(expected.abs().max()), 1e-3)
    return float((got - expected).abs().max()) / scale


def assert_equal(got: Any, expected: Any, tolerance: float = 1e-12) -> None:
    """float64 results agree: sums of at most some hundred terms, over a few dozen steps, in another order.

    Each such sum errs by about sqrt(terms) * 1.1e-16 of its size; 1e-12 leaves three digits for what the steps
    and layers multiply it by, and none for a wrong formula.
    """
    left, right = leaves(got), leaves(expected)
    assert len(left) == len(right)
    for one, two in zip(left, right, strict=True):
        assert one.shape == two.shape
        assert distance(one, two) <= tolerance


def layer(cell: str, *args: Any, **options: Any) -> nn.Recurrent:
    """A layer of any registered cell in float64, the same at each call, with no parameter left at zero or one."""
    names = [width for s in (*cells.get(cell).states, *cells.get(cell).inputs) for width in [s.width]]
    names += [width for t in cells.get(cell).tensors for _, width in t.parts]
    if "proj" in names:
        options.setdefault("proj_size", 3)
    made = nn.Recurrent(cell, *args, dtype=torch.float64, **options)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.normal_(1.0 if "gain" in name else 0.0, 0.4, generator=generator)
    return made


def streams_for(module: nn.Recurrent, lead: Sequence[int], seed: int = 5) -> dict[str, Tensor] | None:
    """Random further inputs for a cell that has several; truth values stay 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    made: dict[str, Tensor] = {}
    for stream in module.program.inputs[1:]:
        width = module._sizes[stream.width] if isinstance(stream.width, str) else stream.width
        x = torch.rand(*lead, width, generator=generator, dtype=torch.float64)
        made[stream.name] = (x > 0.4).double() if stream.name == "m" else x
    return made or None


def rows_of(streams: Mapping[str, Tensor] | None, index: Any) -> dict[str, Tensor] | None:
    """The same part of every further input."""
    return None if streams is None else {name: stream[index] for name, stream in streams.items()}
