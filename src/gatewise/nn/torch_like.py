"""``RNN``, ``LSTM`` and ``GRU``: torch.nn's layers with the same signatures, weights and results, and more."""

from __future__ import annotations

from typing import Any, Unpack

import torch

from gatewise.errors import ArgumentError
from gatewise.nn.arguments import Extras, no_type_check
from gatewise.nn.recurrent import CellLike, Recurrent

__all__ = ["GRU", "LSTM", "RNN"]


class _TorchLike(Recurrent):
    """What the three share: no cell in the repr, and no projection but in the LSTM."""

    _kind = ""

    @property
    def mode(self) -> str:
        """torch's name for the kind of layer."""
        return self._kind

    def _cell_is_fixed(self) -> bool:
        return True

    @staticmethod
    def _refuse_projection(extras: dict[str, Any]) -> None:
        if "proj_size" in extras:
            raise ArgumentError(
                f"proj_size: expected none for this layer, got {extras['proj_size']!r:.60}; use LSTM, or Recurrent "
                "with a cell that projects [proj_size argument is only supported for LSTM, not RNN or GRU]"
            )


class RNN(_TorchLike):
    """The Elman network, as ``torch.nn.RNN``: h_t = tanh(W x_t + b + R h_{t-1} + b').

    Args:
        input_size: Features of the input.
        hidden_size: Units of a layer.
        num_layers: Layers on top of each other.
        nonlinearity: "tanh" or "relu".
        bias, batch_first, dropout, bidirectional, device, dtype: As in :class:`Recurrent`.
        **extras: The keyword-only extras of :class:`Recurrent`.

    Raises:
        ArgumentError: A value out of range.
        ArgumentTypeError: A wrong type.

    Example:
        >>> import torch
        >>> output, h_n = RNN(3, 5, nonlinearity="relu")(torch.zeros(7, 4, 3))
        >>> h_n.shape
        torch.Size([1, 4, 5])
    """

    _returns_tensor = True

    @no_type_check
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **extras: Unpack[Extras],
    ) -> None:
        self._refuse_projection(extras)  # type: ignore[arg-type]
        cell = rnn_cell(nonlinearity)
        super().__init__(
            cell, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype,
            **extras,
        )  # fmt: skip
        self.nonlinearity = nonlinearity
        self._kind = f"RNN_{nonlinearity.upper()}"


class LSTM(_TorchLike):
    """Long short-term memory, as ``torch.nn.LSTM`` (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    Args:
        input_size: Features of the input.
        hidden_size: Units of a layer.
        num_layers: Layers on top of each other.
        bias, batch_first, dropout, bidirectional: As in :class:`Recurrent`.
        proj_size: Size of the projected output (Sak et al. 2014), 0 for none.
        device, dtype: Of the parameters.
        cell: Another cell with the states h and c, such as "lstm_peephole".
        **extras: The keyword-only extras of :class:`Recurrent`.

    Raises:
        ArgumentError: A value out of range.
        ArgumentTypeError: A wrong type.

    Example:
        >>> import torch
        >>> output, (h_n, c_n) = LSTM(3, 5, batch_first=True)(torch.zeros(4, 7, 3))
        >>> output.shape, c_n.shape
        (torch.Size([4, 7, 5]), torch.Size([1, 4, 5]))
    """

    _kind = "LSTM"

    @no_type_check
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        cell: CellLike | None = None,
        **extras: Unpack[Extras],
    ) -> None:
        if cell is None:
            cell = "lstm_projected" if proj_size else "lstm"
        super().__init__(
            cell, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype,
            proj_size=proj_size, **extras,
        )  # fmt: skip
        _check_states(self, ("h", "c"))


class GRU(_TorchLike):
    """The gated recurrent unit, as ``torch.nn.GRU`` (Cho et al. 2014; the reset gate acts after the product).

    Args:
        input_size: Features of the input.
        hidden_size: Units of a layer.
        num_layers: Layers on top of each other.
        bias, batch_first, dropout, bidirectional, device, dtype: As in :class:`Recurrent`.
        cell: Another cell with the state h alone, such as "gru_reset_before".
        **extras: The keyword-only extras of :class:`Recurrent`.

    Raises:
        ArgumentError: A value out of range.
        ArgumentTypeError: A wrong type.

    Example:
        >>> import torch
        >>> output, h_n = GRU(3, 5, bidirectional=True)(torch.zeros(7, 4, 3))
        >>> output.shape, h_n.shape
        (torch.Size([7, 4, 10]), torch.Size([2, 4, 5]))
    """

    _kind = "GRU"
    _returns_tensor = True

    @no_type_check
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        cell: CellLike | None = None,
        **extras: Unpack[Extras],
    ) -> None:
        self._refuse_projection(extras)  # type: ignore[arg-type]
        super().__init__(
            "gru" if cell is None else cell, input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, device, dtype, **extras,
        )  # fmt: skip
        _check_states(self, ("h",))


def rnn_cell(nonlinearity: object) -> str:
    """The registered cell of an Elman network with a nonlinearity."""
    if nonlinearity not in ("tanh", "relu"):
        raise ArgumentError(
            f"nonlinearity: expected 'tanh' or 'relu', got {nonlinearity!r:.60}; for another, write a cell "
            f"[Unknown nonlinearity '{nonlinearity!s:.60}'. Select from 'tanh' or 'relu'.]"
        )
    return f"rnn_{nonlinearity}"


def _check_states(module: Recurrent, names: tuple[str, ...]) -> None:
    if module.state_names != names:
        raise ArgumentError(
            f"cell: expected one with the states {', '.join(names)}, got {module.program.name!r} with "
            f"{', '.join(module.state_names)}; use gatewise.nn.Recurrent for it"
        )
