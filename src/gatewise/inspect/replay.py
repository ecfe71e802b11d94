"""A recurrent layer's part of a training step, run once more with a tap on its backward pass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from gatewise.inspect.flow import as_constants, layer_name, loss_gradients, unpacked
from gatewise.inspect.flow_log import MonitoredLayer
from gatewise.inspect.horizon import estimate_horizon
from gatewise.inspect.jacobian import align, lag_grid
from gatewise.inspect.tapped import Tap, differentiate, rows_of, run_again, run_tapped
from gatewise.inspect.verdict import judge, median_rows
from gatewise.nn import Recurrent
from gatewise.nn.edge import enter

__all__ = ["Seen", "look", "replay"]

_ROWS = 4  # sequences that the probes go through
_PROBES = 4  # random directions for each


@dataclass(eq=False)
class Seen:
    """One call of a layer during a step.

    Attributes:
        module: The layer.
        arguments, options: What it was called with.
        generators: The states of the random generators before the call, where it draws from them.
        output: Its output, for the layout.
        gradients: Cotangents by position, the output's first, then those of the states.
    """

    module: Recurrent
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    generators: list[Tensor]
    output: Any = None
    gradients: dict[int, Tensor] = field(default_factory=dict)


def look(module: Recurrent, seen: list[Seen], hooks: ExitStack) -> None:
    """Notes each call of a layer and the gradients that come back to what it gave, until the hooks are closed."""

    def before(_: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        if torch.is_grad_enabled() and module._prepared is None:
            seen.append(Seen(module, arguments, options, _generators(module)))

    def after(_: Any, __: Any, ___: Any, result: Any) -> None:
        if not torch.is_grad_enabled() or module._prepared is not None:
            return
        call = seen[-1]
        call.output = result[0]
        output = result[0].data if isinstance(result[0], PackedSequence) else result[0]
        states = (result[1],) if isinstance(result[1], Tensor) else tuple(result[1])
        for position, tensor in enumerate((output, *states)):
            if tensor.requires_grad:
                tensor.register_hook(partial(_note, call.gradients, position))

    hooks.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
    hooks.callback(module.register_forward_hook(after, with_kwargs=True).remove)


def _note(gradients: dict[int, Tensor], position: int, gradient: Tensor | None) -> None:
    if gradient is not None:  # nothing comes back to what the loss does not read, a last state or the outputs
        gradients[position] = gradient.detach()


def _generators(module: Recurrent) -> list[Tensor]:
    """The states that the layer's random parts start from: the CPU's, and the GPU's where it is on one."""
    random = module.dropout or module.recurrent_dropout or module.weight_drop or any(module.zoneout)
    if not (module.training and random):
        return []
    device = next(module.parameters()).device
    others = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *others]


@contextmanager
def _randomness(seen: Seen) -> Iterator[None]:
    """The generators as they were before the call, and afterwards as they are now."""
    device = next(seen.module.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if seen.generators:
            torch.set_rng_state(seen.generators[0])
        for state in seen.generators[1:]:
            torch.cuda.set_rng_state(state, device)
        yield


def replay(name: str, seen: Sequence[Seen], scale: float, lags: int) -> list[MonitoredLayer]:
    """The gradient's flow through a layer in a step.

    Args:
        name: The layer's place in the model.
        seen: Its calls; the one over the most steps is looked at.
        scale: What the gradients were multiplied by.
        lags: How many distances from the end.

    Returns:
        One for each layer and direction; none where the layer had no part in the loss.
    """
    with_gradient = [call for call in seen if call.gradients]
    if not with_gradient:
        return []
    call = max(with_gradient, key=_steps)
    with torch.no_grad(), _randomness(call), torch.autocast(_device(call).type, enabled=False):
        given = _arguments(call)
        inner, form = call.module._call(*given[:3], **given[3])
        inner = as_constants(inner)
        if inner.inputs[0].numel() == 0:
            return []
        with torch.enable_grad():
            output, states, taps = run_tapped(inner)
            outputs = _outputs(call, (output, *states), form, scale)
            differentiate([y for y, _ in outputs], taps, [g for _, g in outputs])
    return [_measured(name, tap, call.module, lags) for tap in taps]


def _steps(call: Seen) -> int:
    if isinstance(call.output, PackedSequence):
        return len(call.output.batch_sizes)
    axis = 1 if call.module.batch_first and call.output.dim() == 3 else 0
    return int(call.output.shape[axis])


def _device(call: Seen) -> torch.device:
    return next(call.module.parameters()).device


def _arguments(call: Seen) -> tuple[Any, Any, Any, dict[str, Any]]:
    """What the layer was called with, padded and in its parameters' dtype: input, hx, streams and the rest."""
    names = ("input", "hx")
    options = {**dict(zip(names, call.arguments, strict=False)), **call.options}
    options.pop("return_gates", None)
    input, lengths, streams = unpacked(
        call.module, options.pop("input"), options.pop("lengths", None), options.pop("streams", None)
    )
    dtype = next(call.module.parameters()).dtype
    if streams is not None:
        streams = _cast(streams, dtype)
    hx = _cast(options.pop("hx", None), dtype)
    return _cast(input, dtype), hx, streams, {**options, "lengths": lengths}


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to(dtype) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: _cast(one, dtype) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return tuple(_cast(one, dtype) for one in value)
    return value


def _outputs(call: Seen, outputs: tuple[Tensor, ...], form: Any, scale: float) -> list[tuple[Tensor, Tensor]]:
    """What the layer gave in this run, with the gradients that the step brought to it, in the engines' layout."""
    found = []
    for position, gradient in call.gradients.items():
        if position == 0 and isinstance(call.output, PackedSequence):
            packed = PackedSequence(gradient, *call.output[1:])
            gradient = pad_packed_sequence(packed, total_length=outputs[0].shape[0])[0]
        elif position == 0:
            gradient = enter(gradient, form)
        elif not form.batched:
            gradient = gradient.unsqueeze(1)
        found.append((outputs[position], gradient.to(outputs[position].dtype) / scale))
    return found


def _measured(name: str, tap: Tap, module: Recurrent, count: int) -> MonitoredLayer:
    _, _, by_lag = loss_gradients(tap)
    steps = int((~np.isnan(by_lag)).sum())
    lags = np.array([0, *lag_grid(steps - 1, count - 1)] if steps else [], np.int64)
    log_reach = _log_reach(tap)[:, lags]
    typical = median_rows(log_reach)
    horizon = estimate_horizon(lags[1:], typical[1:])
    with np.errstate(over="ignore"):
        reach = np.exp(typical)
    return MonitoredLayer(
        f"{name} {layer_name(tap)}".strip(),
        module.program.name,
        lags,
        by_lag[lags],
        reach,
        horizon,
        judge(lags[1:], log_reach[:, 1:], horizon, module.program),
    )


def _log_reach(tap: Tap) -> np.ndarray:
    """(rows, time): by lag, the logarithm of what a gradient in a random direction at the end keeps of its norm.

    The root mean square over the directions. For unit vectors drawn evenly its square estimates that of the Frobenius
    norm over the width without bias.
    """
    batch, time = tap.states[0].shape[0], tap.inputs[0].shape[0]
    device = tap.inputs[0].device
    rows = torch.arange(min(batch, _ROWS), device=device)
    probe = rows_of(tap, rows, _PROBES)
    generator = torch.Generator().manual_seed(0)
    width = sum(state.shape[-1] for state in probe.states)
    u = torch.randn(len(rows) * _PROBES, width, generator=generator, dtype=torch.float64, device="cpu")
    u = (u / u.norm(dim=-1, keepdim=True)).to(probe.states[0])
    with torch.enable_grad():
        ended = run_again(probe, probe.inputs).states
        differentiate(list(ended), [probe], list(u.split([s.shape[-1] for s in probe.states], -1)))
    norms = torch.stack([g.double().norm(dim=-1) for g in probe.state_gradients]).norm(dim=0)
    # What grew out of the range of numbers is infinite, not unknown.
    norms = torch.where(norms.isnan(), math.inf, norms)
    alignment = align(probe, torch.arange(norms.shape[1], device=device))
    back = torch.where(alignment.valid, alignment.gather(norms.unsqueeze(-1))[..., 0], math.nan).flip(0)
    kept = back.unflatten(1, (len(rows), _PROBES)).square().mean(-1).sqrt().log()
    found = np.full((len(rows), time), np.nan)
    found[:, : len(back)] = kept.T.cpu().numpy()
    return found
