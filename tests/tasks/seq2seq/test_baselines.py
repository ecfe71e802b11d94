"""What needs no network, and how texts are counted."""

from __future__ import annotations

import builtins
import math
import sys
from collections import Counter

import pytest

from gatewise.errors import ArgumentError
from gatewise.tasks.seq2seq import metrics
from gatewise.tasks.seq2seq.baselines import lead, learn_lexicon, longest_noun, word_by_word
from gatewise.tasks.seq2seq.evaluation import TextEvaluation, table_rows
from tests.tasks.seq2seq.languages import WORDS, replaced, reversed_, sentences


def test_the_lexicon_is_found_whatever_the_order_of_words() -> None:
    texts = sentences(200)
    assert learn_lexicon(texts, reversed_(texts)) == WORDS
    lexicon = learn_lexicon(texts, replaced(texts))
    assert [word_by_word(text, lexicon) for text in texts] == replaced(texts)


def test_the_lexicon_is_ibm_model_1() -> None:
    """Expectation maximisation as in Brown et al. 1993, with dictionaries."""
    sources = ["a b", "b c", "a c c", "a b", "c"]
    targets = ["x y y", "y z", "z x", "y x w", "z"]
    chance = dict.fromkeys(((s, t) for s in "abc" for t in "wxyz"), 1.0)
    for _ in range(5):
        counts: Counter[tuple[str, str]] = Counter()
        for one, other in zip(sources, targets, strict=True):
            for t in other.split():
                whole = sum(chance[s, t] for s in one.split())
                for s in one.split():
                    counts[s, t] += chance[s, t] / whole
        totals = {s: sum(count for (own, _), count in counts.items() if own == s) for s in "abc"}
        chance = {(s, t): counts[s, t] / totals[s] for s, t in chance}
    expected = {s: max("wxyz", key=lambda t: chance[s, t]) for s in "abc"}
    assert learn_lexicon(sources, targets) == expected


def test_words_seen_once_are_copied() -> None:
    lexicon = learn_lexicon(["rot Haus", "rot"], ["red house", "red"])
    assert lexicon == {"rot": "red"}
    assert word_by_word("rot Haus, rot.", lexicon) == "red Haus, red."
    assert learn_lexicon(["!"], ["?"]) == {}


def test_first_words_and_longest_nouns() -> None:
    assert lead("one two three four", 2.4) == "one two"
    assert lead("one", 0.2) == "one"
    assert longest_noun("they are unbelievably interesting documents") == "documents"
    assert longest_noun("going slowly") == "slowly"
    assert longest_noun("12 34") == "12"


def bleu_by_hand(said: list[str], expected: list[str]) -> float:
    """BLEU-4 of tokenised text as Papineni et al. 2002 have it, without smoothing."""
    matched, counted = [0] * 4, [0] * 4
    for one, other in zip(said, expected, strict=True):
        for size in range(1, 5):
            grams = [
                Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1))
                for words in (one.split(), other.split())
            ]
            matched[size - 1] += sum((grams[0] & grams[1]).values())
            counted[size - 1] += sum(grams[0].values())
    lengths = [sum(len(text.split()) for text in texts) for texts in (said, expected)]
    short = min(0.0, 1 - lengths[1] / lengths[0])
    return 100 * math.exp(short + sum(math.log(m / c) for m, c in zip(matched, counted, strict=True)) / 4)


def test_bleu_of_tokenised_text_is_the_papers() -> None:
    said = ["the small dog runs over the green grass", "two men play guitar on a stage ."]
    expected = ["the small dog runs across the green grass", "two men are playing guitar on a stage ."]
    found = metrics.bleu(said, expected, tokenize="none")
    assert math.isclose(found.value, bleu_by_hand(said, expected), rel_tol=1e-9)
    assert "tok:none" in found.signature
    assert metrics.bleu(["The Dog runs off"], ["the dog runs off"], lowercase=True).value > 99


def test_rouge_is_counted_on_stems() -> None:
    scores = metrics.rouge(["dogs running"], ["dog runs far"])
    # Both words, of two said and three expected.
    assert math.isclose(scores["ROUGE-1"].value, 100 * 2 * (1 * 2 / 3) / (1 + 2 / 3))
    assert scores["ROUGE-2"].signature.startswith("rouge2|f1|mean|stemmer:porter|rouge-score:")


def test_a_library_that_is_missing_is_named(monkeypatch) -> None:
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith(("sacrebleu", "rouge_score")):
            raise ImportError(name)
        return real(name, *rest, **options)

    for name in [name for name in sys.modules if name.startswith(("sacrebleu", "rouge_score"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(metrics.importlib, "import_module", without)
    with pytest.raises(ArgumentError, match=r"need sacrebleu, which is not installed: .*gatewise\[text\]"):
        metrics.bleu(["a"], ["a"])
    with pytest.raises(ArgumentError, match="need rouge-score"):
        metrics.rouge(["a"], ["a"])


def test_a_model_that_does_not_beat_the_trivial_one_says_so() -> None:
    scores = {"gru": {"BLEU": 3.0}, "copy of the source": {"BLEU": 4.0}, "word by word": {"BLEU": 2.0}}
    found = TextEvaluation("gru", 5, "BLEU", scores, {"BLEU": "sig"}, (), (), gain_error=0.1)
    assert not found.beats_trivial
    assert "does not beat" in found.verdict
    assert "copy of the source" in found.verdict
    assert table_rows(found)[1] == ["gru", "3.0"]
    assert str(found).splitlines()[-2:] == ["BLEU: sig", found.verdict]


def test_a_gain_within_its_spread_is_no_win() -> None:
    scores = {"gru": {"BLEU": 4.1}, "copy of the source": {"BLEU": 4.0}}
    wide, narrow = (
        TextEvaluation("gru", 50, "BLEU", scores, {"BLEU": "sig"}, (), (), gain_error=error)
        for error in (0.06, 0.04)
    )
    assert (wide.beats_trivial, narrow.beats_trivial) == (False, True)
    assert "may be chance" in wide.verdict
