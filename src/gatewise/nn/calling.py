"""From what a user passes to an engine's call, and from its result back to what torch's layers return."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatewise.engines import StackCall, StackResult, geometry
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn.autocast import autocast_dtype, autocast_is_on
from gatewise.nn.edge import (
    Form,
    enter,
    enter_flags,
    enter_streams,
    leave,
    leave_states,
    split_state,
)

__all__ = ["Calling"]


class Calling:
    """How :class:`gatewise.nn.Recurrent`, which mixes it in, talks to the engines."""

    program: Any
    bidirectional: bool
    num_layers: int
    training: bool
    state_names: tuple[str, ...]
    _parameters: Any
    _prepared: Any
    _state_widths: tuple[int, ...]

    def _call(
        self: Any,
        input: Any,
        hx: Any,
        streams: Any = None,
        lengths: Any = None,
        mask: Any = None,
        resets: Any = None,
        return_gates: Any = False,
        *,
        names: tuple[str, str] = ("input", "hx"),
    ) -> tuple[StackCall, Form]:
        """Checks what the user gave, under the names that it has there, and brings it into the engines' form."""
        if return_gates is not False and return_gates is not True:
            raise ArgumentTypeError(
                f"return_gates: expected True or False, got {return_gates!r:.60}; pass a bool"
            )
        casts = torch._C._is_any_autocast_enabled() and self._prepared is None
        like = autocast_dtype(self, input) if casts else None
        tensors = self._tensors(like)
        batch_sizes: Tensor | None = None
        if isinstance(input, PackedSequence):
            batch = geometry.check_packed(input, self.input_size)
            _refuse_beside_packed(
                lengths=lengths, mask=mask, resets=resets, return_gates=return_gates or None
            )
            form, x, batch_sizes = Form(False, True, input), input.data, input.batch_sizes
        else:
            batched = geometry.check_sequence(type(self).__name__, input, self.input_size, self.batch_first)
            form = Form(self.batch_first, batched, None)
            x = enter(input, form) if self.batch_first or not batched else input
            batch = x.shape[1]
        if like is not None and x.dtype.is_floating_point:
            x = x.to(like)
        geometry.check_like(names[0], x, tensors[0][0])
        inputs: tuple[Tensor, ...] = (x,)
        if streams is not None or len(self.program.inputs) > 1:
            lead = tuple((input if batch_sizes is None else x).shape[:-1])
            inputs += enter_streams(self.program, streams, form, lead, self._sizes, x)
        reset_states = None
        if lengths is not None or mask is not None or resets is not None:
            lengths = _lengths(lengths, form, x)
            steps, device = (x.shape[0], batch), x.device
            mask = enter_flags("mask", mask, form, steps, device)
            resets = enter_flags("resets", resets, form, steps, device)
            reset_states = None if resets is None else self._begin(1, x)
        states = self._begin(batch, x) if hx is None else self._states(names[1], hx, batch, form, x)
        call = StackCall(
            program=self.program,
            inputs=inputs,
            states=states,
            tensors=tensors,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            reverse=self.reverse,
            batch_sizes=batch_sizes,
            lengths=lengths,
            mask=mask,
            resets=resets,
            reset_states=reset_states,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            zoneout=self.zoneout,
            training=self.training,
            residual=self.residual,
            seed=self._seed(x.device) if self.training else None,
            return_gates=return_gates,
            checkpoint_every=self.checkpoint_every,
            engine=self.engine,
            prepared=self._prepared,
        )
        return call, form

    def _tensors(self: Any, like: torch.dtype | None) -> tuple[tuple[Tensor, ...], ...]:
        """The parameters of each layer and direction as engines take them: dropped, in autocast's dtype.

        They are looked up at each call, so that functional_call, parametrize and weight_norm may put others in.
        """
        held = self._parameters
        rows = []
        for names in self._all_weights:
            rows.append(tuple([getattr(self, n) if (t := held.get(n)) is None else t for n in names]))
        if self.weight_drop > 0.0 and self.training:
            rows = [self._drop(row) for row in rows]
        if like is not None:
            rows = [tuple([t.to(like) for t in row]) for row in rows]
        return tuple(rows)

    def _drop(self: Any, row: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """DropConnect on the recurrent matrices (Merity et al. 2018, section 2): one mask for the whole call."""
        roles = [spec.role for spec in self.program.tensors]
        return tuple(
            [
                F.dropout(t, self.weight_drop) if role == "recurrent" else t
                for t, role in zip(row, roles, strict=True)
            ]
        )

    def _seed(self: Any, device: torch.device) -> Tensor | None:
        """What the engines' random masks start from: one draw, on the CPU, so that a GPU gives the same masks."""
        if self.recurrent_dropout == 0.0 and not any(self.zoneout):
            return None
        return torch.randint(1 << 62, (), dtype=torch.int64, device="cpu").to(device)

    def _begin(self: Any, batch: int, like: Tensor) -> tuple[Tensor, ...]:
        """The state before the first step for a batch: the learned one, or zeros."""
        rows = self.num_layers * (2 if self.bidirectional else 1)
        if self.learn_initial_state:
            held = [getattr(self, f"initial_{name}").to(like.dtype) for name in self.state_names]
            return tuple([h.unsqueeze(1).expand(rows, batch, h.shape[1]) for h in held])
        # Nothing writes into the states that a call starts from: those of one width are one tensor.
        dtype, device = like.dtype, like.device
        made = {w: torch.zeros(rows, batch, w, dtype=dtype, device=device) for w in set(self._state_widths)}
        return tuple([made[w] for w in self._state_widths])

    def _states(
        self: Any, argument: str, hx: Any, batch: int, form: Form, like: Tensor
    ) -> tuple[Tensor, ...]:
        """The states to start from, checked, with a batch axis, in the packed order."""
        states: tuple[Any, ...] = split_state(argument, hx, self.program)
        rows = self.num_layers * (2 if self.bidirectional else 1)
        lead: tuple[int, ...] = (rows, batch) if form.batched else (rows,)
        shapes: list[tuple[int, ...]] = [(*lead, w) for w in self._state_widths]
        cast = torch._C._is_any_autocast_enabled() and autocast_is_on(like.device.type)
        geometry.check_states(argument, states, self.state_names, shapes, None if cast else like)
        if cast:
            states = tuple([state.to(like.dtype) for state in states])
            for state in states:
                geometry.check_like(argument, state, like)
        if not form.batched:
            return tuple([state.unsqueeze(1) for state in states])
        if form.packed is not None and form.packed.sorted_indices is not None:
            return tuple([state.index_select(1, form.packed.sorted_indices) for state in states])
        return states

    def _leave(self: Any, result: StackResult, form: Form, return_gates: bool) -> tuple[Any, ...]:
        """The result in the user's layout."""
        if form.batched and form.packed is None:
            state = self._wrap(result.states)
        else:
            state = self._wrap(leave_states(result.states, form))
        output: Tensor | PackedSequence = result.output
        if form.packed is not None:
            _, batch_sizes, sorted_indices, unsorted_indices = form.packed
            output = PackedSequence(result.output, batch_sizes, sorted_indices, unsorted_indices)
        elif form.batch_first or not form.batched:
            output = leave(result.output, form)
        if not return_gates:
            return output, state
        trace = tuple(
            {name: leave(value, form) for name, value in steps.items()} for steps in result.trace or ()
        )
        return output, state, trace


def _lengths(lengths: Any, form: Form, x: Tensor) -> Tensor | None:
    if lengths is None:
        return None
    if not form.batched:
        raise ArgumentError(
            "lengths: expected None for input without a batch axis, got some; cut the sequence instead"
        )
    return geometry.as_lengths(lengths, x.shape[1], x.shape[0], x.device)


def _refuse_beside_packed(**given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise ArgumentError(
                f"{name}: expected None beside a PackedSequence, got a value; "
                "pad the input (torch.nn.utils.rnn.pad_packed_sequence) and pass lengths="
            )
