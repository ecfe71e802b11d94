"""What a network on texts must beat: logistic regression on TF-IDF, and NB-SVM; both by scikit-learn, and stored."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from gatewise.errors import StoreError

__all__ = ["NB_SVM", "TFIDF", "LinearText"]

Texts = Sequence[Sequence[str]]
TFIDF, NB_SVM = "TF-IDF logistic regression", "NB-SVM"
# Wang & Manning 2012, section 3: the counts' smoothing, the SVM's C, and how far weights go back to their mean.
_ALPHA, _NB_C, _BETA = 1.0, 1.0, 0.25
_TFIDF_C, _ITERATIONS = 10.0, 1000
_LETTER = "\x1f"


@dataclass(frozen=True)
class LinearText:
    """A linear classifier over words and pairs of words.

    Args:
        kind: `TFIDF` or `NB_SVM`.
        terms: words, and pairs of words joined by a blank.
        scale: (terms, classes or 1) what a term's count (or its presence) is multiplied by.
        weights: (terms, classes), of the scaled terms; for two classes one column, of the second class.
        bias: (classes,) or (1,).

    References:
        Wang & Manning 2012, "Baselines and bigrams: simple, good sentiment and topic classification".
    """

    kind: str
    terms: tuple[str, ...]
    scale: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        texts: Texts,
        labels: NDArray[np.int64],
        classes: int,
        *,
        kind: str,
        min_count: int = 1,
        pairs: bool = True,
    ) -> LinearText:
        """Fit to texts and their classes.

        Args:
            texts: words of each text.
            labels: the classes' numbers.
            classes: how many there are, at least 2, each of which comes.
            kind: `TFIDF` or `NB_SVM`.
            min_count: texts in which a term must come.
            pairs: whether pairs of words count too.
        """
        vectorizer = CountVectorizer(
            analyzer=_analyzer(pairs), min_df=min_count, binary=kind == NB_SVM, dtype=np.float32
        )
        counts = vectorizer.fit_transform(texts)
        terms = tuple(vectorizer.get_feature_names_out().tolist())
        fit = _fit_nb_svm if kind == NB_SVM else _fit_tfidf
        scale, weights, bias = fit(counts, labels, classes)
        return cls(kind, terms, scale.astype(np.float32), weights.astype(np.float32), bias.astype(np.float32))

    def logits(self, texts: Texts) -> NDArray[np.float64]:
        """(texts, classes): of logistic regression the logarithms of probabilities but for a constant, else margins."""
        place = {term: index for index, term in enumerate(self.terms)}
        pairs = any(_LETTER in term for term in self.terms)
        vectorizer = CountVectorizer(
            analyzer=_analyzer(pairs), vocabulary=place, binary=self.kind == NB_SVM, dtype=np.float32
        )
        counts = vectorizer.transform(texts)
        if self.kind == TFIDF:
            found = _normalised(counts, self.scale[:, 0]) @ self.weights + self.bias
        else:
            found = counts @ (self.scale * self.weights) + self.bias
        found = np.asarray(found, dtype=np.float64)
        return np.hstack([-found / 2, found / 2]) if found.shape[1] == 1 else found

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What config.json and model.safetensors hold of it; the terms, which may be many, go into the latter."""
        text = "\n".join(self.terms).encode()
        tensors = {
            "terms": np.frombuffer(text, dtype=np.uint8).copy(),
            "scale": self.scale,
            "weights": self.weights,
            "bias": self.bias,
        }
        return {"kind": self.kind, "terms": len(self.terms)}, tensors

    @classmethod
    def from_parts(cls, config: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> LinearText:
        """What `parts` gave.

        Raises:
            StoreError: the parts do not fit together.
        """
        text = tensors["terms"].tobytes().decode()
        terms = tuple(text.split("\n")) if text else ()
        scale, weights, bias = tensors["scale"], tensors["weights"], tensors["bias"]
        fits = len(terms) == config["terms"] == len(scale) == len(weights) and weights.shape[1:] == bias.shape
        if not fits or config["kind"] not in (TFIDF, NB_SVM):
            raise StoreError(
                "a linear baseline is damaged: its terms and weights do not fit; save the model anew"
            )
        return cls(config["kind"], terms, scale, weights, bias)


class _Terms:
    """Words, and pairs of neighbours: a word is never a pair, since no word holds the sign between."""

    def __init__(self, pairs: bool) -> None:
        self.pairs = pairs

    def __call__(self, words: Sequence[str]) -> Iterator[str]:
        plain = [word.replace(_LETTER, " ").replace("\n", " ") for word in words]
        yield from plain
        if self.pairs:
            for a, b in itertools.pairwise(plain):
                yield f"{a}{_LETTER}{b}"


def _analyzer(pairs: bool) -> _Terms:
    return _Terms(pairs)


def _fit_tfidf(counts: Any, labels: NDArray[np.int64], classes: int) -> tuple[NDArray[Any], ...]:
    """Sublinear counts times the inverse frequency of texts, each text of length 1; ridge-penalised regression."""
    frequency = np.asarray((counts > 0).sum(axis=0)).ravel()
    scale = np.log((1 + counts.shape[0]) / (1 + frequency)) + 1
    model = LogisticRegression(C=_TFIDF_C, max_iter=_ITERATIONS)
    model.fit(_normalised(counts, scale), labels)
    weights, bias = _all_classes(model.coef_, model.intercept_, model.classes_, classes)
    return scale[:, None], weights, bias


def _normalised(counts: Any, scale: NDArray[Any]) -> Any:
    found = sparse.csr_matrix(counts, dtype=np.float32, copy=True)
    found.data = 1 + np.log(found.data)
    found = found.multiply(scale[None].astype(np.float32)).tocsr()
    norms = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).ravel())
    return sparse.diags(1 / np.where(norms > 0, norms, 1)).astype(np.float32) @ found


def _fit_nb_svm(counts: Any, labels: NDArray[np.int64], classes: int) -> tuple[NDArray[Any], ...]:
    """Presence times the log-count ratio of each class against the rest, and a linear SVM on that (eq. 1 and 3)."""
    chosen = [1] if classes == 2 else range(classes)
    scales, columns, biases = [], [], []
    for one in chosen:
        own = labels == one
        ratio = _log_count_ratio(counts[own], counts[~own])
        model = LinearSVC(C=_NB_C, max_iter=_ITERATIONS)
        model.fit(sparse.csr_matrix(counts.multiply(ratio[None])), own)
        weights = model.coef_[0]
        mean = np.abs(weights).mean()
        scales.append(ratio)
        columns.append((1 - _BETA) * mean + _BETA * weights)
        # Their eq. 5 goes back from the SVM to naive Bayes, intercept and all: (1 - beta) mean|w| r.f + beta (w.f + b).
        biases.append(_BETA * float(model.intercept_[0]))
    return np.stack(scales, 1), np.stack(columns, 1), np.array(biases)


def _log_count_ratio(own: Any, rest: Any) -> NDArray[np.float64]:
    p = _ALPHA + np.asarray(own.sum(axis=0), dtype=np.float64).ravel()
    q = _ALPHA + np.asarray(rest.sum(axis=0), dtype=np.float64).ravel()
    return np.log((p / p.sum()) / (q / q.sum()))


def _all_classes(
    weights: NDArray[Any], bias: NDArray[Any], there: NDArray[Any], classes: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Columns for all classes, those that did not come far below the others."""
    if len(there) == classes:
        return weights.T, bias
    found = np.zeros((weights.shape[1], classes))
    biases = np.full(classes, -1e4)
    two = len(there) == 2
    found[:, there] = np.concatenate([-weights / 2, weights / 2]).T if two else weights.T
    biases[there] = np.concatenate([-bias / 2, bias / 2]) if two else bias
    return found, biases
