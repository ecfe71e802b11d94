"""Forward-mode derivatives: torch's where torch has them, finite differences everywhere, never dropped in silence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from gatewise import nn
from gatewise.errors import EngineError

LENGTHS = [3, 40]  # torch's kernels run the first, the native engine the second


def number(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def differences(function: Callable[[Tensor], Tensor], x: Tensor, change: Tensor, by: float = 1e-6) -> Tensor:
    return (function(x + by * change) - function(x - by * change)) / (2 * by)


def dual(function: Callable[[Tensor], Tensor], x: Tensor, change: Tensor) -> Tensor:
    """The tangent by `torch.autograd.forward_ad`."""
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(function(forward_ad.make_dual(x, change))).tangent
    assert found is not None
    return found


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("kind", ["GRU", "RNN"])
def test_as_torch_has_it(kind, steps) -> None:
    torch.manual_seed(0)
    ours = getattr(nn, kind)(3, 4, num_layers=2, bidirectional=True).double()
    theirs = getattr(torch.nn, kind)(3, 4, num_layers=2, bidirectional=True).double()
    theirs.load_state_dict(ours.state_dict())
    x, change = number(steps, 2, 3), number(steps, 2, 3)
    for one in (0, 1):  # output, last states
        _, found = torch.func.jvp(lambda v, one=one: ours(v)[one], (x,), (change,))
        _, expected = torch.func.jvp(lambda v, one=one: theirs(v)[one], (x,), (change,))
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        dual(lambda v: ours(v)[0], x, change), torch.func.jvp(lambda v: theirs(v)[0], (x,), (change,))[1]
    )
    few = x[:2]
    hessians = [
        torch.func.hessian(lambda v, m=module: m(v)[0].square().sum())(few) for module in (ours, theirs)
    ]
    torch.testing.assert_close(*hessians)


CALLS: dict[str, tuple[Callable[[], nn.Recurrent], dict[str, Any]]] = {
    "lstm": (partial(nn.LSTM, 3, 4), {}),
    "two layers both ways": (partial(nn.LSTM, 3, 4, num_layers=2, bidirectional=True), {}),
    "projected": (partial(nn.LSTM, 3, 4, proj_size=2), {}),
    "lengths": (partial(nn.LSTM, 3, 4), {"lengths": torch.tensor([2, 3])}),
    "mask": (
        partial(nn.Recurrent, "slstm", 3, 4),
        {"mask": torch.tensor([[True, False], [True, True], [False, True]])},
    ),
    "linear in its state": (partial(nn.Recurrent, "min_gru", 3, 4), {}),
    "residual, layer norm": (
        partial(nn.Recurrent, "lstm", 4, 4, num_layers=2, residual=True, layer_norm=True),
        {},
    ),
}


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("name", CALLS)
def test_no_tangent_is_dropped(name, frozen, grad) -> None:
    torch.manual_seed(0)
    make, options = CALLS[name]
    module = make().double().requires_grad_(not frozen)
    x, change = number(3, 2, module.input_size), number(3, 2, module.input_size)

    def output(v: Tensor) -> Tensor:
        return module(v, **options)[0]

    with torch.set_grad_enabled(grad):
        expected = differences(output, x, change)
        torch.testing.assert_close(dual(output, x, change), expected, rtol=2e-6, atol=1e-7)
        torch.testing.assert_close(torch.func.jvp(output, (x,), (change,))[1], expected, rtol=2e-6, atol=1e-7)


def test_of_weights_and_first_states() -> None:
    torch.manual_seed(0)
    module = nn.LSTM(3, 4).double()
    weights = {name: weight.detach() for name, weight in module.named_parameters()}
    changes = {name: torch.randn_like(weight) for name, weight in weights.items()}
    x = number(3, 2, 3)

    def by_weights(step: Tensor) -> Tensor:
        moved = {name: weight + step * changes[name] for name, weight in weights.items()}
        return torch.func.functional_call(module, moved, (x,))[0]

    def by_state(step: Tensor) -> Tensor:
        return module(
            x, (step * torch.ones(1, 2, 4, dtype=torch.float64), torch.zeros(1, 2, 4, dtype=torch.float64))
        )[1][1]

    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    for function in (by_weights, by_state):
        expected = differences(function, zero, one)
        torch.testing.assert_close(dual(function, zero, one), expected, rtol=2e-6, atol=1e-7)
        torch.testing.assert_close(
            torch.func.jvp(function, (zero,), (one,))[1], expected, rtol=2e-6, atol=1e-7
        )


@pytest.mark.parametrize("cell", [partial(nn.LSTMCell, 3, 4), partial(nn.GRUCell, 3, 4), None])
def test_of_single_steps(cell) -> None:
    torch.manual_seed(0)
    module = (nn.Recurrent("lstm_peephole", 3, 4) if cell is None else cell()).double().requires_grad_(False)

    def output(v: Tensor) -> Tensor:
        found = module.step(v)[0] if cell is None else module(v)
        return found if isinstance(found, Tensor) else found[0]

    x, change = number(2, 3), number(2, 3)
    output(x)  # so that a step that is bound beforehand is there
    expected = differences(output, x, change)
    torch.testing.assert_close(dual(output, x, change), expected, rtol=2e-6, atol=1e-7)


def test_random_masks_are_those_of_the_run() -> None:
    torch.manual_seed(0)
    module = nn.LSTM(3, 4, recurrent_dropout=0.4, zoneout=0.2).double()
    x, change = number(5, 2, 3), number(5, 2, 3)

    def output(v: Tensor) -> Tensor:
        torch.manual_seed(1)
        return module(v)[0]

    torch.testing.assert_close(dual(output, x, change), differences(output, x, change), rtol=2e-6, atol=1e-7)


def test_prepared_weights_say_that_they_have_none() -> None:
    module = nn.prepare(nn.LSTM(3, 4))
    x = torch.randn(40, 2, 3)
    with pytest.raises(EngineError, match="computes outputs alone"):
        dual(lambda v: module(v)[0], x, x)
    module.step(x[0])
    with pytest.raises(EngineError, match="computes outputs alone"):
        dual(lambda v: module.step(v)[0], x[0], x[0])


@pytest.mark.parametrize("derivative", [torch.func.jacfwd, torch.func.hessian])
def test_compiled_functions_give_the_same(derivative) -> None:
    torch.manual_seed(0)
    module = nn.Recurrent("lstm_peephole", 3, 4).double().requires_grad_(False)
    x = number(2, 1, 3)

    def told(v: Tensor) -> Tensor:
        return derivative(lambda u: module(u)[0].square().sum())(v)

    torch.testing.assert_close(torch.compile(told, backend="aot_eager")(x), told(x))


@pytest.mark.parametrize("frozen", [True, False])
def test_a_compiled_layer_drops_none(frozen) -> None:
    torch.manual_seed(0)
    module = nn.Recurrent("lstm_peephole", 3, 4).double().requires_grad_(not frozen)
    x, change = number(3, 2, 3), number(3, 2, 3)
    compiled = torch.compile(module, backend="aot_eager")
    compiled(x)
    expected = dual(lambda v: module(v)[0], x, change)
    torch.testing.assert_close(dual(lambda v: compiled(v)[0], x, change), expected)
