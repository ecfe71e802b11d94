"""Seq2seq: a recurrent encoder and a recurrent decoder (Sutskever et al. 2014; Cho et al. 2014)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gatewise.tasks.forecast.architectures.parts import Readout, ahead_of, beside, probe, recurrent_layers
from gatewise.tasks.forecast.encoding import Windows
from gatewise.tasks.forecast.plan import NetworkPlan

__all__ = ["Seq2Seq"]


class Seq2Seq(nn.Module):
    """A decoder runs over the horizon, one step for each value to be forecast.

    The encoder's output h_t gives the context c = C h_t and the decoder's first state tanh(B h_t) (Cho et al. 2014,
    eq. 4 and appendix A.1.1: the decoder reads the context at every step). Step k reads c, what is known for that step,
    the last value and the value one season before it, and a learned place. No forecast is fed back, so that
    training and use are alike.

    Args:
        plan: its sizes.
    """

    seasonal = True
    shares_encoder = True

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self._plan = plan
        size, channels = plan.decoder_size, plan.channels
        self.encoder = recurrent_layers(plan, plan.inputs * channels)
        self.decoder = recurrent_layers(plan, size)
        encoded, _ = probe(self.encoder)
        decoded, self._states = probe(self.decoder)
        self.dropout = nn.Dropout(plan.dropout)
        self.context = nn.Linear(encoded, size)
        # The first state of every cell is what its gates read; the others start empty, as in any sequence.
        self.bridge = nn.Linear(encoded, plan.num_layers * self._states[0])
        self.mix_known = nn.Linear(channels * (plan.known + 2 + plan.further_seasons), size, bias=False)
        self.ahead = nn.Parameter(0.1 * torch.randn(plan.horizon, size))
        self.hidden = nn.Linear(decoded + size, size)
        self.out = Readout(size, plan, seasonal=True, repeat=channels)

    def forward(self, windows: Windows) -> Float[Tensor, "positions batch horizon raw"]:
        """Raw numbers for each of the windows' positions."""
        plan = self._plan
        positions, rows = windows.last.shape
        encoded = self.encoder(beside(windows.inputs, plan.channels))[0][windows.positions]
        encoded = self.dropout(encoded).flatten(0, 1)
        # (horizon, windows, channels' features): the decoder's time is the horizon.
        known = beside(ahead_of(windows).permute(2, 0, 1, 3).flatten(1, 2), plan.channels)
        inputs = F.silu(self.mix_known(known) + self.context(encoded) + self.ahead[:, None])
        decoded, _ = self.decoder(inputs, self._first_state(encoded))
        hidden = F.silu(self.hidden(torch.cat([self.dropout(decoded), inputs], dim=-1)))
        raw = self.out(hidden)
        return raw.view(plan.horizon, positions, rows, -1).permute(1, 2, 0, 3)

    def _first_state(self, encoded: Tensor) -> tuple[Tensor, ...]:
        layers, batch = self._plan.num_layers, len(encoded)
        first = torch.tanh(self.bridge(encoded)).view(batch, layers, -1).transpose(0, 1).contiguous()
        return (first, *(first.new_zeros(layers, batch, width) for width in self._states[1:]))
