"""The network of a language model: embedding, recurrent layers of any cell, and the output layer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gatewise.nn import Recurrent, RecurrentState
from gatewise.nn.dropout import locked_dropout
from gatewise.spec import Program
from gatewise.tasks.language.heads import AdaptiveHead, FullHead
from gatewise.tasks.language.regularisation import embed

__all__ = ["LanguageNetwork", "NetworkPlan", "States", "select_states"]

# The states of all layers, each of one tensor (1, batch, width) per state of the cell.
States = list[RecurrentState]


@dataclass(frozen=True)
class NetworkPlan:
    """What a network is built from.

    Args:
        program: the cell's.
        tokens: in the vocabulary.
        embedding_size: features of a token's vector.
        hidden_size: units of a recurrent layer; the last one has `embedding_size` where the output is tied.
        num_layers: recurrent layers.
        tied: whether the output layer's weight is the embedding's.
        clusters: where the adaptive softmax's clusters begin; empty: one product for all tokens.
        dropout: of the output.
        input_dropout: of the embedded input.
        hidden_dropout: between layers.
        embedding_dropout: of whole tokens.
        weight_drop: of the recurrent matrices.
        embedding_scale: what the tokens' vectors are multiplied by before the first layer reads them.
        engine: which engine runs the cell.
    """

    program: Program
    tokens: int
    embedding_size: int
    hidden_size: int
    num_layers: int
    tied: bool
    clusters: tuple[int, ...] = ()
    dropout: float = 0.0
    input_dropout: float = 0.0
    hidden_dropout: float = 0.0
    embedding_dropout: float = 0.0
    weight_drop: float = 0.0
    embedding_scale: float = 1.0
    engine: str = "auto"

    def width(self, layer: int) -> int:
        """Units of a layer, counted from 0."""
        last = layer == self.num_layers - 1
        return self.embedding_size if last and self.tied else self.hidden_size


class LanguageNetwork(nn.Module):
    """Embedding, recurrent layers, output layer; locked dropout before, between and after the layers.

    Args:
        plan: what it is built from.
        order: tokens by falling frequency, for the adaptive softmax; None: by their numbers.

    References:
        Merity, Keskar & Socher 2018, "Regularizing and optimizing LSTM language models".
    """

    def __init__(self, plan: NetworkPlan, order: Any = None) -> None:
        super().__init__()
        self.plan = plan
        # The published recipe's small start is for a rate of 30. At AdamW's rates one that reads such vectors sits
        # at the tokens' frequencies for hundreds of steps; an output that shares them needs them small all the same.
        vectors = torch.empty(plan.tokens, plan.embedding_size)
        self.embedding = nn.Parameter(vectors.uniform_(-0.1, 0.1) if plan.tied else vectors.normal_())
        sizes = [plan.embedding_size, *(plan.width(layer) for layer in range(plan.num_layers))]
        self.layers = nn.ModuleList(_layer(plan, inner, outer) for inner, outer in pairwise(sizes))
        self.head: FullHead | AdaptiveHead
        if plan.clusters:
            ranked = range(plan.tokens) if order is None else order
            self.head = AdaptiveHead(sizes[-1], ranked, plan.clusters)
        else:
            self.head = FullHead(sizes[-1], plan.tokens, self.embedding if plan.tied else None)

    def forward(
        self, tokens: Int[Tensor, "time batch"], states: States | None = None
    ) -> tuple[Float[Tensor, "time batch features"], Float[Tensor, "time batch features"], States]:
        """Read a window.

        Args:
            tokens: (time, batch) numbers.
            states: what the window before ended with; None at the start of a text.

        Returns:
            The last layer's output after dropout, (time, batch, features), and before it; and the states at the end.
        """
        plan, on = self.plan, self.training
        x = embed(tokens, self.embedding, plan.embedding_dropout, on) * plan.embedding_scale
        x = locked_dropout(x, plan.input_dropout, on)
        news: States = []
        for number, layer in enumerate(self.layers):
            if number:
                x = locked_dropout(x, plan.hidden_dropout, on)
            x, new = layer(x, None if states is None else states[number])
            news.append(new)
        return locked_dropout(x, plan.dropout, on), x, news

    def step(
        self, tokens: Int[Tensor, " batch"], states: States | None = None
    ) -> tuple[Float[Tensor, "batch features"], States]:
        """Read one token of each stream: one call of the library for each layer.

        Args:
            tokens: (batch,) numbers.
            states: what the step before ended with; None at the start of a text.

        Returns:
            The last layer's output, (batch, features), and the states.
        """
        x = self.embedding[tokens] * self.plan.embedding_scale
        news: States = []
        for number, layer in enumerate(self.layers):
            x, new = layer.step(x, None if states is None else states[number])
            news.append(new)
        return x, news


def _layer(plan: NetworkPlan, inner: int, outer: int) -> Recurrent:
    """One layer with `outer` outputs; a cell that projects has them by its projection."""
    projected = plan.program.output_width != "hidden"
    return Recurrent(
        plan.program,
        inner,
        max(plan.hidden_size, outer + 1) if projected else outer,
        weight_drop=plan.weight_drop,
        proj_size=outer if projected else 0,
        engine=plan.engine,
    )


def select_states(states: States, rows: Any) -> States:
    """The states of some streams of the batch, in the order given."""
    return [layer.select(rows) for layer in states]
