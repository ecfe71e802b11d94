"""Texts to numbers and back: one tokenizer for each side, and the source's own words beside the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatewise.data.text import (
    PAD,
    UNKNOWN,
    CharacterTokenizer,
    SubwordTokenizer,
    Tokenizer,
    Vocabulary,
    WordTokenizer,
)
from gatewise.errors import DataError

__all__ = [
    "END_ID",
    "PAD_ID",
    "SPECIALS",
    "START_ID",
    "TOKENS",
    "UNKNOWN_ID",
    "Coder",
    "Source",
    "check_texts",
    "fit_coder",
]

Whole = NDArray[np.int64]
SPECIALS = (PAD, UNKNOWN, "<s>", "</s>")
PAD_ID, UNKNOWN_ID, START_ID, END_ID = range(len(SPECIALS))
# "subword": byte-level BPE; "word": words and signs; "split": what stands between blanks; "character".
TOKENS = ("subword", "word", "split", "character")


class Source(NamedTuple):
    """A text to be read.

    Attributes:
        ids: (tokens,) the end of the text among them.
        copies: (tokens,) the target's number of each; from the size of its vocabulary on for those that it lacks.
        foreign: these, by their number.
        cut: whether the text was longer.
    """

    ids: Whole
    copies: Whole
    foreign: tuple[str, ...]
    cut: bool


@dataclass(frozen=True)
class Coder:
    """How texts become numbers.

    Args:
        source, target: the tokenizers; one and the same where the vocabulary is shared.
        copy: whether words of the source that the target's vocabulary lacks get numbers of their own.
        max_source, max_target: the most tokens of a text, its end not counted; what is longer is cut.
    """

    source: Tokenizer
    target: Tokenizer
    copy: bool
    max_source: int
    max_target: int

    @property
    def shared(self) -> bool:
        """Whether both sides have one vocabulary."""
        return self.source is self.target

    def read(self, text: str) -> Source:
        """A source's numbers."""
        ids = _plain(self.source.encode(text))
        cut = len(ids) > self.max_source
        ids = ids[: self.max_source]
        copies, foreign = ids, ()
        if self.copy:
            copies, foreign = self._copies(text, ids)
        end = np.array([END_ID])
        return Source(np.concatenate([ids, end]), np.concatenate([copies, end]), foreign, cut)

    def write(self, text: str, foreign: Sequence[str] = ()) -> Whole:
        """A target's numbers and its end; words that its source has count as known."""
        ids = _plain(self.target.encode(text))
        if foreign:
            places = {word: len(self.target.vocabulary) + at for at, word in enumerate(foreign)}
            words = self._words(self.target, text)
            for at in np.flatnonzero(ids == UNKNOWN_ID):
                ids[at] = places.get(words[at], UNKNOWN_ID)
        end = [] if len(ids) > self.max_target else [END_ID]
        return np.concatenate([ids[: self.max_target], np.array(end, dtype=np.int64)])

    def text(self, ids: Sequence[int], foreign: Sequence[str] = ()) -> str:
        """The text of a target's numbers."""
        size = len(self.target.vocabulary)
        if not any(one >= size for one in ids):
            return self.target.decode(list(ids)).strip()
        words = [foreign[one - size] if one >= size else self.target.vocabulary.tokens[one] for one in ids]
        # The same tokenizer over the few words that are said knows how they are joined.
        own = Vocabulary(dict.fromkeys(words))
        joined = type(self.target)(own, **_options(self.target)).decode(own.encode(words).tolist())
        return joined.strip()

    def pieces(self, ids: Sequence[int], *, side: str, foreign: Sequence[str] = ()) -> list[str]:
        """Each token of a text as it is shown to people."""
        tokenizer = self.source if side == "source" else self.target
        size = len(tokenizer.vocabulary)
        found = []
        for one in ids:
            if one >= size:
                found.append(foreign[one - size])
            elif one < len(SPECIALS):
                found.append(SPECIALS[one])
            else:
                shown = tokenizer.decode([one])
                found.append(shown if shown.strip() else "␣")
        return found

    def _copies(self, text: str, ids: Whole) -> tuple[Whole, tuple[str, ...]]:
        """What each token of the source is to the target."""
        if self.target.kind == "subword":
            return ids, ()
        words = self._words(self.source, text)[: len(ids)]
        copies = _plain(self.target.vocabulary.encode(words))
        size, places = len(self.target.vocabulary), {}
        for at in np.flatnonzero(copies == UNKNOWN_ID):
            copies[at] = size + places.setdefault(words[at], len(places))
        return copies, tuple(places)

    def _words(self, tokenizer: Any, text: str) -> list[str]:
        return list(tokenizer.tokens(text))


def _plain(ids: Whole) -> Whole:
    """What a text says is never one of the special tokens, however it is written."""
    return np.where(ids < len(SPECIALS), UNKNOWN_ID, ids).astype(np.int64)


def _options(tokenizer: Any) -> dict[str, Any]:
    if isinstance(tokenizer, WordTokenizer):
        return {"rule": tokenizer.rule, "lowercase": tokenizer.lowercase, "line_end": tokenizer.line_end}
    return {"lowercase": tokenizer.lowercase}


def fit_coder(
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    tokens: str,
    vocabulary_size: int,
    min_count: int,
    lowercase: bool,
    shared: bool,
    copy: bool,
    max_source: int,
    max_target: int,
) -> Coder:
    """Learn the vocabularies of training texts.

    Args:
        sources, targets: the texts.
        tokens: one of `TOKENS`.
        vocabulary_size: the most tokens of a vocabulary.
        min_count: words (or pairs of subwords) that come less often have no number of their own.
        lowercase: whether letters are made small, on both sides.
        shared: whether both sides have one vocabulary.
        copy, max_source, max_target: as in `Coder`.
    """

    def learn(texts: Sequence[str]) -> Tokenizer:
        options: dict[str, Any] = {"lowercase": lowercase, "specials": SPECIALS, "min_count": min_count}
        if tokens == "subword":
            return SubwordTokenizer.train(texts, vocabulary_size=vocabulary_size, **options)
        if tokens == "character":
            return CharacterTokenizer.train(texts, max_size=vocabulary_size, **options)
        rule = "simple" if tokens == "word" else "whitespace"
        return WordTokenizer.train(texts, rule=rule, line_end=None, max_size=vocabulary_size, **options)

    source = learn([*sources, *targets] if shared else sources)
    target = source if shared else learn(targets)
    return Coder(source, target, copy, max_source, max_target)


def check_texts(name: str, texts: Any) -> list[str]:
    """The texts, each of which says something.

    Raises:
        DataError: none, something that is no text, or an empty text; the message says which.
    """
    if isinstance(texts, str):
        raise DataError(f"{name}: a list of texts is expected, came one text; pass [text]")
    try:
        found = list(texts)
    except TypeError:
        raise DataError(f"{name}: a list of texts is expected, came {type(texts).__name__}") from None
    if not found:
        raise DataError(f"{name}: at least one text is expected, came none")
    for number, text in enumerate(found, 1):
        if not isinstance(text, str):
            raise DataError(
                f"{name}: texts are expected, number {number} is {text!r:.60} ({type(text).__name__})"
            )
        if not text.strip():
            raise DataError(
                f"{name}: number {number} is empty; take it out, on both sides where there are two, or write what "
                "belongs there"
            )
    return found
