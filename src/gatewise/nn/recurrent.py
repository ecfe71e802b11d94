"""``Recurrent``: any cell as a layer, with torch.nn's interface and the extras that torch lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatewise.engines import Explanation
from gatewise.engines import explain as explain_call
from gatewise.errors import ArgumentTypeError
from gatewise.nn.arguments import no_type_check, plain
from gatewise.nn.autocast import run_call
from gatewise.nn.calling import Calling
from gatewise.nn.construct import Plan, plan_layers
from gatewise.nn.init import initialise
from gatewise.nn.prepare import Preparable
from gatewise.nn.state import RecurrentState
from gatewise.nn.streaming import Streaming
from gatewise.spec import Cell, Program

if TYPE_CHECKING:
    from gatewise.nn.state import RecurrentState as State

__all__ = ["CellLike", "Recurrent", "explain"]

CellLike = str | Cell | Program


class Recurrent(Calling, Streaming, Preparable, torch.nn.Module):
    """A stack of recurrent layers of any cell.

    Weights are named, shaped and drawn as torch names, shapes and draws them (``weight_ih_l0``, ...); further
    tensors of a cell follow the same pattern (``peephole_i_l0_reverse``).

    Args:
        cell: A registered name (see :func:`gatewise.cells.names`), a cell of your own, or a program.
        input_size: Features of the input.
        hidden_size: Units of a layer.
        num_layers: Layers on top of each other.
        bias: Whether the gates have biases.
        batch_first: Whether input and output are (batch, time, features); states never are.
        dropout: Probability of dropout between layers, in training.
        bidirectional: Whether each layer also runs backwards in time; outputs stand side by side.
        device, dtype: Of the parameters.
        proj_size: Size of the projected output, for cells that project (``lstm_projected``).
        recurrent_dropout: Probability of dropping what the recurrent weights multiply, one mask per sequence
            (Gal & Ghahramani 2016), in training.
        zoneout: Probability that a unit keeps its old state, one number or one per state (Krueger et al. 2017);
            the expectation outside training.
        weight_drop: Probability of dropping recurrent weights, one mask per call (Merity et al. 2018), in training.
        layer_norm: Whether each gate's products are normalised (Ba et al. 2016).
        residual: Whether a layer's input is added to its output, from the second layer on.
        learn_initial_state: Whether the state before the first step is a parameter (it starts at zero).
        init: "torch" (uniform), "orthogonal" (and forget bias 1) or "chrono" (Tallec & Ollivier 2018).
        chrono_steps: The longest dependency in steps, for "chrono".
        checkpoint_every: Keep states only every so many steps and recompute between: memory for time.
        engine: "auto", or the name of an engine, which then must be able to run (see :func:`explain`).
        reverse: Whether a one-direction layer runs backwards in time.
        **options: The cell's own options, such as ``heads`` of ``slstm``.

    Raises:
        ArgumentError: A value out of range, an unknown cell or option.
        ArgumentTypeError: A wrong type.

    Example:
        >>> import torch
        >>> from gatewise import nn
        >>> layer = nn.Recurrent("lstm_peephole", 3, 5, num_layers=2, batch_first=True)
        >>> output, (h, c) = layer(torch.zeros(4, 7, 3), lengths=[7, 0, 3, 1])
        >>> output.shape, c.shape
        (torch.Size([4, 7, 5]), torch.Size([2, 4, 5]))
    """

    # Whether the only state comes back as a plain tensor, as from torch's GRU and RNN.
    _returns_tensor = False

    @no_type_check
    def __init__(
        self,
        cell: CellLike,
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
        proj_size: int = 0,
        recurrent_dropout: float = 0.0,
        zoneout: float | Sequence[float] = 0.0,
        weight_drop: float = 0.0,
        layer_norm: bool = False,
        residual: bool = False,
        learn_initial_state: bool = False,
        init: str = "torch",
        chrono_steps: int | None = None,
        checkpoint_every: int | None = None,
        engine: str = "auto",
        reverse: bool = False,
        **options: Any,
    ) -> None:
        input_size, hidden_size, num_layers, proj_size = map(
            plain, (input_size, hidden_size, num_layers, proj_size)
        )
        dropout, recurrent_dropout, weight_drop = map(plain, (dropout, recurrent_dropout, weight_drop))
        zoneout = [plain(z) for z in zoneout] if isinstance(zoneout, tuple | list) else plain(zoneout)
        chrono_steps, checkpoint_every = plain(chrono_steps), plain(checkpoint_every)
        plan = plan_layers(
            cell, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype,
            proj_size=proj_size, recurrent_dropout=recurrent_dropout, zoneout=zoneout, weight_drop=weight_drop,
            layer_norm=layer_norm, residual=residual, learn_initial_state=learn_initial_state, init=init,
            chrono_steps=chrono_steps, checkpoint_every=checkpoint_every, engine=engine, reverse=reverse,
            options=options,
        )  # fmt: skip
        super().__init__()
        self.program = plan.program
        self.input_size, self.hidden_size, self.proj_size = input_size, hidden_size, proj_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional, self.reverse = float(dropout), bidirectional, reverse
        self.recurrent_dropout, self.weight_drop = float(recurrent_dropout), float(weight_drop)
        self.zoneout = plan.zoneout
        self.layer_norm, self.residual, self.learn_initial_state = layer_norm, residual, learn_initial_state
        self.init, self.chrono_steps = init, chrono_steps
        self.checkpoint_every, self.engine = checkpoint_every, engine
        self.state_names = tuple(state.name for state in plan.program.states)
        self._state_widths, self._sizes = plan.state_widths, plan.layers[0]
        self._all_weights: list[list[str]] = []
        self._make_parameters(plan, device, dtype)
        self.reset_parameters()

    def _make_parameters(
        self, plan: Plan, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        directions = 2 if self.bidirectional else 1
        for layer, sizes in enumerate(plan.layers):
            for direction in range(directions):
                suffix = f"_l{layer}" + ("_reverse" if direction else "")
                names = [spec.name + suffix for spec in plan.program.tensors]
                for name, spec in zip(names, plan.program.tensors, strict=True):
                    fresh = torch.empty(plan.program.shape(spec, sizes), device=device, dtype=dtype)
                    self.register_parameter(name, torch.nn.Parameter(fresh))
                self._all_weights.append(names)
        if self.learn_initial_state:
            for name, width in zip(self.state_names, self._state_widths, strict=True):
                fresh = torch.empty(self.num_layers * directions, width, device=device, dtype=dtype)
                self.register_parameter(f"initial_{name}", torch.nn.Parameter(fresh))

    def reset_parameters(self) -> None:
        """Draws all parameters anew from torch's generator, in the order in which torch draws them."""
        initialise(self.program, self.all_weights, self.hidden_size, self.init, self.chrono_steps)
        if self.learn_initial_state:
            for name in self.state_names:
                torch.nn.init.zeros_(getattr(self, f"initial_{name}"))

    # --- what code written for torch.nn reads

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters per layer and direction, as torch gives them."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._flat_weights_names]

    def flatten_parameters(self) -> None:
        """Does nothing: engines lay weights out as they need them. It is here for code written for torch.nn."""

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults, as torch prints them."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
            "bidirectional": False, "recurrent_dropout": 0.0, "weight_drop": 0.0, "layer_norm": False,
            "residual": False, "learn_initial_state": False, "chrono_steps": None, "checkpoint_every": None,
            "reverse": False,
        }  # fmt: skip
        shown += [
            f"{name}={getattr(self, name)}"
            for name, value in defaults.items()
            if getattr(self, name) != value
        ]
        shown += [f"{name}={getattr(self, name)!r}" for name, value in _TEXTS if getattr(self, name) != value]
        if any(self.zoneout):
            shown.append(f"zoneout={self.zoneout}")
        return ", ".join(shown if self._cell_is_fixed() else [repr(self.program.name), *shown])

    def _cell_is_fixed(self) -> bool:
        return False

    # --- forward

    @no_type_check
    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | Sequence[Tensor] | None = None,
        *,
        streams: Sequence[Tensor] | Mapping[str, Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
        return_gates: bool = False,
    ) -> tuple[Any, ...]:
        """Runs the layers over whole sequences.

        Args:
            input: (time, batch, input_size); (batch, time, input_size) with batch_first; (time, input_size)
                unbatched; or a PackedSequence.
            hx: The states to start from, as a layer returns them; None for zeros or the learned state.
            streams: The further inputs of a cell that has several, by name or in order, laid out like ``input``.
            lengths: (batch,) number of steps of each sequence, on any device, in any order, zero allowed.
            mask: (time, batch), or as batch_first has it; False keeps the state and gives a zero output.
            resets: The same shape; True starts afresh before that step (in the reverse direction after it). It is a
                boundary between the steps that count: one at a masked step lies before the row's next counted step, and
                one behind its last (padded ``done`` flags) changes nothing.
            return_gates: Whether to give every gate and state at every step as well.

        Returns:
            (output, state), or (output, state, trace) with one dict per layer and direction. The output is like
            the input with directions * size features; the state is never batch_first.

        Raises:
            ShapeError: Something does not fit.
            ArgumentTypeError: Something is no tensor.
        """
        call, form = self._call(input, hx, streams, lengths, mask, resets, return_gates)
        return self._leave(run_call(call), form, return_gates)

    def _wrap(self, states: tuple[Tensor, ...]) -> State | Tensor:
        if self._returns_tensor:
            return states[0]
        return RecurrentState(states, names=self.state_names, directions=2 if self.bidirectional else 1)


_TEXTS = (("init", "torch"), ("engine", "auto"))


@no_type_check
def explain(module: Recurrent, input: Tensor | PackedSequence, hx: Any = None, **extras: Any) -> Explanation:
    """Which engine would run this call, and why not the others.

    Args:
        module: A layer.
        input: What it would be called with.
        hx: The states to start from.
        **extras: The other arguments of :meth:`Recurrent.forward`.

    Returns:
        The engine's name and a reason per other engine; ``str()`` of it is readable.

    Example:
        >>> import torch
        >>> from gatewise import nn
        >>> explanation = explain(nn.Recurrent("sru", 3, 5), torch.zeros(7, 4, 3))
        >>> explanation.reasons["torch"]
        "torch has no kernel for 'sru'"
    """
    if not isinstance(module, Recurrent):
        raise ArgumentTypeError(
            f"module: expected a gatewise.nn layer, got {type(module).__name__}; pass Recurrent, LSTM, GRU or RNN"
        )
    call, _ = module._call(input, hx, **extras)
    return explain_call(call)
