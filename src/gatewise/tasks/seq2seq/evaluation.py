"""How good what a model says is, beside what needs no network; with examples, the best and the worst."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.report.text_table import aligned
from gatewise.tasks.seq2seq.baselines import lead, longest_noun, word_by_word
from gatewise.tasks.seq2seq.fitted import Fitted
from gatewise.tasks.seq2seq.metrics import Score, bleu, chrf, chrf_each, rouge, rouge_each
from gatewise.tasks.winning import block_gain, is_above

__all__ = ["Example", "TextEvaluation", "judge_summaries", "judge_translations", "table_rows"]

_EXAMPLES = 4
COPY, WORDS, LEAD, NOUN = (
    "copy of the source",
    "word by word (IBM model 1)",
    "first words",
    "longest noun-like word",
)


@dataclass(frozen=True)
class Example:
    """One pair and what was said; `score` is 0 to 100 (chrF, ROUGE-L)."""

    source: str
    expected: str
    said: str
    score: float


@dataclass(frozen=True)
class TextEvaluation:
    """Scores on pairs that a model was not fitted to.

    Attributes:
        model: its name in the table.
        pairs: how many.
        main: the measure that decides.
        scores: by method (the model first) and measure, 0 to 100.
        signatures: what each measure counts.
        best, worst: examples; the worst are not all that is bad.
        gain_error: the standard error of the gain over the best trivial method, from up to 20 parts of the pairs;
            infinite where fewer than six of them differ.
    """

    model: str
    pairs: int
    main: str
    scores: dict[str, dict[str, float]]
    signatures: dict[str, str]
    best: tuple[Example, ...]
    worst: tuple[Example, ...]
    gain_error: float

    @property
    def trivial(self) -> str:
        """The best of what needs no network."""
        others = [name for name in self.scores if name != self.model]
        return max(others, key=lambda name: self.scores[name][self.main])

    @property
    def gain(self) -> float:
        """Points above it."""
        return self.scores[self.model][self.main] - self.scores[self.trivial][self.main]

    @property
    def beats_trivial(self) -> bool:
        """Whether the model is better by more than two standard errors of the difference."""
        return is_above(self.gain, self.gain_error)

    @property
    def verdict(self) -> str:
        """The comparison in a sentence."""
        own, other = self.scores[self.model][self.main], self.scores[self.trivial][self.main]
        text = f"{self.main} {own:.1f} on {self.pairs:,} pairs, where the best trivial method ({self.trivial}) gives"
        if self.beats_trivial:
            return f"{text} {other:.1f}."
        if self.gain <= 0:
            return f"{text} {other:.1f}: the model does not beat it."
        return f"{text} {other:.1f}: the model does not beat it, the difference may be chance."

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "model": self.model, "pairs": self.pairs, "main": self.main, "scores": self.scores,
            "signatures": self.signatures, "verdict": self.verdict, "beats_trivial": self.beats_trivial,
            "gain": self.gain, "gain_standard_error": None if np.isinf(self.gain_error) else self.gain_error,
            "best": [vars(one) for one in self.best], "worst": [vars(one) for one in self.worst],
        }  # fmt: skip

    def __str__(self) -> str:
        """The table, the signatures and the verdict."""
        told = [f"{name}: {signature}" for name, signature in self.signatures.items()]
        return "\n".join([*aligned(table_rows(self)), *told, self.verdict])


def table_rows(evaluation: TextEvaluation) -> list[list[str]]:
    """The scores as texts, a header first."""
    measures = list(next(iter(evaluation.scores.values())))
    rows = [["method", *measures]]
    for name, own in evaluation.scores.items():
        rows.append([name, *(f"{own[measure]:.1f}" for measure in measures)])
    return rows


def judge_translations(
    fitted: Fitted, sources: Sequence[str], expected: Sequence[str], said: Sequence[str]
) -> TextEvaluation:
    """Translations by BLEU and chrF, beside the source itself and a lexicon."""
    small = fitted.coder.target.lowercase  # type: ignore[attr-defined]

    def count(texts: Sequence[str], right: Sequence[str]) -> dict[str, Score]:
        found = {} if small else {"BLEU": bleu(texts, right)}
        return found | {
            "BLEU, small letters": bleu(texts, right, lowercase=True),
            "chrF": chrf(texts, right),
        }

    methods = {
        fitted.network.plan.program.name: said,
        COPY: list(sources),
        WORDS: [word_by_word(text, fitted.lexicon) for text in sources],
    }
    main = "BLEU, small letters" if small else "BLEU"
    return _judge(methods, sources, expected, main, count, chrf_each)


def judge_summaries(
    fitted: Fitted, sources: Sequence[str], expected: Sequence[str], said: Sequence[str]
) -> TextEvaluation:
    """Summaries by ROUGE, beside the text's first words and its longest noun-like word."""
    methods = {
        fitted.network.plan.program.name: said,
        LEAD: [lead(text, fitted.target_words) for text in sources],
        NOUN: [longest_noun(text) for text in sources],
    }

    def each(texts: Sequence[str], others: Sequence[str]) -> list[float]:
        return [row[2] for row in rouge_each(texts, others)]

    return _judge(methods, sources, expected, "ROUGE-L", rouge, each)


def _judge(
    methods: dict[str, Sequence[str]],
    sources: Sequence[str],
    expected: Sequence[str],
    main: str,
    count: Callable[[Sequence[str], Sequence[str]], dict[str, Score]],
    each: Callable[[Sequence[str], Sequence[str]], list[float]],
) -> TextEvaluation:
    counted = {name: count(texts, expected) for name, texts in methods.items()}
    model = next(iter(methods))
    best = max(list(methods)[1:], key=lambda name: counted[name][main].value)
    error = block_gain(
        lambda said, right: count(said, right)[main].value, methods[model], methods[best], expected
    )
    single = each(methods[model], expected)
    # Texts of one or two words are right or wrong by chance: examples are drawn from the longer half.
    long = np.array([len(text.split()) for text in expected])
    order = np.argsort(single, kind="stable")
    order = order[long[order] >= np.median(long)]

    def example(place: int) -> Example:
        return Example(sources[place], expected[place], methods[model][place], round(float(single[place]), 1))

    return TextEvaluation(
        model=model, pairs=len(expected), main=main,
        scores={name: {key: round(one.value, 4) for key, one in own.items()} for name, own in counted.items()},
        signatures={key: one.signature for key, one in counted[model].items()},
        best=tuple(example(int(place)) for place in order[::-1][:_EXAMPLES]),
        worst=tuple(example(int(place)) for place in order[:_EXAMPLES]), gain_error=error,
    )  # fmt: skip
