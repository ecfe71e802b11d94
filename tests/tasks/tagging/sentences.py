"""Small sentences of our own: who travels where, in tags of spans, with an intent."""

from __future__ import annotations

import random

from gatewise.data.text.columns import TaggedSentences
from gatewise.tasks import SequenceTagger

PEOPLE = ("Mia", "Ben", "Ada Lovelace", "Tom", "Nora Berg", "Ivo")
CITIES = ("Paris", "New York", "Rome", "Oslo", "San Remo", "Bonn")


def sentences(count: int = 60, seed: int = 0) -> TaggedSentences:
    """Sentences with tags in bio and intents; a word tells nothing of its tag where names are of two words."""
    generator = random.Random(seed)
    tokens, tags, intents = [], [], []
    for _ in range(count):
        who, where = generator.choice(PEOPLE).split(), generator.choice(CITIES).split()
        travels = generator.random() < 0.5
        middle = ["travels", "to"] if travels else ["likes"]
        tokens.append([*who, *middle, *where])
        tags.append([*_marked(who, "PER"), *["O"] * len(middle), *_marked(where, "LOC")])
        intents.append("travel" if travels else "opinion")
    return TaggedSentences(tokens, tags, intents)


def small(**parameters: object) -> SequenceTagger:
    """A tagger that fits in a moment."""
    own = {"hidden_size": 12, "word_size": 12, "character_size": 8, "max_epochs": 4, "dropout": 0.1,
           "learning_rate": 1e-2, "batch_size": 16, "random_state": 0, "progress": False}  # fmt: skip
    return SequenceTagger(**own | parameters)


def _marked(words: list[str], kind: str) -> list[str]:
    return [f"{'I' if place else 'B'}-{kind}" for place in range(len(words))]
