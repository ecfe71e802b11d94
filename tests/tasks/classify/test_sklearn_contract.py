"""The scikit-learn contract, by scikit-learn's own checks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import estimator_checks_generator

from gatewise.tasks import SequenceClassifier
from tests.tasks.classify.waves import small, waves

# What does not make sense for a classifier of sequences, and why.
EXEMPT = {
    "check_classifier_data_not_an_array": "a pandas table is a long table of sequences, which says which row is whose; "
    "what numpy can turn into an array is tested below",
    "check_dtype_object": "its values are strings of numbers beside numbers, which a series of measurements is not",
}


def checks():
    estimator = small(hidden_size=8, max_epochs=8, learning_rate=2e-2, patience=None)
    return [
        pytest.param(one, check, id=getattr(check, "func", check).__name__)
        for one, check in estimator_checks_generator(estimator, legacy=True)
    ]


@pytest.mark.parametrize(("estimator", "check"), checks())
def test_check_estimator(estimator, check) -> None:
    name = getattr(check, "func", check).__name__
    if name in EXEMPT:
        pytest.skip(EXEMPT[name])
    check(estimator)


def test_init_stores_and_clone_copies() -> None:
    weights = {"a": 2.0}
    classifier = SequenceClassifier(class_weight=weights)
    assert classifier.class_weight is weights
    assert clone(classifier).get_params() == classifier.get_params()
    assert classifier.set_params(cell="gru").cell == "gru"
    assert not [name for name in vars(classifier) if name.endswith("_")]


def test_before_fit_there_is_nothing_to_predict() -> None:
    for call in (
        lambda c: c.predict(np.zeros((2, 9))),
        lambda c: c.predict_proba(np.zeros((2, 9))),
        lambda c: c.evaluate(np.zeros((2, 9)), [0, 1]),
        lambda c: c.stream(),
        lambda c: c.save("x"),
    ):
        with pytest.raises(NotFittedError, match="call fit"):
            call(SequenceClassifier())


def test_fit_does_not_touch_the_parameters() -> None:
    X, y = waves(20)
    classifier = small(class_weight="balanced")
    before = classifier.get_params()
    assert classifier.fit(X, y) is classifier
    assert classifier.get_params() == before


class Wrapped:
    """Something that is no array and that numpy can turn into one."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(self.values, dtype=dtype)


def test_what_numpy_can_turn_into_an_array() -> None:
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(20, 5)), np.arange(20) % 2
    plain = small().fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(small().fit(Wrapped(X), Wrapped(y)).predict_proba(X), plain)
    np.testing.assert_array_equal(small().fit(X.tolist(), y.tolist()).predict_proba(X.tolist()), plain)
