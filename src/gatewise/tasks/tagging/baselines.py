"""What a tagger must beat: each word's most frequent tag; for intents the most frequent one, and a linear model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatewise.data.text.tags import convert_tags, find_fault, spans, tags_of_spans
from gatewise.tasks.text_classification.linear import TFIDF, LinearText

__all__ = ["FREQUENT", "MAJORITY", "Baselines", "convert_all", "fit_baselines"]

FREQUENT = "most frequent tag of the word"
MAJORITY = "most frequent intent"
Sentences = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Baselines:
    """Trivial taggers, learned from the training sentences.

    Args:
        words: for each word its most frequent tag.
        other: the most frequent tag of words that came once, which is said of words that never came.
        intents: the intents.
        shares: of the intents among the training sentences.
        linear: logistic regression on TF-IDF for the intents, where there are at least two.
    """

    words: dict[str, str]
    other: str
    intents: tuple[str, ...]
    shares: NDArray[np.float64]
    linear: LinearText | None

    def tags(self, sentences: Sentences, scheme: str) -> list[list[str]]:
        """Each word's most frequent tag, made valid where tags mark spans."""
        found = [[self.words.get(word, self.other) for word in one] for one in sentences]
        if scheme == "none":
            return found
        return [
            one if find_fault(one, scheme) is None else tags_of_spans(spans(one), len(one), scheme)
            for one in found
        ]

    def said_intents(self, sentences: Sentences) -> dict[str, list[str]]:
        """What each trivial method says of the intents."""
        if not self.intents:
            return {}
        found = {MAJORITY: [self.intents[int(self.shares.argmax())]] * len(sentences)}
        if self.linear is not None:
            best = self.linear.logits(sentences).argmax(axis=1)
            found[TFIDF] = [self.intents[one] for one in best]
        return found


def fit_baselines(
    sentences: Sentences,
    tags: Sequence[Sequence[str | None]],
    intents: Sequence[str] | None,
    *,
    names: tuple[str, ...],
) -> Baselines:
    """Learn what is trivial from the training sentences.

    Args:
        sentences: words.
        tags: of the words, None where one is not known.
        intents: of the sentences, or None.
        names: the intents, sorted.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for words, own in zip(sentences, tags, strict=True):
        for word, tag in zip(words, own, strict=True):
            if tag is not None:
                counts[word][tag] += 1
    best = {word: _most_frequent(seen) for word, seen in counts.items()}
    rare = Counter(next(iter(seen)) for seen in counts.values() if sum(seen.values()) == 1)
    every = rare or sum(counts.values(), Counter())
    shares = np.zeros(len(names))
    linear = None
    if intents is not None:
        place = {name: index for index, name in enumerate(names)}
        codes = np.array([place[one] for one in intents], dtype=np.int64)
        shares = np.bincount(codes, minlength=len(names)) / len(codes)
        if len(np.unique(codes)) > 1:
            linear = LinearText.fit(sentences, codes, len(names), kind=TFIDF)
    return Baselines(best, _most_frequent(every), names, shares, linear)


def _most_frequent(seen: Counter[str]) -> str:
    """Of equally frequent ones the first by its text, so that nothing hangs on the order of sentences."""
    return min(seen, key=lambda tag: (-seen[tag], tag))


def convert_all(tags: Sentences, source: str, target: str) -> list[list[str]]:
    """Sentences' tags in another scheme; "none" stays as it is."""
    if "none" in (source, target) or source == target:
        return [list(one) for one in tags]
    return [convert_tags(one, source, target) for one in tags]
