"""A fitted text classifier: what prediction needs, and nothing of how it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatewise.data.text.tokens import WordTokenizer
from gatewise.tasks.classify.calibration import softmax
from gatewise.tasks.text_classification.attribution import Attribution, attribute
from gatewise.tasks.text_classification.linear import LinearText
from gatewise.tasks.text_classification.network import TextReader
from gatewise.tasks.text_classification.training import EncodedTexts, logits_of

__all__ = ["Baseline", "FittedText", "cut"]


@dataclass(frozen=True)
class Baseline:
    """A linear classifier, and the temperature that makes its margins probabilities."""

    model: LinearText
    temperature: float

    def probabilities(self, words: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """(texts, classes)."""
        return softmax(self.model.logits(words) / self.temperature)


@dataclass(frozen=True)
class FittedText:
    """What `fit` learned.

    Args:
        network: in eval mode.
        tokenizer: how texts become words, and words numbers.
        max_length: of a longer text, so many words from its beginning and end are read.
        classes: sorted.
        temperature: what logits are divided by.
        shares: of the classes among the training texts.
        baselines: linear classifiers by their names.
    """

    network: TextReader
    tokenizer: WordTokenizer
    max_length: int
    classes: tuple[str, ...]
    temperature: float
    shares: NDArray[np.float64]
    baselines: dict[str, Baseline]

    def words(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of texts, all of them."""
        return [self.tokenizer.tokens(text) for text in texts]

    def probabilities(self, words: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Calibrated probabilities, (texts, classes)."""
        encoded = EncodedTexts.of(
            [self.tokenizer.vocabulary.encode(cut(one, self.max_length)) for one in words]
        )
        logits = logits_of(self.network, encoded, np.arange(len(words)))
        return softmax(logits / self.temperature)

    def attribution(self, words: Sequence[str], target: int) -> Attribution:
        """What the words of a text add to one class."""
        own = cut(words, self.max_length)
        codes = self.tokenizer.vocabulary.encode(own)
        return attribute(self.network, own, codes, target, self.classes[target])


def cut(words: Sequence[str], most: int) -> list[str]:
    """The words of a text; of a longer one, those of its beginning and of its end.

    Example:
        >>> cut(["a", "b", "c", "d", "e"], 3)
        ['a', 'd', 'e']
    """
    if len(words) <= most:
        return list(words)
    first = most // 2
    return [*words[:first], *words[len(words) - (most - first) :]]
