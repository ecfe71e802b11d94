"""The search: what it tries, what it reads, how it goes on."""

from __future__ import annotations

import sys

import pytest

from gatewise.errors import ArgumentError, DataError
from gatewise.tasks.forecast.search import search_parameters
from tests.tasks.series import hourly, small

SPACE = {"hidden_size": (4, 8), "learning_rate": (1e-3, 1e-2, "log"), "cell": ["gru", "mgu"]}


@pytest.fixture(scope="module")
def rows():
    return hourly(80)


def test_the_best_trial_wins_and_the_default_is_one(rows) -> None:
    pytest.importorskip("optuna")
    model = small()
    before = model.get_params()
    found = search_parameters(model, rows, space=SPACE, n_trials=4)
    assert model.get_params() == before
    assert len(found.trials) == 4
    assert found.trials[0]["parameters"] == {}
    assert found.default_score == found.trials[0]["score"]
    assert found.score == min(trial["score"] for trial in found.trials)
    for trial in found.trials[1:]:
        drawn = trial["parameters"]
        assert 4 <= drawn["hidden_size"] <= 8
        assert 1e-3 <= drawn["learning_rate"] <= 1e-2
        assert drawn["cell"] in ("gru", "mgu")
    again = search_parameters(model, rows, space=SPACE, n_trials=4)
    assert [t["parameters"] for t in again.trials] == [t["parameters"] for t in found.trials]
    small(**found.parameters).fit(rows)


def test_an_interrupted_search_goes_on(rows, tmp_path) -> None:
    pytest.importorskip("optuna")
    first = search_parameters(small(), rows, space=SPACE, n_trials=2, storage=tmp_path / "search.db")
    second = search_parameters(small(), rows, space=SPACE, n_trials=3, storage=tmp_path / "search.db")
    assert [t["score"] for t in second.trials[:2]] == [t["score"] for t in first.trials]
    assert len(second.trials) == 3
    assert (
        len(search_parameters(small(), rows, space=SPACE, n_trials=3, storage=tmp_path / "search.db").trials)
        == 3
    )


def test_trials_that_fail_are_passed_over(rows) -> None:
    pytest.importorskip("optuna")
    found = search_parameters(small(), rows, space={"hidden_size": (-3, -1)}, n_trials=2)
    assert found.trials[1]["score"] is None
    assert found.parameters == {}
    with pytest.raises(DataError, match="no trial could be fitted"):
        search_parameters(small(horizon=70), rows, n_trials=1)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"units": (1, 2)}, "'units'"),
        ({"hidden_size": (8, 4)}, "'hidden_size'"),
        ({"hidden_size": []}, "'hidden_size'"),
        ({"hidden_size": 4}, "'hidden_size'"),
        ({"dropout": (0.0, 0.5, "log")}, "above 0"),
        ({"dropout": (0.0, 0.5, "cubic")}, "'dropout'"),
    ],
)
def test_spaces_are_checked(rows, space, words) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(ArgumentError, match=words):
        search_parameters(small(), rows, space=space)


def test_without_optuna_it_says_what_to_install(rows, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ArgumentError, match=r"gatewise\[search\]"):
        search_parameters(small(), rows)
