"""The module samples that torch ships for its own RNN, LSTM, GRU and cells, run on Gatewise's in their place.

The samples and error samples are torch's (torch.testing._internal.common_modules); what is checked on them is
what torch's own suite checks: references, factory arguments, repr, copies, non-contiguous tensors, first and
second derivatives, memory format, train and eval, the meta device, moves between devices, and errors.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import pickle
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch.testing._internal import common_modules as samples
from torch.testing._internal.common_utils import gradcheck, gradgradcheck
from torch.utils import _pytree

from gatewise import nn

OURS = {
    torch.nn.RNN: nn.RNN,
    torch.nn.LSTM: nn.LSTM,
    torch.nn.GRU: nn.GRU,
    torch.nn.RNNCell: nn.RNNCell,
    torch.nn.LSTMCell: nn.LSTMCell,
    torch.nn.GRUCell: nn.GRUCell,
}
INFOS = {info.module_cls.__name__: info for info in samples.module_db if info.module_cls in OURS}
ENGINES = ("auto", "reference")
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

every = pytest.mark.parametrize("name", INFOS)
engines = pytest.mark.parametrize("engine", ENGINES)
devices = pytest.mark.parametrize("device", DEVICES)


@dataclasses.dataclass
class Case:
    """One of torch's samples with Gatewise's module made for it."""

    module: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    reference: Any

    def run(self, args: Any = None) -> Any:
        """Call the module."""
        return self.module(*(self.args if args is None else args), **self.kwargs)


def cases(
    name: str, device: str, dtype: torch.dtype, requires_grad: bool, training: bool = True, **options: Any
) -> Iterator[Case]:
    """Torch's samples for a module, packed ones among them where it has any."""
    info = INFOS[name]
    make = info.module_inputs_func
    listed = [*make(info, device=device, dtype=dtype, requires_grad=requires_grad, training=training)]
    if name in ("RNN", "GRU"):
        packed = partial(make, with_packed_sequence=True)
        more = packed(info, device=device, dtype=dtype, requires_grad=requires_grad, training=training)
        listed += [s for s in more if not isinstance(s.forward_input.args[0], torch.Tensor)]
    for sample in listed:
        made = sample.constructor_input
        module = (
            OURS[info.module_cls](*made.args, **made.kwargs, **options).to(device).to(dtype).train(training)
        )
        yield Case(module, sample.forward_input.args, sample.forward_input.kwargs, sample.reference_fn)


def assert_same(got: Any, expected: Any) -> None:
    """torch's tolerances for its own references."""
    torch.testing.assert_close(_pytree.tree_leaves(got), _pytree.tree_leaves(expected), atol=1e-5, rtol=1e-5)


def is_packed(case: Case) -> bool:
    return not isinstance(case.args[0], torch.Tensor)


@devices
@engines
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every
def test_forward_equals_reference(name, dtype, training, engine, device) -> None:
    count = 0
    for case in cases(name, device, dtype, False, training, engine=engine):
        count += 1
        outputs = case.run()
        if not is_packed(case):
            assert_same(outputs, case.reference(case.module, *case.args, **case.kwargs))
        theirs = getattr(torch.nn, name)(**_constructor(case.module)).to(device).to(dtype)
        theirs.load_state_dict(case.module.state_dict())
        assert_same(outputs, theirs(*case.args, **case.kwargs))
    assert count >= 2


def _constructor(module: torch.nn.Module) -> dict[str, Any]:
    names = (
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "bidirectional",
        "nonlinearity",
    )
    found = {name: getattr(module, name) for name in names if hasattr(module, name)}
    return found | ({"proj_size": module.proj_size} if getattr(module, "proj_size", 0) else {})


@devices
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@every
def test_factory_arguments(name, dtype, device) -> None:
    info = INFOS[name]
    for sample in info.module_inputs_func(
        info, device=device, dtype=dtype, requires_grad=False, training=True
    ):
        made = sample.constructor_input
        module = OURS[info.module_cls](*made.args, **made.kwargs, device=device, dtype=dtype)
        assert {(p.device.type, p.dtype) for p in module.parameters()} == {(device, dtype)}


@every
def test_repr_and_copies(name) -> None:
    for case in cases(name, "cpu", torch.float64, False):
        assert repr(case.module) == str(case.module)
        expected = case.run()
        for other in (copy.deepcopy(case.module), pickle.loads(pickle.dumps(case.module))):  # noqa: S301
            assert_same(other(*case.args, **case.kwargs), expected)
            assert all(a is not b for a, b in zip(other.parameters(), case.module.parameters(), strict=True))


def non_contiguous(tree: Any) -> Any:
    """Every tensor as a strided view of one twice as wide."""

    def stretch(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        return torch.repeat_interleave(x, 2, dim=-1)[..., ::2].detach().requires_grad_(x.requires_grad)

    return _pytree.tree_map(stretch, tree)


def gradients(case: Case, args: Any, stretch: bool) -> tuple[Any, list[Any]]:
    outputs = case.run(args)
    flat = [
        leaf for leaf in _pytree.tree_leaves(outputs) if isinstance(leaf, torch.Tensor) and leaf.requires_grad
    ]
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(leaf.shape, generator=generator).to(leaf) for leaf in flat]
    weights = [non_contiguous(w) for w in weights] if stretch else weights
    wanted = [
        leaf for leaf in _pytree.tree_leaves(args) if isinstance(leaf, torch.Tensor) and leaf.requires_grad
    ]
    return outputs, list(
        torch.autograd.grad(flat, [*wanted, *case.module.parameters()], weights, allow_unused=True)
    )


@devices
@engines
@pytest.mark.parametrize("training", [True, False])
@every
def test_non_contiguous_tensors(name, training, engine, device) -> None:
    for case in cases(name, device, torch.float64, True, training, engine=engine):
        if is_packed(case):
            continue
        expected = gradients(case, case.args, False)
        for stretch_in, stretch_out in itertools.product((False, True), (False, True)):
            args = non_contiguous(case.args) if stretch_in else case.args
            assert_same(gradients(case, args, stretch_out), expected)


def check_derivatives(case: Case, check: Any, **options: Any) -> None:
    """With respect to everything at once: inputs, states and parameters."""
    names = [n for n, _ in case.module.named_parameters()]
    flat, spec = _pytree.tree_flatten(case.args)

    def run(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        args = _pytree.tree_unflatten(list(values[: len(flat)]), spec)
        swapped = dict(zip(names, values[len(flat) :], strict=True))
        return tuple(_pytree.tree_leaves(torch.func.functional_call(case.module, swapped, args)))

    assert check(run, (*flat, *case.module.parameters()), **options)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
@every
def test_derivatives(name, check) -> None:
    for case in cases(name, "cpu", torch.float64, True):
        if not is_packed(case):
            check_derivatives(case, check)


@every
def test_derivatives_of_the_program(name) -> None:
    """The same through our own operator.

    Batched gradients (torch's vmap inside autograd) do not reach into it, as they do not into cuDNN, for which
    torch marks these samples as expected failures.
    """
    for case in itertools.islice(cases(name, "cpu", torch.float64, True, engine="reference"), 0, None, 23):
        if not is_packed(case):
            check_derivatives(case, gradcheck, check_batched_grad=False)
            check_derivatives(case, gradgradcheck, check_batched_grad=False)


@pytest.mark.parametrize("training", [True, False])
@every
def test_derivatives_of_one_parameter_at_a_time(name, training) -> None:
    """torch checks partial derivatives too: what is not asked for must not matter."""
    case = next(cases(name, "cpu", torch.float64, True, training))
    parameters = list(case.module.parameters())
    for one in parameters:
        for other in parameters:
            other.requires_grad_(other is one)
        assert gradcheck(lambda *_: tuple(_pytree.tree_leaves(case.run())), (one,))


@pytest.mark.parametrize("training", [True, False])
@every
def test_outputs_are_contiguous(name, training) -> None:
    for case in cases(name, "cpu", torch.float32, True, training):
        outputs, grads = gradients(case, case.args, False)
        found = [leaf for leaf in _pytree.tree_leaves((outputs, grads)) if isinstance(leaf, torch.Tensor)]
        assert all(leaf.is_contiguous() for leaf in found)


@every
def test_train_and_eval_are_the_same_without_dropout(name) -> None:
    for case in cases(name, "cpu", torch.float64, False):
        expected = case.run()
        case.module.eval()
        assert_same(case.run(), expected)


@every
def test_made_under_the_meta_device(name) -> None:
    info = INFOS[name]
    for sample in info.module_inputs_func(
        info, device="cpu", dtype=torch.float32, requires_grad=False, training=True
    ):
        made = sample.constructor_input
        real = OURS[info.module_cls](*made.args, **made.kwargs)
        with torch.device("meta"):
            meta = OURS[info.module_cls](*made.args, **made.kwargs)
        for one, two in zip(real.parameters(), meta.parameters(), strict=True):
            assert two.is_meta
            assert (one.shape, one.dtype, one.stride()) == (two.shape, two.dtype, two.stride())
        there = meta.to_empty(device="cpu")
        there.load_state_dict(real.state_dict())
        args = sample.forward_input.args
        assert_same(there(*args), real(*args))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@every
def test_moves_between_devices(name) -> None:
    pairs = zip(
        cases(name, "cuda", torch.float32, False), cases(name, "cpu", torch.float32, False), strict=True
    )
    for there, here in pairs:
        there.run()
        there.module.cpu()
        there.module(*here.args)
        there.module.cuda()
        there.run()
        assert {p.device.type for p in there.module.parameters()} == {"cuda"}


def error_cases() -> list[Any]:
    listed = []
    for name, info in INFOS.items():
        for dtype in (torch.float32, torch.float64):
            made = info.module_error_inputs_func(
                info, device="cpu", dtype=dtype, requires_grad=False, training=True
            )
            listed += [pytest.param(name, s, id=f"{name}-{dtype}-{i}") for i, s in enumerate(made)]
    return listed


@pytest.mark.parametrize(("name", "sample"), error_cases())
def test_errors(name, sample) -> None:
    inner = sample.module_error_input
    made, given = inner.constructor_input, inner.forward_input
    ours = OURS[INFOS[name].module_cls]
    if sample.error_on is samples.ModuleErrorEnum.CONSTRUCTION_ERROR:
        with pytest.raises(sample.error_type, match=sample.error_regex):
            ours(*made.args, **made.kwargs)
        return
    module = ours(*made.args, **made.kwargs)
    with pytest.raises(sample.error_type, match=sample.error_regex):
        module(*given.args, **given.kwargs)
