"""How probable a text is to a network: read as one stream, or, where that suffices, as a few side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewise.data.text import PackedStreams

__all__ = ["log_probabilities", "mean_loss", "read"]

Whole = NDArray[np.int64]
# Numbers that the logits of one part may hold: 64 MB.
_MOST_LOGITS = 2**24
_LONGEST_WINDOW = 512


@torch.no_grad()
def log_probabilities(network: Any, ids: Whole, states: Any = None) -> tuple[NDArray[np.float64], Any]:
    """The logarithm of each token's probability, given all before it; the text is read as one stream.

    Args:
        network: a `LanguageNetwork` in eval mode.
        ids: (1 + tokens,) what the text begins after, and the text.
        states: to start from; None: those of an empty past.

    Returns:
        (tokens,) natural logarithms, and the states before the last token.
    """
    device = next(network.parameters()).device
    inputs, targets = torch.from_numpy(ids[:-1]).to(device), torch.from_numpy(ids[1:]).to(device)
    found = []
    for begin in range(0, len(inputs), _LONGEST_WINDOW):
        end = begin + _LONGEST_WINDOW
        output, _, states = network(inputs[begin:end, None], states)
        found.append(_losses(network, output[:, 0], targets[begin:end]))
    if not found:
        return np.zeros(0), states
    return -torch.cat(found).double().cpu().numpy(), states


@torch.no_grad()
def mean_loss(network: nn.Module, ids: Whole, *, streams: int) -> float:
    """Mean nats per token, the text read in a few streams (fewer where it is short); each begins without a past.

    Args:
        network: a `LanguageNetwork` in eval mode.
        ids: (1 + tokens,) what the text begins after, and the text.
        streams: the most.
    """
    device = next(network.parameters()).device
    # A stream should be long against what its beginning costs.
    packed = PackedStreams(ids, max(1, min(streams, len(ids) // 200)))
    states, total = None, 0.0
    for begin in range(0, packed.steps, _LONGEST_WINDOW):
        tokens, targets = (
            torch.from_numpy(one).to(device)
            for one in packed.window(begin, min(_LONGEST_WINDOW, packed.steps - begin))
        )
        output, _, states = network(tokens, states)
        total += float(_losses(network, output.flatten(0, 1), targets.flatten()).double().sum())
    return total / packed.inputs.size


@torch.no_grad()
def read(network: Any, ids: Whole, states: Any = None) -> tuple[Tensor, Any]:
    """Read tokens of one stream.

    Args:
        network: a `LanguageNetwork` in eval mode.
        ids: (tokens,) at least one.
        states: to start from.

    Returns:
        The last layer's output after the last token, (1, features), and the states.
    """
    device = next(network.parameters()).device
    tokens = torch.from_numpy(np.ascontiguousarray(ids)).to(device)
    output = None
    for begin in range(0, len(tokens), _LONGEST_WINDOW):
        output, _, states = network(tokens[begin : begin + _LONGEST_WINDOW, None], states)
    return output[-1], states  # type: ignore[index]


def _losses(network: Any, states: Tensor, targets: Tensor) -> Tensor:
    """Minus log probabilities, in parts whose logits fit into memory."""
    rows = max(1, _MOST_LOGITS // network.plan.tokens)
    return torch.cat(
        [
            network.head.losses(part, wanted)
            for part, wanted in zip(states.split(rows), targets.split(rows), strict=True)
        ]
    )
