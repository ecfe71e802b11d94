"""A language model's test: perplexity and bits per character, beside single tokens and n-grams on the same tokens."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewise.errors import DataError
from gatewise.report.text_table import aligned
from gatewise.tasks.language.dynamic import Dynamic
from gatewise.tasks.language.fitted import Fitted, texts_of
from gatewise.tasks.language.ngrams import NGramModel, unigram_logs
from gatewise.tasks.language.scoring import log_probabilities

__all__ = ["DYNAMIC", "UNIGRAM", "Surprise", "TextEvaluation", "TextScore", "evaluate_text", "table_rows"]

UNIGRAM = "unigram"
DYNAMIC = "with dynamic evaluation"
_SHOWN = 30
_CONTEXT = 60


@dataclass(frozen=True)
class TextScore:
    """One model's figures.

    Args:
        perplexity: of a token.
        bits_per_character: of the text as the vocabulary has it.
        nats: mean per token.
    """

    perplexity: float
    bits_per_character: float
    nats: float


@dataclass(frozen=True)
class Surprise:
    """A token that the model did not expect.

    Args:
        token: what came.
        before: the text before it.
        probability: what the model gave it.
        expected: the token it thought most probable there, "" where that was not asked.
    """

    token: str
    before: str
    probability: float
    expected: str = ""


@dataclass(frozen=True)
class TextEvaluation:
    """What came out.

    Args:
        model: the name of the model's row.
        scores: by row: the model, the unigram, the n-grams where there are some.
        tokens, characters: of the text.
        unknown: tokens that are not in the vocabulary; their sign is one that is predicted like others.
        surprises: the tokens that were least expected, the worst first.
        by_count: perplexity of the model by how often a token came in training: (label, tokens, perplexity).
    """

    model: str
    scores: dict[str, TextScore]
    tokens: int
    characters: int
    unknown: int
    surprises: list[Surprise] = field(default_factory=list)
    by_count: list[tuple[str, int, float]] = field(default_factory=list)

    @property
    def beats_trivial(self) -> bool:
        """Whether the model is better than every baseline."""
        own = self.scores[self.model].nats
        return all(own < score.nats for name, score in self.scores.items() if not name.startswith(self.model))

    @property
    def verdict(self) -> str:
        """What the figures say, in a sentence."""
        own = self.scores[self.model]
        others = {name: score for name, score in self.scores.items() if not name.startswith(self.model)}
        best = min(others, key=lambda name: others[name].nats)
        figures = f"perplexity {own.perplexity:.2f} against {others[best].perplexity:.2f} of {best}"
        if self.beats_trivial:
            return f"The model beats every baseline: {figures}."
        return f"The model does not beat {best}: {figures}. Use {best}, more text or a longer training."

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain JSON values."""
        return {**asdict(self), "beats_trivial": self.beats_trivial, "verdict": self.verdict}

    def __str__(self) -> str:
        """A table of the figures, and the verdict."""
        return "\n".join([*aligned(table_rows(self)), self.verdict])


def evaluate_text(
    fitted: Fitted,
    texts: Any,
    ngrams: NGramModel | None,
    dynamic: Dynamic | None = None,
    statistics: Any = None,
) -> TextEvaluation:
    """Compare a model with its baselines on the same tokens, each given all of the text before it.

    Args:
        fitted: the model.
        texts: a text or several that it was not fitted to.
        ngrams: fitted to the model's training text; None: the unigram stands alone.
        dynamic: gives the model a further row, with dynamic evaluation; None: it has none.
        statistics: for that, the training text or texts.

    Raises:
        DataError: there is no token.
    """
    text = "".join(texts_of(texts))
    ids = fitted.encode(text)
    if len(ids) < 2:
        raise DataError("the text is empty: there is no token whose probability could be told")
    own, _ = log_probabilities(fitted.network, ids)
    counts = fitted.tokenizer.vocabulary.counts
    name = f"{fitted.network.plan.program.name} model"
    logs = {name: own}
    if dynamic is not None:
        logs[f"{name} {DYNAMIC}"] = fitted.scored(text, dynamic, statistics).logs
    logs[UNIGRAM] = unigram_logs(counts, ids)
    if ngrams is not None:
        logs[f"{ngrams.order}-gram, Kneser-Ney"] = ngrams.log_probabilities(ids)
    return TextEvaluation(
        model=name,
        scores={label: score_of(one, len(text)) for label, one in logs.items()},
        tokens=len(own),
        characters=len(text),
        unknown=fitted.unknown_in(ids[1:]),
        surprises=_surprises(fitted, ids, own),
        by_count=_by_count(np.array(counts), ids[1:], own),
    )


def score_of(logs: NDArray[np.float64], characters: int) -> TextScore:
    """Figures from the logarithms of a text's tokens."""
    nats = -float(logs.mean())
    return TextScore(math.exp(min(nats, 700.0)), -float(logs.sum()) / math.log(2) / characters, nats)


def table_rows(evaluation: TextEvaluation) -> list[list[str]]:
    """The figures as texts, a header first, the model's row next."""
    rows = [["", "perplexity", "bits per character", "nats per token"]]
    for name, score in evaluation.scores.items():
        rows.append([name, f"{score.perplexity:.2f}", f"{score.bits_per_character:.3f}", f"{score.nats:.4f}"])
    return rows


def _surprises(fitted: Fitted, ids: NDArray[np.int64], logs: NDArray[np.float64]) -> list[Surprise]:
    tokens = fitted.tokenizer.vocabulary.tokens
    found = []
    for place in np.argsort(logs, kind="stable")[:_SHOWN].tolist():
        before = fitted.tokenizer.decode(ids[max(1, place + 1 - _CONTEXT) : place + 1])
        token = fitted.tokenizer.decode(ids[place + 1 : place + 2]) or tokens[ids[place + 1]]
        found.append(Surprise(token, before[-_CONTEXT:], math.exp(float(logs[place]))))
    return found


def _by_count(
    counts: NDArray[np.int64], targets: NDArray[np.int64], logs: NDArray[np.float64]
) -> list[tuple[str, int, float]]:
    """Perplexity by the frequency of the token in training, by powers of ten."""
    seen = counts[targets]
    bounds = [0, 1, 10, 100, 1000, 10_000, 100_000, 2**62]
    found = []
    for low, high in pairwise(bounds):
        chosen = (seen >= low) & (seen < high)
        if chosen.any():
            label = (
                "never"
                if low == 0
                else f"{low:,} to {high - 1:,} times"
                if high < 2**62
                else f"{low:,} times on"
            )
            found.append((label, int(chosen.sum()), math.exp(min(700.0, -float(logs[chosen].mean())))))
    return found
