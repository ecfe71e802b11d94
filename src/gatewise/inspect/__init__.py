"""What a recurrent network does: the gradient's way through time, as plain numbers and pictures of them."""

from __future__ import annotations

from gatewise.inspect.flow import GradientFlow, LayerFlow, gradient_flow
from gatewise.inspect.horizon import HorizonEstimate, Reach, estimate_horizon
from gatewise.inspect.verdict import EXPLODING, VANISHING, Verdict

__all__ = [
    "EXPLODING",
    "VANISHING",
    "GradientFlow",
    "HorizonEstimate",
    "LayerFlow",
    "Reach",
    "Verdict",
    "estimate_horizon",
    "gradient_flow",
]
