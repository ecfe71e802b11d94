"""The encoder-decoder: embeddings, a bidirectional encoder, a decoder with attention, words and copies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gatewise.decode import Step
from gatewise.nn import Memory
from gatewise.tasks.seq2seq.decoder import Decoder, DecoderState, Trace
from gatewise.tasks.seq2seq.encoding import UNKNOWN_ID
from gatewise.tasks.seq2seq.plan import NetworkPlan, probe, recurrent_layers

__all__ = ["Likelihood", "Seq2SeqNetwork", "SpeakerState"]

# Where the target's padding stands.
PADDING = -1


class Likelihood(NamedTuple):
    """What a batch's target tokens got, padding left out.

    Attributes:
        log_probs: (tokens,) of the token that came.
        even: (tokens,) the mean log-probability of all words, which label smoothing asks for.
        overlap: (tokens,) attention to what was already attended to (See et al. 2017, equation 12); zeros without
            coverage.
        sentence: (tokens,) which sentence of the batch each belongs to.
    """

    log_probs: Tensor
    even: Tensor
    overlap: Tensor
    sentence: Tensor


class SpeakerState(NamedTuple):
    """The state of a search.

    Attributes:
        decoder: one row per hypothesis.
        memory: one row per sentence.
        copies: (sentences, positions) the target's number of each token of the source, from `target_size` on for those
            that the target's vocabulary lacks; None without copying.
        extra: how many such numbers there are.
    """

    decoder: DecoderState
    memory: Memory
    copies: Tensor | None
    extra: int


class Seq2SeqNetwork(nn.Module):
    """An encoder-decoder with attention (Bahdanau et al. 2015; Luong et al. 2015; See et al. 2017).

    It is a `gatewise.decode.StepModel` too.

    Args:
        plan: what it consists of.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.plan = plan
        size = plan.embedding_size
        sizes = [plan.source_size] if plan.shared else [plan.source_size, plan.target_size]
        self.tables = nn.ModuleList(nn.Embedding(count, size) for count in sizes)
        for table in self.tables:
            nn.init.normal_(table.weight, std=size**-0.5)
        self.encoder = recurrent_layers(plan, size, bidirectional=True)
        memory_size, _ = probe(self.encoder)
        self.decoder = Decoder(plan, memory_size)
        self.dropout = nn.Dropout(plan.dropout)
        self.weight = None if plan.tied else nn.Parameter(torch.randn(plan.target_size, size) * size**-0.5)
        self.bias = nn.Parameter(torch.zeros(plan.target_size))
        self.switch = nn.Linear(self.decoder.width + memory_size + size, 1) if plan.copy else None

    def encode(
        self, source: Int[Tensor, "positions batch"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Memory, DecoderState]:
        """Read sources.

        Args:
            source: (positions, batch) numbers of tokens.
            lengths: (batch,) of each.

        Returns:
            What the decoder attends to, and what it starts from.
        """
        embedded = self.dropout(self._vectors(0, source))
        output, _ = self.encoder(embedded, lengths=lengths)
        # The forward direction ends at a sequence's last position, the backward one at its first.
        half = output.shape[-1] // 2
        batch = torch.arange(source.shape[1], device=source.device)
        ends = output[(lengths - 1).clamp(min=0), batch, :half]
        summary = torch.cat([ends, output[0, :, half:]], dim=-1)
        memory = self.decoder.attention.prepare(self.dropout(output), lengths)
        return memory, self.decoder.begin(summary, memory)

    def forward(self, batch: Mapping[str, Tensor]) -> Likelihood:
        """The likelihood of targets, each token given those before it.

        Args:
            batch: source (positions, batch), lengths (1, batch), target_in and target_out (steps, batch; the latter
                -1 for padding) and, with copying, copies (positions, batch).
        """
        memory, state = self.encode(batch["source"], batch["lengths"][0])
        embedded = self.dropout(self._embed(batch["target_in"]))
        trace = self.decoder(embedded, state, memory)
        there = batch["target_out"] >= 0
        target, sentence = batch["target_out"][there], there.nonzero()[:, 1]
        words = self._words(self.dropout(trace.hidden[there]))
        even = words.mean(-1)
        known = target < self.plan.target_size
        spoken = words.gather(1, torch.where(known, target, 0)[:, None])[:, 0]
        weights = trace.weights[there]
        if self.switch is not None:
            copies = batch["copies"].t()[sentence]
            copied = (_wide(weights) * (copies == target[:, None])).sum(-1)
            speaks, copying = self._switch(trace, embedded, there)
            spoken = (speaks + spoken).masked_fill(~known, -torch.inf)
            # What cannot be copied costs a log of next to nothing, not infinity.
            spoken = torch.logaddexp(spoken, copying + copied.clamp(min=1e-12).log())
        overlap = torch.zeros_like(even)
        if trace.before is not None:
            overlap = torch.minimum(weights, trace.before[there]).sum(-1)
        return Likelihood(spoken, even, overlap, sentence)

    def begin(
        self,
        source: Int[Tensor, "positions batch"],
        lengths: Int[Tensor, " batch"],
        copies: Int[Tensor, "positions batch"] | None,
    ) -> SpeakerState:
        """What a search starts from."""
        memory, state = self.encode(source, lengths)
        if copies is None or not self.plan.copy:
            return SpeakerState(state, memory, None, 0)
        extra = max(int(copies.max()) + 1 - self.plan.target_size, 0)
        return SpeakerState(state, memory, copies.t().contiguous(), extra)

    def step(self, tokens: Int[Tensor, " rows"], state: SpeakerState) -> Step:
        """One step of a search; see `gatewise.decode.StepModel`."""
        embedded = self._embed(tokens[None])
        trace = self.decoder(embedded, state.decoder, state.memory)
        log_probs, weights = self._words(trace.hidden[0]), trace.weights[0]
        if self.switch is not None and state.copies is not None:
            speaks, copying = (one[0] for one in self._switch(trace, embedded, None))
            rows = log_probs.shape[0]
            each = state.copies.repeat_interleave(rows // len(state.copies), dim=0)
            mixed = F.pad((log_probs + speaks[:, None]).exp(), (0, state.extra))
            shares = _wide(weights) * copying.exp()[:, None]
            log_probs = mixed.scatter_add(1, each, shares).log()
        return Step(log_probs, state._replace(decoder=trace.state), weights)

    def select(self, state: SpeakerState, rows: Int[Tensor, "sentences width"]) -> SpeakerState:
        """Rows of a search's state; see `gatewise.decode.StepModel`."""
        memory, copies = state.memory, state.copies
        if len(rows) != len(memory.values):
            before = len(state.decoder.feed) // len(memory.values)
            kept = rows[:, 0] // before
            memory = memory.select(kept)
            copies = None if copies is None else copies.index_select(0, kept)
        return SpeakerState(state.decoder.select(rows.flatten()), memory, copies, state.extra)

    def _embed(self, target: Tensor) -> Tensor:
        """The target's embeddings; what was copied and has no number of its own is unknown."""
        return self._vectors(-1, torch.where(target < self.plan.target_size, target, UNKNOWN_ID))

    def _vectors(self, table: int, tokens: Tensor) -> Tensor:
        # A tied output wants short vectors, the layers that read them want numbers of about one.
        return self.tables[table](tokens) * math.sqrt(self.plan.embedding_size)  # type: ignore[no-any-return]

    def _words(self, hidden: Float[Tensor, "rows features"]) -> Float[Tensor, "rows vocabulary"]:
        """Log-probabilities of the vocabulary's words."""
        weight = self.tables[-1].weight if self.weight is None else self.weight
        return _wide(F.linear(hidden, weight, self.bias)).log_softmax(-1)

    def _switch(self, trace: Trace, embedded: Tensor, there: Tensor | None) -> tuple[Tensor, Tensor]:
        """Log-probabilities to speak a word and to copy one (See et al. 2017, equation 8)."""
        read = torch.cat([trace.context, trace.output, embedded], dim=-1)
        logit = _wide(self.switch(read if there is None else read[there])[..., 0])  # type: ignore[misc]
        return F.logsigmoid(logit), F.logsigmoid(-logit)


def _wide(one: Tensor) -> Tensor:
    """At least float32: sums over a vocabulary lose too much in half precision."""
    return one if one.dtype == torch.float64 else one.float()
