"""Vectors of words to start another network from: out of a text file, or out of a language model."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from gatewise.data.text.tokens import WordTokenizer
from gatewise.data.text.vectors import WordVectors, read_vectors
from gatewise.errors import ArgumentError
from gatewise.tasks.language.fitted import Fitted
from gatewise.tasks.language.model import LanguageModel

__all__ = ["word_tokenizer", "word_vectors"]


def word_tokenizer(fitted: Fitted, wanted: str) -> WordTokenizer:
    """The tokenizer of a language model that must be one over words.

    Args:
        fitted: the model.
        wanted: the argument that it came by and what was wanted there, for the message.

    Raises:
        ArgumentError: it is one over characters or subwords.
    """
    if isinstance(fitted.tokenizer, WordTokenizer):
        return fitted.tokenizer
    kind = type(fitted.tokenizer).__name__.removesuffix("Tokenizer").lower()
    raise ArgumentError(
        f'{wanted} over words is expected (level="word"), came one over {kind}s; fit one over words'
    )


def word_vectors(source: str | PathLike[str]) -> WordVectors:
    """Word vectors from where a user has them.

    Args:
        source: a text file (see `gatewise.data.text.vectors.read_vectors`), or the folder of a `LanguageModel` over
            words, whose embedding they are.

    Raises:
        ArgumentError: the language model is not one over words.
        DataError: the file cannot be used.
        StoreError: the folder holds no language model.
    """
    path = Path(source)
    if not path.is_dir():
        return read_vectors(path)
    fitted = LanguageModel.load(path).fitted_
    vocabulary = word_tokenizer(fitted, "vectors: a language model").vocabulary
    special = len(vocabulary.specials)
    place = {word: row for row, word in enumerate(vocabulary.tokens[special:])}
    values = fitted.network.embedding.detach()[special:].float().numpy()
    return WordVectors(place, values, f"the language model {path}")
