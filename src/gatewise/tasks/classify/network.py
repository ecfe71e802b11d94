"""The network: embeddings, an optional convolutional front end, a recurrent layer of any cell, pooling, classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gatewise.errors import ArgumentError
from gatewise.nn import Recurrent
from gatewise.spec import Program
from gatewise.tasks.classify.convolution import FrontEnd, FullyConvolutional
from gatewise.tasks.classify.pooling import make_pooling, valid_steps
from gatewise.tasks.classify.summary import SummaryLayer, summary_by_step, summary_of, summary_step

__all__ = ["ARCHITECTURES", "STREAMS", "ClassifierNetwork", "NetworkPlan", "check_cell"]

ARCHITECTURES = ("recurrent", "cnn", "fcn")
# What a cell may read beside its input: whether a channel was observed, and the time since it last was.
STREAMS = ("m", "d")


@dataclass(frozen=True)
class NetworkPlan:
    """The network's sizes.

    Args:
        program: the cell.
        inputs: numbers at each step.
        categories: for each categorical column how many numbers it has, the unseen one among them.
        classes: at least 2.
        output: "sequence" or "step".
        hidden_size, num_layers: of the recurrent layer.
        bidirectional: whether it also reads from the end.
        architecture: "recurrent", "cnn" (a convolutional front end) or "fcn" (LSTM-FCN's two branches).
        filters: of the convolutions.
        pooling: as in `pooling_names`.
        channels: numbers at each step that are channels, the first of the inputs.
        summary: whether the head also reads a summary of each channel.
        input_dropout: probability that an input is left out of a whole sequence, in training.
        dropout, recurrent_dropout: probabilities, in training.
        engine: which engine runs the recurrent layer.
    """

    program: Program
    inputs: int
    categories: tuple[int, ...]
    classes: int
    output: str
    hidden_size: int
    num_layers: int
    bidirectional: bool
    architecture: str
    filters: int
    pooling: str
    channels: int
    summary: bool
    input_dropout: float
    dropout: float
    recurrent_dropout: float
    engine: str

    @property
    def causal(self) -> bool:
        """Whether what the network says at a step depends on that step and earlier ones only."""
        return not self.bidirectional and self.architecture != "fcn"

    @property
    def streams(self) -> tuple[str, ...]:
        """What the cell reads beside its input."""
        return tuple(stream.name for stream in self.program.inputs[1:])


class ClassifierNetwork(nn.Module):
    """Logits for each sequence, or for each of its steps.

    Args:
        plan: its sizes.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.plan = plan
        self.embeddings = nn.ModuleList(
            nn.Embedding(count, embedding_width(count)) for count in plan.categories
        )
        width = plan.inputs + sum(embedding_width(count) for count in plan.categories)
        self.front = None
        if plan.architecture == "cnn":
            self.front = FrontEnd(width, plan.filters, causal=plan.causal, dropout=plan.dropout)
        self.recurrent = _recurrent(plan, plan.filters if self.front is not None else width)
        own_backward = plan.bidirectional and bool(plan.streams)
        # A cell that is told how long ago must be told from the other side when it reads from the other side.
        self.backward = _recurrent(plan, width, reverse=True) if own_backward else None
        self.branch = FullyConvolutional(width, plan.filters) if plan.architecture == "fcn" else None
        size = self._output_width(plan, width)
        if plan.output == "sequence":
            self.pool, size = make_pooling(
                plan.pooling, size, backward=size // 2 if plan.bidirectional else 0
            )
        size += self.branch.width if self.branch is not None else 0
        self.summary = None
        if plan.summary:
            self.summary = SummaryLayer(plan.channels, plan.hidden_size, plan.dropout)
            size += plan.hidden_size
        self.dropout = nn.Dropout(plan.dropout)
        self.out = nn.Linear(size, plan.classes)

    def forward(self, batch: Mapping[str, Tensor]) -> Float[Tensor, "*shape classes"]:
        """Logits, (batch, classes) or, with output="step", (time, batch, classes)."""
        steps, side = self._steps(batch)
        lengths = batch["lengths"][0]
        if self.plan.output == "step":
            told = self._summary_by_step(batch)
            return self._classes(steps, told, side)
        pooled = self.pool(steps, lengths)
        mean = None if side is None else side.sum(0) / lengths.clamp(min=1)[:, None]
        told = None if self.summary is None else self.summary(self.summaries(batch))
        return self._classes(pooled, told, mean)

    def by_step(self, batch: Mapping[str, Tensor]) -> Float[Tensor, "time batch classes"]:
        """Logits as if each sequence ended at each step; for a causal network."""
        steps, _ = self._steps(batch)
        told = self._summary_by_step(batch)
        return self._classes(steps if self.plan.output == "step" else self.pool.by_step(steps), told)

    def step(self, row: Mapping[str, Tensor], state: Any) -> tuple[Float[Tensor, "batch classes"], Any]:
        """One step of a stream: logits of all that came so far.

        Args:
            row: x (batch, width), codes (batch, categories), what the cell is told and what a summary needs.
            state: what the last step returned, None at the beginning.
        """
        front, recurrent, pool, past = (None,) * 4 if state is None else state
        x = self._embedded(row)
        if self.front is not None:
            x, front = self.front.step(x, front)
        output, recurrent = self.recurrent.step(x, recurrent, streams=self._told(row, "d", x))
        if self.plan.output == "sequence":
            output, pool = self.pool.step(output, pool)
        told = None
        if self.summary is not None:
            numbers, past = summary_step(*self._observed(row), past)
            told = self.summary(numbers)
        return self._classes(output, told), (front, recurrent, pool, past)

    def summaries(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The summary of each sequence, (batch, numbers)."""
        return summary_of(*self._observed(batch), batch["lengths"][0])

    def _summary_by_step(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        return None if self.summary is None else self.summary(summary_by_step(*self._observed(batch)))

    def _steps(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """The recurrent layer's output and the convolutional branch's, (time, batch, width)."""
        lengths = batch["lengths"][0]
        x = self._embedded(batch)
        there = valid_steps(lengths, x.shape[0])
        side = None if self.branch is None else self.branch(x, there)
        if self.front is not None:
            x = self.front(x, there)
        steps = self.recurrent(x, streams=self._told(batch, "d", x), lengths=lengths)[0]
        if self.backward is not None:
            other = self.backward(x, streams=self._told(batch, "d_back", x), lengths=lengths)[0]
            steps = torch.cat([steps, other], dim=-1)
        return steps, side

    def _embedded(self, batch: Mapping[str, Tensor]) -> Tensor:
        codes = batch["codes"]
        parts = [table(codes[..., index]) for index, table in enumerate(self.embeddings)]
        x = torch.cat([batch["x"], *parts], dim=-1)
        if not self.training or not self.plan.input_dropout:
            return x
        # The same inputs at all steps of a sequence (Gal & Ghahramani 2016).
        return x * F.dropout(torch.ones_like(x[:1]), self.plan.input_dropout)

    def _told(self, batch: Mapping[str, Tensor], since: str, x: Tensor) -> dict[str, Tensor] | None:
        """The cell's further streams; embedded categories count as observed, just now."""
        found = {}
        for name in self.plan.streams:
            own = batch[since if name == "d" else name]
            extra = x.shape[-1] - own.shape[-1]
            fill = own.new_full((*own.shape[:-1], extra), 0.0 if name == "d" else 1.0)
            found[name] = torch.cat([own, fill], dim=-1)
        return found or None

    def _observed(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The channels' values, and which were observed."""
        return batch["x"][..., : self.plan.channels], batch["seen"]

    def _classes(self, pooled: Tensor, told: Tensor | None, side: Tensor | None = None) -> Tensor:
        """Logits of features that stand side by side; the convolutional branch is not dropped (Karim et al. 2019)."""
        parts = [self.dropout(pooled)]
        if told is not None:
            parts.append(self.dropout(told))
        return self.out(torch.cat(parts if side is None else [*parts, side], dim=-1))

    def _output_width(self, plan: NetworkPlan, width: int) -> int:
        with torch.no_grad():
            batch = {
                "x": torch.zeros(1, 1, plan.inputs),
                "codes": torch.zeros(1, 1, len(plan.categories), dtype=torch.int64),
                "lengths": torch.ones(1, 1, dtype=torch.int64),
                **{name: torch.zeros(1, 1, plan.inputs) for name in ("m", "d", "d_back")},
            }
            size = int(self.eval()._steps(batch)[0].shape[-1])
        self.train()
        return size


def embedding_width(count: int) -> int:
    """Numbers that stand for one of `count` categories: about the root, at most 16."""
    return min(16, int(count**0.5) + 1)


def check_cell(program: Program, *, num_layers: int, architecture: str) -> None:
    """Refuse a cell whose inputs a classifier cannot feed.

    Raises:
        ArgumentError: naming the argument to change.
    """
    streams = [stream.name for stream in program.inputs[1:]]
    unknown = [name for name in streams if name not in STREAMS]
    if unknown:
        raise ArgumentError(
            f"cell: beside its input a classifier feeds m (observed) and d (time since last observed), but the cell "
            f"{program.name!r} reads {streams}; choose another cell"
        )
    if streams and num_layers != 1:
        raise ArgumentError(
            f"num_layers: 1 is expected for the cell {program.name!r}, which reads several inputs, came {num_layers}"
        )
    if streams and architecture == "cnn":
        raise ArgumentError(
            f'architecture: "recurrent" or "fcn" is expected for the cell {program.name!r}, which reads the channels '
            'themselves, came "cnn"'
        )


def _recurrent(plan: NetworkPlan, inputs: int, *, reverse: bool = False) -> Recurrent:
    projected = plan.program.output_width != "hidden"
    return Recurrent(
        plan.program,
        inputs,
        plan.hidden_size,
        num_layers=plan.num_layers,
        dropout=plan.dropout if plan.num_layers > 1 else 0.0,
        bidirectional=plan.bidirectional and not plan.streams,
        recurrent_dropout=plan.recurrent_dropout,
        proj_size=max(1, plan.hidden_size // 2) if projected else 0,
        engine=plan.engine,
        reverse=reverse,
    )
