"""What a layer asks an engine for, and what it gets."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from gatewise.engines.native import PreparedLayer
from gatewise.spec.program import Program

__all__ = ["StackCall", "StackResult"]


class StackCall(NamedTuple):
    """A whole stack of recurrent layers over a batch of sequences.

    Attributes:
        program: The cell's program.
        inputs: One (time, batch, width) per stream; with ``batch_sizes`` one (rows, width).
        states: One (num_layers * directions, batch, width) per state.
        tensors: Parameters by layer * directions + direction, each in the program's order.
        num_layers, bidirectional: The stack.
        reverse: Whether a stack of one direction runs backwards in time.
        batch_sizes: Rows of each step of a packed sequence, sorted by length.
        lengths: (batch,) int64: later steps do not count.
        mask: (time, batch) bool: which steps count.
        resets: (time, batch) bool: start afresh before this step.
        reset_states: What a reset starts from, as ``states``; its batch may be 1.
        dropout: Between layers, in training.
        recurrent_dropout: On what R multiplies, one mask per sequence, in training.
        zoneout: One probability per state.
        training: Whether the random parts are on.
        residual: Whether each layer after the first adds its input to its output.
        seed: int64 tensor of shape () that random masks start from.
        return_gates: Whether to give every gate and state at every step.
        checkpoint_every: Steps between kept states; what lies between is computed again in the backward pass.
        engine: "auto", "reference", "torch", "native" or "cuda".
        prepared: By layer * directions + direction: the parameters, packed for inference on the native engine.
    """

    program: Program
    inputs: tuple[Tensor, ...]
    states: tuple[Tensor, ...]
    tensors: tuple[tuple[Tensor, ...], ...]
    num_layers: int = 1
    bidirectional: bool = False
    reverse: bool = False
    batch_sizes: Tensor | None = None
    lengths: Tensor | None = None
    mask: Tensor | None = None
    resets: Tensor | None = None
    reset_states: tuple[Tensor, ...] | None = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout: tuple[float, ...] = ()
    training: bool = False
    residual: bool = False
    seed: Tensor | None = None
    return_gates: bool = False
    checkpoint_every: int | None = None
    engine: str = "auto"
    prepared: tuple[PreparedLayer, ...] | None = None

    @property
    def directions(self) -> int:
        """1 or 2."""
        return 2 if self.bidirectional else 1


class StackResult(NamedTuple):
    """What comes back.

    Attributes:
        output: (time, batch, directions * width), or packed rows.
        states: As in the call.
        trace: With ``return_gates``, by layer * directions + direction: name to (time, batch, width).
    """

    output: Tensor
    states: tuple[Tensor, ...]
    trace: tuple[dict[str, Tensor], ...] | None = None
