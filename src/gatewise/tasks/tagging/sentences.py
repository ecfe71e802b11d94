"""Sentences with their tags and intents, checked: what `fit` and `evaluate` are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gatewise.data.text.columns import TaggedSentences
from gatewise.errors import ArgumentError, DataError
from gatewise.tasks.tagging.encoding import check_sentences

__all__ = ["Labelled", "labelled"]


@dataclass(frozen=True)
class Labelled:
    """Sentences and what is to be said of them.

    Args:
        tokens: the words of each sentence.
        tags: one for each word, None where it is not known.
        intents: one for each sentence, or None.
        where: each sentence's place, for messages.
    """

    tokens: list[list[str]]
    tags: list[list[str | None]]
    intents: list[str] | None
    where: Sequence[str]


def labelled(X: Any, y: Any, intents: Any, name: str) -> Labelled:
    """Check sentences, tags and intents against each other.

    Args:
        X: `TaggedSentences`, or a list of lists of words.
        y: a list of lists of tags; None beside `TaggedSentences`.
        intents: a list of texts, or None.
        name: the argument's name, for messages.

    Raises:
        ArgumentError: tags are given twice, or not at all.
        DataError: numbers of tags and words differ, or something is no text; it names the sentence.
    """
    if isinstance(X, TaggedSentences):
        if y is not None or intents is not None:
            raise ArgumentError("y, intents: the sentences bring their own along; leave these out")
        if X.tags is None:
            raise DataError(f"{X.source or name}: the sentences have no tags; give them a column of tags")
        return Labelled(
            X.tokens, [list(one) for one in X.tags], X.intents, [X.where(one) for one in range(len(X))]
        )
    tokens = check_sentences(X, name)
    where = [f"sentence {index + 1}" for index in range(len(tokens))]
    if y is None or isinstance(y, str) or not hasattr(y, "__iter__"):
        raise DataError(
            f"y: for each sentence a list of tags is expected, came {type(y).__name__} (this tagger requires y to be "
            "passed, but the target y is None)"
        )
    rows = list(y)
    if len(rows) != len(tokens):
        raise DataError(f"y: tags for each of the {len(tokens)} sentences are expected, came {len(rows)}")
    tags = [
        _tags(row, words, where[index]) for index, (row, words) in enumerate(zip(rows, tokens, strict=True))
    ]
    return Labelled(tokens, tags, _intents(intents, len(tokens)), where)


def _tags(row: Any, words: list[str], where: str) -> list[str | None]:
    if isinstance(row, str) or not hasattr(row, "__iter__"):
        raise DataError(f"{where}: a list of tags is expected, came {row!r:.60}")
    own = list(row)
    if len(own) != len(words):
        raise DataError(
            f"{where}: one tag for each of its {len(words)} words is expected, came {len(own)}; for words whose tag is "
            "not known give None"
        )
    wrong = next((tag for tag in own if tag is not None and (not isinstance(tag, str) or not tag)), None)
    if wrong is not None:
        raise DataError(f"{where}: tags as texts, or None, are expected, came {wrong!r}")
    return [None if tag is None else str(tag) for tag in own]


def _intents(intents: Any, count: int) -> list[str] | None:
    if intents is None:
        return None
    found = list(intents)
    if len(found) != count:
        raise DataError(f"intents: one for each of the {count} sentences is expected, came {len(found)}")
    for index, one in enumerate(found):
        if not isinstance(one, str) or not one:
            raise DataError(f"intents[{index}]: a text is expected, came {one!r}")
    return [str(one) for one in found]
