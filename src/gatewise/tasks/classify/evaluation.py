"""What a test found: errors beside the majority class, how far probabilities can be trusted, the verdict in words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from sklearn import metrics

from gatewise.errors import ArgumentError
from gatewise.report.text_table import aligned
from gatewise.tasks.classify.calibration import reliability
from gatewise.tasks.winning import gain_words, is_above, paired_gain

__all__ = ["MAJORITY", "ClassEvaluation", "Scores", "judge", "positive_class", "score"]

Whole = NDArray[np.int64]
MAJORITY = "majority class"
_BINS = 10
# A difference within so many standard errors is called a tie.
_LEAST = 1e-15
_BY_CLASS = ("precision", "recall", "f1", "count")


@dataclass(frozen=True)
class Scores:
    """How well one method does; None where a measure does not apply.

    Args:
        accuracy: share of labels that were met.
        balanced_accuracy: mean recall of the classes.
        macro_f1: mean F1 of the classes (0 for a class that is never said).
        mcc: Matthews correlation coefficient.
        auc: area under the receiver operating characteristic; of several classes the mean of one against the rest.
        average_precision: of two classes: area under precision and recall of `ClassEvaluation.positive`.
        log_loss: mean of -log of the right class's probability.
        brier: mean squared distance between probabilities and what came, summed over the classes.
        calibration_error: mean distance between stated probability and share that was right, of the class that was
            decided for, in ten bins of equally many.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    mcc: float
    auc: float | None
    average_precision: float | None
    log_loss: float
    brier: float
    calibration_error: float


@dataclass(frozen=True)
class ClassEvaluation:
    """The result of `SequenceClassifier.evaluate`.

    Args:
        model: the model's name in tables.
        scores: method -> scores; the model first, then the majority class, then what was added by `beside`.
        classes: the classes' names as text.
        confusion: (classes, classes) counts, rows what came, columns what was decided.
        by_class: class -> precision, recall, F1, count.
        labels: how many labels were compared.
        sequences: of how many sequences.
        gain, gain_error: accuracy above the majority class's, and its standard error, sequences (or groups) taken as
            the independent units.
        verdict: in words, whether the model beats the majority class.
        probabilities: (labels, classes), the model's.
        truth: (labels,) the right classes' numbers.
        decided: (labels,) the model's decisions.
        units: (labels,) the independent unit of each label.
        majority: the majority class's number.
        positive: of two classes the number of the one that average precision is of: the one asked for, else the rarer
            one of the training labels, of two alike the second; None for more classes.
        gains: method that was added by `beside` -> the model's accuracy above its, and the standard error.
    """

    model: str
    scores: dict[str, Scores]
    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    by_class: dict[str, dict[str, float]]
    labels: int
    sequences: int
    gain: float
    gain_error: float
    verdict: str
    probabilities: Float[np.ndarray, "labels classes"]
    truth: Whole
    decided: Whole
    units: Whole
    majority: int
    positive: int | None
    gains: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def beats_trivial(self) -> bool:
        """Whether the model's accuracy is above the majority class's by more than two standard errors."""
        return is_above(self.gain, self.gain_error)

    def beside(self, name: str, probabilities: NDArray[np.float64]) -> ClassEvaluation:
        """The same with another method's probabilities, of shape (labels, classes), beside it."""
        decided = probabilities.argmax(axis=1).astype(np.int64)
        other = score(probabilities, self.truth, decided, self.positive)
        gain = paired_gain((self.decided == self.truth).astype(float) - (decided == self.truth), self.units)
        return replace(self, scores={**self.scores, name: other}, gains={**self.gains, name: gain})

    def interval(
        self,
        measure: Callable[[Whole, Whole], float],
        *,
        draws: int = 1000,
        level: float = 0.95,
        seed: int = 0,
    ) -> tuple[float, float]:
        """A bootstrap interval of any measure, whole units (sequences, groups, days) drawn with replacement.

        Args:
            measure: of the right classes and the decisions, as numbers.
            draws: how many resamples.
            level: share of resamples inside, above 0 and below 1.
            seed: for the draws.
        """
        generator = np.random.default_rng(seed)
        order = np.argsort(self.units, kind="stable")
        rows = np.split(order, np.flatnonzero(np.diff(self.units[order])) + 1)
        found = []
        for _ in range(draws):
            chosen = np.concatenate([rows[one] for one in generator.integers(len(rows), size=len(rows))])
            found.append(measure(self.truth[chosen], self.decided[chosen]))
        low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values."""
        return {
            "verdict": self.verdict,
            "beats_trivial": self.beats_trivial,
            "labels": self.labels,
            "sequences": self.sequences,
            "gain_over_majority": _plain(self.gain),
            "gain_standard_error": _plain(self.gain_error),
            "scores": {
                name: {key: _plain(value) for key, value in vars(scores).items()}
                for name, scores in self.scores.items()
            },
            "classes": list(self.classes),
            "positive": None if self.positive is None else self.classes[self.positive],
            "confusion": self.confusion.tolist(),
            "by_class": {
                name: {key: _plain(value) for key, value in row.items()}
                for name, row in self.by_class.items()
            },
        }

    def __str__(self) -> str:
        """The table of scores and the verdict, as plain text."""
        return "\n".join([*aligned(table_rows(self)), self.verdict])


def score(
    probabilities: Float[np.ndarray, "labels classes"], truth: Whole, decided: Whole, positive: int | None
) -> Scores:
    """All measures of one method on labels that are there; average precision of the class `positive`."""
    count = len(probabilities)
    right = np.zeros_like(probabilities)
    right[np.arange(count), truth] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class that did not come has no recall: it is left out of the mean
        balanced = float(metrics.balanced_accuracy_score(truth, decided))
        stated = probabilities[np.arange(count), decided]
    bins = reliability(stated, decided == truth, _BINS)
    there = np.unique(truth)
    return Scores(
        accuracy=float((truth == decided).mean()),
        balanced_accuracy=balanced,
        macro_f1=float(metrics.f1_score(truth, decided, average="macro", zero_division=0)),
        mcc=float(metrics.matthews_corrcoef(truth, decided)),
        auc=_auc(probabilities, right, there),
        average_precision=float(
            metrics.average_precision_score(truth == positive, probabilities[:, positive])
        )
        if positive is not None and len(there) == 2
        else None,
        log_loss=float(-np.log(np.maximum(probabilities[np.arange(count), truth], _LEAST)).mean()),
        brier=float(((probabilities - right) ** 2).sum(axis=1).mean()),
        calibration_error=float(sum(abs(said - came) * n for said, came, n in bins) / count),
    )


def judge(
    probabilities: Float[np.ndarray, "labels classes"],
    truth: Whole,
    decided: Whole,
    units: Whole,
    *,
    model: str,
    classes: tuple[str, ...],
    shares: Float[np.ndarray, " classes"],
    sequences: int,
    positive: int | None = None,
) -> ClassEvaluation:
    """Compare a model with the majority class of the training labels on the same labels.

    Args:
        probabilities: (labels, classes).
        truth, decided: classes' numbers.
        units: the independent unit that each label belongs to.
        model: the model's name.
        classes: the classes' names.
        shares: of the classes among the training labels.
        sequences: how many sequences the labels are of.
        positive: of two classes the number of the one that average precision is of; None: the rarer one.
    """
    if positive is None and len(classes) == 2:
        positive = int(shares[1] <= shares[0])
    majority = int(shares.argmax())
    trivial = np.full(len(truth), majority, dtype=np.int64)
    own = score(probabilities, truth, decided, positive)
    scores = {model: own, MAJORITY: score(np.tile(shares, (len(truth), 1)), truth, trivial, positive)}
    gain, error = paired_gain((decided == truth).astype(float) - (trivial == truth), units)
    confusion = metrics.confusion_matrix(truth, decided, labels=np.arange(len(classes))).astype(np.int64)
    numbers = metrics.precision_recall_fscore_support(
        truth, decided, labels=np.arange(len(classes)), zero_division=0
    )
    return ClassEvaluation(
        model=model,
        scores=scores,
        classes=classes,
        confusion=confusion,
        by_class={
            name: {key: float(one[index]) for key, one in zip(_BY_CLASS, numbers, strict=True)}
            for index, name in enumerate(classes)
        },
        labels=len(truth),
        sequences=sequences,
        gain=gain,
        gain_error=error,
        verdict=_verdict(scores, model, gain, error, classes[majority], scores[MAJORITY]),
        probabilities=probabilities,
        truth=truth,
        decided=decided,
        units=units,
        majority=majority,
        positive=positive,
    )  # fmt: skip


def positive_class(positive: Any, classes: tuple[str, ...]) -> int | None:
    """The number of the class that a caller of `evaluate` names by `positive`; None stays None.

    Raises:
        ArgumentError: it is none of two classes.
    """
    if positive is None:
        return None
    if len(classes) != 2 or str(positive) not in classes:
        among = " or ".join(map(repr, classes)) if len(classes) == 2 else f"None for {len(classes)} classes"
        raise ArgumentError(f"positive: {among} is expected, came {positive!r:.60}")
    return classes.index(str(positive))


def table_rows(evaluation: ClassEvaluation) -> list[list[str]]:
    """Method and scores as text, a header first; a column for what applies to these classes."""
    named = "" if evaluation.positive is None else f" of {evaluation.classes[evaluation.positive]}"
    columns = [
        ("accuracy", "accuracy"), ("balanced_accuracy", "balanced"), ("macro_f1", "macro F1"), ("mcc", "MCC"),
        ("auc", "AUC"), ("average_precision", f"avg. precision{named}"), ("log_loss", "log loss"),
        ("calibration_error", "calib. error"),
    ]  # fmt: skip
    there = [
        (key, title)
        for key, title in columns
        if any(getattr(one, key) is not None for one in evaluation.scores.values())
    ]
    rows = [["", *(title for _, title in there)]]
    for name, scores in evaluation.scores.items():
        values = [getattr(scores, key) for key, _ in there]
        rows.append([name, *("" if value is None else f"{value:.3f}" for value in values)])
    return rows


def _auc(
    probabilities: Float[np.ndarray, "labels classes"],
    right: Float[np.ndarray, "labels classes"],
    there: Whole,
) -> float | None:
    """Over the classes that came, one against the rest."""
    if len(there) < 2:
        return None
    chosen = [1] if probabilities.shape[1] == 2 else there.tolist()
    return float(np.mean([metrics.roc_auc_score(right[:, one], probabilities[:, one]) for one in chosen]))


def _verdict(
    scores: dict[str, Scores], model: str, gain: float, error: float, majority: str, trivial: Scores
) -> str:
    """One or two sentences that a colleague can quote."""
    own = scores[model]
    figures = f"accuracy {own.accuracy:.1%} against {trivial.accuracy:.1%} for always saying {majority!r}"
    if is_above(gain, error):
        first = f"The model beats the majority class: {figures}{gain_words(gain, error)}."
    elif is_above(-gain, error):
        first = f"The model does NOT beat the majority class, it is below it: {figures}."
    else:
        first = (
            f"The model does NOT beat the majority class: {figures}{gain_words(gain, error)}, which is level."
        )
    better = own.log_loss < trivial.log_loss
    said = f"log loss {own.log_loss:.3f} against {trivial.log_loss:.3f} for the classes' shares"
    rank = "" if own.auc is None else f", AUC {own.auc:.3f}"
    second = f"Its probabilities {'say more than' if better else 'do NOT say more than'} the shares do: {said}{rank}."
    return f"{first} {second}"


def _plain(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
