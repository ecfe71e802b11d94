"""A small language to learn: sentences of a fixed grammar, so that a model can be told from its baselines."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gatewise.tasks import LanguageModel

WHO = ["the king", "the queen", "a fool", "the old nurse", "my lord", "Ariel"]
DOES = {"sees": "a ship", "hears": "the wind", "loves": "the sea", "fears": "no man"}


def text(sentences: int = 400, seed: int = 0) -> str:
    """Sentences; what is seen, heard, loved or feared depends on the verb, too far before for the n-grams."""
    generator = np.random.default_rng(seed)
    lines = []
    for _ in range(sentences):
        who, verb = generator.choice(WHO), generator.choice(list(DOES))
        lines.append(f"{who} {verb} , alas , alas , {DOES[verb]} .")
    return "\n".join(lines) + "\n"


FAST: dict[str, Any] = {
    "hidden_size": 24, "num_layers": 1, "batch_size": 4, "max_epochs": 8, "random_state": 0, "progress": False,
    "dropout": 0.1, "input_dropout": 0.0, "weight_drop": 0.1, "embedding_dropout": 0.0, "learning_rate": 2e-2,
    "activation": 0.0, "slowness": 0.0,
}  # fmt: skip


@functools.cache
def fitted(level: str = "word", **options: Any) -> LanguageModel:
    """A small model of that language, made once."""
    extra: dict[str, dict[str, Any]] = {
        "word": {"window": 20, "max_epochs": 10},
        "subword": {"vocabulary_size": 290, "window": 35, "max_epochs": 3},
        "character": {"window": 40, "max_epochs": 3},
    }
    settings = {**FAST, **extra[level], **options}
    return LanguageModel(level=level, **settings).fit(text(400 if level == "word" else 150))
