"""Word vectors from a text file that the user has: a word and its numbers on each line (GloVe, word2vec, fastText)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gatewise.data.text.files import read_lines
from gatewise.errors import DataError

__all__ = ["WordVectors", "read_vectors"]


@dataclass(frozen=True)
class WordVectors:
    """Words and their vectors.

    Args:
        place: each word's row, in the order of the file (usually the most frequent first).
        values: (rows, size).
        source: the file.
    """

    place: dict[str, int]
    values: Float[np.ndarray, "rows size"]
    source: str

    @property
    def size(self) -> int:
        """Numbers of a vector."""
        return int(self.values.shape[1])

    def by_form(self, form: Callable[[str], str]) -> WordVectors:
        """The same by another form of the words (lower case); of words with one form the first counts.

        Example:
            >>> vectors = WordVectors({"The": 0, "the": 1}, np.zeros((2, 3)), "")
            >>> vectors.by_form(str.lower).place
            {'the': 1}
        """
        place: dict[str, int] = {}
        for word, row in self.place.items():
            own = form(word)
            # A word that is written in this form already comes before those that are brought into it.
            if own not in place or own == word:
                place[own] = row
        return replace(self, place=place)


def read_vectors(path: str | Path) -> WordVectors:
    """Read vectors in text form.

    Args:
        path: a UTF-8 file (also .gz), a word and its numbers on each line, apart by blanks; a first line with the
            number of words and the size (word2vec, fastText) is skipped.

    Returns:
        The vectors.

    Raises:
        DataError: not UTF-8, a line with another count of numbers or with none, with file and line.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "small.txt"
        >>> _ = path.write_text("the 0.1 0.2\\ncat -1 2\\n")
        >>> read_vectors(path).values.shape
        (2, 2)
    """
    name = repr(str(path))
    lines = read_lines(path)
    begin = 1 if _is_header(lines[0]) else 0
    size = len(lines[begin].rstrip().split(" ")) - 1 if begin < len(lines) else 0
    if size < 1:
        raise DataError(
            f"{name}, line {begin + 1}: a word and its numbers are expected, came {lines[begin:][:1]!r:.80}"
        )
    place: dict[str, int] = {}
    rows: list[Any] = []
    for number, line in enumerate(lines[begin:], begin + 1):
        # Some files hold words with blanks: the last `size` fields are the numbers.
        fields = line.rstrip().rsplit(" ", size)
        if len(fields) != size + 1:
            raise DataError(
                f"{name}, line {number}: a word and {size} numbers are expected, came {line!r:.80}"
            )
        try:
            values = np.array(fields[1:], dtype=np.float32)
        except ValueError as error:
            raise DataError(f"{name}, line {number}: {size} numbers are expected ({error})") from error
        if not np.isfinite(values).all():
            raise DataError(f"{name}, line {number}: finite numbers are expected, came {line!r:.80}")
        if fields[0] not in place:
            place[fields[0]] = len(rows)
            rows.append(values)
    return WordVectors(place, np.stack(rows), str(path))


def _is_header(line: str) -> bool:
    fields = line.split()
    return len(fields) == 2 and all(one.isdigit() for one in fields)
