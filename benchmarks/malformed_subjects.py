"""The calls that `malformed_calls.py` makes: a good call of the public layers, of which some arguments are twisted.

A twist may leave a call sound (a view with other strides) or break it (a wrong size): the library has to tell.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import gatewise
from gatewise import cells, nn
from gatewise.spec import sigmoid, tanh

__all__ = ["Prepared", "make"]

NUMBERS = (
    None, True, False, -1, 0, 1, 2, 3, 7, 2**31, 2**62, 2**80, -(2**63), 0.5, 1.0, -0.0, 1.5, float("nan"),
    float("inf"), 1e308, 10**400, "5", "", "lstm", b"3", (), [], (3,), [5, 2], {}, {"a": 1}, 3j, torch.float32, int,
)  # fmt: skip
DTYPES = (
    torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool,
    torch.complex64,
)  # fmt: skip
ENGINES = ("auto", "auto", "auto", "native", "reference", "torch")


@dataclass
class Prepared:
    """One call.

    Attributes:
        name: What is called.
        function: The callable.
        arguments: What it is called with, by name.
        module: The module in it, whose float64 copy is the reference; None where only the outcome counts.
        method: The module's method.
        backward: Whether the result is differentiated.
        broken: Which arguments were twisted, for the report.
    """

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any]
    module: torch.nn.Module | None = None
    method: str = "__call__"
    backward: bool = False
    broken: list[str] = field(default_factory=list)


def _kept(make: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a thing once, with weights of its own seed, which leaves the call's own numbers alone."""

    @cache
    def once(*key: Any) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(hash(key) if all(isinstance(part, int) for part in key) else 0)
            return make(*key)

    return once


class Sub(Tensor):
    """A subclass that does nothing of its own."""


def number(rng: random.Random) -> Any:
    """Something in the place of a number, a flag or a name."""
    kind = rng.randrange(8)
    if kind == 0:
        return np.int64(rng.randrange(-2, 9))
    if kind == 1:
        return np.float32(rng.random() * 1.5)
    if kind == 2:
        return torch.tensor(rng.randrange(6))
    if kind == 3:
        return object()
    return rng.choice(NUMBERS)


def tensor(rng: random.Random, x: Any) -> Any:
    """A tensor, twisted; anything else in its place now and then."""
    if not isinstance(x, Tensor) or rng.random() < 0.12:
        return number(rng)
    try:
        return rng.choice(TWISTS)(rng, x)
    except (RuntimeError, TypeError):
        return x  # a twist of what was twisted before that torch itself cannot make


def _resized(rng: random.Random, x: Tensor) -> Tensor:
    if x.dim() == 0:
        return x[None]
    shape = list(x.shape)
    axis = rng.randrange(x.dim())
    shape[axis] = max(0, shape[axis] + rng.choice((-1, 1, -shape[axis])))
    return (
        torch.zeros(shape, dtype=x.dtype) if x.dtype is not torch.bool else torch.ones(shape, dtype=x.dtype)
    )


def _shape(rng: random.Random, x: Tensor) -> Tensor:
    choice = rng.randrange(4)
    if choice == 0:
        return x[None]
    if choice == 1 and x.dim():
        return x.select(rng.randrange(x.dim()), 0) if all(x.shape) else x
    if choice == 2 and x.dim() > 1:
        return x.transpose(0, 1)
    return x.reshape(-1)


def _strides(rng: random.Random, x: Tensor) -> Tensor:
    choice = rng.randrange(4)
    if x.dim() == 0 or not x.numel():
        return x
    if choice == 0:
        return x.repeat_interleave(2, x.dim() - 1)[..., ::2]
    if choice == 1:
        return x.flip(0).contiguous().flip(0)
    if choice == 2:
        return x[:1].expand(x.shape)
    return x.transpose(0, -1).contiguous().transpose(0, -1)


def _negative(rng: random.Random, x: Tensor) -> Tensor:
    if x.dtype not in (torch.float32, torch.float64):
        return x
    if rng.random() < 0.5:
        return torch._neg_view(-x.detach())
    return torch.complex(torch.zeros_like(x), -x).conj().imag


def _misaligned(rng: random.Random, x: Tensor) -> Tensor:
    size = x.numel() * x.element_size()
    if not size or not x.is_contiguous() or x.requires_grad:
        return x
    memory = bytearray(size + 1)
    memory[1:] = x.detach().numpy().tobytes()
    return torch.frombuffer(memory, dtype=x.dtype, offset=1, count=x.numel()).view(x.shape)


def _values(rng: random.Random, x: Tensor) -> Tensor:
    x = x.clone()
    if not x.numel():
        return x
    if x.dtype.is_floating_point:
        x.view(-1)[rng.randrange(x.numel())] = rng.choice((float("nan"), float("inf"), 1e30, -1e30))
    elif x.dtype is torch.bool:
        x.view(-1)[rng.randrange(x.numel())] ^= True
    elif not x.is_complex():
        x.view(-1)[rng.randrange(x.numel())] = rng.choice((0, 100, 127))
    return x


def _gradient(rng: random.Random, x: Tensor) -> Tensor:
    if not x.dtype.is_floating_point:
        return x
    return x.detach().clone().requires_grad_()


def _zero(rng: random.Random, x: Tensor) -> Tensor:
    made = torch._efficientzerotensor((2, *x.shape), dtype=x.dtype)
    return made[1] if rng.random() < 0.5 else torch._efficientzerotensor(x.shape, dtype=x.dtype)


def _layout(rng: random.Random, x: Tensor) -> Any:
    choice = rng.randrange(4)
    if choice == 0:
        return x.to("meta")
    if choice == 1:
        return x.to_sparse()
    if choice == 2:
        return x.detach().numpy()
    return [x]


TWISTS: tuple[Callable[[random.Random, Tensor], Any], ...] = (
    _resized, _resized, _shape, _strides, _negative, _misaligned, _values, _gradient, _zero, _layout,
    lambda rng, x: x.to(rng.choice(DTYPES)), lambda rng, x: x.detach().as_subclass(Sub),
    lambda rng, x: torch.nn.Parameter(x) if x.dtype.is_floating_point else x,
)  # fmt: skip


@_kept
def _layer(number: int) -> nn.Recurrent:
    """The layer of this number, the same in every process."""
    rng = random.Random(number)
    options: dict[str, Any] = {
        "num_layers": rng.choice((1, 1, 2)), "bidirectional": rng.random() < 0.3, "batch_first": rng.random() < 0.3,
        "layer_norm": rng.random() < 0.15, "learn_initial_state": rng.random() < 0.15,
        "engine": rng.choice(ENGINES), "dtype": rng.choice((torch.float32, torch.float32, torch.float64)),
    }  # fmt: skip
    name = rng.choice(("lstm", "gru", "rnn_tanh", *cells.names()))
    if not options["bidirectional"]:
        options["reverse"] = rng.random() < 0.15
    for _ in range(3):
        try:
            return nn.Recurrent(name, 4, 6, **options)
        except gatewise.errors.GatewiseError:
            options |= {"layer_norm": False, "bidirectional": False, "engine": "auto"}
    return nn.Recurrent("lstm", 4, 6)


def _input(rng: random.Random, module: Any, steps: int, batch: int) -> Tensor:
    shape = (batch, steps, 4) if module.batch_first else (steps, batch, 4)
    return torch.randn(shape, dtype=next(module.parameters()).dtype)


def _states(module: Any, batch: int) -> Any:
    rows = module.num_layers * (2 if module.bidirectional else 1)
    dtype = next(module.parameters()).dtype
    states = tuple(torch.randn(rows, batch, width, dtype=dtype) for width in module._state_widths)
    return states[0] if len(states) == 1 else states


def _break(rng: random.Random, arguments: dict[str, Any]) -> list[str]:
    """Twists none, one or two of the arguments, in place; their names."""
    broken = rng.sample(sorted(arguments), k=min(len(arguments), rng.choice((0, 1, 1, 1, 2))))
    for name in broken:
        value = arguments[name]
        if isinstance(value, tuple) and value and rng.random() < 0.8:
            place = rng.randrange(len(value))
            arguments[name] = (*value[:place], tensor(rng, value[place]), *value[place + 1 :])
        elif isinstance(value, Tensor):
            arguments[name] = tensor(rng, value)
        elif isinstance(value, list) and value and rng.random() < 0.5:
            arguments[name] = [*value[:-1], number(rng)]
        else:
            arguments[name] = number(rng)
    return broken


def _call(rng: random.Random) -> Prepared:
    module = _layer(rng.randrange(400)).train(rng.random() < 0.2)
    steps, batch = rng.choice((1, 2, 5, 17, 20)), rng.choice((1, 2, 3))
    arguments: dict[str, Any] = {"input": _input(rng, module, steps, batch)}
    flags = (batch, steps) if module.batch_first else (steps, batch)
    if rng.random() < 0.5:
        arguments["hx"] = _states(module, batch)
    if rng.random() < 0.15:
        lengths = sorted((rng.randrange(1, steps + 1) for _ in range(batch)), reverse=True)
        packed = pack_padded_sequence(arguments["input"], torch.tensor(lengths), module.batch_first)
        fields = dict(zip(("data", "batch_sizes"), packed, strict=False))
        broken = _break(rng, fields)
        # Past torch's own look at the fields.
        arguments["input"] = tuple.__new__(
            PackedSequence, (fields["data"], fields["batch_sizes"], None, None)
        )
    else:
        if rng.random() < 0.4:
            kind = torch.int64 if rng.random() < 0.5 else torch.int32
            arguments["lengths"] = torch.tensor([rng.randrange(steps + 1) for _ in range(batch)], dtype=kind)
        if rng.random() < 0.25:
            arguments["mask"] = torch.rand(flags) < 0.7
        if rng.random() < 0.25:
            arguments["resets"] = torch.rand(flags) < 0.2
        if rng.random() < 0.1:
            arguments["return_gates"] = True
        if len(module.program.inputs) > 1 and rng.random() < 0.9:
            dtype = arguments["input"].dtype
            arguments["streams"] = tuple(
                torch.rand(*arguments["input"].shape[:-1], 4, dtype=dtype) for _ in module.program.inputs[1:]
            )
        broken = []
    broken += _break(rng, arguments)
    return Prepared("layer()", module, arguments, module, backward=rng.random() < 0.3, broken=broken)


def _step(rng: random.Random) -> Prepared:
    module = _layer(rng.randrange(400)).eval()
    batch = rng.choice((1, 2, 3))
    arguments: dict[str, Any] = {"x_t": torch.randn(batch, 4, dtype=next(module.parameters()).dtype)}
    if rng.random() < 0.7:
        arguments["state"] = _states(module, batch)
    broken = _break(rng, arguments)
    return Prepared("layer.step", module.step, arguments, module, "step", rng.random() < 0.2, broken)


@_kept
def _cell_module(kind: type) -> torch.nn.Module:
    return kind(4, 6)


def _cell(rng: random.Random) -> Prepared:
    module = _cell_module(rng.choice((nn.LSTMCell, nn.GRUCell, nn.RNNCell)))
    batch = rng.choice((1, 3))
    arguments: dict[str, Any] = {"input": torch.randn(batch, 4)}
    if rng.random() < 0.7:
        h = torch.randn(batch, 6)
        arguments["hx"] = (h, torch.randn(batch, 6)) if isinstance(module, nn.LSTMCell) else h
    broken = _break(rng, arguments)
    return Prepared(
        type(module).__name__, module, arguments, module, backward=rng.random() < 0.3, broken=broken
    )


@_kept
def _prepared(number: int) -> nn.Recurrent:
    return nn.prepare(_layer(number).eval(), weights=("float32", "bfloat16", "int8")[number % 3])


@_kept
def _preparable() -> list[int]:
    layers = [(number, _layer(number)) for number in range(60)]
    return [
        n for n, one in layers if one.engine in ("auto", "native") and one.weight_ih_l0.dtype is torch.float32
    ]


def _served(rng: random.Random) -> Prepared:
    module = _prepared(rng.choice(_preparable()))
    batch = rng.choice((1, 2))
    if rng.random() < 0.5 and not module.bidirectional and not module.reverse:
        arguments: dict[str, Any] = {"x_t": torch.randn(batch, 4, dtype=_layer_dtype(module))}
        function, name = module.step, "prepared.step"
    else:
        arguments = {"input": torch.randn(3, batch, 4, dtype=_layer_dtype(module))}
        function, name = module, "prepared()"
    return Prepared(name, function, arguments, broken=_break(rng, arguments))


def _layer_dtype(module: Any) -> torch.dtype:
    return next(iter(module.parameters())).dtype


def _construct(rng: random.Random) -> Prepared:
    kind = rng.choice((nn.LSTM, nn.GRU, nn.RNN, nn.Recurrent, nn.LSTMCell, nn.GRUCell, nn.Bidirectional))
    arguments: dict[str, Any] = {"input_size": 4, "hidden_size": 6}
    if kind is nn.Recurrent:
        arguments["cell"] = rng.choice(cells.names())
    if kind is nn.Bidirectional:
        arguments = {"forward_layer": _layer(rng.randrange(40)), "merge": "sum"}
    elif not issubclass(kind, nn.LSTMCell | nn.GRUCell):
        extras = {
            "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False, "zoneout": 0.1,
            "recurrent_dropout": 0.1, "weight_drop": 0.1, "layer_norm": False, "init": "orthogonal", "engine": "auto",
            "checkpoint_every": 3, "chrono_steps": 5, "residual": False, "learn_initial_state": True, "proj_size": 0,
        }  # fmt: skip
        arguments |= {name: extras[name] for name in rng.sample(sorted(extras), 3)}
    broken = _break(rng, arguments)
    return Prepared(kind.__name__, kind, arguments, broken=broken)


@_kept
def _attention_module(score: str) -> nn.Attention:
    return nn.Attention(score, 4, 4, coverage=score == "concat")


def _attention(rng: random.Random) -> Prepared:
    module = _attention_module(rng.choice(("additive", "dot", "general", "concat")))
    if rng.random() < 0.3:
        arguments: dict[str, Any] = {
            "score": module.score, "query_size": 4, "memory_size": 4, "attention_size": 3, "coverage": False,
        }  # fmt: skip
        return Prepared("Attention", nn.Attention, arguments, broken=_break(rng, arguments))
    arguments = {
        "sequence": torch.randn(5, 2, 4),
        "lengths": torch.tensor([5, 3]),
        "query": torch.randn(3, 2, 4),
    }
    if module.cover is not None:
        arguments["coverage"] = torch.rand(3, 2, 5)
    broken = _break(rng, arguments)

    def attend(sequence: Any, lengths: Any, **rest: Any) -> Any:
        return module(memory=module.prepare(sequence, lengths), **rest)

    return Prepared("Attention()", attend, arguments, broken=broken)


@_kept
def _crf_module() -> nn.CRF:
    return nn.CRF(3)


def _crf(rng: random.Random) -> Prepared:
    module = _crf_module()
    method = rng.choice(("log_likelihood", "log_partition", "marginals", "viterbi"))
    arguments: dict[str, Any] = {"scores": torch.randn(5, 2, 3)}
    if method == "log_likelihood":
        arguments["tags"] = torch.randint(0, 3, (5, 2))
    if rng.random() < 0.5:
        arguments["lengths"] = torch.tensor([5, rng.randrange(6)])
    elif rng.random() < 0.5:
        arguments["mask"] = torch.rand(5, 2) < 0.7
    broken = _break(rng, arguments)
    return Prepared(f"CRF.{method}", getattr(module, method), arguments, module, method, broken=broken)


def _state(rng: random.Random) -> Prepared:
    module = _layer(rng.randrange(400))
    state = nn.RecurrentState.of(module, _states(module, 2))
    kind = rng.randrange(4)
    if kind == 0:
        data = bytearray(state.to_bytes())
        for _ in range(rng.randrange(4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        data = data[: rng.choice((len(data), rng.randrange(len(data)), len(data) - 1))]
        return Prepared(
            "RecurrentState.from_bytes", nn.RecurrentState.from_bytes, {"data": bytes(data)}, broken=["data"]
        )
    if kind == 1:
        arguments: dict[str, Any] = {"module": module, "state": _states(module, 2)}
        return Prepared("RecurrentState.of", nn.RecurrentState.of, arguments, broken=_break(rng, arguments))
    if kind == 2:
        arguments = {"indices": [0, 1] if rng.random() < 0.5 else torch.tensor([1, 0])}
        return Prepared("RecurrentState.select", state.select, arguments, broken=_break(rng, arguments))
    return Prepared("RecurrentState.last", state.last, {})


def _leaky(gate: Any, state: Any) -> Any:
    return sigmoid(gate.z) * state.h + (1 - sigmoid(gate.z)) * tanh(gate.n)


def _declare(rng: random.Random) -> Prepared:
    arguments: dict[str, Any] = {
        "states": "h",
        "gates": "z n",
        "retain": "z",
        "title": "a",
        "cite": "b",
    }
    arguments = {name: arguments[name] for name in ("states", "gates", *rng.sample(sorted(arguments), 2))}
    broken = _break(rng, arguments)
    constant = rng.choice((1.0, 10**400, float("nan"), None, "x", 2**80, np.float32(2)))

    def declare(**given: Any) -> Any:
        if rng.random() < 0.5:
            return gatewise.cell(**given)(_leaky)
        return gatewise.cell(**given)(lambda gate, state: _leaky(gate, state) * constant)

    return Prepared("cell", declare, arguments, broken=broken)


MAKERS: tuple[tuple[Callable[[random.Random], Prepared], int], ...] = (
    (_call, 52), (_step, 14), (_cell, 8), (_served, 6), (_construct, 8), (_attention, 4), (_crf, 4), (_state, 3),
    (_declare, 1),
)  # fmt: skip


def make(seed: int, index: int) -> Prepared:
    """The call of this index, the same in every process."""
    rng = random.Random(f"{seed} {index}")
    torch.manual_seed(rng.randrange(2**62))
    makers, weights = zip(*MAKERS, strict=True)
    maker = rng.choices(makers, weights)[0]
    return maker(rng)
