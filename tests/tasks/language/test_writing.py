"""What a language model writes: streams equal batches, searches equal brute force, and stops where it should."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from gatewise.errors import ArgumentError, DataError
from gatewise.tasks import LanguageModel
from gatewise.tasks.language import generation
from gatewise.tasks.language.choosing import Choice, draw, kept_tokens
from gatewise.tasks.language.stopping import Stopper
from tests.tasks.language.corpus import FAST, fitted, text

LEVELS = ["word", "character", "subword"]
DRAWS = [
    {},
    {"temperature": 0.7},
    {"top_k": 3},
    {"top_p": 0.8},
    {"temperature": 1.4, "top_k": 9, "top_p": 0.9},
]


def model_of(level: str) -> LanguageModel:
    if level == "subword":
        pytest.importorskip("tokenizers")
    return fitted(level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("options", DRAWS)
def test_a_stream_is_what_is_generated_at_once(level, options) -> None:
    model = model_of(level)
    for prompt, stop in (("", ()), ("the king", ("alas",)), ("the old nurse fears", (" ,", "\n"))):
        asked = {"max_tokens": 12, "stop": stop, "random_state": 3, **options}
        pieces = list(model.stream(prompt, **asked))
        assert "".join(pieces) == model.generate(prompt, **asked)
        assert all(pieces)


@pytest.mark.parametrize("level", LEVELS)
def test_several_prompts_are_what_each_is_alone(level) -> None:
    model = model_of(level)
    prompts = ["the king", "my lord sees", "", "a fool loves , alas , alas ,"]
    # At temperature 0 no random number tells one row from another.
    together = model.generate(prompts, max_tokens=12, temperature=0, stop="\n")
    assert together == [model.generate(one, max_tokens=12, temperature=0, stop="\n") for one in prompts]
    drawn = model.generate(["the king"] * 3, max_tokens=12)
    assert drawn[0] == model.generate("the king", max_tokens=12)
    assert len(set(drawn)) > 1
    assert model.generate([]) == []


def test_seeds() -> None:
    model = fitted()
    one, two = (model.generate("the king", random_state=seed, max_tokens=30) for seed in (1, 2))
    assert one != two
    assert one == model.generate("the king", random_state=1, max_tokens=30)
    assert model.generate("the king", max_tokens=0) == ""
    assert list(model.stream("the king", max_tokens=0)) == []


def test_it_writes_its_language() -> None:
    known = set(itertools.pairwise(text(2000).split()))
    said = fitted().generate("", max_tokens=150, temperature=0.3).split()
    assert len(said) > 100
    pairs = list(itertools.pairwise(said))
    # Words drawn one by one from the same text make a pair that it has in a fifth of the cases.
    assert sum(pair in known for pair in pairs) / len(pairs) > 0.9


@pytest.mark.parametrize("level", LEVELS)
def test_one_beam_is_greedy(level) -> None:
    model = model_of(level)
    writing = model._writing(9, 1.0, None, None, (), 0)
    from gatewise.tasks.language.searching import search_text

    for prompt in ("", "the king", "a fool sees"):
        assert search_text(model.fitted_, prompt, writing, 1) == model.generate(
            prompt, max_tokens=9, temperature=0
        )


def by_brute_force(model, prompt: str, length: int) -> str:
    """The most probable of all texts of so many tokens."""
    banned = generation.banned_tokens(model.fitted_)
    tokens = [n for n in range(len(model.vocabulary_)) if banned is None or n not in banned]
    before = model.fitted_.encode(prompt)
    best, found = -math.inf, ()
    for choice in itertools.product(tokens, repeat=length):
        ids = np.concatenate([before, choice])
        with torch.no_grad():
            output, _, _ = model.fitted_.network(torch.from_numpy(ids[:-1])[:, None])
            logs = model.fitted_.network.head.log_probabilities(output[:, 0]).double()
        total = float(logs[range(len(ids) - 1), ids[1:]][len(before) - 1 :].sum())
        if total > best:
            best, found = total, choice
    return model.fitted_.tokenizer.decode(list(found))


def test_a_wide_search_equals_brute_force() -> None:
    model = LanguageModel(level="character", **{**FAST, "max_epochs": 1}).fit("abcabdacb" * 60)
    assert len(model.vocabulary_) == 4
    for prompt in ("", "ab"):
        expected = by_brute_force(model, prompt, 4)
        assert model.generate(prompt, max_tokens=4, beams=4**3) == expected


def test_a_search_stops_at_a_stop_string() -> None:
    found = fitted().generate("the king sees", max_tokens=30, beams=4, stop=".")
    assert "." not in found
    assert found.strip()
    with pytest.raises(ArgumentError, match="beams"):
        fitted().generate("the king", beams=4, temperature=0.5)


def test_never_written() -> None:
    model = LanguageModel(**{**FAST, "max_epochs": 1, "min_count": 60}).fit(text(100))
    assert model.vocabulary_.counts[0] > 100  # most words are unknown
    assert "<unk>" not in model.generate("", max_tokens=200)


def test_what_may_be_drawn() -> None:
    logits = np.log(np.array([0.1, 0.5, 0.25, 0.15], dtype=np.float32))
    assert kept_tokens(logits, Choice()) is None
    assert kept_tokens(logits, Choice(top_k=2)).tolist() == [1, 2]
    assert kept_tokens(logits, Choice(top_p=0.5)).tolist() == [1]
    assert kept_tokens(logits, Choice(top_p=0.51)).tolist() == [1, 2]
    assert kept_tokens(logits, Choice(top_p=1.0)).tolist() == [1, 2, 3, 0]
    assert kept_tokens(logits, Choice(top_k=3, top_p=0.8)).tolist() == [1, 2]
    assert kept_tokens(logits, Choice(top_k=99)).tolist() == [1, 2, 3, 0]
    assert kept_tokens(np.zeros(5, dtype=np.float32), Choice(top_k=2)).tolist() == [0, 1]


@pytest.mark.parametrize("choice", [Choice(), Choice(temperature=0.5), Choice(top_k=3), Choice(top_p=0.7)])
def test_draws_have_the_probabilities_that_were_asked_for(choice) -> None:
    shares = np.array([0.1, 0.45, 0.25, 0.2])
    generator = np.random.default_rng(0)
    logits = np.log(shares).astype(np.float32)
    drawn = np.bincount([draw(logits, choice, generator) for _ in range(20_000)], minlength=4) / 20_000
    expected = shares ** (1 / choice.temperature)
    if choice.top_k:
        expected[0] = 0
    if choice.top_p:
        expected[[0, 3]] = 0
    expected /= expected.sum()
    # Four standard deviations of a share of 20,000.
    assert np.abs(drawn - expected).max() < 4 * math.sqrt(0.25 / 20_000)
    assert draw(logits, Choice(temperature=0), generator) == 1


@pytest.mark.parametrize("cuts", [1, 2, 3, 5, 50])
def test_a_stop_string_is_found_however_it_is_cut(cuts) -> None:
    whole = "abc STO STOP after STOP"
    stopper = Stopper(["STOP", "STOAS"])
    shown = "".join(stopper.push(whole[at : at + cuts]) for at in range(0, len(whole), cuts))
    assert shown == "abc STO "
    assert stopper.found
    waiting = Stopper(["STOP"])
    assert waiting.push("abc STO") + waiting.flush() == "abc STO"


@pytest.mark.parametrize("level", LEVELS)
def test_next_words(level) -> None:
    model = model_of(level)
    words = model.next_words("the king sees , alas , alas , a", 3)
    assert len(words) == 3
    assert [p for _, p in words] == sorted((p for _, p in words), reverse=True)
    assert all(0 < p <= 1 for _, p in words)
    assert sum(p for _, p in model.next_words("the", 20)) <= 1.001
    if level == "word":
        network = model.fitted_.network
        with torch.no_grad():
            output, _, _ = network(torch.from_numpy(model.fitted_.encode("the king"))[:, None])
            expected = network.head.log_probabilities(output[-1]).exp()[0]
        for word, probability in model.next_words("the king", 4):
            token = "<eos>" if word == "\n" else word
            assert probability == pytest.approx(float(expected[model.vocabulary_.index(token)]), rel=1e-5)


def test_a_word_begun_is_completed() -> None:
    words = dict(fitted("character", max_epochs=8).next_words("the king sees , alas , alas , a sh", 3))
    assert max(words, key=words.get) == "ship"
    # The probability of a word is that of its characters and of anything that ends it.
    model = fitted("character", max_epochs=8)
    tokens = model.vocabulary_.tokens
    ids = model.fitted_.encode("the king sees , alas , alas , a ship")
    with torch.no_grad():
        output, _, _ = model.fitted_.network(torch.from_numpy(ids)[:, None])
        logs = model.fitted_.network.head.log_probabilities(output[:, 0]).double()
    begun = float(logs[len(ids) - 3, tokens.index("i")] + logs[len(ids) - 2, tokens.index("p")])
    ends = sum(float(logs[-1, n].exp()) for n, sign in enumerate(tokens) if not sign.isalnum())
    assert words["ship"] == pytest.approx(math.exp(begun) * ends, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 1.5}, "top_k"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 2.5}, "max_tokens"),
        ({"stop": ""}, "stop"),
        ({"stop": [3]}, "stop"),
        ({"random_state": -1}, "random_state"),
        ({"random_state": "a"}, "random_state"),
        ({"beams": 0}, "beams"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": ["a", 3]}, "prompt"),
    ],
)
def test_what_cannot_be_asked(options, match) -> None:
    with pytest.raises((ValueError, TypeError), match=match):
        fitted().generate(**{"prompt": "the king", **options})


def test_a_prompt_longer_than_allowed(monkeypatch) -> None:
    monkeypatch.setattr(generation, "LONGEST_PROMPT", 50)
    fitted().generate("the " * 50, max_tokens=1)
    for run in (fitted().generate, lambda p: list(fitted().stream(p)), fitted().next_words):
        with pytest.raises(ArgumentError, match="prompt: at most 50 tokens are expected, came 51"):
            run("the " * 51)


def test_a_prompt_with_what_is_not_known() -> None:
    assert isinstance(fitted().generate("the zebra", max_tokens=3), str)
    with pytest.raises(DataError, match="prompt: the token 'ß'"):
        fitted("character").generate("maß")
