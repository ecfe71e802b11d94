"""Vectors of words put into a network, and how many of its words have one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from gatewise.data.text.vectors import WordVectors
from gatewise.data.text.vocabulary import Vocabulary

__all__ = ["FoundVectors", "put_vectors"]


@dataclass(frozen=True)
class FoundVectors:
    """How many words of a vocabulary a file of vectors has.

    Args:
        source: the file.
        size: numbers of a vector.
        training_words: words that the training sentences hold.
        found: of these, with a vector.
        further: words that are known from the file alone.
        missing: the most frequent words without one.
    """

    source: str
    size: int
    training_words: int
    found: int
    further: int
    missing: tuple[str, ...]

    def __str__(self) -> str:
        """In words."""
        text = f"{self.found:,} of {self.training_words:,} training words have a vector in {self.source}"
        text += f", {self.further:,} words are known from it alone"
        return text + (f"; without, for instance: {', '.join(self.missing)}" if self.missing else "")

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self) | {"missing": list(self.missing)}


def put_vectors(
    vectors: WordVectors, table: nn.Embedding, words: Vocabulary, training: frozenset[str]
) -> FoundVectors:
    """Write vectors into a table of embeddings, scaled to what the table had: its other words keep their draw.

    Args:
        vectors: by the forms of the vocabulary's words.
        table: of the network.
        words: whose numbers are the table's rows.
        training: words that the training sentences hold.
    """
    own = [
        (index, vectors.place[word])
        for index, word in enumerate(words.tokens)
        if index > 1 and word in vectors.place
    ]
    if own:
        index, rows = (torch.tensor(one) for one in zip(*own, strict=True))
        with torch.no_grad():
            values = torch.from_numpy(vectors.values)[rows].to(table.weight.dtype)
            table.weight[index] = values * (table.weight[1:].std() / values.std().clamp(min=1e-12))
    known = [word for word in words.tokens[2:] if word in training]
    missing = [word for word in known if word not in vectors.place]
    return FoundVectors(
        vectors.source, vectors.size, len(known), len(known) - len(missing),
        len(words) - 2 - len(known), tuple(missing[:8]),
    )  # fmt: skip
