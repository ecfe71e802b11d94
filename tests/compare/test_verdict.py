"""The verdict on planted results."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gatewise.compare.problems import Adding, Measure, TemporalOrder, Trivial
from gatewise.compare.scores import CellScore, ProblemScore
from gatewise.compare.verdict import _welch, differ, judge, judge_lengths


def row(value, *, solved=None, at=None, parameters=1000, stopped="max_steps") -> dict:
    met = at is not None if solved is None else solved
    return {"value": value, "solved": met, "solved_at": at, "parameters": parameters, "stopped": stopped}


def cell(name: str, *rows: dict, wanted: int = 3) -> CellScore:
    return CellScore(name, rows, wanted)


def order(*cells: CellScore, steps: int = 100) -> ProblemScore:
    problem = TemporalOrder(steps)
    return ProblemScore(problem, problem.measure, problem.trivial(), cells)


def adding(*cells: CellScore) -> ProblemScore:
    return ProblemScore(Adding(100), Adding(100).measure, Adding(100).trivial(), cells)


LSTM = cell("lstm", row(0.999, at=2000), row(0.998, at=2200), row(0.997, at=2100))
GRU = cell("gru", row(0.999, at=2150), row(0.999, at=1950), row(0.998, at=2250))
QUICK = cell("quick", row(0.999, at=200), row(0.999, at=240), row(0.998, at=220))
RNN = cell("rnn_tanh", row(0.25), row(0.26), row(0.24))


def test_one_solves_and_one_does_not() -> None:
    text = " ".join(judge(order(LSTM, RNN)))
    assert "Solved: lstm with every seed (3 of 3); rnn_tanh with no seed (0 of 3)." in text
    assert "Best: lstm (solved after 2,098 steps on the mean); rnn_tanh is behind by more than noise." in text
    assert "rnn_tanh is no better than the trivial answer, guessing (25.0%)." in text


def test_level_within_the_noise() -> None:
    text = " ".join(judge(order(LSTM, GRU)))
    assert "Solved: lstm and gru with every seed (3 of 3)." in text
    assert (
        "No cell differs from the best, lstm (solved after 2,098 steps on the mean), beyond the noise" in text
    )
    assert "fewer parameters" not in text
    assert "trivial" not in text


def test_cells_that_always_solve_it_are_compared_by_steps() -> None:
    # Their last values are alike: both were stopped at the goal.
    found = differ(order(QUICK, LSTM), QUICK, LSTM)
    assert found.by_speed
    assert found.clear
    text = " ".join(judge(order(RNN, LSTM, QUICK, GRU)))
    assert (
        "Best: quick (solved after 219 steps on the mean); lstm, gru and rnn_tanh are behind by more" in text
    )


def test_fewer_parameters_at_the_same_level() -> None:
    small = cell("gru", *(row(one["value"], at=one["solved_at"], parameters=750) for one in GRU.rows))
    assert judge(order(LSTM, small))[-1] == "Of these gru has 25% fewer parameters than lstm."
    behind = cell("rnn_tanh", *(row(one["value"], parameters=100) for one in RNN.rows))
    assert not any("fewer" in text for text in judge(order(LSTM, behind)))


def test_values_that_overlap_are_noise_and_apart_are_not() -> None:
    one = cell("one", row(0.050), row(0.090), row(0.070))
    same = cell("same", row(0.060), row(0.080), row(0.100))
    far = cell("far", row(0.160), row(0.165), row(0.170))
    assert not differ(adding(one, same), one, same).clear
    assert differ(adding(one, far), one, far).clear
    text = " ".join(judge(adding(one, same, far)))
    assert "Best: one (mean squared error 0.0680 (0.05 to 0.09)); far is behind" in text.replace(
        "0.068 ", "0.0680 "
    )
    assert "same is level with it within the noise" in text
    assert "far is no better" in text  # 0.165 beside 0.167


def test_all_against_none_of_two_is_not_clear_by_itself() -> None:
    # Of two seeds each, Fisher's test gives 1/3; values that vary as much as they differ give no more.
    first = cell("first", row(0.99, solved=True), row(0.999, solved=True), wanted=2)
    second = cell("second", row(0.20), row(0.98), wanted=2)
    assert not differ(order(first, second), first, second).clear


def test_one_seed_says_nothing_about_noise() -> None:
    single = order(cell("lstm", row(0.99, at=100), wanted=1), cell("gru", row(0.9), wanted=1))
    text = " ".join(judge(single))
    assert "with one seed each nobody knows how much of the difference is noise" in text
    assert not differ(single, *single.cells).known


def test_what_is_missing_and_what_diverged() -> None:
    some = cell("lstm", row(0.5), row(None, stopped="diverged"))
    text = " ".join(judge(order(some, cell("gru"))))
    assert "Solved: lstm with no seed (0 of 2)." in text
    assert "not finite: lstm (1 of 2)" in text
    assert "4 of 6 runs are not done yet." in text
    assert judge(order(cell("lstm"), cell("gru"))) == ["No run is done yet."]


def test_without_a_goal_the_trivial_answer_is_the_mark() -> None:
    measure = Measure("mae", "mean absolute error", goal=None, lower=True)
    cells = (
        cell("lstm", row(1.0, solved=True), row(1.1, solved=True), wanted=2),
        cell("gru", row(1.9, solved=False), row(2.1, solved=False), wanted=2),
    )
    text = " ".join(judge(ProblemScore(Adding(5), measure, Trivial("seasonal naive", 2.0), cells)))
    assert text.startswith(
        "Better than seasonal naive: lstm with every seed (2 of 2); gru with no seed (0 of 2)."
    )
    assert "Best: lstm" in text


def test_how_far_each_cell_reaches() -> None:
    solves, fails = row(1.0, at=10), row(0.3)

    def at(steps: int, **solved: bool) -> ProblemScore:
        return order(
            *(cell(name, *[solves if one else fails] * 3) for name, one in solved.items()), steps=steps
        )

    scores = [at(10, rnn=True, lstm=True, gru=True), at(30, rnn=False, lstm=True, gru=True),
              at(100, rnn=True, lstm=False, gru=True)]  # fmt: skip
    assert judge_lengths(scores, [10, 30, 100]) == (
        "With all 3 seeds temporal-order is solved by gru up to 100 steps; lstm up to 30 steps; rnn up to 10 steps."
    )
    assert "lstm not even at 10 steps" in judge_lengths([at(10, lstm=False)], [10])


@pytest.mark.parametrize("counts", [(2, 2), (3, 5), (8, 4)])
def test_welch_is_scipy_s(counts) -> None:
    generator = np.random.default_rng(1)
    one, two = (generator.normal(place, 1 + place, count).tolist() for place, count in enumerate(counts))
    assert _welch(one, two) == pytest.approx(stats.ttest_ind(one, two, equal_var=False).pvalue, rel=1e-9)


def test_values_without_any_spread() -> None:
    assert _welch([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert _welch([1.0, 1.0], [2.0, 2.0]) == pytest.approx(
        2 / 6
    )  # of the 6 ways to share out four values, 2 are as far apart
    assert 0 < _welch([1.0, 1.0], [2.0, 2.5]) < 1
