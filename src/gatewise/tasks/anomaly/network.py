"""The networks: one that looks ahead from every step, and one that repeats a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gatewise.errors import ArgumentError
from gatewise.nn import Recurrent
from gatewise.spec import Program
from gatewise.tasks.quantiles import assemble

__all__ = ["AheadNetwork", "NetworkPlan", "WindowNetwork", "build_network"]


@dataclass(frozen=True)
class NetworkPlan:
    """A network's kind and sizes.

    Args:
        method: "forecast", "quantile" or "reconstruction".
        program: the cell.
        channels, inputs: numbers per step that are judged, and that are read.
        horizon: steps ahead that are foretold, at least 1.
        levels: the quantiles' levels, rising, 0.5 among them; empty for a point forecast.
        window: steps of a window that is repeated.
        hidden_size, num_layers: of the recurrent layers.
        dropout: in 0 to 1, on their output and between them.
        engine: which engine runs them.
    """

    method: str
    program: Program
    channels: int
    inputs: int
    horizon: int
    levels: tuple[float, ...]
    window: int
    hidden_size: int
    num_layers: int
    dropout: float
    engine: str


class AheadNetwork(nn.Module):
    """What the next steps will be, from every step of a sequence (Malhotra et al. 2015).

    The network learns the change from the last value, so that untrained it foretells the last value. With
    levels, each step is foretold by quantiles that do not cross.

    Args:
        plan: its sizes.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.plan = plan
        self.recurrent = _recurrent(plan, plan.inputs)
        self.dropout = nn.Dropout(plan.dropout)
        count = max(len(plan.levels), 1)
        self.head = nn.Linear(_width(self.recurrent), plan.horizon * plan.channels * count)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()

    def forward(
        self,
        inputs: Float[Tensor, "time batch inputs"],
        last: Float[Tensor, "time batch channels"],
        state: Any = None,
    ) -> tuple[Float[Tensor, "time batch horizon channels values"], Any]:
        """From each step, the steps ahead; and the state after the last step.

        Args:
            inputs: scaled rows.
            last: the rows in the unit of what is foretold.
            state: from an earlier call, or None at the start.
        """
        encoded, state = self.recurrent(inputs, state)
        return self._ahead(encoded, last), state

    def step(
        self, row: Float[Tensor, "batch inputs"], last: Float[Tensor, "batch channels"], state: Any
    ) -> tuple[Float[Tensor, "batch horizon channels values"], Any]:
        """The same for one step of a stream."""
        encoded, state = self.recurrent.step(row, state)
        return self._ahead(encoded, last), state

    def _ahead(self, encoded: Tensor, last: Tensor) -> Tensor:
        plan = self.plan
        raw = self.head(self.dropout(encoded))
        raw = raw.view(*raw.shape[:-1], plan.horizon, plan.channels, -1)
        centre = last[..., None, :]
        if not plan.levels:
            return raw + centre[..., None]
        return assemble(raw[..., 0] + centre, F.softplus(raw[..., 1:]), plan.levels)


class WindowNetwork(nn.Module):
    """Repeats a window through a narrow place: an encoder's last state is all that the decoder gets.

    As in Malhotra et al. 2016 the decoder repeats the window from its end to its beginning; it reads only the
    place in the window (the unconditioned decoder of Srivastava et al. 2015), so that it works in use as it did in
    training.

    Args:
        plan: its sizes.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.plan = plan
        self.encoder = _recurrent(plan, plan.inputs)
        self.decoder = _recurrent(plan, 1)
        self.dropout = nn.Dropout(plan.dropout)
        self.head = nn.Linear(_width(self.decoder), plan.channels)

    def forward(self, inputs: Float[Tensor, "window batch inputs"]) -> Float[Tensor, "window batch channels"]:
        """The window again, in its own order."""
        _, state = self.encoder(inputs)
        steps = len(inputs)
        place = torch.linspace(-1, 1, steps, dtype=inputs.dtype, device=inputs.device)
        decoded, _ = self.decoder(place[:, None, None].expand(steps, inputs.shape[1], 1).contiguous(), state)
        repeated: Tensor = self.head(self.dropout(decoded)).flip(0)
        return repeated


def build_network(plan: NetworkPlan) -> AheadNetwork | WindowNetwork:
    """The network of a plan, weights drawn from torch's generator."""
    return WindowNetwork(plan) if plan.method == "reconstruction" else AheadNetwork(plan)


def _recurrent(plan: NetworkPlan, inputs: int) -> Recurrent:
    if len(plan.program.inputs) != 1:
        streams = [stream.name for stream in plan.program.inputs]
        raise ArgumentError(
            f"cell: a detector feeds one input stream, but the cell {plan.program.name!r} has {streams}; "
            "choose another "
            "cell"
        )
    projected = plan.program.output_width != "hidden"
    return Recurrent(
        plan.program,
        inputs,
        plan.hidden_size,
        num_layers=plan.num_layers,
        dropout=plan.dropout if plan.num_layers > 1 else 0.0,
        proj_size=max(1, plan.hidden_size // 2) if projected else 0,
        engine=plan.engine,
    )


def _width(recurrent: Recurrent) -> int:
    with torch.no_grad():
        return int(recurrent(torch.zeros(1, 1, recurrent.input_size))[0].shape[-1])
