"""Dynamic evaluation: a model that goes on learning from a text while it tells it (Krause et al. 2018).

Each few tokens are told first, by the weights as they are, and only then learned from: no token is told by weights that
have seen it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewise.data.text import PackedStreams
from gatewise.errors import ArgumentError, ArgumentTypeError

__all__ = ["Dynamic", "dynamic_log_probabilities", "gradient_scales"]

Whole = NDArray[np.int64]
_STATISTICS_STREAMS = 64


@dataclass(frozen=True)
class Dynamic:
    """How a model learns while it tells.

    Args:
        learning_rate: of the steps, above 0.
        decay: how far each step draws the weights back to the fitted ones, 0 to 1 (exclusive); where there are gradient
            scales, times a weight's scale relative to the mean.
        window: tokens that are told before each step, at least 1.
        epsilon: what is added to the gradient scales, above 0.

    Raises:
        ArgumentError: a value is out of its range.

    References:
        Krause, Kahembwe, Murray & Renals 2018, "Dynamic evaluation of neural sequence models", eq. 5 to 7.
    """

    learning_rate: float = 0.002
    decay: float = 0.02
    window: int = 5
    epsilon: float = 0.002

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("learning_rate", "decay", "window", "epsilon"):
            value = getattr(self, name)
            if not isinstance(value, int | float | np.number) or isinstance(value, bool):
                raise ArgumentTypeError(f"dynamic {name}: a number is expected, came {value!r}")
        if not 0 <= self.decay < 1:
            raise ArgumentError(f"dynamic decay: at least 0 and below 1 is expected, came {self.decay}")
        if self.window != int(self.window) or self.window < 1:
            raise ArgumentError(
                f"dynamic window: a whole number of at least 1 is expected, came {self.window}"
            )
        for name in ("learning_rate", "epsilon"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ArgumentError(f"dynamic {name}: above 0 is expected, came {getattr(self, name)}")


def dynamic_log_probabilities(
    network: Any, ids: Whole, how: Dynamic, scales: list[Tensor] | None = None
) -> NDArray[np.float64]:
    """The logarithm of each token's probability, the weights learning from what was told; the network stays as it is.

    Args:
        network: a `LanguageNetwork` in eval mode.
        ids: (1 + tokens,) what the text begins after, and the text.
        how: rates and window.
        scales: root mean squares of the training text's gradients, one per parameter (`gradient_scales`): steps are
            divided by them. None: plain gradient steps.

    Returns:
        (tokens,) natural logarithms.
    """
    told = copy.deepcopy(network).eval().requires_grad_(True)
    parameters = list(told.parameters())
    fitted = [parameter.detach().clone() for parameter in parameters]
    pull = _pull(fitted, how, scales)
    device = parameters[0].device
    inputs, targets = torch.from_numpy(ids[:-1]).to(device), torch.from_numpy(ids[1:]).to(device)
    states, found = None, []
    for begin in range(0, len(inputs), int(how.window)):
        end = begin + int(how.window)
        with torch.enable_grad():
            output, _, news = told(inputs[begin:end, None], states)
            losses = told.head.losses(output[:, 0], targets[begin:end])
            gradients = torch.autograd.grad(losses.mean(), parameters, allow_unused=True)
        states = [state.detach() for state in news]
        found.append(losses.detach())
        _learn(parameters, fitted, gradients, pull, how, scales)
    return -torch.cat(found).double().cpu().numpy()


def gradient_scales(network: Any, ids: Whole, *, window: int = 70, most_windows: int = 500) -> list[Tensor]:
    """Root mean squares of the gradients of a training text, one tensor per parameter (Krause et al. 2018, eq. 5).

    Args:
        network: a `LanguageNetwork` in eval mode.
        ids: (1 + tokens,) the training text.
        window: steps that are differentiated together.
        most_windows: after so many, evenly spread over the text, it is enough.
    """
    told = copy.deepcopy(network).eval().requires_grad_(True)
    parameters = list(told.parameters())
    packed = PackedStreams(ids, max(1, min(_STATISTICS_STREAMS, (len(ids) - 1) // window)))
    starts = range(0, packed.steps, window)
    chosen = set(np.linspace(0, len(starts) - 1, min(most_windows, len(starts))).astype(int).tolist())
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    states = None
    for number, start in enumerate(starts):
        tokens, targets = (
            torch.from_numpy(one).to(parameters[0].device)
            for one in packed.window(start, min(window, packed.steps - start))
        )
        if number not in chosen:
            with torch.no_grad():
                states = told(tokens, states)[2]
            continue
        with torch.enable_grad():
            output, _, news = told(tokens, states)
            loss = told.head.mean_loss(output.flatten(0, 1), targets.flatten())
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        states = [state.detach() for state in news]
        for square, gradient in zip(squares, gradients, strict=True):
            if gradient is not None:
                square.add_(gradient.square())
    return [(square / len(chosen)).sqrt() for square in squares]


def _pull(fitted: list[Tensor], how: Dynamic, scales: list[Tensor] | None) -> list[Any]:
    """What share of its distance from the fitted weights each weight is drawn back in a step (eq. 7)."""
    if scales is None:
        return [how.decay] * len(fitted)
    mean = sum(float(scale.double().sum()) for scale in scales) / sum(scale.numel() for scale in scales)
    return [(how.decay * scale / max(mean, 1e-30)).clamp(max=1.0) for scale in scales]


@torch.no_grad()
def _learn(
    parameters: list[nn.Parameter],
    fitted: list[Tensor],
    gradients: Any,
    pull: list[Any],
    how: Dynamic,
    scales: list[Tensor] | None,
) -> None:
    """One step from what was told, and back towards the fitted weights (eq. 6)."""
    for place, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
        if gradient is None:
            continue
        step = gradient if scales is None else gradient / (scales[place] + how.epsilon)
        back = (fitted[place] - parameter) * pull[place]
        parameter.add_(back - how.learning_rate * step)
