"""Convolutions over time for padded batches of sequences, (time, batch, features)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = ["FrontEnd", "FullyConvolutional"]

Steps = Float[Tensor, "time batch width"]
Features = Float[Tensor, "time batch features"]
There = Bool[Tensor, "time batch"]
_FRONT_KERNEL, _FRONT_LAYERS = 5, 2
# Karim et al. 2019, section III: kernels of 8, 5 and 3; filters 128, 256, 128; squeeze and excite by 16.
_KERNELS, _WIDTHS, _REDUCTION = (8, 5, 3), (1, 2, 1), 16


class FrontEnd(nn.Module):
    """Convolutions before the recurrent layer (CNN + LSTM): each with layer norm over the filters and a rectifier.

    Args:
        inputs: features of a step.
        filters: features of a step that come out.
        causal: whether a step sees only itself and earlier ones; otherwise as many on both sides.
        dropout: in training.
    """

    def __init__(self, inputs: int, filters: int, *, causal: bool, dropout: float) -> None:
        super().__init__()
        widths = [inputs] + [filters] * _FRONT_LAYERS
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, _FRONT_KERNEL) for before, after in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(filters) for _ in range(_FRONT_LAYERS))
        self.dropout = nn.Dropout(dropout)
        self.before = _FRONT_KERNEL - 1 if causal else (_FRONT_KERNEL - 1) // 2

    def forward(self, steps: Steps, there: There) -> Features:
        """All steps; those that are not there are zero, before and after each layer."""
        steps = torch.where(there[..., None], steps, 0.0)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            steps = _convolve(convolution, steps, self.before)
            steps = torch.where(there[..., None], self.dropout(F.relu(norm(steps))), 0.0)
        return steps

    def step(
        self, one: Float[Tensor, "batch width"], past: list[Tensor] | None
    ) -> tuple[Float[Tensor, "batch filters"], list[Tensor]]:
        """One step of a stream; `past` holds each layer's last inputs, None at the beginning."""
        kept = []
        for index, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            before = one.new_zeros(_FRONT_KERNEL - 1, *one.shape) if past is None else past[index]
            window = torch.cat([before, one[None]])
            kept.append(window[1:])
            one = F.relu(norm(convolution(window.permute(1, 2, 0)).squeeze(-1)))
        return one, kept


class FullyConvolutional(nn.Module):
    """The convolutional branch of LSTM-FCN (Karim et al. 2018; with squeeze and excite 2019).

    The batch norm's statistics are those of the steps that are there.

    Args:
        inputs: features of a step.
        filters: of the first and third layer; the second has twice as many.
    """

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        widths = [inputs, *(filters * times for times in _WIDTHS)]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel)
            for before, after, kernel in zip(widths, widths[1:], _KERNELS, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])
        self.gates = nn.ModuleList(_Excite(width) for width in widths[1:-1])
        self.width = widths[-1]

    def forward(self, steps: Steps, there: There) -> Features:
        """Features of all steps; pool them over time by their mean."""
        steps = torch.where(there[..., None], steps, 0.0)
        for index, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            steps = _convolve(convolution, steps, (_KERNELS[index] - 1) // 2)
            steps = F.relu(_normalised(norm, steps, there))
            if index < len(self.gates):
                steps = self.gates[index](steps, there)
        return steps


class _Excite(nn.Module):
    """Each filter times a gate that follows from all filters' means (Hu et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(1, width // _REDUCTION)
        self.down, self.up = nn.Linear(width, inner, bias=False), nn.Linear(inner, width, bias=False)

    def forward(self, steps: Steps, there: There) -> Steps:
        mean = steps.sum(0) / there.sum(0)[:, None].clamp(min=1)
        return steps * torch.sigmoid(self.up(F.relu(self.down(mean))))


def _convolve(convolution: nn.Module, steps: Steps, before: int) -> Features:
    """The same number of steps out as in: zeros are put before and after."""
    size: int = convolution.kernel_size[0]  # type: ignore[index,assignment]
    padded = F.pad(steps.permute(1, 2, 0), (before, size - 1 - before))
    return convolution(padded).permute(2, 0, 1)


def _normalised(norm: nn.Module, steps: Steps, there: There) -> Steps:
    own = steps[there]
    # A single step has no spread: the statistics of training so far serve.
    if norm.training and len(own) < 2:
        norm.eval()
        own = norm(own)
        norm.train()
    else:
        own = norm(own)
    whole = torch.zeros_like(steps)
    whole[there] = own.to(whole.dtype)
    return whole
