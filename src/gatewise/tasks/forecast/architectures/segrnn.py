"""SegRNN: recurrence over segments, and all segments of the horizon decoded at once (Lin et al. 2023)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gatewise.tasks.forecast.architectures.parts import (
    Readout,
    ahead_of,
    beside,
    probe,
    recurrent_layers,
)
from gatewise.tasks.forecast.encoding import Windows
from gatewise.tasks.forecast.plan import NetworkPlan

__all__ = ["SegRNN"]


class SegRNN(nn.Module):
    """A few recurrent steps where others take hundreds: one for each segment of the lookback.

    The window, less its last value, is cut into n segments of w steps; each is mapped to the units' width and rectified
    (Lin et al. 2023, sec. 4.1), and the recurrent layers run over the n segments. The decoder is the same recurrent
    layers, one step from the last state for each of the m segments of the horizon, all at once, told apart by a learned
    place (sec. 4.2, parallel multi-step forecasting); a linear map gives each segment's w values, and the last value
    is added again.

    Beyond the paper: further features enter each segment by their mean over it, and what is known for the future
    enters the decoder's step of its segment. Series are told apart by such features where there are any, in place of
    the paper's embedding of channels. With further seasons, the forecast is a change of a mixture of the last value
    and those of a season before, as in the other architectures, and their values less the last one enter the decoder.

    Args:
        plan: its sizes.
    """

    shares_encoder = False

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self._plan = plan
        self.seasonal = plan.further_seasons > 0
        self._features = plan.known + (1 + plan.further_seasons if self.seasonal else 0)
        length, size, channels = plan.segment_length, plan.hidden_size, plan.channels
        self._back, self._ahead = -(-plan.lookback // length), -(-plan.horizon // length)
        self.recurrent = recurrent_layers(plan, size)
        width, _ = probe(self.recurrent)
        self.segment = nn.Linear(channels * length, size)
        further = channels * (plan.inputs - 1)
        self.further = nn.Linear(further, size, bias=False)
        self.place = nn.Parameter(torch.randn(self._ahead, size))
        self.origin = nn.Linear(further, size, bias=False)
        wide = channels * length * self._features
        self.future = nn.Linear(wide, size, bias=False) if wide else None
        self.dropout = nn.Dropout(plan.dropout)
        self.out = Readout(width, plan, seasonal=self.seasonal, repeat=channels * length)
        with torch.no_grad():
            # As the places alone tell segments apart at first, and the values alone what was seen.
            for linear in (self.further, self.origin, *([self.future] if self.future else [])):
                linear.weight.mul_(0.1)

    def forward(self, windows: Windows) -> Float[Tensor, "1 batch horizon raw"]:
        """Raw numbers for the one position that ends the windows."""
        plan, channels = self._plan, self._plan.channels
        _, state = self.recurrent(self._segments(windows))
        batch = windows.last.shape[1] // channels
        query = self.place[:, None] + self.origin(beside(windows.inputs[-1, :, 1:], channels))
        if self.future is not None:
            query = query + self.future(self._known(windows))
        count = self._ahead
        # One step for all segments of all windows: (1, segments * batch, units).
        states = [one.repeat(1, count, 1) for one in state]
        decoded, _ = self.recurrent(query.reshape(1, count * batch, -1), states)
        raw = self.out(self.dropout(decoded[0])).view(count, batch, channels, plan.segment_length, -1)
        raw = raw.permute(1, 2, 0, 3, 4).reshape(batch * channels, count * plan.segment_length, -1)
        return raw[None, :, : plan.horizon]

    def _segments(self, windows: Windows) -> Float[Tensor, "segments batch units"]:
        """Each segment's values, and the means of its further features, as inputs of the recurrent layers."""
        length, channels = self._plan.segment_length, self._plan.channels
        # Rows before a series begins are neither observed nor of any age: they count as the last value.
        real = windows.inputs[..., 1:3].sum(-1) > 0
        values = (windows.inputs[..., 0] - windows.last) * real
        # What the window lacks of a whole number of segments is filled in before it, likewise.
        lacking = self._back * length - len(values)
        values = F.pad(values, (0, 0, lacking, 0)).view(self._back, length, -1)
        further = F.pad(windows.inputs[..., 1:], (0, 0, 0, 0, lacking, 0))
        means = further.view(self._back, length, *further.shape[1:]).mean(1)
        segments = beside(values.transpose(1, 2), channels)
        return torch.relu(self.segment(segments) + self.further(beside(means, channels)))

    def _known(self, windows: Windows) -> Tensor:
        """What is said of each segment of the horizon: (segments, batch, channels * length * features)."""
        length, known = self._plan.segment_length, windows.known[0]
        if self.seasonal:
            known, seasons = ahead_of(windows)[0].split(
                [known.shape[-1] + 1, self._features - known.shape[-1]], -1
            )
            known = torch.cat([known[..., :-1], seasons - known[..., -1:]], dim=-1)
        padded = F.pad(known, (0, 0, 0, self._ahead * length - known.shape[1]))
        parts = padded.view(len(known), self._ahead, -1).transpose(0, 1)
        return beside(parts, self._plan.channels)
