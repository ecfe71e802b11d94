"""Gradient flow: how a gradient's norm changes on its way back through time, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from gatewise import nn
from gatewise.engines import StackCall, StackResult
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.inspect.flow_numbers import GradientFlow, LayerFlow
from gatewise.inspect.horizon import SHARES, estimate_horizon
from gatewise.inspect.jacobian import JacobianNorms, align, jacobian_norms, lag_grid
from gatewise.inspect.tapped import Tap, differentiate, run_tapped
from gatewise.inspect.verdict import judge, median_rows
from gatewise.nn.arguments import no_type_check

__all__ = ["as_constants", "gradient_flow", "layer_name", "loss_gradients", "unpacked"]

_LAGS = 24
_METHODS = ("auto", "dense", "power")


@no_type_check
def gradient_flow(
    module: nn.Recurrent,
    input: Tensor | PackedSequence,
    hx: Any = None,
    *,
    loss: Callable[[Any, Any], Tensor] | None = None,
    streams: Sequence[Tensor] | Mapping[str, Tensor] | None = None,
    lengths: Tensor | Sequence[int] | None = None,
    mask: Tensor | None = None,
    resets: Tensor | None = None,
    lags: int | Sequence[int] = _LAGS,
    rows: int = 4,
    method: str = "auto",
    tolerance: float = 1e-6,
    max_iterations: int = 100,
    shares: Sequence[float] = SHARES,
) -> GradientFlow:
    """Measures how a gradient's norm changes on its way back through the layers of a module.

    Two things are measured, both exactly, by the derivative of the cell's program: d loss / d h_t for every step, and
    the largest singular value of d h_T / d h_t, the product of the layer's step Jacobians with its input held fixed,
    for a grid of lags T - t. The first says what training hears of each step, the second what it could hear.

    The module computes as in evaluation: dropout is off, zoneout at its expectation. Nothing of it changes, no random
    number is drawn, no gradient is kept in the parameters.

    Args:
        module: A layer or stack of layers of gatewise.nn.
        input: As the module takes it: (time, batch, input_size), batch first, unbatched, or packed.
        hx: The states to start from; None for the module's own.
        loss: From (output, state), as the module returns them, to a scalar. None looks back from each sequence's last
            step: a vector of norm 1 on the first state of the last layer, in each direction.
        streams, lengths, mask, resets: As the module takes them.
        lags: How many lags, spread evenly over the logarithm, or the lags themselves, in steps, at least 1.
        rows: How many sequences, spread evenly over the batch, the Jacobians are taken of.
        method: "dense" carries the whole Jacobian back, all lags in one pass; "power" iterates on a block of four
            vectors for each lag (see :mod:`gatewise.inspect.jacobian`); "auto" is dense up to a state of width 128.
        tolerance: Of the power iteration, relative; not below 64 roundings of the module's dtype.
        max_iterations: Of the power iteration, for each lag; what it does not bring to the tolerance is flagged.
        shares: At which the memory horizon is read, between 0 and 1.

    Returns:
        Plain numbers; `describe()` puts them in words.

    Raises:
        ArgumentError: A value out of range; a module prepared for inference; a loss that does not depend on the
            output; states that are not finite.
        ArgumentTypeError: A wrong type.
        ShapeError: The input does not fit the module.

    Example:
        >>> import torch
        >>> from gatewise import inspect, nn
        >>> _ = torch.manual_seed(0)
        >>> flow = inspect.gradient_flow(nn.RNN(3, 16), torch.randn(100, 8, 3))
        >>> flow.verdict.kind, bool(flow.layers[0].horizon.reach(0.01).lag < 30)
        ('vanishing', True)

    References:
        Hochreiter 1991; Bengio, Simard & Frasconi 1994; Pascanu, Mikolov & Bengio 2013, section 2; Engelken, Wolf &
        Abbott 2023.
    """
    _check(module, loss, rows, method, tolerance, max_iterations, shares)
    input, lengths, streams = unpacked(module, input, lengths, streams)
    with _at_rest(module), torch.no_grad():
        call, form = module._call(input, hx, streams, lengths, mask, resets)
    call = as_constants(call)
    if call.inputs[0].numel() == 0 or call.inputs[0].shape[1] == 0:
        raise ArgumentError(
            f"input: expected at least one step of one sequence, got shape {tuple(input.shape)}; give more"
        )
    with torch.enable_grad():
        output, states, taps = run_tapped(call)
        value = _from_the_end(states, call) if loss is None else loss(*_left(module, output, states, form))
        _check_value(value, output)
        differentiate([value], taps)
    count = call.inputs[0].shape[1]
    chosen = _spread(count, rows)
    found = tuple(
        _layer(module, tap, chosen, lags, method, tolerance, max_iterations, shares) for tap in taps
    )
    return GradientFlow(found, call.inputs[0].shape[0], count, tuple(chosen))


def _layer(
    module: nn.Recurrent, tap: Tap, rows: list[int], lags: Any, method: str, tolerance: float,
    max_iterations: int, shares: Sequence[float],
) -> LayerFlow:  # fmt: skip
    device, dtype = tap.inputs[0].device, tap.states[0].dtype
    chosen = torch.tensor(rows, device=device)
    longest = int(align(tap, chosen).counts.max())
    grid = _grid(lags, longest)
    if grid:
        least = 64 * torch.finfo(dtype).eps
        norms = jacobian_norms(
            tap, chosen, grid, method=method, tolerance=max(tolerance, least), max_iterations=max_iterations
        )
    else:
        none = np.zeros((len(rows), 0))
        norms = JacobianNorms(np.zeros(0, np.int64), none, none, none.astype(bool), "dense")
    horizon = estimate_horizon(norms.lags, median_rows(norms.log_norm), shares)
    by_state, together, by_lag = loss_gradients(tap)
    names = module.state_names
    return LayerFlow(
        layer_name(tap),
        module.program.name,
        tap.layer,
        tap.direction,
        names,
        together,
        dict(zip(names, by_state, strict=True)),
        by_lag,
        norms.lags,
        norms.log_norm,
        norms.log_rms,
        norms.converged,
        norms.method,
        horizon,
        judge(norms.lags, norms.log_norm, horizon, module.program),
    )


def layer_name(tap: Tap) -> str:
    """What a layer is called in reports."""
    return f"layer {tap.layer}" + (" reverse" if tap.direction else "")


def loss_gradients(tap: Tap) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Norms of d loss / d state: for each state by time, for all together by time, and by lag.

    They are means over the sequences for which a step counts, NaN where it counts for none.
    """
    time, batch = tap.inputs[0].shape[:2]
    gradients = tap.state_gradients or tuple(s.new_zeros(time, *s.shape) for s in tap.states)
    norms = [g.double().norm(dim=-1) for g in gradients]
    together = torch.stack(norms).norm(dim=0)
    counted = torch.ones_like(together, dtype=torch.bool) if tap.mask is None else tap.mask[..., 0]
    alignment = align(tap, torch.arange(batch, device=together.device))
    back = alignment.gather(together.unsqueeze(-1))[..., 0].flip(0)
    by_lag = np.full(time, np.nan)
    by_lag[: len(back)] = _mean(back, alignment.valid.flip(0))
    return [_mean(norm, counted) for norm in norms], _mean(together, counted), by_lag


def _mean(values: Tensor, counted: Tensor) -> np.ndarray:
    """The mean over rows of those that count; NaN where none does (0 / 0)."""
    total = torch.where(counted, values, 0.0).sum(1) / counted.sum(1)
    return total.cpu().numpy()


# --- how a module is called


@contextmanager
def _at_rest(module: nn.Recurrent) -> Iterator[None]:
    """The module in evaluation mode for a moment: its own flag alone, no hook and no submodule hears of it."""
    was, module.training = module.training, False
    try:
        yield
    finally:
        module.training = was


def as_constants(call: StackCall) -> StackCall:
    """The same call cut off from the graph."""
    return replace_tensors(call, Tensor.detach)


def replace_tensors(call: StackCall, change: Callable[[Tensor], Tensor]) -> StackCall:
    """The same call with each of its numbers changed."""
    return call._replace(
        inputs=tuple(change(x) for x in call.inputs),
        states=tuple(change(s) for s in call.states),
        tensors=tuple(tuple(change(t) for t in row) for row in call.tensors),
        reset_states=None if call.reset_states is None else tuple(change(s) for s in call.reset_states),
    )


def unpacked(module: nn.Recurrent, input: Any, lengths: Any, streams: Any) -> tuple[Any, Any, Any]:
    """A packed input, and streams packed like it, as padded ones with lengths."""
    if not isinstance(input, PackedSequence):
        return input, lengths, streams
    if lengths is not None:
        raise ArgumentError("lengths: expected None beside a PackedSequence, got some; it has its own")
    padded, counts = pad_packed_sequence(input, batch_first=module.batch_first)

    def unpack(stream: Any) -> Any:
        is_packed = isinstance(stream, PackedSequence)
        return pad_packed_sequence(stream, batch_first=module.batch_first)[0] if is_packed else stream

    if isinstance(streams, Mapping):
        streams = {name: unpack(stream) for name, stream in streams.items()}
    elif isinstance(streams, Sequence):
        streams = [unpack(stream) for stream in streams]
    return padded, counts, streams


def _left(module: nn.Recurrent, output: Tensor, states: tuple[Tensor, ...], form: Any) -> tuple[Any, ...]:
    return module._leave(StackResult(output, states), form, False)


def _from_the_end(states: tuple[Tensor, ...], call: StackCall) -> Tensor:
    """A sum whose gradient is a vector of norm 1 on the first state of the last layer, in each direction."""
    last = states[0][-call.directions :]
    return last.sum() / math.sqrt(last.shape[-1])


def _spread(count: int, rows: int) -> list[int]:
    """At most `rows` positions, spread evenly over a batch."""
    return sorted({int(x) for x in np.linspace(0, count - 1, min(rows, count))})


def _grid(lags: Any, longest: int) -> list[int]:
    if isinstance(lags, int) and not isinstance(lags, bool):
        if lags < 2:
            raise ArgumentError(
                f"lags: expected at least 2 lags, got {lags}; give more, or the lags themselves"
            )
        return lag_grid(longest, lags)
    try:
        given = sorted({int(lag) for lag in lags})
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"lags: expected an integer or integers, got {lags!r:.60}; give how many, or the lags"
        ) from None
    if not given or given[0] < 1 or given[-1] > longest:
        seen = f"{given[0]} to {given[-1]}" if given else "none"
        raise ArgumentError(
            f"lags: expected lags of 1 to {longest}, the steps of the longest sequence looked at, got {seen}; "
            "leave out the others"
        )
    return given


# --- checks


def _check(
    module: Any, loss: Any, rows: Any, method: Any, tolerance: Any, max_iterations: Any, shares: Any
) -> None:
    if not isinstance(module, nn.Recurrent):
        raise ArgumentTypeError(
            f"module: expected a layer of gatewise.nn (Recurrent, LSTM, GRU, RNN), got {type(module).__name__}; pass "
            "the recurrent part of the model"
        )
    if module._prepared is not None:
        raise ArgumentError(
            "module: expected a layer that can be differentiated, got one prepared for inference; pass the original"
        )
    if loss is not None and not callable(loss):
        raise ArgumentTypeError(
            f"loss: expected a function of (output, state) or None, got {type(loss).__name__}"
        )
    for name, value in (("rows", rows), ("max_iterations", max_iterations)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ArgumentTypeError(f"{name}: expected an integer, got {value!r:.60}")
        if value < 1:
            raise ArgumentError(f"{name}: expected at least 1, got {value}")
    if method not in _METHODS:
        raise ArgumentError(f"method: expected one of {', '.join(_METHODS)}, got {method!r:.60}")
    if not isinstance(tolerance, int | float) or not 0 < tolerance < 1:
        raise ArgumentError(f"tolerance: expected a number between 0 and 1, got {tolerance!r:.60}")
    if not isinstance(shares, Sequence) or not all(isinstance(s, float) and 0 < s < 1 for s in shares):
        raise ArgumentError(f"shares: expected numbers between 0 and 1, got {shares!r:.60}")


def _check_value(value: Any, output: Tensor) -> None:
    if not isinstance(value, Tensor) or value.numel() != 1:
        came = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ArgumentTypeError(f"loss: expected a tensor with one number, got {came}; take a mean or a sum")
    if not value.requires_grad:
        raise ArgumentError(
            "loss: expected one that depends on the output or the state, got one that does not; compute it from "
            "what the function is given"
        )
    if not (torch.isfinite(output).all() and torch.isfinite(value).all()):
        raise ArgumentError(
            "input: the module's output or the loss is not finite; look for NaN in the input and for weights "
            "that have diverged"
        )
