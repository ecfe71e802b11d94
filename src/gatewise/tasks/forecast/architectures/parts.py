"""What the architectures share: their recurrent layers, their last layer, and channels side by side."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gatewise.errors import ArgumentError, ShapeError
from gatewise.nn import Recurrent
from gatewise.tasks.forecast.encoding import Windows
from gatewise.tasks.forecast.plan import NetworkPlan

__all__ = ["Readout", "ahead_of", "beside", "known_of", "probe", "recurrent_layers"]

# Weight of the season at the start: forecasts begin near the last value, which is the safer of the two.
_SEASON_LOGIT = -2.0


def recurrent_layers(plan: NetworkPlan, inputs: int) -> Recurrent:
    """The plan's recurrent layers over so many inputs.

    Raises:
        ArgumentError: the cell takes several input streams.
    """
    if len(plan.program.inputs) != 1:
        streams = [stream.name for stream in plan.program.inputs]
        raise ArgumentError(
            f"cell: a forecaster feeds one input stream, but the cell {plan.program.name!r} has {streams}; choose "
            "another cell"
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


def probe(recurrent: Recurrent) -> tuple[int, tuple[int, ...]]:
    """The width of a layer's output, and of each of its states."""
    with torch.no_grad():
        output, state = recurrent(torch.zeros(1, 1, recurrent.input_size))
    return output.shape[-1], tuple(one.shape[-1] for one in state)


def beside(values: Float[Tensor, "*lead batch features"], channels: int) -> Tensor:
    """The channels of one window side by side: (*lead, batch / channels, channels * features).

    Raises:
        ShapeError: the batch holds no whole number of windows.
    """
    if channels == 1:
        return values
    *lead, batch, features = values.shape
    if batch % channels:
        raise ShapeError(
            f"windows: a batch of a multiple of {channels} rows is expected where {channels} channels are forecast "
            f"together, came {batch}; under data-parallel training choose a batch size that the processes divide"
        )
    return values.reshape(*lead, batch // channels, channels * features)


def known_of(inputs: Float[Tensor, "*lead features"], known: int) -> Tensor:
    """The last `known` features: those that are known for the future too."""
    return inputs[..., inputs.shape[-1] - known :]


def ahead_of(windows: Windows) -> Float[Tensor, "positions batch horizon features"]:
    """What is said of each step of the horizon: what is known for it, the last value, and those of a season before."""
    last = windows.last[..., None].expand_as(windows.season)
    said = [windows.known, torch.stack([last, windows.season], dim=-1)]
    return torch.cat([*said, windows.further] if windows.further.numel() else said, dim=-1)


class Readout(nn.Module):
    """The last layer: a change of the point forecast, what gives the spread, and the seasons' weights.

    Under a squared or absolute error the spread learns from features that it does not change, so that the point
    forecast is that of the loss alone.

    Args:
        features: its inputs.
        plan: says how many numbers give the spread.
        seasonal: whether there is a weight for each season.
        repeat: how many forecasts one row of features gives (the steps of a segment, the channels).
    """

    def __init__(self, features: int, plan: NetworkPlan, *, seasonal: bool, repeat: int = 1) -> None:
        super().__init__()
        self._spread, self._repeat = plan.spread, repeat
        self._apart = plan.loss in ("mse", "mae") and plan.spread > 0
        seasons = (1 + plan.further_seasons) if seasonal else 0
        self.linear = nn.Linear(features, repeat * (1 + plan.spread + seasons))
        with torch.no_grad():
            self.linear.weight.mul_(0.1)
            self.linear.bias.zero_()
            self.linear.bias.view(repeat, -1)[:, 1 + plan.spread :] = _SEASON_LOGIT

    def forward(self, hidden: Float[Tensor, "*lead features"]) -> Tensor:
        """Raw numbers of shape (*lead, repeat, 1 + spread + seasons)."""
        shape = (*hidden.shape[:-1], self._repeat, -1)
        raw = self.linear(hidden).view(shape)
        if not (self._apart and self.training):
            return raw
        alone = self.linear(hidden.detach()).view(shape)
        return torch.cat(
            [raw[..., :1], alone[..., 1 : 1 + self._spread], raw[..., 1 + self._spread :]], dim=-1
        )
