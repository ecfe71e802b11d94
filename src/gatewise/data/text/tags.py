"""Tags that mark spans of words: IOB1, BIO and BIOES, checked and converted; spans as conlleval finds them.

    words   Alex  Ng    met   Mia   in  Paris
    iob1    I-PER I-PER O     I-PER O   I-LOC      B- only where a span follows one of its own kind at once
    bio     B-PER I-PER O     B-PER O   B-LOC      B- at every beginning (also called IOB2)
    bioes   B-PER E-PER O     S-PER O   S-LOC      E- at every end, S- alone

IOB1: Ramshaw & Marcus 1995, as in CoNLL-2003 (Tjong Kim Sang & De Meulder 2003); BIO: Tjong Kim Sang & Veenstra 1999;
BIOES: Ratinov & Roth 2009 (there BILOU).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatewise.errors import ArgumentError, DataError

__all__ = [
    "SCHEMES",
    "Span",
    "allowed_moves",
    "check_tags",
    "convert_tags",
    "find_scheme",
    "spans",
    "tags_of_spans",
]

SCHEMES = ("iob1", "bio", "bioes")
_MARKS = {"iob1": "IB", "bio": "BI", "bioes": "BIES"}


class Span(NamedTuple):
    """Some words next to each other, and what they are.

    Args:
        begin: the first word's place, from 0.
        end: the place after the last word's.
        kind: what they are: PER, city_name.
    """

    begin: int
    end: int
    kind: str


def split_tag(tag: str) -> tuple[str, str]:
    """A tag's mark and kind: ("B", "PER"); ("O", "") outside of spans.

    Raises:
        DataError: it is neither O nor a mark of B, I, E or S, a hyphen and a kind.
    """
    if tag == "O":
        return "O", ""
    mark, hyphen, kind = tag.partition("-")
    if not hyphen or not kind or mark not in ("B", "I", "E", "S"):
        raise DataError(
            f"the tag {tag!r} marks no span: O, or B-, I-, E- or S- and a kind (B-PER) is expected; for tags that are "
            'no spans (parts of speech) say scheme="none"'
        )
    return mark, kind


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence's tags, of any scheme, valid or not, as conlleval counts them.

    What is not valid is read as conlleval.pl does (its functions startOfChunk and endOfChunk): an I- after O or after
    another kind begins a span. It knows no S and no E, which are read as the B- and I- that they stand for.

    Args:
        tags: of one sentence.

    Returns:
        The spans in their order.

    Raises:
        DataError: a tag marks no span.

    Example:
        >>> spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
        [Span(begin=0, end=2, kind='PER'), Span(begin=3, end=4, kind='LOC'), Span(begin=4, end=5, kind='LOC')]
    """
    found: list[Span] = []
    begin, open_kind = 0, ""
    for place, tag in enumerate(tags):
        mark, kind = split_tag(tag)
        begins = mark in "BS" or (mark in "IE" and kind != open_kind)
        if open_kind and (mark == "O" or begins):
            found.append(Span(begin, place, open_kind))
            open_kind = ""
        if begins:
            begin, open_kind = place, kind
    if open_kind:
        found.append(Span(begin, len(tags), open_kind))
    return found


def tags_of_spans(own: Iterable[Span], length: int, scheme: str = "bio") -> list[str]:
    """Tags that mark spans.

    Args:
        own: spans of one sentence, none over another.
        length: of the sentence, in words.
        scheme: "iob1", "bio" or "bioes".

    Raises:
        ArgumentError: an unknown scheme, or spans that lie outside the sentence or over each other.

    Example:
        >>> tags_of_spans([Span(0, 2, "PER"), Span(3, 4, "LOC")], 4, "bioes")
        ['B-PER', 'E-PER', 'O', 'S-LOC']
    """
    _check_scheme(scheme)
    tags = ["O"] * length
    before: Span | None = None
    for span in sorted(own):
        if not 0 <= span.begin < span.end <= length or (before is not None and span.begin < before.end):
            raise ArgumentError(
                f"spans: spans within {length} words, none over another, are expected, came {span}"
            )
        adjoins = before is not None and before.end == span.begin and before.kind == span.kind
        inside = ["I"] * (span.end - span.begin)
        if scheme != "iob1" or adjoins:
            inside[0] = "B"
        if scheme == "bioes":
            inside[-1] = "S" if len(inside) == 1 else "E"
        tags[span.begin : span.end] = [f"{mark}-{span.kind}" for mark in inside]
        before = span
    return tags


def check_tags(tags: Sequence[str], scheme: str, where: str = "tags") -> None:
    """Refuse tags that are not valid in their scheme.

    Args:
        tags: of one sentence.
        scheme: "iob1", "bio" or "bioes".
        where: what the message begins with: the file and line, the sentence.

    Raises:
        DataError: it names the word's place, the tag and the one before it, and what may stand there.

    Example:
        >>> check_tags(["O", "I-PER"], "bio", "sentence 3")
        Traceback (most recent call last):
            ...
        gatewise.errors.DataError: sentence 3, word 2: the tag 'I-PER' after 'O' is not valid in bio: ...
    """
    fault = find_fault(tags, scheme)
    if fault is None:
        return
    place, reason = fault
    raise DataError(f"{where}, word {place + 1}: {reason}")


def find_fault(tags: Sequence[str], scheme: str) -> tuple[int, str] | None:
    """The first place (from 0) where tags are not valid, and why; None if all are."""
    _check_scheme(scheme)
    before = ("O", "")
    for place, tag in enumerate(tags):
        try:
            own = split_tag(tag)
        except DataError as error:
            return place, str(error)
        if own[0] != "O" and own[0] not in _MARKS[scheme]:
            return place, f"the tag {tag!r} is none of {scheme}, which has O and {', '.join(_MARKS[scheme])}"
        if not _may_follow(before, own, scheme):
            last = "the sentence's beginning" if place == 0 else repr(tags[place - 1])
            return place, (
                f"the tag {tag!r} after {last} is not valid in {scheme}: {_RULES[scheme]}; correct it, or name the "
                "scheme that the tags are in"
            )
        before = own
    if not _may_end(before, scheme):
        return len(
            tags
        ) - 1, f"the tag {tags[-1]!r} at the sentence's end is not valid in {scheme}: {_RULES[scheme]}"
    return None


_RULES = {
    "iob1": "B- stands only after a tag of the same kind",
    "bio": "I- stands only after B- or I- of the same kind",
    "bioes": "I- and E- stand only after B- or I- of the same kind, and B- and I- only before them",
}


def _may_follow(before: tuple[str, str], own: tuple[str, str], scheme: str) -> bool:
    (mark_before, kind_before), (mark, kind) = before, own
    same = kind == kind_before
    if scheme == "iob1":
        return mark != "B" or same
    inside = same and mark_before in "BI"
    if scheme == "bio":
        return mark != "I" or inside
    is_open = mark_before in "BI"
    return inside if mark in "IE" else not is_open


def _may_end(last: tuple[str, str], scheme: str) -> bool:
    return scheme != "bioes" or last[0] not in "BI"


def find_scheme(sentences: Iterable[Sequence[str]]) -> str | None:
    """The scheme in which all tags are valid: the first of bio, bioes and iob1; None if there is none.

    Tags without any I-, E- or S- are valid in bio and so taken for it.

    Example:
        >>> find_scheme([["I-PER", "O"]]), find_scheme([["B-PER", "E-PER"]]), find_scheme([["NN", "VB"]])
        ('iob1', 'bioes', None)
    """
    possible = ["bio", "bioes", "iob1"]
    for tags in sentences:
        possible = [scheme for scheme in possible if find_fault(tags, scheme) is None]
        if not possible:
            return None
    return possible[0]


def convert_tags(tags: Sequence[str], source: str, target: str, where: str = "tags") -> list[str]:
    """Tags of one scheme in another.

    Args:
        tags: of one sentence, valid in `source`.
        source, target: "iob1", "bio" or "bioes".
        where: for the message.

    Raises:
        DataError: they are not valid in `source`.

    Example:
        >>> convert_tags(["I-PER", "I-PER", "B-PER", "O"], "iob1", "bioes")
        ['B-PER', 'E-PER', 'S-PER', 'O']
    """
    check_tags(tags, source, where)
    _check_scheme(target)
    return list(tags) if source == target else tags_of_spans(spans(tags), len(tags), target)


def allowed_moves(
    tags: Sequence[str], scheme: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """What a CRF must keep to so that its tags are valid.

    Args:
        tags: all tags, each once.
        scheme: "iob1", "bio" or "bioes".

    Returns:
        (tags, tags) whether the column may follow the row, (tags,) whether one may begin, (tags,) whether one may end
        a sentence.

    Example:
        >>> moves, first, last = allowed_moves(["O", "B-PER", "I-PER"], "bio")
        >>> moves[0].tolist(), first.tolist(), last.tolist()
        ([True, True, False], [True, True, False], [True, True, True])
    """
    _check_scheme(scheme)
    parts = [split_tag(tag) for tag in tags]
    moves = np.array([[_may_follow(a, b, scheme) for b in parts] for a in parts], dtype=bool).reshape(
        len(parts), -1
    )
    first = np.array([_may_follow(("O", ""), one, scheme) for one in parts], dtype=bool)
    last = np.array([_may_end(one, scheme) for one in parts], dtype=bool)
    return moves, first, last


def _check_scheme(scheme: str) -> None:
    if scheme not in SCHEMES:
        raise ArgumentError(f"scheme: one of {', '.join(map(repr, SCHEMES))} is expected, came {scheme!r}")
