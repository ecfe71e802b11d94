"""Direct: a recurrent encoder, and one small decoder that serves every horizon (MQ-RNN, Wen et al. 2017)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gatewise.tasks.forecast.architectures.parts import Readout, ahead_of, beside, probe, recurrent_layers
from gatewise.tasks.forecast.encoding import Windows
from gatewise.tasks.forecast.plan import NetworkPlan

__all__ = ["Direct"]

# Numbers that each horizon reads from the encoder for itself, beside the context that all horizons share.
_OWN = 8


class Direct(nn.Module):
    """All horizons at once, from any step of a sequence.

    The encoder's output h_t gives a context c = C h_t that all horizons share and a few numbers o_k = O_k h_t for
    each horizon k; a perceptron of two layers makes the forecast of c + M o_k + K x_(t+k) + a_k, with x what is
    known for that step and a learned place a_k (Wen et al. 2017, eq. 2 and 3; the local network is shared by all
    horizons).

    Args:
        plan: its sizes.
    """

    seasonal = True
    shares_encoder = True

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self._plan = plan
        size, channels = plan.decoder_size, plan.channels
        self.recurrent = recurrent_layers(plan, plan.inputs * channels)
        width, _ = probe(self.recurrent)
        self.dropout = nn.Dropout(plan.dropout)
        self.context = nn.Linear(width, channels * size)
        self.own = nn.Linear(width, channels * plan.horizon * _OWN)
        self.mix_own = nn.Linear(_OWN, size, bias=False)
        self.mix_known = nn.Linear(plan.known + 2 + plan.further_seasons, size, bias=False)
        self.ahead = nn.Parameter(0.1 * torch.randn(plan.horizon, size))
        self.inner = nn.Linear(size, size)
        self.out = Readout(size, plan, seasonal=True)

    def forward(self, windows: Windows) -> Float[Tensor, "positions batch horizon raw"]:
        """Raw numbers for each of the windows' positions."""
        plan = self._plan
        encoded = self.recurrent(beside(windows.inputs, plan.channels))[0][windows.positions]
        encoded = self.dropout(encoded)
        positions, batch = windows.last.shape
        hidden = (
            self.context(encoded).view(positions, batch, 1, plan.decoder_size)
            + self.mix_own(self.own(encoded).view(positions, batch, plan.horizon, _OWN))
            + self.mix_known(ahead_of(windows))
            + self.ahead
        )
        return self.out(F.silu(self.inner(F.silu(hidden))))[..., 0, :]
