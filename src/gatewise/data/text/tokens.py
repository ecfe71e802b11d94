"""Tokenizers: a text to numbers and back, by words or by characters; and the protocol that all of them keep."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gatewise.data.text.vocabulary import Vocabulary
from gatewise.errors import ArgumentError, ArgumentTypeError, StoreError

__all__ = [
    "LINE_END",
    "CharacterTokenizer",
    "Joiner",
    "Tokenizer",
    "WordTokenizer",
    "check_texts",
    "tokenizer_from_dict",
    "words_of",
]

LINE_END = "<eos>"
_RULES = ("whitespace", "simple")
# A word with its apostrophes and hyphens inside, a number with its points, or one sign.
_SIMPLE = re.compile(r"\w+(?:['’.,-]\w+)*|[^\w\s]")
_NO_SPACE_BEFORE = frozenset(".,;:!?)]}%’”")
_NO_SPACE_AFTER = frozenset("([{“‘")


@runtime_checkable
class Joiner(Protocol):
    """Puts tokens together to a text as they come: what `decode` does at once."""

    def push(self, token: int) -> str:
        """The text that this token adds; what cannot be said yet (half a character) comes later."""
        ...

    def flush(self) -> str:
        """What is left when no token follows."""
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """A text to numbers and back.

    Attributes:
        kind: "word", "character" or "subword".
        vocabulary: the tokens by number.
    """

    kind: str
    vocabulary: Vocabulary

    def encode(self, text: Any) -> NDArray[np.int64]:
        """The numbers of a text's tokens, (tokens,) int64."""
        ...

    def decode(self, ids: Iterable[Any]) -> str:
        """The text of numbers."""
        ...

    def joiner(self, before: str = "") -> Joiner:
        """What puts tokens together one by one, going on after the text `before`."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The tokenizer as plain JSON values; `tokenizer_from_dict` reads it."""
        ...


class WordTokenizer:
    """Words, and one token for each line end.

    Args:
        vocabulary: its words.
        rule: "whitespace": what stands between blanks; "simple": words, and signs each by itself.
        lowercase: whether letters are made small.
        line_end: the token that a newline becomes; None: newlines are blanks like others.

    Example:
        >>> words = WordTokenizer.train(["the cat sat\\nthe dog sat\\n"])
        >>> words.encode("the cow sat\\n").tolist(), words.vocabulary.tokens
        ([4, 1, 3, 2], ('<pad>', '<unk>', '<eos>', 'sat', 'the', 'cat', 'dog'))
        >>> words.decode(words.encode("the dog\\nsat"))
        'the dog\\nsat'
    """

    kind = "word"

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        rule: str = "whitespace",
        lowercase: bool = False,
        line_end: str | None = LINE_END,
    ) -> None:
        if rule not in _RULES:
            raise ArgumentError(f"rule: one of {', '.join(map(repr, _RULES))} is expected, came {rule!r}")
        self.vocabulary, self.rule, self.lowercase, self.line_end = vocabulary, rule, lowercase, line_end

    @classmethod
    def train(
        cls,
        texts: Iterable[Any],
        *,
        rule: str = "whitespace",
        lowercase: bool = False,
        line_end: str | None = LINE_END,
        **options: Any,
    ) -> Self:
        """Find the words of texts.

        Args:
            texts: the texts.
            rule, lowercase, line_end: see the class.
            **options: of `Vocabulary.build`: min_count, max_size, specials.
        """
        made = cls(Vocabulary(()), rule=rule, lowercase=lowercase, line_end=line_end)
        made.vocabulary = Vocabulary.build((made.tokens(text) for text in check_texts(texts)), **options)
        return made

    def tokens(self, text: Any) -> list[str]:
        """The words of a text, as they are before they are looked up."""
        if not isinstance(text, str):
            raise ArgumentTypeError(f"text: a string is expected, came {type(text).__name__}")
        text = text.lower() if self.lowercase else text
        split = str.split if self.rule == "whitespace" else _SIMPLE.findall
        if self.line_end is None:
            return list(split(text))
        found: list[str] = []
        for number, line in enumerate(text.split("\n")):
            if number:
                found.append(self.line_end)
            found += split(line)
        return found

    def encode(self, text: Any) -> NDArray[np.int64]:
        """The numbers of a text's words."""
        return self.vocabulary.encode(self.tokens(text))

    def decode(self, ids: Iterable[Any]) -> str:
        """The words, with blanks between them and newlines for line ends."""
        return _joined(self, ids)

    def joiner(self, before: str = "") -> Joiner:
        """Puts words together one by one."""
        return _WordJoiner(self, before)

    def to_dict(self) -> dict[str, Any]:
        """The tokenizer as plain JSON values."""
        return {
            "kind": self.kind,
            "vocabulary": self.vocabulary.to_dict(),
            "rule": self.rule,
            "lowercase": self.lowercase,
            "line_end": self.line_end,
        }


class _WordJoiner:
    def __init__(self, words: WordTokenizer, before: str) -> None:
        self._words, self._last = words, before[-1:]

    def push(self, token: int) -> str:
        (word,) = self._words.vocabulary.decode([token])
        word = "\n" if word == self._words.line_end else word
        tight = not self._last or self._last.isspace() or word == "\n"
        if self._words.rule == "simple":
            tight = tight or word in _NO_SPACE_BEFORE or self._last in _NO_SPACE_AFTER
        self._last = word[-1]
        return word if tight else " " + word

    def flush(self) -> str:
        return ""


class CharacterTokenizer:
    """Characters, newlines among them.

    Args:
        vocabulary: its characters.
        lowercase: whether letters are made small.

    Example:
        >>> letters = CharacterTokenizer.train(["abba"])
        >>> letters.encode("ab").tolist(), letters.decode([0, 1, 1])
        ([0, 1], 'abb')
    """

    kind = "character"

    def __init__(self, vocabulary: Vocabulary, *, lowercase: bool = False) -> None:
        self.vocabulary, self.lowercase = vocabulary, lowercase

    @classmethod
    def train(
        cls,
        texts: Iterable[Any],
        *,
        lowercase: bool = False,
        specials: Sequence[str] = (),
        **options: Any,
    ) -> Self:
        """Find the characters of texts; without specials, an unknown character is an error that names it.

        Args:
            texts: the texts.
            lowercase: see the class.
            specials: such as ("<pad>", "<unk>").
            **options: of `Vocabulary.build`: min_count, max_size.
        """
        small = (text.lower() if lowercase else text for text in check_texts(texts))
        return cls(Vocabulary.build(small, specials=specials, **options), lowercase=lowercase)

    def tokens(self, text: Any) -> list[str]:
        """The characters of a text."""
        if not isinstance(text, str):
            raise ArgumentTypeError(f"text: a string is expected, came {type(text).__name__}")
        return list(text.lower() if self.lowercase else text)

    def encode(self, text: Any) -> NDArray[np.int64]:
        """The numbers of a text's characters."""
        return self.vocabulary.encode(self.tokens(text))

    def decode(self, ids: Iterable[Any]) -> str:
        """The characters, side by side."""
        return "".join(self.vocabulary.decode(list(ids)))

    def joiner(self, before: str = "") -> Joiner:
        """Puts characters together one by one."""
        return _CharacterJoiner(self.vocabulary)

    def to_dict(self) -> dict[str, Any]:
        """The tokenizer as plain JSON values."""
        return {"kind": self.kind, "vocabulary": self.vocabulary.to_dict(), "lowercase": self.lowercase}


class _CharacterJoiner:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._tokens = vocabulary.tokens

    def push(self, token: int) -> str:
        return self._tokens[token]

    def flush(self) -> str:
        return ""


def tokenizer_from_dict(document: Any) -> Tokenizer:
    """Read what a tokenizer's `to_dict` gave; nothing in it is trusted.

    Raises:
        StoreError: it is no tokenizer, or torn.

    Example:
        >>> tokenizer_from_dict(CharacterTokenizer.train(["ab"]).to_dict()).decode([1, 0])
        'ba'
    """
    if not isinstance(document, Mapping):
        raise StoreError(f"the tokenizer is damaged: an object is expected, came {type(document).__name__}")
    keys = {
        "word": {"vocabulary", "rule", "lowercase", "line_end"},
        "character": {"vocabulary", "lowercase"},
        "subword": {"vocabulary", "merges", "lowercase"},
    }
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in keys or set(document) != keys[kind] | {"kind"}:
        raise StoreError(
            f"the tokenizer is damaged: its kind is {kind!r}, its keys are {sorted(document)[:8]}"
        )
    vocabulary = Vocabulary.from_dict(document["vocabulary"])
    if type(document["lowercase"]) is not bool:
        raise StoreError("the tokenizer is damaged: lowercase must be true or false")
    if kind == "character":
        if any(len(token) != 1 for token in vocabulary.tokens[len(vocabulary.specials) :]):
            raise StoreError("the tokenizer is damaged: a token of characters has more than one")
        return CharacterTokenizer(vocabulary, lowercase=document["lowercase"])
    if kind == "subword":
        from gatewise.data.text.subwords import SubwordTokenizer

        return SubwordTokenizer.restored(vocabulary, document["merges"], document["lowercase"])
    line_end = document["line_end"]
    if not (line_end is None or (isinstance(line_end, str) and line_end)) or document["rule"] not in _RULES:
        raise StoreError(f"the tokenizer is damaged: rule {document['rule']!r}, line_end {line_end!r}")
    return WordTokenizer(
        vocabulary, rule=document["rule"], lowercase=document["lowercase"], line_end=line_end
    )


def words_of(text: str) -> list[str]:
    """Words and signs of a text, by the rule "simple".

    Example:
        >>> words_of("It's 3.5 km (about), no?")
        ["It's", '3.5', 'km', '(', 'about', ')', ',', 'no', '?']
    """
    return _SIMPLE.findall(text)


def check_texts(texts: Iterable[Any]) -> Iterable[Any]:
    """The texts, unless they are one string, which would be taken by its characters.

    Raises:
        ArgumentTypeError: they are.
    """
    if isinstance(texts, str):
        raise ArgumentTypeError("texts: a list of strings is expected, came one string; pass [text]")
    return texts


def _joined(tokenizer: Tokenizer, ids: Iterable[Any]) -> str:
    joiner = tokenizer.joiner()
    return "".join([joiner.push(int(token)) for token in ids]) + joiner.flush()
