"""What units may respond to: properties of a text or of numbers at every step."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn.arguments import no_type_check

__all__ = ["TEXT_FEATURES", "number_features", "text_features"]

Feature = NDArray[np.bool_] | NDArray[np.float64]
_OPEN, _CLOSE = "([{<", ")]}>"


@no_type_check
def text_features(pieces: str | Sequence[str], names: Sequence[str] | None = None) -> dict[str, Feature]:
    """Properties of a text after each of its pieces; those that never change are left out.

    Args:
        pieces: a text, for its characters; or its tokens in order, whose joined texts are the text.
        names: of `TEXT_FEATURES`; None for all.

    Returns:
        By name, (pieces,) truth values or numbers. What a character is itself (a vowel, a line end) is not among them:
        a unit that tells it need not remember anything.

    Raises:
        ArgumentError: an unknown name.
        ArgumentTypeError: no text.

    Example:
        >>> found = text_features('a "b c" d')
        >>> found["inside quotes"].astype(int).tolist()
        [0, 0, 1, 1, 1, 1, 0, 0, 0]
    """
    if not isinstance(pieces, str | list | tuple) or not all(isinstance(one, str) for one in pieces):
        raise ArgumentTypeError(
            f"pieces: a text or a list of texts is expected, came {type(pieces).__name__}"
        )
    chosen = list(TEXT_FEATURES) if names is None else list(names)
    for name in chosen:
        if name not in TEXT_FEATURES:
            known = ", ".join(repr(one) for one in TEXT_FEATURES)
            raise ArgumentError(
                f"names: one of {known} is expected, came {name!r}; or give an array of your own"
            )
    text = "".join(pieces)
    ends = np.cumsum([len(piece) for piece in pieces]) - 1
    kept = {}
    for name in chosen:
        values = TEXT_FEATURES[name](text)[np.maximum(ends, 0)] if text else np.zeros(0)
        if len(values) and bool((values != values[0]).any()):
            kept[name] = values
    return kept


def number_features(
    values: Float[np.ndarray, "time features"], names: Sequence[str] | None = None
) -> dict[str, Feature]:
    """The numbers that come in, how much they change, and where in the sequence it is.

    Args:
        values: (time, features).
        names: of the features; None: "input 1" and so on.

    Returns:
        By name, (time,) numbers; those that never change are left out.

    Example:
        >>> list(number_features(np.array([[1.0], [3.0], [2.0]])))
        ['input 1', 'change of input 1', 'step']
    """
    named = names or [f"input {number + 1}" for number in range(values.shape[1])]
    found: dict[str, Feature] = {}
    for name, own in zip(named, values.T, strict=True):
        found[name] = own.astype(np.float64)
        found[f"change of {name}"] = np.diff(own, prepend=own[:1]).astype(np.float64)
    found["step"] = np.arange(len(values), dtype=np.float64)
    return {name: own for name, own in found.items() if len(own) and bool((own != own[0]).any())}


def _inside_quotes(text: str) -> Feature:
    """Between a quotation mark and the next, or the end of the paragraph."""
    inside, found = False, np.zeros(len(text), dtype=bool)
    for place, sign in enumerate(text):
        if sign == '"':
            inside = not inside
        elif sign == "“":
            inside = True
        elif sign == "”" or text.startswith("\n\n", place):
            inside = False
        found[place] = inside
    return found


def _inside_brackets(text: str) -> Feature:
    """Between a bracket and the one that closes it, or the end of the paragraph."""
    depth, found = 0, np.zeros(len(text), dtype=bool)
    for place, sign in enumerate(text):
        if sign in _OPEN:
            depth += 1
        elif sign in _CLOSE:
            depth = max(0, depth - 1)
        elif text.startswith("\n\n", place):
            depth = 0
        found[place] = depth > 0
    return found


def _since(text: str, ends: str) -> NDArray[np.float64]:
    """Characters since the last of some signs; 0 at them."""
    places = np.arange(len(text))
    at = np.array([sign in ends for sign in text], dtype=bool)
    last = np.maximum.accumulate(np.where(at, places, -1))
    return (places - last).astype(np.float64)


def _spans(pattern: str) -> Callable[[str], Feature]:
    """Where a pattern matches."""
    compiled = re.compile(pattern, re.MULTILINE)

    def find(text: str) -> Feature:
        found = np.zeros(len(text), dtype=bool)
        for match in compiled.finditer(text):
            found[match.start() : match.end()] = True
        return found

    return find


def _indentation(text: str) -> Feature:
    """How many blanks its line begins with, from where that is known."""
    found = np.zeros(len(text))
    for match in re.finditer(r"^([ \t]*)[^\n]*", text, re.MULTILINE):
        found[match.end(1) : match.end()] = len(match.group(1).expandtabs(4))
    return found


def _line_is_near_its_end(text: str) -> Feature:
    """At most eight characters before a line end: what a model that writes lines has to feel coming."""
    found = np.zeros(len(text), dtype=bool)
    for match in re.finditer(r"\n", text):
        found[max(0, match.start() - 8) : match.start()] = True
    return found


TEXT_FEATURES: Mapping[str, Callable[[str], Feature]] = {
    "inside quotes": _inside_quotes,
    "inside brackets": _inside_brackets,
    "position in the line": lambda text: _since(text, "\n"),
    "position in the word": lambda text: _since(text, " \n\t"),
    "position in the sentence": lambda text: _since(text, ".!?"),
    "line end within 8 characters": _line_is_near_its_end,
    "inside a speaker's name": _spans(r"^[A-Z][A-Za-z' ]{0,30}:$"),
    "inside a capitalised word": _spans(r"\b[A-Z][A-Za-z']*"),
    "inside a number": _spans(r"\d[\d.,]*"),
    "first line of a paragraph": _spans(r"(?:\A|(?<=\n\n))[^\n]+"),
    "inside a question": _spans(r"[^.!?\n][^.!?]*\?"),
    "indentation": _indentation,
}
"""By name, what gives a property of a text after each of its characters."""
