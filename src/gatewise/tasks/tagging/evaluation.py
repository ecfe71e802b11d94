"""What a test found: F1 of spans beside each word's most frequent tag, by kind, examples, the verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewise.data.text.tags import Span, spans
from gatewise.report.text_table import aligned
from gatewise.tasks.tagging.baselines import FREQUENT, MAJORITY
from gatewise.tasks.tagging.scores import TagCounts, count_tags, ratio
from gatewise.tasks.winning import LEAST_APART, gain_words, is_above

__all__ = ["NOTHING", "MethodScores", "Said", "TagEvaluation", "judge_tags", "table_rows"]

NOTHING = "no span"
_DRAWS = 1000


@dataclass(frozen=True)
class Said:
    """What one method says of the test's sentences.

    Args:
        tags: of each sentence, or None if it says nothing of tags.
        intents: of each sentence, or None.
    """

    tags: Sequence[Sequence[str]] | None = None
    intents: Sequence[str] | None = None


@dataclass(frozen=True)
class MethodScores:
    """How well one method does; None where a measure does not apply.

    Args:
        precision, recall, f1: of spans, exactly conlleval's (as shares).
        tag_accuracy: share of tags that were met.
        sentence_accuracy: share of sentences all of whose tags were met.
        intent_accuracy: share of intents that were met.
        whole_accuracy: share of sentences whose tags and intent were all met.
    """

    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    tag_accuracy: float | None = None
    sentence_accuracy: float | None = None
    intent_accuracy: float | None = None
    whole_accuracy: float | None = None


@dataclass(frozen=True)
class TagEvaluation:
    """The result of `SequenceTagger.evaluate`.

    Args:
        model: the model's name in tables.
        scores: method -> scores; the model first.
        by_kind: kind -> precision, recall, f1, came, found; of tags that mark no spans, of each tag.
        kinds: the confusion's rows and columns; the last is no span at all.
        confusion: (kinds, kinds) counts: rows what came, columns what was said of the very same words.
        sentences, words: how many were compared.
        gain, gain_error: F1 (or accuracy) above the most frequent tag's, and its standard error, by a bootstrap over
            sentences.
        unknown: kinds (or tags) that came in the test and were never seen in training; they count as missed.
        verdict: in words, whether the model beats the trivial one.
        examples: (words, right tags, tags said) of sentences with a mistake, the most mistaken kinds of mistakes first.
    """

    model: str
    scores: dict[str, MethodScores]
    by_kind: dict[str, dict[str, float]]
    kinds: tuple[str, ...]
    confusion: NDArray[np.int64]
    sentences: int
    words: int
    gain: float
    gain_error: float
    unknown: tuple[str, ...]
    verdict: str
    examples: tuple[tuple[list[str], list[str], list[str]], ...]

    @property
    def beats_trivial(self) -> bool:
        """Whether it is above the most frequent tag's by more than two standard errors."""
        return is_above(self.gain, self.gain_error)

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values."""
        return {
            "verdict": self.verdict,
            "beats_trivial": self.beats_trivial,
            "sentences": self.sentences,
            "words": self.words,
            "gain": self.gain,
            "gain_standard_error": self.gain_error,
            "scores": {name: dict(vars(one)) for name, one in self.scores.items()},
            "by_kind": self.by_kind,
            "kinds": list(self.kinds),
            "confusion": self.confusion.tolist(),
            "unknown": list(self.unknown),
        }

    def __str__(self) -> str:
        """The table of scores and the verdict, as plain text."""
        return "\n".join([*aligned(table_rows(self)), self.verdict])


def judge_tags(
    sentences: Sequence[Sequence[str]],
    gold: Said,
    methods: dict[str, Said],
    *,
    model: str,
    spanned: bool,
    known: Sequence[str],
    seed: int = 0,
) -> TagEvaluation:
    """Compare a model and trivial methods with the right tags.

    Args:
        sentences: words.
        gold: the right tags, and intents where there are any.
        methods: what each method says; the model's first.
        model: its name.
        spanned: whether tags mark spans.
        known: kinds (or tags) that training showed.
        seed: for the bootstrap.
    """
    right = [list(one) for one in gold.tags or []]
    counts = {
        name: [count_tags(a, b, spanned) for a, b in zip(right, said.tags, strict=True)]
        for name, said in methods.items()
        if said.tags is not None
    }
    scores = {name: _scores(counts.get(name), said, gold, right, spanned) for name, said in methods.items()}
    gain, error = _gain(counts[model], counts[FREQUENT], spanned, seed)
    own = [list(one) for one in methods[model].tags or []]
    by_kind, kinds, confusion = _by_kind(right, own, spanned)
    unknown = tuple(sorted({one for one in by_kind if by_kind[one]["came"]} - set(known)))
    return TagEvaluation(
        model=model, scores=scores, by_kind=by_kind, kinds=kinds, confusion=confusion, sentences=len(right),
        words=sum(map(len, right)), gain=gain, gain_error=error, unknown=unknown,
        verdict=_verdict(scores, model, gain, error, spanned),
        examples=_examples(sentences, right, own),
    )  # fmt: skip


def table_rows(evaluation: TagEvaluation) -> list[list[str]]:
    """Method and scores as text, a header first; a column for what applies."""
    columns = [
        ("precision", "precision"), ("recall", "recall"), ("f1", "span F1"), ("tag_accuracy", "tag accuracy"),
        ("sentence_accuracy", "sentences right"), ("intent_accuracy", "intent accuracy"),
        ("whole_accuracy", "tags and intent right"),
    ]  # fmt: skip
    there = [
        (key, title)
        for key, title in columns
        if any(getattr(one, key) is not None for one in evaluation.scores.values())
    ]
    rows = [["", *(title for _, title in there)]]
    for name, scores in evaluation.scores.items():
        values = [getattr(scores, key) for key, _ in there]
        rows.append([name, *("" if value is None else f"{value:.2%}" for value in values)])
    return rows


def _scores(
    counts: list[TagCounts] | None, said: Said, gold: Said, right: list[list[str]], spanned: bool
) -> MethodScores:
    met = None
    if said.intents is not None and gold.intents is not None:
        met = np.array([a == b for a, b in zip(said.intents, gold.intents, strict=True)])
    if counts is None:
        return MethodScores(intent_accuracy=None if met is None else float(met.mean()))
    total = TagCounts.of(counts)
    whole = np.array([one.sentences_right for one in counts], dtype=bool)
    return MethodScores(
        precision=total.precision if spanned else None,
        recall=total.recall if spanned else None,
        f1=total.f1 if spanned else None,
        tag_accuracy=total.accuracy,
        sentence_accuracy=total.sentence_accuracy,
        intent_accuracy=None if met is None else float(met.mean()),
        whole_accuracy=None if met is None else float((met & whole).mean()),
    )


def _gain(own: list[TagCounts], other: list[TagCounts], spanned: bool, seed: int) -> tuple[float, float]:
    """The difference of F1 (or accuracy), and its standard deviation over sentences drawn with replacement."""
    table = np.array(
        [[a.right, a.found + a.came, b.right, b.found + b.came] if spanned
         else [a.tags_right, 2 * a.tags, b.tags_right, 2 * b.tags] for a, b in zip(own, other, strict=True)],
        dtype=np.float64,
    )  # fmt: skip

    def difference(sums: NDArray[np.float64]) -> Any:
        shares = 2 * sums[..., ::2] / np.maximum(sums[..., 1::2], 1)
        return shares[..., 0] - shares[..., 1]

    apart = (table[:, :2] != table[:, 2:]).any(axis=1)
    if apart.sum() < LEAST_APART:
        return float(difference(table.sum(axis=0))), float("inf")
    drawn = np.random.default_rng(seed).multinomial(len(table), np.full(len(table), 1 / len(table)), _DRAWS)
    error = float(difference(drawn @ table).std(ddof=1))
    return float(difference(table.sum(axis=0))), error


def _by_kind(
    right: list[list[str]], own: list[list[str]], spanned: bool
) -> tuple[dict[str, dict[str, float]], tuple[str, ...], NDArray[np.int64]]:
    came = [_marks(one, spanned) for one in right]
    said = [_marks(one, spanned) for one in own]
    kinds = sorted({span.kind for one in (*came, *said) for span in one})
    place = {kind: index for index, kind in enumerate([*kinds, NOTHING])}
    confusion = np.zeros((len(place), len(place)), dtype=np.int64)
    for a, b in zip(came, said, strict=True):
        mine = {(span.begin, span.end): span.kind for span in b}
        theirs = {(span.begin, span.end): span.kind for span in a}
        for words, kind in theirs.items():
            confusion[place[kind], place[mine.get(words, NOTHING)]] += 1
        for words, kind in mine.items():
            if words not in theirs:
                confusion[place[NOTHING], place[kind]] += 1
    rows = {}
    for kind in kinds:
        at = place[kind]
        met, there, found = map(int, (confusion[at, at], confusion[at].sum(), confusion[:, at].sum()))
        rows[kind] = {
            "precision": ratio(met, found), "recall": ratio(met, there), "f1": ratio(2 * met, there + found),
            "came": there, "found": found,
        }  # fmt: skip
    return rows, (*kinds, NOTHING), confusion


def _marks(tags: list[str], spanned: bool) -> list[Span]:
    return spans(tags) if spanned else [Span(at, at + 1, tag) for at, tag in enumerate(tags)]


def _examples(
    sentences: Sequence[Sequence[str]], right: list[list[str]], own: list[list[str]], most: int = 12
) -> tuple[tuple[list[str], list[str], list[str]], ...]:
    """Sentences with a mistake, evenly from all over the test."""
    wrong = [index for index, (a, b) in enumerate(zip(right, own, strict=True)) if a != b]
    chosen = [wrong[int(one)] for one in np.linspace(0, len(wrong) - 1, min(most, len(wrong)))]
    return tuple((list(sentences[one]), right[one], own[one]) for one in dict.fromkeys(chosen))


def _verdict(scores: dict[str, MethodScores], model: str, gain: float, error: float, spanned: bool) -> str:
    own, trivial = scores[model], scores[FREQUENT]
    a, b = (own.f1, trivial.f1) if spanned else (own.tag_accuracy, trivial.tag_accuracy)
    what = "span F1" if spanned else "accuracy"
    figures = f"{what} {a:.1%} against {b:.1%} for each word's most frequent tag"
    if is_above(gain, error):
        text = f"The model beats the trivial tagger: {figures}{gain_words(gain, error)}."
    elif is_above(-gain, error):
        text = f"The model does NOT beat the trivial tagger, it is below it: {figures}."
    else:
        text = f"The model does NOT beat the trivial tagger: {figures}{gain_words(gain, error)}, level."
    said = own.intent_accuracy
    if said is None:
        return text
    others = {
        name: one.intent_accuracy
        for name, one in scores.items()
        if name != model and one.intent_accuracy is not None
    }
    best = max(others, key=lambda name: others[name] or 0.0)
    least = others.get(MAJORITY, 0.0) or 0.0
    rank = "above" if said > (others[best] or 0.0) else "NOT above"
    return (
        f"{text} Intents: {said:.1%} right, {least:.1%} by always saying the most frequent one; {rank} the best other "
        f"method ({best}, {others[best]:.1%})."
    )
