"""A language model made ready to write: all of its matrices, the output layer's too, packed for the native library.

The output layer is a product with a row for each token, which for words takes most of a step. It is run as the
recurrent layers are: as a cell, one whose only gate reads its input and whose state is never read.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gatewise.errors import ArgumentError
from gatewise.nn import Recurrent, prepare
from gatewise.spec import cell, maximum
from gatewise.tasks.language.heads import FullHead
from gatewise.tasks.language.network import LanguageNetwork

__all__ = ["PackedHead", "prepared_network"]


@cell(states="y", gates="y:input", title="Output layer")
def output_layer(gate, state):  # type: ignore[no-untyped-def]
    """A product with the input alone.

    The engine leaves a product whose result is read as it is to torch, unrounded; one that something follows it runs
    itself. No logit is below -1e30.
    """
    return maximum(gate.y, -1e30)


class PackedHead(nn.Module):
    """The output layer as a layer of the native library; for inference.

    Args:
        head: whose weights it takes.
    """

    def __init__(self, head: FullHead) -> None:
        super().__init__()
        tokens, features = head.weight.shape
        self.layer = Recurrent(output_layer, features, tokens, device=head.weight.device)
        with torch.no_grad():
            named = dict(self.layer.named_parameters())
            for parameter in named.values():
                parameter.zero_()
            named["weight_ih_l0"].copy_(head.weight)
            named["bias_ih_l0"].copy_(head.bias)

    def logits(self, states: Float[Tensor, "rows features"]) -> Float[Tensor, "rows tokens"]:
        """Logits of all tokens."""
        return self.layer.step(states)[0]  # type: ignore[no-any-return]

    def log_probabilities(self, states: Float[Tensor, "rows features"]) -> Float[Tensor, "rows tokens"]:
        """Logarithms of all tokens' probabilities."""
        return F.log_softmax(self.logits(states), dim=-1)

    def losses(self, states: Tensor, targets: Tensor) -> Tensor:
        """Minus the logarithm of each target's probability."""
        return F.cross_entropy(self.layer(states[None])[0][0], targets, reduction="none")


def prepared_network(network: LanguageNetwork, weights: str) -> LanguageNetwork:
    """A frozen copy of a network with its matrices packed once.

    Args:
        network: on the CPU, in eval mode.
        weights: "float32", "bfloat16" or "int8", as in `gatewise.nn.prepare`.

    Raises:
        ArgumentError: an unknown format, or a network on another device.
        EngineError: the native library is not installed; it says why.
    """
    if network.embedding.device.type != "cpu":
        raise ArgumentError(
            f"prepare: the native library runs on the CPU, the model is on {network.embedding.device}; move it by "
            'to("cpu")'
        )
    made = copy.deepcopy(network)
    if isinstance(made.head, FullHead):
        made.head = PackedHead(made.head)  # type: ignore[assignment]
    return prepare(made, weights)  # type: ignore[return-value]
