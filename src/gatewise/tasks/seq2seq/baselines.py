"""What needs no network: translating word by word, taking the first words, copying the longest noun-like word."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gatewise.data.text.tokens import words_of

__all__ = ["lead", "learn_lexicon", "longest_noun", "word_by_word"]

Whole = NDArray[np.int64]
_ROUNDS = 5
# A word that is seen less often is copied rather than translated: one sentence says little of it.
_LEAST_SEEN = 2
# More pairs of words than these are not needed to find the likeliest translation of each.
_MOST_WORD_PAIRS = 20_000_000
_LETTERS = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
# Endings of English words that are mostly adverbs, adjectives or verbs.
_NO_NOUN = ("ly", "ing", "ed", "ous", "ful", "able", "ible", "ive", "ize", "ise")


def learn_lexicon(sources: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """The likeliest translation of each word, by IBM model 1 (Brown et al. 1993, section 4.1).

    t(target word | source word) is learned by expectation maximisation over pairs of sentences, five rounds, without
    the empty word: a baseline should not be silent.

    Args:
        sources, targets: sentences that mean the same, in the same order.

    Returns:
        By source word (as it is written) the target word.

    Example:
        >>> pairs = [("das Haus", "the house"), ("das Buch", "the book"), ("ein Buch", "a book")]
        >>> lexicon = learn_lexicon(*zip(*pairs * 2))
        >>> lexicon["das"], lexicon["Buch"], lexicon["Haus"]
        ('the', 'book', 'house')
    """
    one, other, sentence = _word_pairs(sources, targets)
    if not len(one[1]):
        return {}
    (names, ours), (others, theirs) = one, other
    # Each pair of words that comes together has one number; `pair` says which one each meeting has.
    keys, pair = np.unique(ours * len(others) + theirs, return_inverse=True)
    from_word, to_word = keys // len(others), keys % len(others)
    chance = np.ones(len(keys))
    # What each target word of each sentence is shared out over.
    place = np.unique(sentence * np.int64(len(others)) + theirs, return_inverse=True)[1]
    for _ in range(_ROUNDS):
        shares = chance[pair]
        shares = shares / np.bincount(place, weights=shares)[place]
        counts = np.bincount(pair, weights=shares, minlength=len(keys))
        chance = counts / np.bincount(from_word, weights=counts)[from_word]
    seen = np.bincount(from_word[pair], minlength=len(names)) if len(names) else np.zeros(0)
    best = np.lexsort((-chance, from_word))
    first = best[np.unique(from_word[best], return_index=True)[1]]
    often = _sentences_with(sources, names)
    return {
        names[int(from_word[at])]: others[int(to_word[at])]
        for at in first
        if seen[from_word[at]] and often[names[int(from_word[at])]] >= _LEAST_SEEN
    }


def word_by_word(text: str, lexicon: dict[str, str]) -> str:
    """Each word by its likeliest translation; one that the lexicon lacks is copied.

    Example:
        >>> word_by_word("das rote Haus.", {"das": "the", "Haus": "house"})
        'the rote house.'
    """
    said = [lexicon.get(word, word) for word in words_of(text)]
    return re.sub(r" ([.,;:!?)\]}%])", r"\1", " ".join(said))


def lead(text: str, words: float) -> str:
    """The first words of a text.

    Args:
        text: it.
        words: how many, rounded, at least 1.

    Example:
        >>> lead("Please find the figures attached.", 3.2)
        'Please find the'
    """
    return " ".join(text.split()[: max(1, round(words))])


def longest_noun(text: str) -> str:
    """The longest word that looks like a noun, the first of several; the longest word where none does.

    It knows no grammar: words of letters count as noun-like unless they end as adverbs, adjectives and verbs mostly do
    in English (-ly, -ing, -ed, -ous, -ful, -able, -ible, -ive, -ize, -ise).

    Example:
        >>> longest_noun("Unfortunately, the negotiation failed yesterday")
        'negotiation'
    """
    words = _LETTERS.findall(text) or text.split()[:1]
    nouns = [word for word in words if not word.lower().endswith(_NO_NOUN)]
    return max(nouns or words, key=len, default="")


def _sentences_with(sources: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    found = dict.fromkeys(names, 0)
    for text in sources:
        for word in set(words_of(text)):
            if word in found:
                found[word] += 1
    return found


def _word_pairs(
    sources: Sequence[str], targets: Sequence[str]
) -> tuple[tuple[list[str], Whole], tuple[list[str], Whole], Whole]:
    """Every meeting of a source and a target word in a pair of sentences: both numbers, and the sentence's."""
    numbers: tuple[dict[str, int], dict[str, int]] = ({}, {})
    ours, theirs, which, total = [], [], [], 0
    for sentence, both in enumerate(zip(sources, targets, strict=True)):
        one, other = (
            np.array([own.setdefault(word, len(own)) for word in words_of(text)], dtype=np.int64)
            for own, text in zip(numbers, both, strict=True)
        )
        ours.append(np.repeat(one, len(other)))
        theirs.append(np.tile(other, len(one)))
        which.append(np.full(len(one) * len(other), sentence, dtype=np.int64))
        total += len(one) * len(other)
        if total > _MOST_WORD_PAIRS:
            break
    empty = np.zeros(0, dtype=np.int64)
    return (
        (list(numbers[0]), np.concatenate([empty, *ours])),
        (list(numbers[1]), np.concatenate([empty, *theirs])),
        np.concatenate([empty, *which]),
    )
