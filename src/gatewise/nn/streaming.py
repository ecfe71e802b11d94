"""``module.step``: one step of all layers, for streams; the numbers are those of a whole sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.modules import module as _torch_module

from gatewise.engines import WarmStep, geometry, has_steps, lean_step, warm_step
from gatewise.engines import step as engine_step
from gatewise.errors import ArgumentError
from gatewise.nn.arguments import no_type_check
from gatewise.nn.autocast import run_call
from gatewise.nn.edge import Form, enter_streams
from gatewise.nn.state import RecurrentState

if TYPE_CHECKING:
    from gatewise.nn.recurrent import Recurrent

__all__ = ["Streaming"]

# From so many rows on a step is worth the kernels of a whole call: torch's own cell goes through a row's gates several
# times, 1.5 times as long at 1,024 rows of 64 units and 3 times at 4,096.
_MANY_ROWS = 512

# What torch.nn.Module's own call asks before it goes past the hooks; the dictionaries stay the same objects.
_ALL_PRE, _ALL = _torch_module._global_forward_pre_hooks, _torch_module._global_forward_hooks
_ALL_BACKWARD_PRE = _torch_module._global_backward_pre_hooks
_ALL_BACKWARD = _torch_module._global_backward_hooks


class Streaming:
    """The step of a layer; mixed into :class:`gatewise.nn.Recurrent`."""

    # Of a prepared layer: what does the steps of the last batch size.
    _warm: WarmStep | None = None

    @no_type_check
    def step(
        self: Any,  # a Recurrent
        x_t: Tensor,
        state: Tensor | Sequence[Tensor] | None = None,
        *,
        streams: Sequence[Tensor] | Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Any]:
        """Runs one step of time through all layers: a forward call over one step, made lean.

        Args:
            x_t: (batch, input_size), or (input_size,).
            state: What the last step, or a whole call, returned; None at the start of a stream.
            streams: The further inputs of a cell that has several, one row each.

        Returns:
            The output, (batch, size) or (size,), and the new state.

        Raises:
            ArgumentError: The layer is bidirectional or runs in reverse, so it cannot stream.
            ShapeError: Something does not fit.

        Example:
            >>> import torch
            >>> from gatewise import nn
            >>> gru, state = nn.GRU(3, 5, num_layers=2).eval(), None
            >>> x = torch.randn(7, 4, 3)
            >>> for x_t in x:
            ...     y_t, state = gru.step(x_t, state)
            >>> torch.testing.assert_close(y_t, gru(x)[0][-1])
        """
        if (
            self._forward_pre_hooks or self._forward_hooks or self._backward_pre_hooks or self._backward_hooks
            or _ALL_PRE or _ALL or _ALL_BACKWARD_PRE or _ALL_BACKWARD
        ):  # fmt: skip
            return _step_by_module(self, x_t, state, streams)
        traced = torch.compiler.is_compiling() or torch._C._is_any_autocast_enabled()
        if self._warm is not None and streams is None and not traced:
            found = self._warm(x_t, state)
            if found is not None:
                return found[0], self._wrap(found[1])
        _check_direction(self)
        batched = geometry.check_row(type(self).__name__, "x_t", x_t, self.input_size)
        drops = self.training and (self.dropout or self.recurrent_dropout or self.weight_drop)
        many = self._prepared is None and batched and x_t.is_cpu and x_t.shape[0] >= _MANY_ROWS
        if traced or drops or many or self.residual or any(self.zoneout):
            return _step_by_call(self, x_t, state, streams, batched)
        tensors = self._tensors(None)
        geometry.check_like("x_t", x_t, tensors[0][0])
        inputs: tuple[Tensor, ...] = (x_t if batched else x_t.unsqueeze(0),)
        if streams is not None or len(self.program.inputs) > 1:
            rows = enter_streams(self.program, streams, None, tuple(x_t.shape[:-1]), self._sizes, x_t)
            inputs += rows if batched else tuple(row.unsqueeze(0) for row in rows)
        states = _start(self, state, inputs[0].shape[0], batched, x_t)
        lean = lean_step(self.program, inputs, states, tensors, self.engine, self._prepared)
        if lean is not None:
            output, stacked = lean
            if self._prepared is not None and batched and len(inputs) == 1:
                self._warm = warm_step(self.program, x_t, states, tensors, self._prepared)
        elif not has_steps(self.engine) or self._prepared is not None:
            return _step_by_call(self, x_t, state, streams, batched)
        else:
            output, stacked = _by_layers(self, inputs, states, tensors)
        if not batched:
            return output.squeeze(0), self._wrap(tuple([s.squeeze(1) for s in stacked]))
        return output, self._wrap(stacked)


def _by_layers(
    module: Any,
    inputs: tuple[Tensor, ...],
    states: tuple[Tensor, ...],
    tensors: tuple[tuple[Tensor, ...], ...],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One step of each layer after the other."""
    news = []
    for layer, own in enumerate(zip(*[s.unbind(0) for s in states], strict=True)):
        output, new = engine_step(module.program, inputs, own, tensors[layer], module.engine)
        inputs = (output,)
        news.append(new)
    return output, tuple([torch.stack(rows) for rows in zip(*news, strict=True)])


def _start(module: Any, state: Any, batch: int, batched: bool, x_t: Tensor) -> tuple[Tensor, ...]:
    """The states of all layers that a step starts from."""
    if state is None:
        return module._begin(batch, x_t)  # type: ignore[no-any-return]
    if batched and type(state) is RecurrentState:
        # What the last step returned needs no more than a look.
        rows, dtype, device, widths = module.num_layers, x_t.dtype, x_t.device, module._state_widths
        if len(state) == len(widths) and all(
            s.shape == (rows, batch, w) and s.dtype is dtype and s.device == device
            for s, w in zip(state, widths, strict=True)
        ):
            return tuple(state)
    return module._states("state", state, batch, Form(False, batched, None), x_t)  # type: ignore[no-any-return]


def _check_direction(module: Any) -> None:
    if module.bidirectional or module.reverse:
        which = "bidirectional=True" if module.bidirectional else "reverse=True"
        raise ArgumentError(
            f"step: expected a layer that runs forwards in time, got {which}: the backward direction starts at a "
            "sequence's last step, which a stream has not seen yet; use bidirectional=False, or call the layer on "
            "whole windows"
        )


def _step_by_module(module: Any, x_t: Tensor, state: Any, streams: Any) -> tuple[Tensor, Any]:
    """The same through the module's own call, for its hooks, which may refresh weights (pruning, weight_norm)."""
    _check_direction(module)
    batched = geometry.check_row(type(module).__name__, "x_t", x_t, module.input_size)
    axis = 0 if not batched or not module.batch_first else 1
    extras = {} if streams is None else {"streams": _unsqueezed(streams, axis)}
    output, new = module(x_t.unsqueeze(axis), state, **extras)
    return output.squeeze(axis), new


def _step_by_call(
    module: Recurrent, x_t: Tensor, state: Any, streams: Any, batched: bool
) -> tuple[Tensor, Any]:
    """The same through a whole call of one step, for what the lean way leaves out (dropout, zoneout, many rows)."""
    axis = 0 if not batched or not module.batch_first else 1
    streams = _unsqueezed(streams, axis)
    call, form = module._call(x_t.unsqueeze(axis), state, streams, names=("x_t", "state"))
    output, new = module._leave(run_call(call), form, False)
    return output.squeeze(axis), new


def _unsqueezed(streams: Any, axis: int) -> Any:
    """One row of each further input as a sequence of one step."""
    if isinstance(streams, Mapping):
        return {
            name: row.unsqueeze(axis) if isinstance(row, Tensor) else row for name, row in streams.items()
        }
    if isinstance(streams, Sequence):
        return [row.unsqueeze(axis) if isinstance(row, Tensor) else row for row in streams]
    return streams
