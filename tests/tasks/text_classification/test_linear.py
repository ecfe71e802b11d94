"""The linear classifiers against scikit-learn's own parts, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from gatewise.errors import StoreError
from gatewise.tasks.text_classification.linear import NB_SVM, TFIDF, LinearText
from tests.tasks.text_classification.films import films


def words(count: int, classes: tuple[str, ...], seed: int = 0) -> tuple[list[list[str]], np.ndarray]:
    """Words of texts, and the classes' numbers."""
    texts, labels = films(count, seed, classes)
    return [text.lower().split() for text in texts], np.array([classes.index(one) for one in labels])


@pytest.mark.parametrize("classes", [("good", "bad"), ("good", "bad", "odd")])
def test_tfidf_is_scikit_learn_s(classes) -> None:
    texts, labels = words(60, classes)
    tests, _ = words(20, classes, seed=1)
    mine = LinearText.fit(texts, labels, len(classes), kind=TFIDF)
    vectorizer = TfidfVectorizer(
        analyzer="word", tokenizer=str.split, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True
    )
    model = LogisticRegression(C=10.0, max_iter=1000).fit(
        vectorizer.fit_transform(map(" ".join, texts)), labels
    )
    expected = model.predict_log_proba(vectorizer.transform(map(" ".join, tests)))
    logits = mine.logits(tests)
    found = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    # Both minimise the same convex loss, to the solver's tolerance.
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_nb_svm_s_ratio_by_hand() -> None:
    texts = [["a", "b"], ["a"], ["c"], ["b", "c", "c"]]
    labels = np.array([1, 1, 0, 0])
    model = LinearText.fit(texts, labels, 2, kind=NB_SVM, pairs=False)
    # Presence, smoothed by 1: of class 1 a 3, b 2, c 1 of 6; of class 0 a 1, b 2, c 3 of 6.
    expected = {"a": np.log(3), "b": 0.0, "c": -np.log(3)}
    assert dict(zip(model.terms, model.scale[:, 0].tolist(), strict=True)) == pytest.approx(expected)
    assert model.logits(texts).argmax(axis=1).tolist() == labels.tolist()


@pytest.mark.parametrize("kind", [TFIDF, NB_SVM])
def test_it_learns_and_comes_back_from_its_parts(kind) -> None:
    classes = ("good", "bad", "odd")
    texts, labels = words(90, classes)
    model = LinearText.fit(texts, labels, 3, kind=kind)
    tests, right = words(30, classes, seed=1)
    assert (model.logits(tests).argmax(axis=1) == right).mean() > 0.9
    config, arrays = model.parts()
    again = LinearText.from_parts(config, arrays)
    np.testing.assert_array_equal(again.logits(tests), model.logits(tests))
    assert model.logits([["never", "seen"]]).shape == (1, 3)
    with pytest.raises(StoreError, match="do not fit"):
        LinearText.from_parts(config, arrays | {"bias": arrays["bias"][1:]})


@pytest.mark.parametrize("classes", [("good", "bad"), ("good", "bad", "odd")])
def test_nb_svm_interpolates_the_whole_line_its_intercept_too(classes) -> None:
    """Wang & Manning 2012, section 2.3: from naive Bayes' mean weight to the SVM, by scikit-learn's parts."""
    texts, labels = words(60, classes)
    kept = np.flatnonzero(
        (labels != 0) | (np.arange(len(labels)) % 4 == 0)
    )  # uneven, so that the intercepts count
    texts, labels = [texts[one] for one in kept], labels[kept]
    tests, _ = words(20, classes, seed=1)
    vectorizer = CountVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, 2), binary=True)
    there = vectorizer.fit_transform(map(" ".join, texts)).toarray()
    asked = vectorizer.transform(map(" ".join, tests)).toarray()
    sides = []
    for one in range(len(classes)):
        p, q = 1.0 + there[labels == one].sum(0), 1.0 + there[labels != one].sum(0)
        ratio = np.log(p / p.sum()) - np.log(q / q.sum())
        svm = LinearSVC(C=1.0, max_iter=1000).fit(there * ratio, labels == one)
        bayes = np.abs(svm.coef_).mean() * (asked * ratio).sum(axis=1)
        sides.append(0.75 * bayes + 0.25 * svm.decision_function(asked * ratio))
    found = LinearText.fit(texts, labels, len(classes), kind=NB_SVM).logits(tests)
    if len(classes) == 2:  # one line for both: its height is the distance of the two columns
        found, sides = found[:, 1:] - found[:, :1], sides[1:]
    # The solver stops by a tolerance of 1e-4; weights are kept in float32.
    np.testing.assert_allclose(found, np.stack(sides, 1), atol=2e-3)
