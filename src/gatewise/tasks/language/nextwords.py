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
        return [(fitted.tokenizer.decode([token]), float(probabilities[token])) for token in best.tolist()]
    return _search(fitted, prompt, count, output, states, banned)


@dataclass(order=True)
class _Beginning:
    """The beginning of a word: sorted by how improbable it is."""

    cost: float
    text: str
    states: Any = field(compare=False)
    token: int = field(compare=False)


def _search(
    fitted: Fitted, prompt: str, count: int, output: Any, states: Any, banned: Any
) -> list[tuple[str, float]]:
    starts, inside, others = _kinds(fitted.tokenizer)
    partial = _partial_word(prompt)
    words: dict[str, float] = {}
    waiting: list[_Beginning] = []
    logs = allowed_logs(fitted, output, banned)[0]
    _grow(fitted.tokenizer, partial, 0.0, logs, (starts, inside, others), states, waiting, words)
    for _ in range(_MOST_STEPS):
        if not waiting:
            break
        enough = sorted(words.values(), reverse=True)[count - 1 : count]
        if enough and math.exp(-waiting[0].cost) <= enough[0]:
            break
        one = heapq.heappop(waiting)
        with torch.inference_mode():
            output, states = fitted.network.step(torch.tensor([one.token], device=fitted.device), one.states)
        logs = allowed_logs(fitted, output, banned)[0]
        _grow(fitted.tokenizer, one.text, one.cost, logs, (starts, inside, others), states, waiting, words)
    return sorted(words.items(), key=lambda item: (-item[1], item[0]))[:count]


def _grow(
    tokenizer: Tokenizer,
    text: str,
    cost: float,
    logs: NDArray[np.float64],
    kinds: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]],
    states: Any,
    waiting: list[_Beginning],
    words: dict[str, float],
) -> None:
    """What may follow the beginning of a word: a further piece of it, or its end; before it, blanks or a sign."""
    starts, inside, others = kinds
    if text:
        ending = float(np.exp(logs[~inside]).sum())
        if ending > 0:
            words[text] = words.get(text, 0.0) + math.exp(-cost) * ending
        allowed = np.flatnonzero(inside) if len(text) < _LONGEST_WORD else np.empty(0, dtype=np.int64)
    else:
        for token in np.flatnonzero(others & np.isfinite(logs)).tolist():
            sign = tokenizer.decode([token]).strip(" ") or " "
            if sign != " ":
                words[sign] = words.get(sign, 0.0) + math.exp(-cost + logs[token])
        allowed = np.flatnonzero(starts)
    for token in allowed[np.isfinite(logs[allowed])].tolist():
        piece = tokenizer.decode([token])
        heapq.heappush(waiting, _Beginning(cost - float(logs[token]), text + piece.strip(" "), states, token))


def _kinds(tokenizer: Tokenizer) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    return _kinds_of(tokenizer, tokenizer.vocabulary.tokens)


@lru_cache(maxsize=4)
def _kinds_of(
    tokenizer: Tokenizer, tokens: tuple[str, ...]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Of each token: whether it may begin a word (or is a blank before it), go on with one, or stands for itself."""
    texts = [tokenizer.decode([number]) for number in range(len(tokens))]
    inside = np.array([bool(text) and _is_word(text) for text in texts])
    starts = np.array([text.strip(" ") == "" or _is_word(text.lstrip(" ")) for text in texts])
    # Half a character of a byte-level vocabulary is neither: it ends a word, and begins none.
    whole = np.array(["\N{REPLACEMENT CHARACTER}" not in text for text in texts])
    return starts, inside, ~starts & whole


def _is_word(text: str) -> bool:
    return bool(text) and all(sign.isalnum() or sign in "_'’-" for sign in text)


def _partial_word(prompt: str) -> str:
    """The characters of a word that a prompt ends with."""
    cut = len(prompt)
    while cut and _is_word(prompt[cut - 1]):
        cut -= 1
    return prompt[cut:]
