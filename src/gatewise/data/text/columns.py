"""Tagged sentences from files: CoNLL columns, and JSON lines with tokens and tags."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewise.data.text.files import read_lines
from gatewise.errors import DataError

__all__ = ["TaggedSentences", "read_columns", "read_sentences", "read_tagged_json", "write_columns"]

_DOCUMENT = "-DOCSTART-"
_JSON_ENDINGS = (".jsonl", ".ndjson", ".jsonl.gz")
_TEXT_ENDINGS = (".txt", ".txt.gz")


@dataclass(frozen=True)
class TaggedSentences:
    """Sentences as lists of words, and what is known of them.

    Args:
        tokens: the words of each sentence, at least one.
        tags: one for each word, or None where the file has none.
        intents: one for each sentence, or None.
        lines: where in the file each sentence begins, from 1.
        source: the file's name, for messages.
    """

    tokens: list[list[str]]
    tags: list[list[str]] | None = None
    intents: list[str] | None = None
    lines: tuple[int, ...] = ()
    source: str = ""

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def words(self) -> int:
        """How many words all sentences have."""
        return sum(map(len, self.tokens))

    def where(self, index: int) -> str:
        """A sentence's place, for messages: the file and line where there is a file."""
        if self.source and index < len(self.lines):
            return f"{self.source}, line {self.lines[index]}, sentence {index + 1}"
        return f"sentence {index + 1}"

    def take(self, chosen: Sequence[int]) -> TaggedSentences:
        """Some of the sentences, in the order given."""
        return TaggedSentences(
            [self.tokens[one] for one in chosen],
            None if self.tags is None else [self.tags[one] for one in chosen],
            None if self.intents is None else [self.intents[one] for one in chosen],
            tuple(self.lines[one] for one in chosen) if self.lines else (),
            self.source,
        )


def read_sentences(
    path: str | Path, *, tagged: bool = True, columns: tuple[int, int] = (0, -1)
) -> TaggedSentences:
    """Read sentences: JSON lines where the name ends in .jsonl or .ndjson, otherwise CoNLL columns.

    Where no tags are needed, a file whose name ends in .txt holds a sentence on each line, words apart by blanks.

    Args:
        path: the file, UTF-8.
        tagged: whether tags are needed.
        columns: as in `read_columns`.

    Raises:
        DataError: the file cannot be used; the message names the file and the line.
    """
    if str(path).lower().endswith(_JSON_ENDINGS):
        return read_tagged_json(path, tagged=tagged)
    if not tagged and str(path).lower().endswith(_TEXT_ENDINGS):
        words = [line.split() for line in read_lines(path, blank="error")]
        return TaggedSentences(words, lines=tuple(range(1, len(words) + 1)), source=repr(str(path)))
    return read_columns(path, tagged=tagged, columns=columns)


def read_columns(
    path: str | Path, *, tagged: bool = True, columns: tuple[int, int] = (0, -1)
) -> TaggedSentences:
    """Read a file with one word a line, columns apart by blanks or tabs, and an empty line after each sentence.

    Lines of -DOCSTART- are left out. A line `# intent = NAME` before a sentence's first word gives its intent, in the
    manner of CoNLL-U; other lines that begin with "# " and hold " = " there are remarks.

    Args:
        path: the file, UTF-8.
        tagged: whether the tag's column is read; without, a line may hold the word alone, whatever `columns` says.
        columns: which column is the word and which the tag, from 0; negative numbers count from the last.

    Returns:
        The sentences.

    Raises:
        DataError: not UTF-8, a line without tag or with another number of columns than the first, no sentence at all.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "small.conll"
        >>> _ = path.write_text("Mia B-PER\\nruns O\\n\\nIn O\\nParis B-LOC\\n")
        >>> read_columns(path).tags
        [['B-PER', 'O'], ['O', 'B-LOC']]
    """
    name = repr(str(path))
    tokens: list[list[str]] = []
    tags: list[list[str]] = []
    lines: list[int] = []
    intents: list[str | None] = []
    width: int | None = None
    intent: str | None = None
    is_open = False
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split()
        if not fields or fields[0] == _DOCUMENT:
            is_open = False
            continue
        if not is_open and line.startswith("# ") and " = " in line:
            key, _, value = line[2:].partition(" = ")
            intent = value.strip() if key.strip() == "intent" else intent
            continue
        if tagged:
            width = len(fields) if width is None else width
            _check_width(fields, width, columns, f"{name}, line {number}")
        if not is_open:
            tokens.append([])
            tags.append([])
            lines.append(number)
            intents.append(intent)
            is_open, intent = True, None
        tokens[-1].append(_word(fields, columns[0], tagged, f"{name}, line {number}"))
        if tagged:
            tags[-1].append(fields[columns[1]])
    _check_any(tokens, name)
    return TaggedSentences(
        tokens, tags if tagged else None, _all_or_none(intents, lines, name), tuple(lines), name
    )


def _word(fields: list[str], column: int, tagged: bool, where: str) -> str:
    """The word of a line: it stands alone, or in its column."""
    if not tagged and len(fields) == 1:
        return fields[0]
    if not -len(fields) <= column < len(fields):
        raise DataError(
            f"{where}: there is no column {column} for the word, there are {len(fields)} (from 0)"
        )
    return fields[column]


def read_tagged_json(path: str | Path, *, tagged: bool = True) -> TaggedSentences:
    """Read one JSON object a line: {"tokens": [...], "tags": [...], "intent": "..."}.

    Args:
        path: the file, UTF-8.
        tagged: whether "tags" must be there.

    Raises:
        DataError: not UTF-8, a line that is no such object, different numbers of tokens and tags, an empty line.
    """
    name = repr(str(path))
    tokens, tags, intents, lines = [], [], [], []
    for number, line in enumerate(read_lines(path), 1):
        where = f"{name}, line {number}"
        row = _object(line, where)
        words = _texts(row, "tokens", where)
        own = _texts(row, "tags", where) if tagged or "tags" in row else None
        if own is not None and len(own) != len(words):
            raise DataError(
                f"{where}: one tag for each of the {len(words)} tokens is expected, came {len(own)}"
            )
        tokens.append(words)
        tags.append(own)
        intents.append(None if row.get("intent") is None else str(row["intent"]))
        lines.append(number)
    _check_any(tokens, name)
    there = [one for one in tags if one is not None]
    return TaggedSentences(
        tokens,
        there if len(there) == len(tokens) else None,
        _all_or_none(intents, lines, name),
        tuple(lines),
        name,
    )


def write_columns(sentences: TaggedSentences) -> str:
    """The text of a file with columns: word and tag, and the intent as a remark.

    Example:
        >>> print(write_columns(TaggedSentences([["to", "Paris"]], [["O", "B-city"]], ["flight"])), end="")
        # intent = flight
        to O
        Paris B-city
        <BLANKLINE>
    """
    return "".join(_block(sentences, index) for index in range(len(sentences)))


def _block(sentences: TaggedSentences, index: int) -> str:
    words = sentences.tokens[index]
    tags: Iterator[str | None] = iter(
        [None] * len(words) if sentences.tags is None else sentences.tags[index]
    )
    lines = [] if sentences.intents is None else [f"# intent = {sentences.intents[index]}"]
    lines += [word if tag is None else f"{word} {tag}" for word, tag in zip(words, tags, strict=True)]
    return "\n".join(lines) + "\n\n"


def _check_width(fields: list[str], width: int, columns: tuple[int, int], where: str) -> None:
    least = max(one + 1 if one >= 0 else -one for one in columns)
    if len(fields) < max(least, 2):
        raise DataError(
            f"{where}: a word and its tag are expected, came {' '.join(fields)!r:.80}; empty lines separate sentences"
        )
    if len(fields) != width:
        raise DataError(
            f"{where}: {width} columns are expected as in the lines before, came {len(fields)}: "
            f"{' '.join(fields)!r:.80}"
        )


def _all_or_none(intents: list[str | None], lines: list[int], name: str) -> list[str] | None:
    there = [one for one in intents if one is not None]
    if there and len(there) < len(intents):
        missing = lines[intents.index(None)]
        raise DataError(
            f"{name}, line {missing}: this sentence has no intent, but {len(there)} of {len(intents)} have one; give "
            "all or none"
        )
    return there or None


def _check_any(tokens: list[list[str]], name: str) -> None:
    if not tokens:
        raise DataError(f"{name}: the file holds no sentence, only empty lines; one word a line is expected")


def _object(line: str, where: str) -> dict[str, Any]:
    if not line.strip():
        raise DataError(f"{where}: the line is empty; a JSON object with tokens is expected on every line")
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where}: a JSON object is expected ({error})") from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: a JSON object is expected, came {type(row).__name__}")
    return row


def _texts(row: dict[str, Any], key: str, where: str) -> list[str]:
    value = row.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
        raise DataError(
            f"{where}: {key!r} with at least one text, none empty, is expected, came {value!r:.80}"
        )
    return value
