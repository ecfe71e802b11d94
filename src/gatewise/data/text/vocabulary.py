"""A vocabulary: which tokens there are, what number each has, and how often each was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewise.errors import ArgumentError, ArgumentTypeError, DataError, StoreError

__all__ = ["PAD", "UNKNOWN", "Vocabulary"]

PAD = "<pad>"
UNKNOWN = "<unk>"
_FORMAT = "gatewise.vocabulary"
_VERSION = 1
_KEYS = {"format", "version", "tokens", "counts", "specials"}
# More tokens than any word list has; a stored vocabulary that says more is no vocabulary.
MOST_TOKENS = 10_000_000


class Vocabulary:
    """Tokens and their numbers, the same in both directions.

    Args:
        tokens: each token once; its place is its number.
        counts: how often each was seen, at least 0; None: never.
        specials: how many of the first tokens are special (padding, unknown, ends of a sequence).

    Attributes:
        tokens: the tokens, by number.
        counts: how often each was seen. Of "<unk>" it is how many tokens were left out in building.
        specials: the special tokens.
        pad_id: the number of "<pad>", or None. Where it is a special one it is the first: 0.
        unknown_id: the number of "<unk>", or None.

    Raises:
        ArgumentError: a token comes twice, or there are not as many counts as tokens.
        ArgumentTypeError: a token is no string.

    Example:
        >>> words = Vocabulary.build([["the", "cat"], ["the", "dog"]])
        >>> words.tokens
        ('<pad>', '<unk>', 'the', 'cat', 'dog')
        >>> words.encode(["the", "cow"]).tolist(), words.decode([2, 4])
        ([2, 1], ['the', 'dog'])
    """

    def __init__(
        self, tokens: Iterable[Any], counts: Iterable[Any] | None = None, *, specials: int = 0
    ) -> None:
        if isinstance(tokens, str):
            raise ArgumentTypeError("tokens: a list of strings is expected, came one string; pass a list")
        self.tokens: tuple[str, ...] = tuple(tokens)
        self.counts: tuple[int, ...] = (0,) * len(self.tokens) if counts is None else tuple(counts)
        for place, token in enumerate(self.tokens):
            _check_token(token, f"tokens[{place}]")
        if len(self.counts) != len(self.tokens):
            raise ArgumentError(
                f"counts: one per token is expected ({len(self.tokens)}), came {len(self.counts)}; leave it out, "
                "or give one per token"
            )
        for place, count in enumerate(self.counts):
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise ArgumentTypeError(f"counts[{place}]: a whole number from 0 is expected, came {count!r}")
        if not isinstance(specials, int) or not 0 <= specials <= len(self.tokens):
            raise ArgumentError(f"specials: a number of tokens is expected, came {specials!r}")
        self._index = {token: place for place, token in enumerate(self.tokens)}
        if len(self._index) != len(self.tokens):
            twice = next(token for token, times in Counter(self.tokens).items() if times > 1)
            raise ArgumentError(
                f"tokens: each is expected once, {twice!r} comes twice; leave one of them out"
            )
        self.specials: tuple[str, ...] = self.tokens[:specials]
        self.pad_id = self._index.get(PAD)
        self.unknown_id = self._index.get(UNKNOWN)

    @classmethod
    def build(
        cls,
        sequences_of_tokens: Iterable[Any],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (PAD, UNKNOWN),
    ) -> Vocabulary:
        """Count tokens and number them: the special ones first, then the most frequent; equal ones by their text.

        Args:
            sequences_of_tokens: sequences, each of tokens; a string is a sequence of its characters.
            min_count: tokens seen less often are left out, at least 1.
            max_size: the most tokens, the special ones included; None: no limit.
            specials: tokens that are there whether they are seen or not, in the order of their numbers; "<pad>", if
                it is among them, must be the first. A text that holds one of them means it.

        Returns:
            The vocabulary.

        Raises:
            ArgumentError: an option is out of its range.
            ArgumentTypeError: something is no string.
            DataError: there are no tokens.

        Example:
            >>> Vocabulary.build(["abracadabra"], max_size=4, specials=("<unk>",)).tokens
            ('<unk>', 'a', 'b', 'r')
        """
        _check_build(sequences_of_tokens, min_count, max_size, specials)
        seen: Counter[str] = Counter()
        for sequence in sequences_of_tokens:
            seen.update(sequence)
        if not seen:
            raise DataError(
                "the vocabulary would be empty: there are no tokens; give texts with something in them"
            )
        for token in seen:
            _check_token(token, "sequences_of_tokens")
        special = {token: seen.pop(token, 0) for token in specials}
        ranked = sorted(seen.items(), key=lambda item: (-item[1], item[0]))
        room = len(ranked) if max_size is None else max_size - len(special)
        kept = [(token, count) for token, count in ranked[:room] if count >= min_count]
        if UNKNOWN in special:
            special[UNKNOWN] += sum(seen.values()) - sum(count for _, count in kept)
        tokens = [*special, *(token for token, _ in kept)]
        return cls(tokens, [*special.values(), *(count for _, count in kept)], specials=len(special))

    def __len__(self) -> int:
        """Number of tokens."""
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        """Whether a token has a number of its own."""
        return token in self._index

    def __eq__(self, other: object) -> bool:
        """Equal tokens with equal counts."""
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return (self.tokens, self.counts, self.specials) == (other.tokens, other.counts, other.specials)

    def __hash__(self) -> int:
        """By the tokens."""
        return hash(self.tokens)

    def __repr__(self) -> str:
        """How many tokens, and the first few."""
        shown = ", ".join(map(repr, self.tokens[:6]))
        return f"Vocabulary({len(self)} tokens: {shown}{', ...' if len(self) > 6 else ''})"

    def index(self, token: str) -> int:
        """The number of a token; that of "<unk>" for one that is not there.

        Raises:
            DataError: it is not there, and there is no "<unk>".
        """
        place = self._index.get(token, self.unknown_id)
        if place is None:
            raise DataError(
                f"the token {token!r} is not in the vocabulary of {len(self)} tokens, which has no {UNKNOWN!r}; leave "
                f"it out of the text, or build the vocabulary with {UNKNOWN!r} among its specials"
            )
        return place

    def encode(self, tokens: Iterable[Any]) -> NDArray[np.int64]:
        """The numbers of tokens.

        Args:
            tokens: the tokens; a string is taken by its characters.

        Returns:
            (tokens,) int64.

        Raises:
            DataError: one is not there, and there is no "<unk>"; it is named.
        """
        unknown = self.unknown_id
        if unknown is None:
            return np.fromiter((self.index(token) for token in tokens), dtype=np.int64)
        get = self._index.get
        return np.fromiter((get(token, unknown) for token in tokens), dtype=np.int64)

    def decode(self, ids: Iterable[Any]) -> list[str]:
        """The tokens of numbers.

        Raises:
            DataError: a number is outside the vocabulary.
        """
        places = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids))
        if places.size == 0:
            return []
        if places.ndim != 1 or not np.issubdtype(places.dtype, np.integer):
            raise ArgumentTypeError(
                f"ids: a row of whole numbers is expected, came {places.dtype} of shape {places.shape}"
            )
        least, most = int(places.min()), int(places.max())
        if least < 0 or most >= len(self):
            raise DataError(
                f"ids: numbers from 0 to {len(self) - 1} are expected, came {least if least < 0 else most}; they "
                "belong to another vocabulary"
            )
        return [self.tokens[place] for place in places.tolist()]

    def to_dict(self) -> dict[str, Any]:
        """The vocabulary as plain JSON values.

        Example:
            >>> again = Vocabulary.from_dict(Vocabulary.build([["a"]]).to_dict())
            >>> again.tokens, again.counts
            (('<pad>', '<unk>', 'a'), (0, 0, 1))
        """
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "tokens": list(self.tokens),
            "counts": list(self.counts),
            "specials": len(self.specials),
        }

    @classmethod
    def from_dict(cls, document: Any) -> Vocabulary:
        """Read what `to_dict` wrote; nothing in it is trusted.

        Raises:
            StoreError: it is no vocabulary, or one of a newer version, or its tokens are torn.
        """
        if not isinstance(document, Mapping) or document.get("format") != _FORMAT:
            raise StoreError(f"the vocabulary is damaged: an object of format {_FORMAT!r} is expected")
        if document.get("version") != _VERSION:
            raise StoreError(
                f"the vocabulary has version {document.get('version')!r}, this Gatewise reads {_VERSION}: upgrade it, "
                "or save the model anew"
            )
        if set(document) != _KEYS:
            raise StoreError(f"the vocabulary is damaged: expected the keys {sorted(_KEYS)}")
        tokens, counts, specials = document["tokens"], document["counts"], document["specials"]
        if not isinstance(tokens, list) or not isinstance(counts, list) or len(tokens) > MOST_TOKENS:
            raise StoreError(
                f"the vocabulary is damaged: at most {MOST_TOKENS:,} tokens and their counts, as lists, are expected"
            )
        if type(specials) is not int:
            raise StoreError(f"the vocabulary is damaged: specials is {specials!r}, a number is expected")
        try:
            return cls(tokens, counts, specials=specials)
        except (ArgumentError, ArgumentTypeError) as error:
            raise StoreError(f"the vocabulary is damaged: {error}") from error


def _check_build(sequences: Any, min_count: Any, max_size: Any, specials: Sequence[str]) -> None:
    if isinstance(sequences, str):
        raise ArgumentTypeError(
            "sequences_of_tokens: sequences of tokens are expected, came one string; pass [text] for its characters, "
            "[text.split()] for its words"
        )
    if not isinstance(min_count, int) or isinstance(min_count, bool) or min_count < 1:
        raise ArgumentError(f"min_count: a whole number of at least 1 is expected, came {min_count!r}")
    if isinstance(specials, str) or len(set(specials)) != len(specials):
        raise ArgumentError(f"specials: different tokens are expected, came {specials!r}")
    for token in specials:
        _check_token(token, "specials")
    if PAD in specials and specials[0] != PAD:
        raise ArgumentError(
            f"specials: {PAD!r} must be the first of them, so that its number is 0; put it there"
        )
    if max_size is not None and (not isinstance(max_size, int) or max_size <= len(specials)):
        raise ArgumentError(
            f"max_size: a whole number above the {len(specials)} special tokens is expected, came {max_size!r}"
        )


def _check_token(token: object, where: str) -> None:
    if not isinstance(token, str):
        raise ArgumentTypeError(f"{where}: strings are expected, came {token!r:.60} ({type(token).__name__})")
    if not token:
        raise ArgumentError(f"{where}: an empty string is no token; leave it out")
    if any("\ud800" <= sign <= "\udfff" for sign in token):
        raise ArgumentError(
            f"{where}: {token!r:.60} holds half a surrogate pair and is no text; clean the text"
        )
