"""The network: a recurrent encoder, and one small decoder that serves every horizon (MQ-RNN, Wen et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gatewise.errors import ArgumentError
from gatewise.nn import Recurrent
from gatewise.spec import Program
from gatewise.tasks.forecast.embedding import CategoryEmbedding, EmbeddingPlan
from gatewise.tasks.forecast.encoding import Windows

__all__ = ["ForecastNetwork", "NetworkPlan"]

# Numbers that each horizon reads from the encoder for itself, beside the context that all horizons share.
_OWN = 8
# Weight of the season at the start: forecasts begin near the last value, which is the safer of the two.
_SEASON_LOGIT = -2.0


@dataclass(frozen=True)
class NetworkPlan:
    """The network's sizes.

    Args:
        program: the cell.
        inputs, known: features of a step, and those known for the future.
        horizon: steps ahead, at least 1.
        levels: the quantiles' levels, rising, 0.5 among them.
        hidden_size, num_layers: of the recurrent encoder.
        decoder_size: width of the decoder.
        dropout: in 0 to 1, on the encoder's output and between its layers.
        engine: which engine runs the encoder.
        embedding: sizes of what stands for categories and series.
    """

    program: Program
    inputs: int
    known: int
    horizon: int
    levels: tuple[float, ...]
    hidden_size: int
    num_layers: int
    decoder_size: int
    dropout: float
    engine: str
    embedding: EmbeddingPlan = field(default_factory=EmbeddingPlan)


class ForecastNetwork(nn.Module):
    """Quantiles of the next `horizon` values, from any step of a sequence.

    The median is a mixture of the last value and the value one season ago, learned per horizon and situation, plus
    a learned change. Each further quantile adds a gap that is positive by construction (softplus), so that
    quantiles never cross.

    Args:
        plan: its sizes.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.plan = plan
        self.embedding = CategoryEmbedding(plan.embedding)
        inputs, known = plan.inputs + self.embedding.inputs, plan.known + self.embedding.known
        self.recurrent = _recurrent(plan, inputs)
        with torch.no_grad():
            width = self.recurrent(torch.zeros(1, 1, inputs))[0].shape[-1]
        size = plan.decoder_size
        self.dropout = nn.Dropout(plan.dropout)
        self.context = nn.Linear(width, size)
        self.own = nn.Linear(width, plan.horizon * _OWN)
        self.mix_own = nn.Linear(_OWN, size, bias=False)
        self.mix_known = nn.Linear(known + 2, size, bias=False)
        self.ahead = nn.Parameter(0.1 * torch.randn(plan.horizon, size))
        self.inner = nn.Linear(size, size)
        self.out = nn.Linear(size, len(plan.levels) + 1)
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.zero_()
            self.out.bias[-1] = _SEASON_LOGIT

    def forward(self, windows: Windows) -> Float[Tensor, "positions batch horizon levels"]:
        """Forecast from each of the windows' positions; scaled quantiles, rising in level."""
        plan = self.plan
        windows = self.embedding(windows)
        encoded = self.recurrent(windows.inputs)[0][windows.positions]
        encoded = self.dropout(encoded)
        positions, batch, _ = encoded.shape
        last = windows.last[..., None].expand_as(windows.season)
        known = torch.cat([windows.known, torch.stack([last, windows.season], dim=-1)], dim=-1)
        hidden = (
            self.context(encoded)[:, :, None]
            + self.mix_own(self.own(encoded).view(positions, batch, plan.horizon, _OWN))
            + self.mix_known(known)
            + self.ahead
        )
        hidden = F.silu(self.inner(F.silu(hidden)))
        raw = self.out(hidden)
        median = torch.lerp(last, windows.season, torch.sigmoid(raw[..., -1])) + raw[..., 0]
        return assemble(median, F.softplus(raw[..., 1:-1]), plan.levels)


def assemble(
    median: Float[Tensor, "*shape"], gaps: Float[Tensor, "*shape gaps"], levels: tuple[float, ...]
) -> Float[Tensor, "*shape levels"]:
    """Quantiles from the median and the gaps between neighbours: those below it from the median down, then up.

    Args:
        median: the quantile of level 0.5.
        gaps: positive, one per further level, in rising order of the levels.
        levels: rising, 0.5 among them.
    """
    middle = levels.index(0.5)
    below = median[..., None] - gaps[..., :middle].flip(-1).cumsum(-1).flip(-1)
    above = median[..., None] + gaps[..., middle:].cumsum(-1)
    return torch.cat([below, median[..., None], above], dim=-1)


def _recurrent(plan: NetworkPlan, inputs: int) -> Recurrent:
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
