"""The decoder: a recurrent layer that attends to the source, over a whole target or step by step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gatewise.nn import Attention, Memory, Recurrent
from gatewise.tasks.seq2seq.plan import NetworkPlan, probe, recurrent_layers

__all__ = ["Decoder", "DecoderState", "Trace"]


class DecoderState(NamedTuple):
    """What one step hands to the next, one row per hypothesis.

    Attributes:
        recurrent: the layers' states, each (layers, rows, width).
        feed: (rows, features) what is fed, see `NetworkPlan.feeding`; without features if nothing is.
        coverage: (rows, positions) the attention that each position got; None where nobody reads it.
    """

    recurrent: tuple[Tensor, ...]
    feed: Tensor
    coverage: Tensor | None

    def select(self, rows: Int[Tensor, " chosen"]) -> DecoderState:
        """Some rows, in the order given."""
        return DecoderState(
            tuple(one.index_select(1, rows) for one in self.recurrent),
            self.feed.index_select(0, rows),
            None if self.coverage is None else self.coverage.index_select(0, rows),
        )


class Trace(NamedTuple):
    """What happened in some steps.

    Attributes:
        hidden: (steps, rows, embedding size) what the output layer reads.
        context, output: (steps, rows, features) what was attended to, and the recurrent layer's output.
        weights: (steps, rows, positions) the attention.
        before: (steps, rows, positions) the coverage before each step; None where nobody reads it.
        state: after the last step.
    """

    hidden: Tensor
    context: Tensor
    output: Tensor
    weights: Tensor
    before: Tensor | None
    state: DecoderState


class Decoder(nn.Module):
    """Reads the target so far and attends to the source.

    The readout of a step is tanh(W [output; context; embedding]), of the size of an embedding.

    Args:
        plan: the sizes.
        memory_size: features of a position of the source.
    """

    def __init__(self, plan: NetworkPlan, memory_size: int) -> None:
        super().__init__()
        self.plan = plan
        size = plan.embedding_size
        extra = {"none": 0, "input": size, "context": memory_size}[plan.feeding]
        self.recurrent: Recurrent = recurrent_layers(plan, size + extra, bidirectional=False)
        self.width, self._states = probe(self.recurrent)
        self._fed = {"none": 0, "input": size, "context": self.width}[plan.feeding]
        score = "general" if plan.attention == "dot" and self.width != memory_size else plan.attention
        self.attention = Attention(score, self.width, memory_size, coverage=plan.coverage)
        # The first state of every cell is what its gates read; the others start empty, as in any sequence.
        self.bridge = nn.Linear(memory_size, plan.num_layers * self._states[0])
        self.first = nn.Linear(memory_size, self.width) if plan.feeding == "context" else None
        self.readout = nn.Linear(self.width + memory_size + size, size)

    def begin(self, summary: Float[Tensor, "batch features"], memory: Memory) -> DecoderState:
        """The state before the first step.

        Args:
            summary: (batch, memory size) of the source: the encoder's last output in each direction.
            memory: the source.
        """
        batch = len(summary)
        first = torch.tanh(self.bridge(summary)).view(batch, self.plan.num_layers, -1).transpose(0, 1)
        others = (summary.new_zeros(self.plan.num_layers, batch, width) for width in self._states[1:])
        feed = summary.new_zeros(batch, self._fed) if self.first is None else torch.tanh(self.first(summary))
        coverage = torch.zeros_like(memory.mask, dtype=summary.dtype) if self.plan.coverage else None
        return DecoderState((first.contiguous(), *others), feed, coverage)

    def forward(
        self, embedded: Float[Tensor, "steps rows features"], state: DecoderState, memory: Memory
    ) -> Trace:
        """Reads some tokens.

        Args:
            embedded: (steps, rows, embedding size) the tokens.
            state: what it starts from.
            memory: (batch, positions, ...) the source; the rows of a beam share their sentence's.

        Returns:
            What happened.
        """
        if self.plan.feeding == "none":
            output, recurrent = self._recur(embedded, state.recurrent)
            context, weights, before, covered = self._attend_each(output, memory, state.coverage)
            hidden = self._read(output, context, embedded)
            return Trace(
                hidden, context, output, weights, before, DecoderState(recurrent, state.feed, covered)
            )
        traces = []
        for one in embedded.unsqueeze(1):
            traces.append(self._step(one, state, memory))
            state = traces[-1].state
        if len(traces) == 1:
            return traces[0]
        hidden, context, output, weights, before = (
            None if parts[0] is None else torch.cat(parts)
            for parts in zip(*(trace[:-1] for trace in traces), strict=True)
        )
        return Trace(hidden, context, output, weights, before, state)

    def _step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> Trace:
        """One step that reads what the last one fed."""
        if self.plan.feeding == "context":
            context, weights, before, covered = self._attend_each(state.feed[None], memory, state.coverage)
            output, recurrent = self._recur(torch.cat([embedded, context], dim=-1), state.recurrent)
        else:
            fed = torch.cat([embedded, state.feed[None]], dim=-1)
            output, recurrent = self._recur(fed, state.recurrent)
            context, weights, before, covered = self._attend_each(output, memory, state.coverage)
        hidden = self._read(output, context, embedded)
        feed = (output if self.plan.feeding == "context" else hidden)[0]
        return Trace(hidden, context, output, weights, before, DecoderState(recurrent, feed, covered))

    def _recur(self, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        given = states if len(states) > 1 else states[0]
        if len(x) == 1:
            output, new = self.recurrent.step(x[0], given)
            output = output[None]
        else:
            output, new = self.recurrent(x, given)
        return output, (new,) if isinstance(new, Tensor) else tuple(new)

    def _read(self, output: Tensor, context: Tensor, embedded: Tensor) -> Tensor:
        return torch.tanh(self.readout(torch.cat([output, context, embedded], dim=-1)))

    def _attend_each(
        self, query: Tensor, memory: Memory, coverage: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Context, weights, coverage before each step and after all."""
        if coverage is None:
            context, weights = self._attend(query, memory, None)
            return context, weights, None, None
        contexts, weights, before = [], [], []
        for one in query.unsqueeze(1):
            before.append(coverage[None])
            context, now = self._attend(one, memory, coverage[None])
            contexts.append(context)
            weights.append(now)
            coverage = coverage + now[0]
        return torch.cat(contexts), torch.cat(weights), torch.cat(before), coverage

    def _attend(self, query: Tensor, memory: Memory, coverage: Tensor | None) -> tuple[Tensor, Tensor]:
        batch, rows = len(memory.values), query.shape[1]
        if rows == batch:
            return self.attention(query, memory, coverage)  # type: ignore[no-any-return]
        # One step of a beam: the hypotheses of a sentence are so many queries to one memory.
        width = rows // batch

        def fold(one: Tensor) -> Tensor:
            return one[0].view(batch, width, -1).transpose(0, 1)

        found = self.attention(fold(query), memory, None if coverage is None else fold(coverage))
        context, weights = (one.transpose(0, 1).reshape(1, rows, -1) for one in found)
        return context, weights
