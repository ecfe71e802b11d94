"""Vocabularies: numbers, counts, what is unknown, and what a stored one may not be."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from gatewise.data.text import Vocabulary
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError, StoreError

TEXT = [["the", "cat", "saw", "the", "dog"], ["the", "dog", "ran"]]


def test_the_most_frequent_come_first_and_equal_ones_by_their_text() -> None:
    words = Vocabulary.build(TEXT)
    assert words.tokens == ("<pad>", "<unk>", "the", "dog", "cat", "ran", "saw")
    assert words.counts == (0, 0, 3, 2, 1, 1, 1)
    assert (words.pad_id, words.unknown_id, len(words)) == (0, 1, 7)


def test_what_is_left_out_is_counted_as_unknown() -> None:
    words = Vocabulary.build(TEXT, min_count=2)
    assert words.tokens == ("<pad>", "<unk>", "the", "dog")
    assert words.counts == (0, 3, 3, 2)
    assert Vocabulary.build(TEXT, max_size=3).counts == (0, 5, 3)


def test_a_special_token_in_the_text_is_that_token() -> None:
    words = Vocabulary.build([["a", "<unk>", "<unk>"]])
    assert words.tokens == ("<pad>", "<unk>", "a")
    assert words.counts == (0, 2, 1)


def test_there_and_back() -> None:
    words = Vocabulary.build(TEXT)
    ids = words.encode(TEXT[0])
    assert ids.dtype == np.int64
    assert words.decode(ids) == TEXT[0]
    assert words.decode(words.encode(["cow", "ran"])) == ["<unk>", "ran"]
    assert words.decode([]) == []
    assert words.encode([]).shape == (0,)
    assert "dog" in words
    assert "cow" not in words


def test_without_an_unknown_token_the_stranger_is_named() -> None:
    letters = Vocabulary.build(["abc"], specials=())
    assert letters.encode("cab").tolist() == [2, 0, 1]
    for run in (lambda: letters.encode("cabé"), lambda: letters.index("é")):
        with pytest.raises(DataError, match="'é' is not in the vocabulary"):
            run()


@pytest.mark.parametrize("ids", [[7], [-1], [0, 99]])
def test_numbers_outside_are_refused(ids) -> None:
    with pytest.raises(DataError, match="another vocabulary"):
        Vocabulary.build(TEXT).decode(ids)


@pytest.mark.parametrize("ids", [[0.5], [[1]], ["a"]])
def test_what_is_no_row_of_numbers_is_refused(ids) -> None:
    with pytest.raises(ArgumentTypeError, match="row of whole numbers"):
        Vocabulary.build(TEXT).decode(ids)


@pytest.mark.parametrize(
    ("texts", "options", "error"),
    [
        ("one string", {}, ArgumentTypeError),
        ([], {}, DataError),
        ([[]], {}, DataError),
        ([["a", 3]], {}, ArgumentTypeError),
        ([["a", ""]], {}, ArgumentError),
        ([["a\ud800"]], {}, ArgumentError),
        ([["a"]], {"min_count": 0}, ArgumentError),
        ([["a"]], {"max_size": 2}, ArgumentError),
        ([["a"]], {"specials": ("<unk>", "<pad>")}, ArgumentError),
        ([["a"]], {"specials": ("<unk>", "<unk>")}, ArgumentError),
    ],
)
def test_what_cannot_be_built_is_refused(texts, options, error) -> None:
    with pytest.raises(error):
        Vocabulary.build(texts, **options)


def test_it_survives_json() -> None:
    words = Vocabulary.build(TEXT, specials=("<pad>", "<unk>", "<s>", "</s>"))
    again = Vocabulary.from_dict(json.loads(json.dumps(words.to_dict())))
    assert again == words
    assert again.specials == ("<pad>", "<unk>", "<s>", "</s>")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"version": 2},
        {"tokens": "abc"},
        {"tokens": ["a", "a", "b", "c", "d", "e", "f"]},
        {"tokens": ["a", None, "b", "c", "d", "e", "f"]},
        {"tokens": []},
        {"counts": [1]},
        {"counts": [0, 0, 3, 2, 1, 1, -1]},
        {"counts": [0, 0, 3, 2, 1, 1, True]},
        {"counts": {}},
        {"specials": 8},
        {"specials": None},
        {"specials": True},
        {"more": 1},
    ],
)
def test_a_stored_one_is_not_trusted(change) -> None:
    document = copy.deepcopy(Vocabulary.build(TEXT).to_dict()) | change
    with pytest.raises(StoreError, match="vocabulary"):
        Vocabulary.from_dict(document)


@pytest.mark.parametrize("document", [None, [], {}, {"format": "gatewise.vocabulary", "version": 1}])
def test_what_is_no_vocabulary_is_refused(document) -> None:
    with pytest.raises(StoreError, match="vocabulary"):
        Vocabulary.from_dict(document)
