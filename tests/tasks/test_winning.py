"""A win is called one only beyond the spread of what was tested."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gatewise.compare.verdict import _welch
from gatewise.tasks.classify.evaluation import judge
from gatewise.tasks.tagging.evaluation import FREQUENT, Said, judge_tags
from gatewise.tasks.text_classification.card import against_words
from gatewise.tasks.winning import block_gain, is_above, paired_gain


def test_the_standard_error_of_a_paired_gain() -> None:
    differences = np.array([1.0] * 10 + [0.0] * 90)
    gain, error = paired_gain(differences, np.arange(100))
    # A share of .1 of 100 independent draws: sqrt(.1 * .9 / 99).
    assert (gain, error) == (pytest.approx(0.1), pytest.approx(math.sqrt(0.09 / 99)))
    assert is_above(gain, error)


@pytest.mark.parametrize(("wins", "of"), [(1, 100), (1, 1), (5, 5), (5, 1000)])
def test_a_win_by_so_few_units_is_none(wins: int, of: int) -> None:
    gain, error = paired_gain(np.array([1.0] * wins + [0.0] * (of - wins)), np.arange(of))
    assert gain > 0
    assert not is_above(gain, error)


def test_many_labels_of_one_unit_are_one_case() -> None:
    assert paired_gain(np.ones(100), np.zeros(100, dtype=np.int64)) == (1.0, math.inf)


def _tags(wins: int, sentences: int) -> bool:
    gold = [["B-x"]] * sentences
    other = [["O"]] * wins + [["B-x"]] * (sentences - wins)
    said = {"model": Said(gold, None), FREQUENT: Said(other, None)}
    found = judge_tags([["w"]] * sentences, Said(gold, None), said, model="model", spanned=True, known=("x",))
    assert ("beats the trivial" in found.verdict) == found.beats_trivial
    assert math.isfinite(found.gain_error) or "too few cases" in found.verdict
    return found.beats_trivial


def test_the_tagger_needs_more_than_one_sentence() -> None:
    assert [_tags(wins, 30) for wins in (1, 5, 15)] == [False, False, True]
    assert not _tags(1, 1)


@pytest.mark.parametrize(("wins", "words"), [(1, "is level with"), (20, "is above"), (-20, "is below")])
def test_the_text_classifier_beside_a_linear_one(wins: int, words: str) -> None:
    truth = np.zeros(60, dtype=np.int64)
    right = np.tile([0.9, 0.1], (60, 1))
    wrong = right.copy()
    wrong[: abs(wins)] = [0.1, 0.9]
    own, other = (right, wrong) if wins > 0 else (wrong, right)
    found = judge(
        own, truth, own.argmax(axis=1), np.arange(60), model="lstm", classes=("a", "b"), shares=np.array([0.5, 0.5]),
        sequences=60,
    ).beside("NB-SVM", other)  # fmt: skip
    assert f"the network {words} it" in against_words(found)


def test_scores_of_whole_tests_are_spread_over_their_parts() -> None:
    def met(said: list[str], right: list[str]) -> float:
        return float(np.mean([a == b for a, b in zip(said, right, strict=True)]))

    right = ["a"] * 40
    assert block_gain(met, right, ["b", *right[1:]], right) == math.inf
    # 20 parts of 2 texts; in half of the parts the other method has one of both wrong: .5 or 0 in each.
    error = block_gain(met, right, ["b"] * 10 + right[10:], right)
    assert error == pytest.approx(0.25 * math.sqrt(20 / 19) / math.sqrt(20))


@pytest.mark.parametrize(("seeds", "chance"), [(2, 2 / 6), (3, 2 / 20), (4, 2 / 70)])
def test_seeds_without_any_spread_prove_what_their_number_proves(seeds: int, chance: float) -> None:
    assert _welch([0.98] * seeds, [0.97] * seeds) == pytest.approx(chance)
    assert _welch([0.98] * seeds, [0.98] * seeds) == 1.0
