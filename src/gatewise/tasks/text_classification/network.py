"""The text classifier's network: words, a recurrent layer of any cell, pooling, classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from gatewise.nn import Recurrent
from gatewise.nn.dropout import locked_dropout
from gatewise.spec import Program
from gatewise.tasks.classify.pooling import AttentionPooling, LastPooling, MeanPooling, valid_steps

__all__ = ["POOLINGS", "MaxPooling", "TextNetwork", "TextPlan", "TextReader"]

POOLINGS = ("attention", "mean", "max", "last")


@dataclass(frozen=True)
class TextPlan:
    """The network's sizes.

    Args:
        program: the cell.
        words, classes: how many.
        word_size: numbers that stand for a word.
        hidden_size, num_layers: of the recurrent layers.
        bidirectional: whether they also read from the end.
        pooling: one of `POOLINGS`.
        dropout: probability, in training; one mask for all words of a text.
        recurrent_dropout: of what the recurrent weights multiply.
        engine: which engine runs the recurrent layers.
    """

    program: Program
    words: int
    classes: int
    word_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    pooling: str
    dropout: float
    recurrent_dropout: float
    engine: str


class MaxPooling(nn.Module):
    """The largest value of each feature over a text's steps."""

    def forward(
        self, steps: Float[Tensor, "time batch width"], lengths: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch width"]:
        """Pool whole texts."""
        there = valid_steps(lengths, steps.shape[0])[..., None]
        return torch.where(there, steps, -torch.inf).amax(0)


class TextReader(nn.Module):
    """Base of the networks: words to vectors, and vectors to logits."""

    plan: Any

    def forward(self, batch: Mapping[str, Tensor]) -> Float[Tensor, "batch classes"]:
        """Logits of the words (time, batch) with lengths (1, batch)."""
        return self.of_vectors(self.vectors(batch["words"]), batch["lengths"][0])

    def vectors(self, codes: Tensor) -> Tensor:
        """Vectors of words."""
        raise NotImplementedError

    def of_vectors(
        self, vectors: Float[Tensor, "time batch width"], lengths: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits of words that are already vectors: what attributions look at."""
        raise NotImplementedError


class TextNetwork(TextReader):
    """Logits of each text.

    Args:
        plan: its sizes.
    """

    def __init__(self, plan: TextPlan) -> None:
        super().__init__()
        self.plan = plan
        self.words = nn.Embedding(plan.words, plan.word_size, padding_idx=0)
        nn.init.normal_(self.words.weight[1:], std=0.1)
        projected = plan.program.output_width != "hidden"
        self.recurrent = Recurrent(
            plan.program,
            plan.word_size,
            plan.hidden_size,
            num_layers=plan.num_layers,
            dropout=plan.dropout if plan.num_layers > 1 else 0.0,
            bidirectional=plan.bidirectional,
            recurrent_dropout=plan.recurrent_dropout,
            proj_size=max(1, plan.hidden_size // 2) if projected else 0,
            engine=plan.engine,
        )
        with torch.no_grad():
            size = int(self.recurrent.eval()(torch.zeros(1, 1, plan.word_size))[0].shape[-1])
        self.recurrent.train()
        self.dropout = nn.Dropout(plan.dropout)
        self.pool: nn.Module
        if plan.pooling == "last":
            self.pool = LastPooling(size // 2 if plan.bidirectional else 0)
        else:
            self.pool = {"mean": MeanPooling, "max": MaxPooling}.get(
                plan.pooling, lambda: AttentionPooling(size)
            )()
        self.out = nn.Linear(size, plan.classes)

    def vectors(self, codes: Tensor) -> Tensor:
        """Vectors of words."""
        return self.words(codes)

    def of_vectors(
        self, vectors: Float[Tensor, "time batch width"], lengths: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits of words that are already vectors: what attributions look at."""
        rate = self.plan.dropout
        steps = self.recurrent(locked_dropout(vectors, rate, self.training), lengths=lengths)[0]
        return self.out(self.dropout(self.pool(locked_dropout(steps, rate, self.training), lengths)))
