"""Small opinions of our own on films that do not exist; two words of each decide."""

from __future__ import annotations

import random

from gatewise.tasks import TextClassifier

WORDS = {
    "good": ("fine", "moving", "bright", "warm"),
    "bad": ("dull", "long", "cold", "flat"),
    "odd": ("strange", "queer", "eerie"),
}


def films(
    count: int = 120, seed: int = 0, classes: tuple[str, ...] = ("good", "bad")
) -> tuple[list[str], list[str]]:
    """Texts of different lengths, and their classes."""
    generator = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        label = generator.choice(classes)
        filling = ["and so on"] * generator.randint(0, 3)
        first, last = (generator.choice(WORDS[label]) for _ in range(2))
        texts.append(" ".join(["The film is", first, *filling, "and its plot", last + "."]))
        labels.append(label)
    return texts, labels


def small(**parameters: object) -> TextClassifier:
    """A classifier that fits in a moment."""
    own = {"hidden_size": 10, "word_size": 12, "max_epochs": 4, "dropout": 0.1, "learning_rate": 2e-2, "batch_size": 16,
           "random_state": 0, "progress": False}  # fmt: skip
    return TextClassifier(**own | parameters)
