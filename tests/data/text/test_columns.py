"""Files of tagged sentences, and what is said of those that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gatewise.data.text.columns import TaggedSentences, read_columns, read_sentences, write_columns
from gatewise.data.text.vectors import read_vectors
from gatewise.errors import DataError

CONLL = """-DOCSTART- -X- O O

Mia NNP B-NP I-PER
runs VBZ B-VP O


In IN B-PP O
Paris NNP B-NP I-LOC
"""


def write(folder: Path, text: str | bytes, name: str = "some.conll") -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_columns_with_documents_and_empty_lines(tmp_path) -> None:
    path = write(tmp_path, CONLL)
    found = read_columns(path)
    assert found.tokens == [["Mia", "runs"], ["In", "Paris"]]
    assert found.tags == [["I-PER", "O"], ["O", "I-LOC"]]
    assert found.lines == (3, 7)
    assert found.where(1) == f"{str(path)!r}, line 7, sentence 2"
    assert read_columns(path, columns=(0, 1)).tags == [["NNP", "VBZ"], ["IN", "NNP"]]
    assert read_sentences(path, tagged=False).tags is None


def test_written_and_read_again_with_intents(tmp_path) -> None:
    own = TaggedSentences(
        [["#", "of", "flights"], ["a"]], [["O", "O", "B-x"], ["O"]], ["count", "flight#fare"]
    )
    found = read_columns(write(tmp_path, write_columns(own)))
    assert (found.tokens, found.tags, found.intents) == (own.tokens, own.tags, own.intents)


def test_json_lines_and_plain_text(tmp_path) -> None:
    rows = [
        {"tokens": ["a", "b"], "tags": ["O", "B-x"], "intent": "i"},
        {"tokens": ["c"], "tags": ["O"], "intent": "j"},
    ]
    path = write(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "some.jsonl")
    found = read_sentences(path)
    assert (found.tokens, found.tags, found.intents) == (
        [["a", "b"], ["c"]],
        [["O", "B-x"], ["O"]],
        ["i", "j"],
    )
    plain = read_sentences(write(tmp_path, "a b\nc d e\n", "some.txt"), tagged=False)
    assert plain.tokens == [["a", "b"], ["c", "d", "e"]]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.conll", "Mia B-PER\nruns\n", "line 2: a word and its tag are expected, came 'runs'"),
        (
            "a.conll",
            "Mia B-PER\nruns VBZ O\n",
            "line 2: 2 columns are expected as in the lines before, came 3",
        ),
        ("a.conll", b"Mia B-PER\nZ\xfcrich O\n", "line 2: it is not UTF-8"),
        ("a.conll", "\n\n", "empty"),
        ("a.conll", "-DOCSTART- O\n\n", "holds no sentence"),
        ("a.conll", "# intent = a\nMia O\n\nruns O\n", "line 4: this sentence has no intent"),
        ("a.jsonl", '{"tokens": ["a"], "tags": []}\n', "line 1: 'tags' with at least one text"),
        ("a.jsonl", '{"tokens": ["a"], "tags": ["O", "O"]}\n', "line 1: one tag for each of the 1 tokens"),
        ("a.jsonl", '{"tokens": ["a"], "tags": ["O"]}\n\n{}\n', "line 2: the line is empty"),
        ("a.jsonl", "[1]\n", "line 1: a JSON object is expected, came list"),
        ("a.jsonl", "{\n", "line 1: a JSON object is expected ("),
    ],
)
def test_what_cannot_be_used_is_named_with_file_and_line(name, content, words, tmp_path) -> None:
    path = write(tmp_path, content, name)
    with pytest.raises(DataError) as caught:
        read_sentences(path)
    assert words in str(caught.value)
    assert name in str(caught.value)


def test_an_empty_line_among_plain_sentences(tmp_path) -> None:
    with pytest.raises(DataError, match="line 2: it is blank"):
        read_sentences(write(tmp_path, "a\n\nb\n", "some.txt"), tagged=False)


def test_vectors_with_and_without_header(tmp_path) -> None:
    plain = read_vectors(write(tmp_path, "The 1 2\nthe 3 4\nNew York 5 6\nThe 9 9\n"))
    assert plain.place == {"The": 0, "the": 1, "New York": 2}
    np.testing.assert_array_equal(plain.values, [[1, 2], [3, 4], [5, 6]])
    assert plain.by_form(str.lower).place == {"the": 1, "new york": 2}
    assert read_vectors(write(tmp_path, "2 2\nthe 3 4\ncat 5 6\n")).place == {"the": 0, "cat": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("the 1 2\ncat 1\n", "line 2: a word and 2 numbers"),
        ("the 1 2\ncat 1 x\n", "line 2: 2 numbers are expected"),
        ("the 1 nan\n", "line 1: finite numbers"),
        ("the\n", "line 1: a word and its numbers"),
        (b"the 1 2\n\xff 1 2\n", "line 2: it is not UTF-8"),
    ],
)
def test_vectors_that_cannot_be_used(content, words, tmp_path) -> None:
    with pytest.raises(DataError) as caught:
        read_vectors(write(tmp_path, content))
    assert words in str(caught.value)
