"""A fitted encoder-decoder: what prediction needs, and nothing of how it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatewise.decode import Hypothesis, Limits, Penalties, beam_search, sample
from gatewise.tasks.seq2seq.encoding import END_ID, PAD_ID, START_ID, UNKNOWN_ID, Coder, Source
from gatewise.tasks.seq2seq.network import Seq2SeqNetwork
from gatewise.tasks.seq2seq.training import Pairs, likelihoods, read_batch

__all__ = ["Fitted", "Manner", "Said"]

# Sources that are searched together, of like length.
_TOGETHER = 64
# A target has at most so many tokens for each of its source's, and some more.
_TOKENS_EACH, _TOKENS_MORE = 2, 10


@dataclass(frozen=True)
class Manner:
    """How targets are found; the meaning is the estimators'."""

    beam_size: int = 5
    n_best: int = 1
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    no_repeat_ngram: int = 0
    min_length: int = 1


@dataclass(frozen=True)
class Said:
    """One target that was found.

    Attributes:
        text: it.
        score: by which targets of one source are compared.
        log_prob: its log-probability.
        source_tokens, tokens: of source and target, the ends among them where there are.
        attention: (tokens, source tokens), where it was asked for.
    """

    text: str
    score: float
    log_prob: float
    source_tokens: tuple[str, ...]
    tokens: tuple[str, ...]
    attention: NDArray[np.float64] | None


@dataclass(frozen=True)
class Fitted:
    """What `fit` learned.

    Args:
        network: in eval mode.
        coder: how texts become numbers.
        lexicon: for the baseline of translation: the likeliest translation of each word; empty for summaries.
        target_words: for the baseline of summaries: the mean number of words of a training target.
    """

    network: Seq2SeqNetwork
    coder: Coder
    lexicon: dict[str, str]
    target_words: float

    def say(
        self, texts: Sequence[str], manner: Manner, *, attention: bool = False
    ) -> tuple[list[list[Said]], int]:
        """The best targets of each source, and how many sources were cut."""
        read = [self.coder.read(text) for text in texts]
        found: list[list[Said]] = [[] for _ in texts]
        order = sorted(range(len(texts)), key=lambda one: len(read[one].ids))
        for begin in range(0, len(order), _TOGETHER):
            places = order[begin : begin + _TOGETHER]
            own = [read[one] for one in places]
            for place, source, hypotheses in zip(
                places, own, self._search(own, manner, attention), strict=True
            ):
                found[place] = [self._said(source, one) for one in hypotheses]
        return found, sum(one.cut for one in read)

    def draw(self, texts: Sequence[str], seed: int, **options: Any) -> list[str]:
        """One target for each source, drawn at random."""
        read = [self.coder.read(text) for text in texts]
        generator, found = torch.Generator().manual_seed(seed), []
        for begin in range(0, len(read), _TOGETHER):
            own = read[begin : begin + _TOGETHER]
            with torch.no_grad():
                drawn = sample(
                    self.network,
                    *self._begin(own),
                    self._limits(own, Manner()),
                    generator=generator,
                    **options,
                )
            found += [
                self.coder.text(one.tokens, source.foreign) for one, source in zip(drawn, own, strict=True)
            ]
        return found

    def log_probs(self, sources: Sequence[str], targets: Sequence[str]) -> NDArray[np.float64]:
        """(pairs,) the log-probability of each target given its source, its end included."""
        pairs = Pairs.encode(self.coder, sources, targets)
        found = np.zeros(len(pairs))
        for places, likelihood in likelihoods(self.network, pairs, np.arange(len(pairs))):
            np.add.at(
                found, places[likelihood.sentence.cpu().numpy()], likelihood.log_probs.double().cpu().numpy()
            )
        return found

    def _begin(self, sources: Sequence[Source]) -> tuple[torch.Tensor, Any]:
        device = next(self.network.parameters()).device
        batch = {name: one.to(device) for name, one in read_batch(sources).items()}
        state = self.network.begin(batch["source"], batch["lengths"][0], batch["copies"])
        return torch.full((len(sources),), START_ID, device=device), state

    def _limits(self, sources: Sequence[Source], manner: Manner) -> Limits:
        most = self.coder.max_target + 1
        lengths = [min(most, _TOKENS_EACH * len(one.ids) + _TOKENS_MORE) for one in sources]
        return Limits(
            lengths, stop=(END_ID,), min_length=min(manner.min_length, *lengths),
            forbidden=(PAD_ID, UNKNOWN_ID, START_ID), no_repeat_ngram=manner.no_repeat_ngram,
        )  # fmt: skip

    def _search(self, sources: Sequence[Source], manner: Manner, attention: bool) -> list[list[Hypothesis]]:
        with torch.no_grad():
            start, state = self._begin(sources)
            return beam_search(
                self.network, start, state, self._limits(sources, manner),
                beam_size=manner.beam_size, n_best=manner.n_best,
                penalties=Penalties(manner.length_penalty, manner.coverage_penalty),
                positions=torch.tensor([len(one.ids) for one in sources]), keep_attention=attention,
            )  # fmt: skip

    def _said(self, source: Source, one: Hypothesis) -> Said:
        coder = self.coder
        ids = [*one.tokens] + ([] if one.stop is None else [one.stop])
        weights = None
        if one.attention is not None:
            weights = one.attention[:, : len(source.ids)].double().cpu().numpy()
        return Said(
            text=coder.text(one.tokens, source.foreign), score=one.score, log_prob=one.log_prob,
            source_tokens=tuple(coder.pieces(source.ids.tolist(), side="source")),
            tokens=tuple(coder.pieces(ids, side="target", foreign=source.foreign)), attention=weights,
        )  # fmt: skip
