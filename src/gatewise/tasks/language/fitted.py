"""A fitted language model: the network, and how texts become its tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatewise.data.text import Tokenizer, WordTokenizer
from gatewise.errors import ArgumentTypeError, DataError
from gatewise.tasks.language.dynamic import Dynamic, dynamic_log_probabilities, gradient_scales
from gatewise.tasks.language.network import LanguageNetwork
from gatewise.tasks.language.scoring import log_probabilities

__all__ = ["Fitted", "Scored", "start_of", "texts_of"]

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Scored:
    """How probable a text is.

    Args:
        ids: (tokens,) the text.
        logs: (tokens,) natural logarithm of each token's probability, given all before it.
        characters: of the text, its line ends included.
        unknown: how many tokens are not in the vocabulary.
    """

    ids: Whole
    logs: NDArray[np.float64]
    characters: int
    unknown: int

    @property
    def perplexity(self) -> float:
        """Of a token: the exponential of minus the mean logarithm."""
        return math.exp(min(700.0, -float(self.logs.mean())))

    @property
    def bits_per_character(self) -> float:
        """Bits for the whole text, by its characters."""
        return -float(self.logs.sum()) / math.log(2) / self.characters


@dataclass(frozen=True)
class Fitted:
    """A network in eval mode and its tokenizer.

    Args:
        network: the network.
        tokenizer: a text to tokens and back.
        start: the token that every text begins after: a line end where there is one.
    """

    network: LanguageNetwork
    tokenizer: Tokenizer
    start: int

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.embedding.device

    def encode(self, text: str) -> Whole:
        """What the text begins after, and its tokens."""
        return np.concatenate([[self.start], self.tokenizer.encode(text)]).astype(np.int64)

    def scored(self, texts: Any, dynamic: Dynamic | None = None, statistics: Any = None) -> Scored:
        """How probable a text is, or several one after the other, as one stream.

        Args:
            texts: the text or texts.
            dynamic: whether, and how, the model learns from what it has told.
            statistics: the training text or texts, to scale its steps.

        Raises:
            DataError: there is no token in it, or one that the vocabulary does not know and has no sign for.
        """
        text = "".join(texts_of(texts))
        ids = self.encode(text)
        if len(ids) < 2:
            raise DataError("the text is empty: there is no token whose probability could be told")
        if dynamic is None:
            logs, _ = log_probabilities(self.network, ids)
        else:
            scales = None
            if statistics is not None:
                scales = gradient_scales(self.network, self.encode("".join(texts_of(statistics))))
            logs = dynamic_log_probabilities(self.network, ids, dynamic, scales)
        return Scored(ids[1:], logs, len(text), self.unknown_in(ids[1:]))

    def unknown_in(self, ids: Whole) -> int:
        """How many tokens stand for something unknown."""
        unknown = self.tokenizer.vocabulary.unknown_id
        return 0 if unknown is None else int((ids == unknown).sum())


def start_of(tokenizer: Tokenizer) -> int:
    """The token that texts begin after: a line end, or else the most frequent token."""
    vocabulary = tokenizer.vocabulary
    line_end: Any = "\n"
    if isinstance(tokenizer, WordTokenizer):
        line_end = tokenizer.line_end
    elif tokenizer.kind == "subword":
        line_end = vocabulary.decode(tokenizer.encode("\n"))[0]
    if line_end is not None and line_end in vocabulary:
        return vocabulary.index(line_end)
    return int(np.argmax(vocabulary.counts))


def texts_of(texts: Any) -> list[str]:
    """One text or several as a list; each of several ends with a newline.

    Raises:
        ArgumentTypeError: neither a string nor strings.
    """
    if isinstance(texts, str):
        return [texts]
    if not isinstance(texts, Iterable) or isinstance(texts, bytes):
        raise ArgumentTypeError(f"X: a text, or a list of texts, is expected, came {type(texts).__name__}")
    found = list(texts)
    for place, text in enumerate(found):
        if not isinstance(text, str):
            raise ArgumentTypeError(f"X[{place}]: a string is expected, came {type(text).__name__}")
    return [text if text.endswith("\n") else text + "\n" for text in found]
