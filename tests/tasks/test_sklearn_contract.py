"""The scikit-learn contract, by scikit-learn's own checks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted

from gatewise.tasks import Forecaster
from tests.tasks.series import small

# What does not make sense for a forecaster, and why.
TWO_COLUMNS = "two columns leave no room for a history, a value to learn and a value to stop by"
EXEMPT = {
    "check_estimators_overwrite_params": TWO_COLUMNS,
    "check_estimators_fit_returns_self": TWO_COLUMNS,
    "check_readonly_memmap_input": TWO_COLUMNS,
    "check_fit_idempotent": TWO_COLUMNS,
    "check_fit_check_is_fitted": TWO_COLUMNS,
    "check_n_features_in": TWO_COLUMNS,
    "check_n_features_in_after_fitting": "columns are time: a longer or shorter history is welcome in predict",
    "check_dtype_object": "its values are strings of numbers beside numbers, which a series of measurements is not",
}


def checks():
    estimator = small(horizon=1, lookback=3, hidden_size=4)
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
    levels = [0.2, 0.8]
    forecaster = Forecaster(horizon=3, quantiles=levels)
    assert forecaster.quantiles is levels
    assert clone(forecaster).get_params() == forecaster.get_params()
    assert forecaster.set_params(cell="gru").cell == "gru"
    assert not [name for name in vars(forecaster) if name.endswith("_")]


def test_before_fit_there_is_nothing_to_predict() -> None:
    for call in (
        lambda f: f.predict(np.zeros((2, 9))),
        lambda f: f.evaluate(np.zeros((2, 9))),
        lambda f: f.save("x"),
    ):
        with pytest.raises(NotFittedError, match="call fit"):
            call(Forecaster())


def test_what_the_exempt_checks_ask_for() -> None:
    values = np.random.default_rng(0).normal(size=(20, 6))
    values.setflags(write=False)
    forecaster = small(horizon=1, lookback=3, hidden_size=4)
    with pytest.raises(NotFittedError):
        check_is_fitted(forecaster)
    assert not hasattr(forecaster, "n_features_in_")
    first = forecaster.fit(values).predict(values)
    check_is_fitted(forecaster)
    assert forecaster.n_features_in_ == 6
    np.testing.assert_array_equal(forecaster.fit(values).predict(values), first)


def test_fit_does_not_touch_the_parameters(history) -> None:
    forecaster = small(quantiles=(0.9, 0.1))
    before = forecaster.get_params()
    assert forecaster.fit(history) is forecaster
    assert forecaster.get_params() == before
