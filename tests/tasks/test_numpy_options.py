"""numpy's numbers, flags and words as options: every estimator takes them, as searches over np.arange give them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from gatewise import tasks
from gatewise.checks import unwrapped, whole
from gatewise.errors import ArgumentError, ArgumentTypeError

KINDS = {
    "64": {int: np.int64, float: np.float64, bool: np.bool_, str: np.str_},
    "32": {int: np.int32, float: np.float32, bool: np.bool_, str: np.str_},
}
COMMON = {"hidden_size": 4, "max_epochs": 1, "max_time": 600.0, "progress": False, "random_state": 0}
DAYS = pd.DataFrame({"ds": pd.date_range("2024", periods=60), "y": np.arange(60) % 7.0})
WAVES = np.random.default_rng(0).normal(size=(24, 6, 1)).astype(np.float32)
LABELS = np.array(["a", "b"] * 12)
TEXTS = ["good and fine", "bad and poor"] * 12
WORDS = [text.split() for text in TEXTS]
CASES = {
    tasks.Forecaster: ({"horizon": 2, "lookback": 4, "members": 1, "validation": 0.25, "batch_size": 8}, (DAYS,)),
    tasks.SequenceClassifier: ({"filters": 4, "batch_size": 8, "bidirectional": True}, (WAVES, LABELS)),
    tasks.AnomalyDetector: ({"lookback": 8, "batch_size": 8, "rescale": 8.0}, (np.sin(np.arange(200.0))[:, None],)),
    tasks.TextClassifier: ({"word_size": 4, "min_count": 1}, (TEXTS, LABELS)),
    tasks.SequenceTagger: ({"word_size": 4, "character_size": 4}, (WORDS, [["B-A", "O", "O"] for _ in WORDS])),
    tasks.LanguageModel: ({"window": 4, "min_count": 1, "batch_size": 2}, ("one two three four five\n" * 200,)),
    tasks.Translator: ({"beam_size": 2, "min_count": 1, "coverage_penalty": 0.1}, (TEXTS, TEXTS)),
    tasks.Summarizer: ({"beam_size": 2, "min_count": 1, "copy": True}, (TEXTS, TEXTS)),
}  # fmt: skip


def in_numpy(value: object, kinds: dict[type, type]) -> object:
    """The value in numpy's types, inside tuples too."""
    if isinstance(value, tuple):
        return tuple(in_numpy(one, kinds) for one in value)
    return kinds[type(value)](value) if type(value) in kinds else value


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_every_estimator_takes_every_option_from_numpy(kind, kinds, tmp_path) -> None:
    options, data = CASES[kind]
    plain = kind(**COMMON | options)
    given = {name: in_numpy(value, KINDS[kinds]) for name, value in plain.get_params(deep=False).items()}
    model = clone(kind(**given))
    assert all(type(getattr(model, name)) is type(value) for name, value in given.items())
    model.fit(*data)
    assert all(type(getattr(model, name)) is type(value) for name, value in given.items())  # untouched by fit
    model.save(tmp_path / "model")
    again = kind.load(tmp_path / "model")
    kept = {int, float, bool, str, tuple, list, type(None)}
    assert {type(value) for name, value in again.get_params().items() if name != "cell"} <= kept
    if kinds == "64":  # the same numbers, so the same training
        assert [row["train_loss"] for row in plain.fit(*data).history_] == [
            row["train_loss"] for row in model.history_
        ]


def test_searches_over_ranges_of_numpy() -> None:
    model = tasks.SequenceClassifier(**COMMON)
    grid = {"hidden_size": np.arange(2, 4), "dropout": np.linspace(0, 0.2, 2, dtype=np.float32)}
    assert GridSearchCV(model, grid, cv=2, error_score="raise").fit(WAVES, LABELS).best_params_
    drawn = {"num_layers": np.arange(1, 3), "bidirectional": np.array([True, False])}
    search = RandomizedSearchCV(model, drawn, n_iter=2, cv=2, error_score="raise", random_state=0)
    assert search.fit(WAVES, LABELS).best_params_


def test_what_methods_are_told() -> None:
    model = tasks.Forecaster(**COMMON | {"horizon": 2, "lookback": 4}).fit(DAYS)
    assert len(model.predict(horizon=np.int64(1))) == 1
    with pytest.raises(ArgumentTypeError, match="horizon: an integer"):
        model.predict(horizon=1.5)


@pytest.mark.parametrize(
    "value", [np.float64(2), np.bool_(True), np.timedelta64(3, "D"), np.str_("3"), True, None]
)
def test_what_is_no_whole_number(value) -> None:
    with pytest.raises(ArgumentTypeError, match="every: an integer is expected"):
        whole("every", value)
    with pytest.raises(ArgumentError, match="at least 1"):
        whole("every", np.int64(0))


def test_what_was_plain_is_the_same_object() -> None:
    for value in ((1, "a", (0.5,)), [1], None, np.timedelta64(1, "h"), np.arange(3)):
        assert unwrapped(value) is value
