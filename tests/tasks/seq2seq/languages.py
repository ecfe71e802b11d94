"""Tiny languages that can be learned in seconds: words replaced, or turned around."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.tasks import Summarizer, Translator

WORDS = {
    "eins": "one", "zwei": "two", "drei": "three", "vier": "four", "rot": "red", "blau": "blue", "Haus": "house",
    "Hund": "dog", "und": "and", "klein": "small",
}  # fmt: skip
FAST = {
    "hidden_size": 32, "tokens": "word", "learning_rate": 0.02, "dropout": 0.0, "batch_size": 16, "max_epochs": 15,
    "patience": None, "random_state": 0, "progress": False, "beam_size": 3,
}  # fmt: skip


def sentences(count: int, seed: int = 0, longest: int = 6) -> list[str]:
    """Random sentences of the first language."""
    generator = np.random.default_rng(seed)
    names = list(WORDS)
    return [" ".join(generator.choice(names, generator.integers(1, longest + 1))) for _ in range(count)]


def replaced(texts: list[str]) -> list[str]:
    """Word for word."""
    return [" ".join(WORDS[word] for word in text.split()) for text in texts]


def reversed_(texts: list[str]) -> list[str]:
    """Word for word, from the end."""
    return [" ".join(reversed(one.split())) for one in replaced(texts)]


def translator(**changes: Any) -> Translator:
    """One that is quick."""
    return Translator(**(FAST | changes))


def summarizer(**changes: Any) -> Summarizer:
    """One that is quick."""
    return Summarizer(**(FAST | changes))


def share_right(model: Any, sources: list[str], targets: list[str]) -> float:
    """How many are said word for word."""
    return float(
        np.mean([said == target for said, target in zip(model.predict(sources), targets, strict=True)])
    )
