"""A fitted tagger: what prediction needs, and nothing of how it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gatewise.data.text.tags import allowed_moves, find_fault, spans, split_tag, tags_of_spans
from gatewise.tasks.classify.calibration import softmax
from gatewise.tasks.tagging.baselines import Baselines
from gatewise.tasks.tagging.encoding import WordEncoder
from gatewise.tasks.tagging.network import TaggerNetwork
from gatewise.tasks.tagging.training import decode

__all__ = ["FittedTagger", "constraints", "inner_tags", "kind_of_tag"]

_MARKS = {"bio": ("B", "I"), "bioes": ("B", "I", "E", "S")}


@dataclass(frozen=True)
class FittedTagger:
    """What `fit` learned.

    Args:
        network: in eval mode.
        encoder: how words become numbers.
        tags: the network's tags, in `coding`.
        scheme: of the user's tags: "iob1", "bio", "bioes", or "none" where they mark no spans.
        coding: of the network's tags: "bio" or "bioes", or "none".
        intents: the intents, sorted; none where there are none.
        known: kinds (or tags) that training showed.
        baselines: the trivial methods.
    """

    network: TaggerNetwork
    encoder: WordEncoder
    tags: tuple[str, ...]
    scheme: str
    coding: str
    intents: tuple[str, ...]
    known: tuple[str, ...]
    baselines: Baselines

    @property
    def spanned(self) -> bool:
        """Whether tags mark spans."""
        return self.scheme != "none"

    def say(self, sentences: Sequence[Sequence[str]]) -> tuple[list[list[str]], list[str] | None]:
        """Tags, valid in the user's scheme, and intents."""
        found = decode(self.network, self.encoder.encode(sentences), np.arange(len(sentences)))
        tags = [self._outer([self.tags[code] for code in one]) for one in found.tags]
        if found.intents is None:
            return tags, None
        return tags, [self.intents[one] for one in found.intents.argmax(axis=1)]

    def marginals(self, sentences: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
        """(words, tags) probabilities of each sentence."""
        found = decode(
            self.network, self.encoder.encode(sentences), np.arange(len(sentences)), marginals=True
        )
        return found.marginals or []

    def intent_probabilities(self, sentences: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """(sentences, intents)."""
        found = decode(self.network, self.encoder.encode(sentences), np.arange(len(sentences)))
        return softmax(found.intents if found.intents is not None else np.zeros((len(sentences), 0)))

    def _outer(self, tags: list[str]) -> list[str]:
        """The network's tags in the user's scheme; a softmax may say what is not valid: its spans, marked anew."""
        if not self.spanned or (self.scheme == self.coding and find_fault(tags, self.scheme) is None):
            return tags
        return tags_of_spans(spans(tags), len(tags), self.scheme)


def inner_tags(seen: Sequence[str], coding: str) -> tuple[str, ...]:
    """All tags that the network tells apart: O and those that training showed; in bio each kind's beginning, too.

    A mark that training never showed of a kind (a kind whose spans are single words has no I-) only costs time.
    """
    if coding == "none":
        return tuple(sorted(set(seen)))
    kinds = sorted({kind_of_tag(tag) for tag in seen} - {""})
    there = {*seen, *(f"B-{kind}" for kind in kinds if coding == "bio")}
    marked = (f"{mark}-{kind}" for mark in _MARKS[coding] for kind in kinds)
    return ("O", *(tag for tag in marked if tag in there))


def kind_of_tag(tag: str) -> str:
    """A tag's kind, empty for O."""
    return split_tag(tag)[1]


def constraints(tags: Sequence[str], coding: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
    """What a CRF over these tags keeps to."""
    if coding == "none":
        return None
    moves, first, last = (torch.from_numpy(one) for one in allowed_moves(tags, coding))
    return moves, first, last
