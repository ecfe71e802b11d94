"""``RNNCell``, ``LSTMCell`` and ``GRUCell``: one step, as torch.nn has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gatewise import cells
from gatewise.engines import geometry, has_steps, lean_step, step_kernel
from gatewise.engines import step as engine_step
from gatewise.errors import ArgumentTypeError, EngineError
from gatewise.nn import arguments as check
from gatewise.nn.arguments import no_type_check
from gatewise.nn.autocast import autocast_dtype, autocast_is_on
from gatewise.nn.edge import split_state
from gatewise.nn.init import initialise
from gatewise.nn.prepare import Preparable
from gatewise.nn.torch_like import rnn_cell

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]

_BIASES = ("bias_ih", "bias_hh")


class _CellModule(Preparable, torch.nn.Module):
    """What the three share."""

    @no_type_check
    def __init__(
        self, cell: str, input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any, engine: str
    ) -> None:
        check.check_size("input_size", input_size)
        check.check_size("hidden_size", hidden_size)
        check.check_device(device)
        check.check_dtype(dtype)
        if not isinstance(engine, str):
            raise ArgumentTypeError(f"engine: expected an engine's name, got {engine!r:.60}; pass 'auto'")
        super().__init__()
        self.program = cells.get(cell, bias=bool(bias))  # any truth value, as torch's cells take it
        sizes = {"input": input_size, "hidden": hidden_size}
        shapes = [self.program.shape(spec, sizes) for spec in self.program.tensors]
        check.check_limits(1, sum(map(math.prod, shapes)), device, dtype)
        self.input_size, self.hidden_size, self.bias, self.engine = input_size, hidden_size, bias, engine
        self._names = tuple(state.name for state in self.program.states)
        self._weights = tuple(spec.name for spec in self.program.tensors)
        self._kernel = step_kernel(self.program, engine)
        for spec in self.program.tensors:
            fresh = torch.empty(self.program.shape(spec, sizes), device=device, dtype=dtype)
            self.register_parameter(spec.name, torch.nn.Parameter(fresh))
        if not bias:
            for name in _BIASES:
                self.register_parameter(name, None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all parameters anew from torch's generator, in the order in which torch draws them."""
        initialise(self.program, [[getattr(self, name) for name in self._weights]], self.hidden_size)

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults, as torch prints them."""
        shown = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            shown += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            shown += f", nonlinearity={self.nonlinearity}"
        return shown if self.engine == "auto" else f"{shown}, engine={self.engine!r}"

    def _plain_step(self, input: Any, hx: Any) -> Any:
        """The step where nothing is out of the ordinary, or None: the checks below cost as much as a small step."""
        if (
            self._kernel is None
            or type(input) is not Tensor
            or input.is_nested
            or torch.compiler.is_compiling()
        ):
            return None
        if torch._C._is_any_autocast_enabled() or torch._C._functorch.maybe_current_level() is not None:
            return None
        held = self._parameters
        weights = [held.get(name) for name in self._weights]
        first, shape = weights[0], input.shape
        for weight in weights:
            if weight is None or weight.dtype is not input.dtype:
                return None
        if first is None or len(shape) != 2 or shape[1] != self.input_size or input.device != first.device:
            return None
        if input.layout is not torch.strided:
            return None
        expected = (shape[0], self.hidden_size)
        several = len(self._names) > 1
        if hx is None:
            zeros = torch.zeros(expected, dtype=input.dtype, device=input.device)
            hx = (zeros, zeros) if several else zeros
        elif several and (type(hx) is not tuple or len(hx) != len(self._names)):
            return None
        for state in hx if several else (hx,):
            if type(state) is not Tensor or state.is_nested or state.layout is not torch.strided:
                return None
            if state.shape != expected or state.dtype is not input.dtype or state.device != input.device:
                return None
        try:
            return self._kernel(input, hx, *weights)
        except RuntimeError:
            return None  # the way with all checks says what is wrong, or makes ordinary tensors of it

    def _step(self, input: Any, hx: Any) -> tuple[Tensor, ...]:
        owner = type(self).__name__
        batched = geometry.check_row(owner, "input", input, self.input_size)
        like = autocast_dtype(self, input) if self._prepared is None else None
        (tensors,) = self._tensors(None)
        if like is not None:
            tensors = tuple([t.to(like) for t in tensors])
            input = input.to(like)
        batch = input.shape[0] if batched else None
        if hx is None:
            rows = (self.hidden_size,) if batch is None else (batch, self.hidden_size)
            zeros = torch.zeros(rows, dtype=input.dtype, device=input.device)
            states: tuple[Any, ...] = (zeros,) * len(self._names)
        else:
            states = split_state("hx", hx, self.program)
            geometry.check_row_states(
                owner, states, self._names, (self.hidden_size,) * len(self._names), batch
            )
        geometry.check_like("input", input, tensors[0])
        if like is not None:
            states = tuple([s.to(like) for s in states])
        for state in states:
            geometry.check_like("hx", state, tensors[0])
        if not batched:
            input, states = input.unsqueeze(0), tuple([s.unsqueeze(0) for s in states])
        new = self._run(input, states, tensors)
        return new if batched else tuple([s.squeeze(0) for s in new])

    def _prepare(self, weights: str) -> None:
        super()._prepare(weights)
        self._kernel = None

    def _tensors(self, like: torch.dtype | None) -> tuple[tuple[Tensor, ...], ...]:
        return (tuple([getattr(self, name) for name in self._weights]),)

    def _run(self, x: Tensor, states: tuple[Tensor, ...], tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if autocast_is_on(x.device.type):
            with torch.autocast(x.device.type, enabled=False):
                return engine_step(self.program, (x,), states, tensors, self.engine)[1]
        if not has_steps(self.engine) or self._prepared is not None:
            rows = tuple([s.unsqueeze(0) for s in states])
            lean = lean_step(self.program, (x,), rows, (tensors,), self.engine, self._prepared)
            if lean is not None:
                return tuple([s.squeeze(0) for s in lean[1]])
            if self._prepared is not None:
                raise EngineError(
                    "weights: a prepared module computes outputs alone, in eager mode; for derivatives use the original"
                )
        return engine_step(self.program, (x,), states, tensors, self.engine)[1]


class RNNCell(_CellModule):
    """One step of an Elman network, as ``torch.nn.RNNCell``.

    Args:
        input_size: Features of the input.
        hidden_size: Units.
        bias: Whether it has biases.
        nonlinearity: "tanh" or "relu".
        device, dtype: Of the parameters.
        engine: "auto", or the name of an engine.

    Example:
        >>> import torch
        >>> RNNCell(3, 5)(torch.zeros(4, 3)).shape
        torch.Size([4, 5])
    """

    @no_type_check
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        engine: str = "auto",
    ) -> None:
        super().__init__(rnn_cell(nonlinearity), input_size, hidden_size, bias, device, dtype, engine)
        self.nonlinearity = nonlinearity

    @no_type_check
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state from (batch, input_size) or (input_size,) and the state; None for zeros."""
        plain = self._plain_step(input, hx)
        return self._step(input, hx)[0] if plain is None else plain


class LSTMCell(_CellModule):
    """One step of an LSTM, as ``torch.nn.LSTMCell``.

    Args:
        input_size: Features of the input.
        hidden_size: Units.
        bias: Whether it has biases.
        device, dtype: Of the parameters.
        engine: "auto", or the name of an engine.

    Example:
        >>> import torch
        >>> h, c = LSTMCell(3, 5)(torch.zeros(4, 3))
        >>> h.shape, c.shape
        (torch.Size([4, 5]), torch.Size([4, 5]))
    """

    @no_type_check
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        engine: str = "auto",
    ) -> None:
        super().__init__("lstm", input_size, hidden_size, bias, device, dtype, engine)

    @no_type_check
    def forward(self, input: Tensor, hx: Sequence[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The next (h, c) from (batch, input_size) or (input_size,) and (h, c); None for zeros."""
        h, c = self._plain_step(input, hx) or self._step(input, hx)
        return h, c


class GRUCell(_CellModule):
    """One step of a GRU, as ``torch.nn.GRUCell``.

    Args:
        input_size: Features of the input.
        hidden_size: Units.
        bias: Whether it has biases.
        device, dtype: Of the parameters.
        engine: "auto", or the name of an engine.

    Example:
        >>> import torch
        >>> GRUCell(3, 5)(torch.zeros(4, 3)).shape
        torch.Size([4, 5])
    """

    @no_type_check
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        engine: str = "auto",
    ) -> None:
        super().__init__("gru", input_size, hidden_size, bias, device, dtype, engine)

    @no_type_check
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state from (batch, input_size) or (input_size,) and the state; None for zeros."""
        plain = self._plain_step(input, hx)
        return self._step(input, hx)[0] if plain is None else plain
