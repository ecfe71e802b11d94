"""The scikit-learn contract, by scikit-learn's own checks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone, is_outlier_detector
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import estimator_checks_generator

from gatewise.tasks import AnomalyDetector
from tests.tasks.anomaly.waves import small, waves

# What does not make sense for a detector on series, and why.
ORDER = "rows are moments of one series: their order, and what came before them, is what is judged"
EXEMPT = {
    "check_methods_sample_order_invariance": ORDER,
    "check_methods_subset_invariance": ORDER,
    "check_classifier_data_not_an_array": "its table has no column of stamps, which is refused on purpose: "
    "see test_bad_input",
    "check_dtype_object": "its values are strings of numbers beside numbers, which a series of measurements is not",
}


def checks():
    estimator = small(
        hidden_size=4, lookback=4, max_epochs=1, batch_size=2, threshold="rate", false_alarm_rate=0.1
    )
    return [
        pytest.param(one, check, id=getattr(check, "func", check).__name__)
        for one, check in estimator_checks_generator(estimator, legacy=True)
    ]


@pytest.mark.filterwarnings("ignore:channel .* is constant")
@pytest.mark.parametrize(("estimator", "check"), checks())
def test_check_estimator(estimator, check) -> None:
    name = getattr(check, "func", check).__name__
    if name in EXEMPT:
        pytest.skip(EXEMPT[name])
    check(estimator)


def test_it_is_an_outlier_detector_with_scikit_learns_signs() -> None:
    detector = small(threshold="rate")
    assert is_outlier_detector(detector)
    values = waves()
    values[250, 0] += 5
    found = detector.fit_predict(values)
    assert set(np.unique(found)) == {-1, 1}
    assert found[250] == -1
    scores, decisions = detector.score_samples(values), detector.decision_function(values)
    assert scores.argmin() == decisions.argmin() == 250
    np.testing.assert_allclose(decisions, scores - detector.offset_)
    np.testing.assert_array_equal(found == -1, decisions < 0)
    np.testing.assert_array_equal(detector.anomaly_scores(values), -scores)


def test_init_stores_and_clone_copies() -> None:
    levels = [0.2, 0.8]
    detector = AnomalyDetector(method="quantile", quantiles=levels)
    assert detector.quantiles is levels
    assert clone(detector).get_params() == detector.get_params()
    assert not [name for name in vars(detector) if name.endswith("_")]


def test_before_fit_there_is_nothing_to_score(tmp_path) -> None:
    for call in (
        lambda d: d.predict(waves()),
        lambda d: d.partial_score([0.0, 0.0]),
        lambda d: d.stream(),
        lambda d: d.evaluate(waves()),
        lambda d: d.save(tmp_path / "x"),
    ):
        with pytest.raises(NotFittedError, match="call fit"):
            call(AnomalyDetector())
