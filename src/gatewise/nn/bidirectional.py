"""``Bidirectional``: two layers of any cell, one forwards and one backwards in time (Schuster & Paliwal 1997)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn.arguments import check_limits, no_type_check
from gatewise.nn.recurrent import CellLike, Recurrent
from gatewise.nn.state import RecurrentState

__all__ = ["Bidirectional"]

MERGES = ("concat", "sum", "mean")


class Bidirectional(torch.nn.Module):
    """Runs one layer forwards and another backwards in time and merges their outputs.

    Unlike ``bidirectional=True`` the two may differ, their outputs may be added or averaged, and stacked layers
    do not see each other's direction below the top.

    Args:
        forward_layer: A layer that runs forwards; or a cell, with the further arguments of :class:`Recurrent`.
        *sizes: input_size, hidden_size, ... where a cell is given.
        backward_layer: The other layer; None for one like the first, with weights of its own.
        merge: "concat" (side by side), "sum" or "mean".
        **options: Keyword arguments of :class:`Recurrent` where a cell is given.

    Raises:
        ArgumentError: Layers that do not go together, or an unknown merge.
        ArgumentTypeError: Neither a layer nor a cell.

    Example:
        >>> import torch
        >>> layer = Bidirectional("mgu", 3, 5, merge="mean")
        >>> output, state = layer(torch.zeros(7, 4, 3))
        >>> output.shape, state.last().shape
        (torch.Size([7, 4, 5]), torch.Size([4, 10]))
    """

    bidirectional = True

    @no_type_check
    def __init__(
        self,
        forward_layer: Recurrent | CellLike,
        *sizes: Any,
        backward_layer: Recurrent | None = None,
        merge: str = "concat",
        **options: Any,
    ) -> None:
        super().__init__()
        if isinstance(forward_layer, Recurrent):
            if sizes or options:
                raise ArgumentError(
                    f"sizes: expected none beside a finished layer, got {sizes or options!r:.60}; "
                    "give them to the layer"
                )
        else:
            if len(sizes) < 2 - len({"input_size", "hidden_size"} & set(options)):
                raise ArgumentTypeError(
                    f"sizes: expected input_size and hidden_size after a cell, got {len(sizes)} of them; pass both"
                )
            if "cell" in options:
                raise ArgumentTypeError(
                    f"cell: expected one cell, got {forward_layer!r:.60} and {options['cell']!r:.60}; give it once"
                )
            forward_layer = Recurrent(forward_layer, *sizes, **options)
        if merge not in MERGES:
            raise ArgumentError(f"merge: expected one of {MERGES}, got {merge!r:.60}; pick one of them")
        self.merge = merge
        self.forward_layer = forward_layer
        self.backward_layer = _twin(forward_layer) if backward_layer is None else backward_layer
        self._check_pair()

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the cell's states."""
        return self.forward_layer.state_names

    def _check_pair(self) -> None:
        one, two = self.forward_layer, self.backward_layer
        for name, layer, reverse in (("forward_layer", one, False), ("backward_layer", two, True)):
            if not isinstance(layer, Recurrent):
                raise ArgumentTypeError(
                    f"{name}: expected a gatewise.nn layer, got {type(layer).__name__}; "
                    "pass Recurrent, LSTM, GRU or RNN"
                )
            if layer.bidirectional or layer.reverse is not reverse:
                got = "bidirectional=True" if layer.bidirectional else f"reverse={layer.reverse}"
                raise ArgumentError(f"{name}: expected a layer with reverse={reverse}, got {got}; make it so")
        alike = ("input_size", "batch_first", "num_layers", "_state_widths", "state_names")
        for name in alike:
            if getattr(one, name) != getattr(two, name):
                raise ArgumentError(
                    f"backward_layer: expected {name.strip('_')} = {getattr(one, name)}, as the forward layer, got "
                    f"{getattr(two, name)}; make the two alike"
                )

    @no_type_check
    def forward(
        self, input: Tensor | PackedSequence, hx: Sequence[Tensor] | Tensor | None = None, **extras: Any
    ) -> tuple[Any, ...]:
        """Runs both directions.

        Args:
            input: As in :meth:`Recurrent.forward`.
            hx: States of (layers * 2, batch, size), forwards and backwards in turn, as torch orders them.
            **extras: The other arguments of :meth:`Recurrent.forward`.

        Returns:
            (output, state), or (output, state, trace).
        """
        ahead, behind = (None, None) if hx is None else self._split(hx)
        y_ahead, s_ahead, *t_ahead = self.forward_layer(input, ahead, **extras)
        y_behind, s_behind, *t_behind = self.backward_layer(input, behind, **extras)
        if isinstance(y_ahead, PackedSequence):
            merged: Any = y_ahead._replace(data=self._merged(y_ahead.data, y_behind.data))
        else:
            merged = self._merged(y_ahead, y_behind)
        pairs = zip(_tuple(s_ahead), _tuple(s_behind), strict=True)
        state = RecurrentState(
            [torch.stack(pair, dim=1).flatten(0, 1) for pair in pairs],
            names=self.forward_layer.state_names,
            directions=2,
        )
        if not t_ahead:
            return merged, state
        trace = tuple(steps for pair in zip(t_ahead[0], t_behind[0], strict=True) for steps in pair)
        return merged, state, trace

    def _merged(self, ahead: Tensor, behind: Tensor) -> Tensor:
        if self.merge == "concat":
            return torch.cat((ahead, behind), dim=-1)
        total = ahead + behind
        return total if self.merge == "sum" else total / 2

    def _split(self, hx: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        states = _tuple(hx)
        rows = 2 * self.forward_layer.num_layers
        for state in states:
            if not isinstance(state, Tensor) or state.dim() < 2 or state.shape[0] != rows:
                got = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
                raise ArgumentError(
                    f"hx: expected states of (layers * 2, batch, size) with {rows} rows, got {got}; "
                    "pass what it returned"
                )
        return tuple(s[0::2] for s in states), tuple(s[1::2] for s in states)

    def step(self, *_: Any, **__: Any) -> None:
        """Always raises: a stream has no last step to start from.

        Raises:
            ArgumentError: Always, saying why.
        """
        raise ArgumentError(
            "step: expected a layer that runs forwards in time, got a Bidirectional: the backward direction starts at "
            "a sequence's last step, which a stream has not seen yet; use the forward layer alone, or whole windows"
        )

    def extra_repr(self) -> str:
        """How the outputs are merged."""
        return f"merge={self.merge!r}"


def _tuple(state: Any) -> tuple[Any, ...]:
    return tuple(state) if isinstance(state, tuple | list) else (state,)


def _twin(layer: Recurrent) -> Recurrent:
    computed = [name for names in layer._all_weights for name in names if name not in layer._parameters]
    if computed:
        raise ArgumentError(
            f"backward_layer: expected one beside a forward layer whose {computed[0]} is computed (pruned, normed or "
            "parametrized), got None; make a layer with reverse=True, treat it alike and pass it"
        )
    held = list(layer.parameters())
    check_limits(2 * len(held), 2 * sum(p.numel() for p in held), held[0].device, held[0].dtype)
    twin = copy.deepcopy(layer)
    twin.reverse = True
    twin.reset_parameters()
    return twin
