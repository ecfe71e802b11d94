"""Subwords: byte-level BPE (Sennrich et al. 2016), learned and applied by the `tokenizers` library.

Every text can be written, since each of the 256 bytes is a token: there is nothing unknown. What is stored is
the tokens and the merges alone; everything else about the tokenizer is fixed here.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gatewise.data.text.tokens import Joiner, check_texts
from gatewise.data.text.vocabulary import Vocabulary
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError, StoreError

__all__ = ["SubwordTokenizer"]

_BYTES = 256


class SubwordTokenizer:
    """Byte-level BPE.

    Args:
        vocabulary: special tokens, the bytes, and what they were merged to.
        merges: pairs of tokens, in the order in which they are merged.
        lowercase: whether letters are made small.

    Raises:
        ArgumentError: the `tokenizers` library is not installed.

    Example:
        >>> pieces = SubwordTokenizer.train(["low lower lowest\\n"] * 9, vocabulary_size=262)
        >>> ids = pieces.encode("lower than low")
        >>> pieces.decode(ids), len(pieces.vocabulary)
        ('lower than low', 262)

    References:
        Sennrich, Haddow & Birch 2016, "Neural machine translation of rare words with subword units".
    """

    kind = "subword"

    def __init__(
        self, vocabulary: Vocabulary, merges: Sequence[tuple[str, str]], *, lowercase: bool = False
    ) -> None:
        self.vocabulary, self.lowercase = vocabulary, lowercase
        self.merges = [(first, second) for first, second in merges]
        self._model = _bpe(vocabulary.tokens, self.merges)
        self._bytes = _byte_of_sign()
        self._special = frozenset(vocabulary.specials)

    @classmethod
    def train(
        cls,
        texts: Iterable[Any],
        *,
        vocabulary_size: int = 8000,
        min_count: int = 2,
        lowercase: bool = False,
        specials: Sequence[str] = (),
    ) -> Self:
        """Learn merges from texts.

        Args:
            texts: the texts; they are gone through twice, to learn and to count.
            vocabulary_size: the most tokens, special ones and the 256 bytes included.
            min_count: pairs seen less often are not merged, at least 1.
            lowercase: whether letters are made small.
            specials: tokens that no text gives, first in the numbering, such as ("<pad>", "<s>", "</s>").

        Raises:
            ArgumentError: a number is out of its range, or the `tokenizers` library is not installed.
            DataError: there is no text.
        """
        least = _BYTES + len(specials)
        if not isinstance(vocabulary_size, int) or vocabulary_size < least:
            raise ArgumentError(
                f"vocabulary_size: at least {least} is expected ({_BYTES} bytes and {len(specials)} special tokens), "
                f"came {vocabulary_size!r}"
            )
        if not isinstance(min_count, int) or min_count < 1:
            raise ArgumentError(f"min_count: a whole number of at least 1 is expected, came {min_count!r}")
        held = [text.lower() if lowercase else text for text in check_texts(texts)]
        if not any(held):
            raise DataError("there is no text to learn subwords from; give texts with something in them")
        tokens, merges = _learn(held, vocabulary_size, min_count, list(specials))
        made = cls(Vocabulary(tokens, specials=len(specials)), merges, lowercase=lowercase)
        counts = np.zeros(len(tokens), dtype=np.int64)
        for text in held:
            counts += np.bincount(made.encode(text), minlength=len(tokens))
        made.vocabulary = Vocabulary(tokens, counts.tolist(), specials=len(specials))
        return made

    @classmethod
    def restored(cls, vocabulary: Vocabulary, merges: Any, lowercase: bool) -> Self:
        """From what was stored; nothing in it is trusted.

        Raises:
            StoreError: the merges do not belong to the vocabulary.
        """
        if not isinstance(merges, list):
            raise StoreError("the tokenizer is damaged: its merges are no list")
        pairs: list[tuple[str, str]] = []
        for place, pair in enumerate(merges):
            if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
                raise StoreError(
                    f"the tokenizer is damaged: merge {place} is {pair!r:.60}, a pair is expected"
                )
            if any(one not in vocabulary for one in (*pair, "".join(pair))):
                raise StoreError(f"the tokenizer is damaged: merge {place} gives no token of its vocabulary")
            pairs.append((pair[0], pair[1]))
        missing = [sign for sign in _byte_of_sign() if sign not in vocabulary]
        if missing:
            raise StoreError(f"the tokenizer is damaged: {len(missing)} of the {_BYTES} bytes are no tokens")
        return cls(vocabulary, pairs, lowercase=lowercase)

    def encode(self, text: Any) -> NDArray[np.int64]:
        """The numbers of a text's subwords; special tokens are never found in a text."""
        if not isinstance(text, str):
            raise ArgumentTypeError(f"text: a string is expected, came {type(text).__name__}")
        try:
            found = self._model.encode(text.lower() if self.lowercase else text)
        except (
            TypeError,
            UnicodeEncodeError,
        ) as error:  # what the library says of a string that is no Unicode
            raise DataError("text: it holds half a surrogate pair and is no text; clean it") from error
        return np.array(found.ids, dtype=np.int64)

    def decode(self, ids: Iterable[Any]) -> str:
        """The text; special tokens are left out, bytes that are no UTF-8 become the replacement sign."""
        joiner = self.joiner()
        return "".join([joiner.push(int(token)) for token in ids]) + joiner.flush()

    def joiner(self, before: str = "") -> Joiner:
        """Puts subwords together one by one; half a character waits for its other half."""
        return _ByteJoiner(self.vocabulary, self._special, self._bytes)

    def to_dict(self) -> dict[str, Any]:
        """The tokenizer as plain JSON values."""
        return {
            "kind": self.kind,
            "vocabulary": self.vocabulary.to_dict(),
            "merges": [list(pair) for pair in self.merges],
            "lowercase": self.lowercase,
        }


class _ByteJoiner:
    def __init__(self, vocabulary: Vocabulary, special: frozenset[str], table: dict[str, int]) -> None:
        self._vocabulary, self._special, self._table = vocabulary, special, table
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        (piece,) = self._vocabulary.decode([token])
        if piece in self._special:
            return ""
        return self._decoder.decode(bytes([self._table[sign] for sign in piece]))

    def flush(self) -> str:
        return self._decoder.decode(b"", final=True)


def _learn(
    texts: list[str], size: int, min_count: int, specials: list[str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Tokens in the order of their numbers, and the merges."""
    tokenizers = _library()
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_count,
        special_tokens=specials,
        initial_alphabet=list(_byte_of_sign()),
        show_progress=False,
    )
    model.train_from_iterator(texts, trainer)
    stored = json.loads(model.to_str())["model"]
    tokens = sorted(stored["vocab"], key=stored["vocab"].__getitem__)
    # Older versions of the library write a pair as one string; no token holds a blank.
    pairs = (pair.split(" ") if isinstance(pair, str) else pair for pair in stored["merges"])
    return tokens, [(first, second) for first, second in pairs]


def _bpe(tokens: Sequence[str], merges: list[tuple[str, str]]) -> Any:
    tokenizers = _library()
    numbers = {token: number for number, token in enumerate(tokens)}
    model = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=numbers, merges=merges))
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return model


def _byte_of_sign() -> dict[str, int]:
    """The sign for each byte in a byte-level token: itself where it can be printed, else one from 256 on."""
    printed = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(_BYTES) if byte not in printed]
    table = {chr(byte): byte for byte in printed}
    table |= {chr(_BYTES + place): byte for place, byte in enumerate(others)}
    return dict(sorted(table.items(), key=lambda item: item[1]))


def _library() -> Any:
    try:
        import tokenizers
        import tokenizers.models
        import tokenizers.pre_tokenizers
        import tokenizers.trainers
    except ImportError as error:
        raise ArgumentError(
            "subwords need the tokenizers library, which is not installed: python -m pip install 'gatewise[text]'"
        ) from error
    return tokenizers
