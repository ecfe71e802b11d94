"""From words to numbers: the word, its characters, and how it is written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewise.data.text.vocabulary import PAD, UNKNOWN, Vocabulary
from gatewise.errors import DataError

__all__ = ["SHAPES", "EncodedSentences", "WordEncoder", "check_sentences", "fit_encoder", "form_of"]

Whole = NDArray[np.int64]
# How a word is written; 0 is padding.
SHAPES = ("lower case", "upper case", "first letter", "mixed case", "number", "letters and digits", "other")
# Of a longer word, so many characters from both ends; the middle is left out.
_MOST_CHARACTERS = 28
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class WordEncoder:
    """How words become numbers; learned from the training sentences.

    Args:
        words: the vocabulary of words, lower case and with digits as 0 where `normalise` says so.
        characters: the vocabulary of characters.
        normalise: whether upper and lower case, and digits, are one in the words' vocabulary (their characters and
            shape still tell them apart).
    """

    words: Vocabulary
    characters: Vocabulary
    normalise: bool

    def form(self, word: str) -> str:
        """A word as its vocabulary has it."""
        return form_of(word, self.normalise)

    def encode(self, sentences: Sequence[Sequence[str]]) -> EncodedSentences:
        """Sentences as numbers.

        Args:
            sentences: lists of words, none empty.
        """
        lengths = np.array([len(one) for one in sentences], dtype=np.int64)
        flat = [word for one in sentences for word in one]
        place: dict[str, int] = {}
        forms = np.array([place.setdefault(word, len(place)) for word in flat], dtype=np.int64)
        distinct = list(place)
        words = np.asarray(self.words.encode([self.form(word) for word in distinct]), dtype=np.int64)
        shapes = np.array([shape_of(word) for word in distinct], dtype=np.int64)
        cut = [_shortened(word) for word in distinct]
        character_lengths = np.array([len(word) for word in cut], dtype=np.int64)
        characters = np.zeros((len(cut), int(character_lengths.max(initial=1))), dtype=np.int64)
        codes = np.asarray(self.characters.encode([sign for word in cut for sign in word]), dtype=np.int64)
        characters[np.arange(characters.shape[1]) < character_lengths[:, None]] = codes
        return EncodedSentences(
            words[forms], shapes[forms], forms, characters, character_lengths,
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "words": self.words.to_dict(),
            "characters": self.characters.to_dict(),
            "normalise": self.normalise,
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> WordEncoder:
        """What `to_dict` gave."""
        return cls(
            Vocabulary.from_dict(stored["words"]),
            Vocabulary.from_dict(stored["characters"]),
            bool(stored["normalise"]),
        )


@dataclass(frozen=True)
class EncodedSentences:
    """Sentences as numbers, flat.

    Args:
        words: (rows,) the word's number.
        shapes: (rows,) how it is written.
        forms: (rows,) which of the distinct words it is.
        characters: (distinct words, longest) numbers of their characters, 0 behind them.
        character_lengths: (distinct words,).
        starts: (sentences + 1,) where each sentence begins.
    """

    words: Whole
    shapes: Whole
    forms: Whole
    characters: Whole
    character_lengths: Whole
    starts: Whole

    @property
    def lengths(self) -> Whole:
        """(sentences,) their numbers of words."""
        return np.diff(self.starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def rows(self, chosen: Whole) -> tuple[Whole, NDArray[np.bool_]]:
        """Rows of some sentences side by side, (time, batch), and where there is one; 0 where not."""
        lengths = self.lengths[chosen]
        steps = np.arange(int(lengths.max(initial=1)))[:, None]
        there = steps < lengths
        return np.where(there, self.starts[chosen] + steps, 0), there

    def batch(self, chosen: Whole) -> dict[str, Tensor]:
        """Some sentences as a batch; every tensor has them in its second dimension.

        Returns:
            words, shapes, forms, character_lengths (time, batch), characters (time, batch, signs), lengths (1, batch).
        """
        rows, there = self.rows(chosen)
        forms = self.forms[rows]
        spelled = np.where(there, self.character_lengths[forms], 0)
        signs = int(spelled.max(initial=1))
        return {
            "words": torch.from_numpy(np.where(there, self.words[rows], 0)),
            "shapes": torch.from_numpy(np.where(there, self.shapes[rows], 0)),
            "forms": torch.from_numpy(np.where(there, forms, -1)),
            "characters": torch.from_numpy(
                np.where(there[..., None], self.characters[forms][..., :signs], 0)
            ),
            "character_lengths": torch.from_numpy(spelled),
            "lengths": torch.from_numpy(self.lengths[chosen])[None],
        }


def fit_encoder(
    sentences: Sequence[Sequence[str]], *, normalise: bool, min_count: int, further: Sequence[str] = ()
) -> tuple[WordEncoder, NDArray[np.bool_]]:
    """Learn the vocabularies.

    Args:
        sentences: the training sentences.
        normalise: as in `WordEncoder`.
        min_count: words that come less often are unknown.
        further: words that are known from elsewhere (a file of vectors).

    Returns:
        The encoder, and for each word's number whether it came exactly once: training passes some of these for unknown.
    """
    nothing = Vocabulary((PAD, UNKNOWN), specials=2)
    plain = WordEncoder(nothing, nothing, normalise)
    forms = [[plain.form(word) for word in one] for one in sentences]
    counts = Counter(word for one in forms for word in one)
    kept = [[word for word in one if counts[word] >= min_count] for one in forms]
    words = Vocabulary.build([*kept, [one for one in further if counts[one] < min_count]])
    characters = Vocabulary.build([list(word) for one in sentences for word in one])
    once = np.array([counts[word] == 1 for word in words.tokens])
    once[:2] = False
    return WordEncoder(words, characters, normalise), once


def form_of(word: str, normalise: bool) -> str:
    """A word as its vocabulary has it: lower case and with digits as 0, or as it is."""
    return _DIGIT.sub("0", word.lower()) if normalise else word


def shape_of(word: str) -> int:
    """How a word is written: its place among `SHAPES`, from 1."""
    letters = [sign for sign in word if sign.isalpha()]
    digits = any(sign.isdigit() for sign in word)
    if not letters:
        return 5 if digits else 7
    if digits:
        return 6
    if word.islower():
        return 1
    if word.isupper() and len(letters) > 1:
        return 2
    if word[0].isupper() and not any(sign.isupper() for sign in word[1:]):
        return 3
    return 4


def check_sentences(X: Any, name: str = "X") -> list[list[str]]:
    """Sentences as lists of words.

    Raises:
        DataError: no list of lists of texts, a sentence without words, an empty word; it names the sentence.
    """
    if isinstance(X, str) or not hasattr(X, "__iter__"):
        raise DataError(
            f"{name}: a list of sentences, each a list of words, is expected, came {type(X).__name__}"
        )
    found = []
    for index, sentence in enumerate(X):
        if isinstance(sentence, str) or not hasattr(sentence, "__iter__"):
            raise DataError(
                f"{name}[{index}]: a sentence as a list of words is expected, came {sentence!r:.60}; split the text "
                "into words first"
            )
        words = list(sentence)
        if not words:
            raise DataError(f"{name}[{index}]: the sentence is empty; leave it out, or give its words")
        wrong = next((word for word in words if not isinstance(word, str) or not word.strip()), None)
        if wrong is not None or any(not isinstance(word, str) for word in words):
            raise DataError(f"{name}[{index}]: words as texts, none empty, are expected, came {wrong!r}")
        found.append([str(word) for word in words])
    if not found:
        raise DataError(f"{name}: at least one sentence is expected, came none")
    return found


def _shortened(word: str) -> str:
    if len(word) <= _MOST_CHARACTERS:
        return word
    half = _MOST_CHARACTERS // 2
    return word[:half] + word[-half:]
