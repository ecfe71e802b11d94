"""Average precision is of the rarer class, unless another is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from gatewise import SequenceClassifier, TextClassifier
from gatewise.errors import ArgumentError
from gatewise.tasks.classify.evaluation import judge, positive_class, table_rows

NAMES = ("died", "lived")


@pytest.mark.parametrize(("shares", "positive", "right"), [
    ((0.1, 0.9), None, 0), ((0.9, 0.1), None, 1), ((0.5, 0.5), None, 1), ((0.1, 0.9), 1, 1), ((0.9, 0.1), 0, 0),
])  # fmt: skip
def test_of_which_class_it_is(shares, positive, right) -> None:
    generator = np.random.default_rng(0)
    truth = generator.choice(2, 200, p=shares)
    second = np.clip(0.3 * truth + generator.random(200) * 0.7, 0, 1)
    probabilities = np.stack([1 - second, second], 1)
    found = judge(
        probabilities, truth, probabilities.argmax(1), np.arange(200), model="m", classes=NAMES,
        shares=np.array(shares), sequences=200, positive=positive,
    )  # fmt: skip
    expected = average_precision_score(truth == right, probabilities[:, right])
    assert found.scores["m"].average_precision == pytest.approx(expected)
    assert found.beside("other", probabilities).scores["other"].average_precision == pytest.approx(expected)
    assert found.to_dict()["positive"] == NAMES[right]
    assert f"avg. precision of {NAMES[right]}" in table_rows(found)[0]


@pytest.mark.parametrize("positive", ["dead", 1, True])
def test_a_class_that_is_none_is_an_error(positive) -> None:
    with pytest.raises(ArgumentError, match="positive: 'died' or 'lived' is expected"):
        positive_class(positive, NAMES)
    with pytest.raises(ArgumentError, match="positive: None for 3 classes is expected"):
        positive_class(positive, ("a", "b", "c"))


@pytest.mark.parametrize("kind", [SequenceClassifier, TextClassifier])
def test_estimators_take_it(kind) -> None:
    small = {"hidden_size": 2, "max_epochs": 1, "progress": False, "random_state": 0}
    y = np.array(["lived"] * 24 + ["died"] * 8)
    if kind is TextClassifier:
        x = ["well and fine" if one == "lived" else "ill and worse" for one in y]
        small |= {"word_size": 2, "baselines": False}
    else:
        x = np.random.default_rng(0).normal(size=(32, 5, 1)).astype(np.float32)
    model = kind(**small).fit(x, y)
    own = model.predict_proba(x)
    for positive, column in ((None, 0), ("lived", 1)):
        found = model.evaluate(x, y, positive=positive)
        expected = average_precision_score(y == NAMES[column], own[:, column])
        assert found.scores[found.model].average_precision == pytest.approx(expected)
