"""Hands RNN, LSTM and GRU to torch's own kernels, wherever those can do what is asked.

Only in eager mode and outside our operator: tracing rejects torch's recurrent operators, and torch.func cannot see
through them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from gatewise import cells
from gatewise.engines.call import StackCall, StackResult
from gatewise.engines.plain import resolved
from gatewise.spec.program import Program

__all__ = ["can_run", "can_step", "cell_kernel", "mode_of", "run", "step"]

_MODES = ("rnn_tanh", "rnn_relu", "lstm", "gru")
_CPU_DTYPES = (torch.float32, torch.float64)
_LAYER_FUNCTIONS = {
    "rnn_tanh": torch.rnn_tanh,
    "rnn_relu": torch.rnn_relu,
    "gru": torch.gru,
    "lstm": torch.lstm,
    "lstm_projected": torch.lstm,
}


@lru_cache(maxsize=1)
def _programs() -> dict[Program, tuple[str, bool]]:
    known = {}
    for name in (*_MODES, "lstm_projected"):
        for bias in (True, False):
            known[cells.get(name, bias=bias)] = (name, bias)
    return known


@lru_cache(maxsize=256)
def mode_of(program: Program) -> tuple[str, bool] | None:
    """torch's name for a program and whether it has biases, or None."""
    return _programs().get(program)


def can_run(call: StackCall) -> str | None:
    """Why torch's kernels cannot run this call, or None."""
    if torch.compiler.is_compiling():
        return "torch's recurrent operators cannot be traced"
    if torch._C._functorch.maybe_current_level() is not None:
        return "torch.func cannot see through torch's recurrent operators"
    mode = mode_of(call.program)
    if mode is None:
        return f"torch has no kernel for {call.program.name!r}"
    if forward_ad._current_level >= 0 and mode[0].startswith("lstm"):
        return "torch's LSTM has no forward-mode derivative"
    if _is_plain(call):
        return _unfit_input(call.inputs[0])
    asked = {
        "mask": call.mask is not None,
        "resets": call.resets is not None,
        "return_gates": call.return_gates,
        "zoneout": any(call.zoneout),
        "recurrent_dropout": call.training and call.recurrent_dropout > 0,
        "residual": call.residual and call.num_layers > 1,
        "a single reverse direction": call.reverse,
        "checkpoint_every": call.checkpoint_every is not None,
        "lengths with dropout between layers": call.lengths is not None
        and call.dropout > 0
        and call.training,
    }
    for name, wanted in asked.items():
        if wanted:
            return f"torch's kernels know no {name}"
    return _unfit_input(call.inputs[0])


def _is_plain(call: StackCall) -> bool:
    """Whether nothing is asked that torch has not, told quickly: this stands before every call of a layer."""
    ragged = call.mask is not None or call.resets is not None or call.lengths is not None
    special = call.return_gates or call.reverse or call.checkpoint_every is not None or any(call.zoneout)
    return not (ragged or special or call.recurrent_dropout or call.residual)


def _unfit_input(x: Tensor) -> str | None:
    if x.is_cpu and x.dtype in _CPU_DTYPES and x.numel():
        return None
    if x.device.type not in ("cpu", "cuda"):
        return f"torch's kernels run on cpu and cuda, the input is on {x.device.type}"
    if x.device.type == "cpu" and x.dtype not in _CPU_DTYPES:
        return f"torch's CPU kernels fail in training with {x.dtype}"
    if x.numel() == 0:
        return "torch's kernels need at least one step, one row and one feature"
    return None


def run(call: StackCall) -> StackResult:
    """Runs the whole stack in one call of torch."""
    if call.lengths is not None:
        return _ragged(call)
    name, bias = mode_of(call.program) or ("", False)
    # torch's kernels take addresses themselves, of zeros without memory too.
    x, *states = resolved((call.inputs[0], *call.states))
    weights = [tensor for layer in call.tensors for tensor in layer]
    if any(type(tensor) is not torch.nn.Parameter for tensor in weights):
        weights = resolved(weights)
    hx = states if len(states) > 1 else states[0]
    function: Any = _LAYER_FUNCTIONS[name]
    common = (hx, weights, bias, call.num_layers, float(call.dropout), call.training, call.bidirectional)
    if call.batch_sizes is not None:
        output, *states = function(x, call.batch_sizes.contiguous(), *common)
    else:
        output, *states = function(x, *common, False)
    return StackResult(output, tuple(states))


def _ragged(call: StackCall) -> StackResult:
    """Padded rows with lengths: packed for torch, and unpacked."""
    lengths = call.lengths
    if lengths is None:
        raise ValueError("lengths: expected a tensor")
    empty = (lengths == 0)[None, :, None]
    # torch refuses rows without a step: they run one, on zeros, and keep their state.
    x = call.inputs[0].masked_fill(empty, 0.0)
    sorted_lengths, order = torch.sort(lengths, descending=True, stable=True)
    packed = pack_padded_sequence(x.index_select(1, order), sorted_lengths.clamp(min=1).cpu())
    inner = call._replace(
        inputs=(packed.data,),
        states=tuple(s.index_select(1, order) for s in call.states),
        lengths=None,
        batch_sizes=packed.batch_sizes,
    )
    result = run(inner)
    back = torch.argsort(order)
    output, _ = pad_packed_sequence(
        PackedSequence(result.output, packed.batch_sizes), total_length=x.shape[0]
    )
    output = output.index_select(1, back).masked_fill(empty, 0.0)
    states = tuple(
        torch.where(empty, old, new.index_select(1, back))
        for old, new in zip(call.states, result.states, strict=True)
    )
    return StackResult(output, states)


# --- one step

_CELL_FUNCTIONS = {
    "rnn_tanh": torch.rnn_tanh_cell,
    "rnn_relu": torch.rnn_relu_cell,
    "gru": torch.gru_cell,
    "lstm": torch.lstm_cell,
}


def can_step(program: Program, x: Tensor) -> str | None:
    """Why torch's cell kernels cannot run one step, or None."""
    if torch.compiler.is_compiling():
        return "compiled code runs the program"
    mode = mode_of(program)
    if mode is None or mode[0] not in _CELL_FUNCTIONS:
        return f"torch has no cell kernel for {program.name!r}"
    if torch._C._functorch.maybe_current_level() is not None:
        return "torch.func cannot see through torch's recurrent operators"
    return None


def cell_kernel(program: Program) -> Any:
    """torch's function for one step of a cell, or None: called with the input, the state and four weights."""
    mode = mode_of(program)
    return None if mode is None or not mode[1] else _CELL_FUNCTIONS.get(mode[0])


def step(
    program: Program, x: Tensor, states: tuple[Tensor, ...], tensors: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One step by torch's cell kernel."""
    name, bias = mode_of(program) or ("", False)
    function: Any = _CELL_FUNCTIONS[name]
    weights = tensors if bias else (*tensors, None, None)
    try:
        if name == "lstm":
            h, c = function(x, states, *weights)
            return h, (h, c)
        h = function(x, states[0], *weights)
        return h, (h,)
    except RuntimeError:
        # torch's cells write into what zeros without memory gave them; asking beforehand would slow every step.
        operands = (x, *states, *tensors)
        if not any(operand._is_zerotensor() for operand in operands):
            raise
    x, *rest = resolved(operands)
    return step(program, x, tuple(rest[: len(states)]), tuple(rest[len(states) :]))
