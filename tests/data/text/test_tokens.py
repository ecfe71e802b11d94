"""Tokenizers: there and back, one by one as at once, stored, and what is refused."""

from __future__ import annotations

import copy
import json
import sys

import numpy as np
import pytest

from gatewise.data.text import (
    CharacterTokenizer,
    SubwordTokenizer,
    Tokenizer,
    WordTokenizer,
    tokenizer_from_dict,
)
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError, StoreError

TEXT = "Wer reitet so spät durch Nacht und Wind?\nEs ist der Vater mit seinem Kind;\n\nEr hat den Knaben — 日本 🎻.\n"


def made(kind: str) -> Tokenizer:
    if kind == "subword":
        pytest.importorskip("tokenizers")
        return SubwordTokenizer.train([TEXT] * 3, vocabulary_size=300, specials=("<pad>", "<s>"))
    if kind == "character":
        return CharacterTokenizer.train([TEXT])
    return WordTokenizer.train([TEXT], rule=kind)


KINDS = ["whitespace", "simple", "character", "subword"]


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(kind) -> None:
    tokenizer = made(kind)
    assert isinstance(tokenizer, Tokenizer)
    ids = tokenizer.encode(TEXT)
    assert ids.dtype == np.int64
    assert 0 <= ids.min() <= ids.max() < len(tokenizer.vocabulary)
    assert tokenizer.decode(ids) == TEXT
    assert tokenizer.encode("").shape == (0,)
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_one_by_one_equals_at_once(kind) -> None:
    tokenizer = made(kind)
    ids = tokenizer.encode(TEXT).tolist()
    for cut in (0, 5, 17):
        joiner = tokenizer.joiner(tokenizer.decode(ids[:cut]))
        rest = "".join(joiner.push(token) for token in ids[cut:]) + joiner.flush()
        assert tokenizer.decode(ids[:cut]) + rest == TEXT


@pytest.mark.parametrize("kind", KINDS)
def test_it_survives_json(kind) -> None:
    tokenizer = made(kind)
    again = tokenizer_from_dict(json.loads(json.dumps(tokenizer.to_dict())))
    assert again.kind == tokenizer.kind
    assert again.vocabulary == tokenizer.vocabulary
    other = TEXT[::-1] if kind != "subword" else TEXT[::-1] + "ÿ\x00"
    assert again.encode(other).tolist() == tokenizer.encode(other).tolist()


def test_counts_are_those_of_the_text() -> None:
    for kind in KINDS:
        tokenizer = made(kind)
        times = 3 if kind == "subword" else 1
        found = np.bincount(tokenizer.encode(TEXT), minlength=len(tokenizer.vocabulary)) * times
        assert found.tolist() == list(tokenizer.vocabulary.counts), kind


def test_a_line_end_is_a_token() -> None:
    words = WordTokenizer.train(["a b\nc\n"])
    assert words.tokens("a b\r\n\nc") == ["a", "b", "<eos>", "<eos>", "c"]
    plain = WordTokenizer.train(["a b\nc\n"], line_end=None)
    assert plain.tokens("a b\n\nc\n") == ["a", "b", "c"]


def test_small_letters() -> None:
    assert WordTokenizer.train(["A b"], lowercase=True).encode("B a").tolist() == [3, 2]
    assert CharacterTokenizer.train(["Ab"], lowercase=True).decode([0, 1]) == "ab"


def test_a_strange_character_is_named() -> None:
    with pytest.raises(DataError, match="'ß' is not in the vocabulary"):
        CharacterTokenizer.train([TEXT]).encode("daß")
    kind = CharacterTokenizer.train([TEXT], specials=("<unk>",))
    assert kind.encode("ß").tolist() == [0]


def test_special_tokens_are_never_found_in_a_text() -> None:
    pieces = made("subword")
    ids = pieces.encode("<s> and <pad>")
    assert not set(ids.tolist()) & {0, 1}
    assert pieces.decode([1, *ids, 0]) == "<s> and <pad>"


def test_half_a_character_waits() -> None:
    pieces = made("subword")
    ids = pieces.encode("\U0001f3b8").tolist()  # not in the text: four bytes
    assert len(ids) >= 2
    joiner = pieces.joiner()
    assert [joiner.push(token) for token in ids[:-1]] == [""] * (len(ids) - 1)
    assert joiner.push(ids[-1]) == "\U0001f3b8"
    assert pieces.decode(ids[:1]) == "�"


def test_options_are_checked() -> None:
    with pytest.raises(ArgumentError, match="rule"):
        WordTokenizer.train(["a"], rule="words")
    for train in (WordTokenizer.train, CharacterTokenizer.train):
        with pytest.raises(ArgumentTypeError, match="one string"):
            train("a b c")
        with pytest.raises(ArgumentTypeError, match="text: a string"):
            train(["a b"]).encode(["a"])
    pytest.importorskip("tokenizers")
    with pytest.raises(ArgumentError, match="at least 256"):
        SubwordTokenizer.train(["a"], vocabulary_size=100)
    with pytest.raises(DataError, match="no text"):
        SubwordTokenizer.train([""])
    with pytest.raises(DataError, match="surrogate"):
        made("subword").encode("\ud800")


def test_a_missing_library_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ArgumentError, match=r"pip install 'gatewise\[text\]'"):
        SubwordTokenizer.train(["abc"])


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("simple", {"kind": "words"}),
        ("simple", {"kind": ["word"]}),
        ("simple", {"rule": "other"}),
        ("simple", {"line_end": 3}),
        ("simple", {"line_end": ""}),
        ("simple", {"lowercase": 1}),
        ("simple", {"vocabulary": None}),
        ("simple", {"more": 1}),
        ("character", {"rule": "simple"}),
        ("character", {"vocabulary": {"format": "gatewise.vocabulary", "version": 1, "tokens": ["ab"],
                                      "counts": [1], "specials": 0}}),
        ("subword", {"merges": None}),
        ("subword", {"merges": [["a"]]}),
        ("subword", {"merges": [["a", 3]]}),
        ("subword", {"merges": [["a", "zzz"]]}),
        ("subword", {"vocabulary": {"format": "gatewise.vocabulary", "version": 1, "tokens": ["a"],
                                    "counts": [1], "specials": 0}}),
    ],
)  # fmt: skip
def test_a_stored_one_is_not_trusted(kind, change) -> None:
    document = copy.deepcopy(made(kind).to_dict()) | change
    with pytest.raises(StoreError, match="damaged"):
        tokenizer_from_dict(document)


@pytest.mark.parametrize("document", [None, [], {}, {"kind": "word"}])
def test_what_is_no_tokenizer_is_refused(document) -> None:
    with pytest.raises(StoreError, match="damaged"):
        tokenizer_from_dict(document)
