"""Which words may come next, at every level: single words, or characters and subwords up to a word's end."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatewise.data.text import Tokenizer
from gatewise.tasks.language.fitted import Fitted
from gatewise.tasks.language.generation import banned_tokens, read_prompt
from gatewise.tasks.language.searching import allowed_logs

__all__ = ["next_words"]

# Pieces of words that are looked at, at most; and characters of a word.
_MOST_STEPS = 400
_LONGEST_WORD = 40


def next_words(fitted: Fitted, prompt: str, count: int) -> list[tuple[str, float]]:
    """The most probable words after a prompt, with their probabilities.

    At the level of words these are the vocabulary's. At the others a word is what stands up to the next character that
    is no part of a word, and its probability is that of its pieces and of any such character after them; if the
    prompt ends amid a word, the words are its completions, whole. The search goes on from the most probable
    beginning of a word, and ends when no unfinished one is as probable as the words that were found.

    Args:
        fitted: the model.
        prompt: what comes before.
        count: how many words, at least 1.

    Returns:
        (word, probability) pairs, the most probable first; a line end is "\\n".
    """
    output, states = read_prompt(fitted, prompt)
    banned = banned_tokens(fitted)
    if fitted.tokenizer.kind == "word":
        probabilities = np.exp(allowed_logs(fitted, output, banned)[0])
        best = np.argsort(-probabilities, kind="stable")[:count]
        best = best[probabilities[best] > 0]
        return [(fitted.tokenizer.decode([token]), float(probabilities[token])) for token in best.tolist()]
    return _search(fitted, prompt, count, output, states, banned)


@dataclass(order=True)
class _Beginning:
    """The beginning of a word: sorted by how improbable it is."""

    cost: float
    text: str
    states: Any = field(compare=False)
    token: int = field(compare=False)


@dataclass(frozen=True)
class _Pieces:
    """What each token is as a piece of a word.

    Args:
        texts: its text.
        starts: whether it may begin a word, or is a blank before one.
        inside: whether it may go on with a word.
        signs: whether it stands for itself.
    """

    texts: tuple[str, ...]
    starts: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    signs: NDArray[np.bool_]


def _search(
    fitted: Fitted, prompt: str, count: int, output: Any, states: Any, banned: Any
) -> list[tuple[str, float]]:
    pieces = _pieces_of(fitted.tokenizer)
    words: dict[str, float] = {}
    waiting: list[_Beginning] = []
    begun = _Beginning(0.0, _partial_word(prompt), None, -1)
    _grow(begun, allowed_logs(fitted, output, banned)[0], pieces, states, waiting, words)
    for _ in range(_MOST_STEPS):
        enough = sorted(words.values(), reverse=True)[count - 1 : count]
        if not waiting or (enough and math.exp(-waiting[0].cost) <= enough[0]):
            break
        one = heapq.heappop(waiting)
        with torch.inference_mode():
            output, states = fitted.network.step(torch.tensor([one.token], device=fitted.device), one.states)
        _grow(one, allowed_logs(fitted, output, banned)[0], pieces, states, waiting, words)
    return sorted(words.items(), key=lambda item: (-item[1], item[0]))[:count]


def _grow(
    begun: _Beginning,
    logs: NDArray[np.float64],
    pieces: _Pieces,
    states: Any,
    waiting: list[_Beginning],
    words: dict[str, float],
) -> None:
    """What may follow the beginning of a word: a further piece of it, or its end; before it, blanks or a sign."""
    here = math.exp(-begun.cost)
    if begun.text:
        words[begun.text] = words.get(begun.text, 0.0) + here * float(np.exp(logs[~pieces.inside]).sum())
        allowed = (
            np.flatnonzero(pieces.inside) if len(begun.text) < _LONGEST_WORD else np.empty(0, dtype=np.int64)
        )
    else:
        for token in np.flatnonzero(pieces.signs & np.isfinite(logs)).tolist():
            sign = pieces.texts[token].strip(" ")
            words[sign] = words.get(sign, 0.0) + here * math.exp(logs[token])
        allowed = np.flatnonzero(pieces.starts)
    for token in allowed[np.isfinite(logs[allowed])].tolist():
        text = begun.text + pieces.texts[token].strip(" ")
        heapq.heappush(waiting, _Beginning(begun.cost - float(logs[token]), text, states, token))


@lru_cache(maxsize=4)
def _pieces_of(tokenizer: Tokenizer) -> _Pieces:
    texts = tuple(tokenizer.decode([number]) for number in range(len(tokenizer.vocabulary)))
    inside = np.array([_is_word(text) for text in texts])
    starts = np.array([text.strip(" ") == "" or _is_word(text.lstrip(" ")) for text in texts])
    # Half a character of a byte-level vocabulary is neither: it ends a word, and begins none.
    whole = np.array(["\N{REPLACEMENT CHARACTER}" not in text for text in texts])
    return _Pieces(texts, starts, inside, ~starts & whole)


def _is_word(text: str) -> bool:
    return bool(text) and all(sign.isalnum() or sign in "_'’-" for sign in text)


def _partial_word(prompt: str) -> str:
    """The characters of a word that a prompt ends with."""
    cut = len(prompt)
    while cut and _is_word(prompt[cut - 1]):
        cut -= 1
    return prompt[cut:]
