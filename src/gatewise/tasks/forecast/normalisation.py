"""Reversible instance normalisation: each window by its own mean and deviation, undone on what is forecast."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gatewise.tasks.forecast.encoding import Windows

__all__ = ["Normal", "ReversibleNorm"]

# A window that hardly moves is not blown up beyond this, in deviations of its series.
_EPSILON = 1e-2


@dataclass(frozen=True)
class Normal:
    """A batch's own scale: a value is `centre + stretch * normalised`.

    Args:
        centre, stretch: (batch,), scaled units; `stretch` is above 0.
    """

    centre: Float[Tensor, " batch"]
    stretch: Float[Tensor, " batch"]

    def apply(self, scaled: Float[Tensor, "lead batch *rest"]) -> Float[Tensor, "lead batch *rest"]:
        """Normalise."""
        shape = (1, -1, *(1,) * (scaled.dim() - 2))
        return (scaled - self.centre.view(shape)) / self.stretch.view(shape)

    def undo(self, normalised: Float[Tensor, "lead batch *rest"]) -> Float[Tensor, "lead batch *rest"]:
        """Undo `apply`."""
        shape = (1, -1, *(1,) * (normalised.dim() - 2))
        return normalised * self.stretch.view(shape) + self.centre.view(shape)


class ReversibleNorm(nn.Module):
    """Kim et al. 2022, "Reversible instance normalization", ICLR, eq. 1 to 3, over the values that were observed.

    The learned gain is kept positive by an exponential, so that quantiles keep their order.

    Args:
        channels: a gain and a shift for each, in turn over the batch; 1: the same for all series.

    Example:
        >>> import torch
        >>> values = torch.randn(9, 4, 1)
        >>> inputs = torch.cat([values, torch.ones(9, 4, 1), torch.zeros(9, 4, 1)], dim=-1)
        >>> windows = Windows(
        ...     inputs,
        ...     known=torch.zeros(1, 4, 2, 0),
        ...     last=values[-1:, :, 0],
        ...     season=torch.zeros(1, 4, 2),
        ...     positions=torch.tensor([8]),
        ... )
        >>> normed, normal = ReversibleNorm(1)(windows)
        >>> torch.testing.assert_close(normal.undo(normed.inputs[..., 0]), inputs[..., 0])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_gain = nn.Parameter(torch.zeros(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, windows: Windows) -> tuple[Windows, Normal]:
        """The windows with value, last value and season normalised, and what undoes it."""
        values, seen = windows.inputs[..., 0], windows.inputs[..., 1]
        number = seen.sum(0).clamp(min=1)
        mean = (values * seen).sum(0) / number
        deviation = torch.sqrt(((values - mean).square() * seen).sum(0) / number + _EPSILON**2)
        times = values.shape[1] // len(self.shift)
        stretch = deviation / self.log_gain.exp().repeat(times)
        normal = Normal(mean - self.shift.repeat(times) * stretch, stretch)
        # Rows before a series begins are all zeros, neither observed nor of any age, and stay so.
        real = windows.inputs[..., 1:3].sum(-1, keepdim=True) > 0
        inputs = torch.cat([normal.apply(values)[..., None] * real, windows.inputs[..., 1:]], dim=-1)
        further = normal.apply(windows.further) if windows.further.numel() else windows.further
        season, last = normal.apply(windows.season), normal.apply(windows.last)
        return replace(windows, inputs=inputs, last=last, season=season, further=further), normal
