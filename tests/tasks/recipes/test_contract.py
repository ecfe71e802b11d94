"""scikit-learn's contract, as far as it can hold for an estimator that takes tables of mixed columns and no arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks as checks

from gatewise.errors import DataError
from gatewise.tasks import SequenceClassifier
from gatewise.tasks.recipes import RecordDetector, fraud_detector, intrusion_detector

# The checks of `check_estimator` that pass no arrays. All others fit to arrays of numbers, which a detector refuses by
# design: its inputs are named columns, of numbers and of text, and its labels are one of them.
WITHOUT_ARRAYS = (
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_get_params_invariance",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
)


@pytest.mark.parametrize("check", WITHOUT_ARRAYS)
def test_the_checks_that_need_no_arrays(check) -> None:
    getattr(checks, check)("RecordDetector", RecordDetector())


def test_arrays_are_refused_and_say_what_is_expected() -> None:
    for given in (np.zeros((4, 2)), [[0.0], [1.0]], None):
        with pytest.raises(DataError, match="a pandas, polars or pyarrow table is expected"):
            RecordDetector().fit(given)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "evaluate", "save", "stream", "describe"])
def test_what_needs_a_fit_says_so(method, tmp_path) -> None:
    given = {"save": (tmp_path,), "stream": (), "describe": ()}.get(method, (pd.DataFrame({"x": [1.0]}),))
    with pytest.raises(NotFittedError, match="this RecordDetector is not fitted yet"):
        getattr(RecordDetector(), method)(*given)


def test_fit_leaves_the_parameters_and_the_table_alone() -> None:
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {"x": generator.random(60), "label": np.where(generator.random(60) < 0.3, "bad", "normal")}
    )
    before = table.copy()
    model = SequenceClassifier(output="step", hidden_size=3, max_epochs=1, progress=False)
    detector = RecordDetector(model, random_state=1)
    parameters = {name: repr(value) for name, value in detector.get_params().items()}
    assert detector.fit(table) is detector
    assert {name: repr(value) for name, value in detector.get_params().items()} == parameters
    pd.testing.assert_frame_equal(table, before)
    np.testing.assert_array_equal(
        clone(detector).fit(table).predict_proba(table), detector.predict_proba(table)
    )


@pytest.mark.parametrize("make", [fraud_detector, intrusion_detector])
def test_recipes_are_detectors_with_settings(make) -> None:
    found = make(hidden_size=5, random_state=3)
    assert found.classifier.hidden_size == 5
    assert clone(found).get_params()["random_state"] == 3
