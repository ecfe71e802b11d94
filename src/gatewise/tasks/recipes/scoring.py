"""From records to probabilities: classifiers that know the kinds that were shown, and a density that knows none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from gatewise.data.sequences import Sequences
from gatewise.tasks.classify import SequenceClassifier
from gatewise.tasks.recipes.novelty import Novelty
from gatewise.tasks.recipes.tails import Tail
from gatewise.tasks.recipes.tokens import FieldTokens

__all__ = ["Member", "Mixing", "Scorer", "binned", "binned_record", "logits_of"]

Scores = Float[np.ndarray, " records"]
_EDGE = 1e-12
_BIN = "{} (bin)"


@dataclass(frozen=True)
class Member:
    """One classifier of the detector.

    Args:
        classifier: fitted.
        bins: the bins of numbers that it reads besides, or None.
    """

    classifier: SequenceClassifier
    bins: FieldTokens | None

    def probabilities(self, sequences: Sequences) -> Scores:
        """The probability of each row to be bad."""
        return self.classifier.fitted_.probabilities(binned(sequences, self.bins))[:, 1]


@dataclass(frozen=True)
class Mixing:
    """One probability from a classifier's logit and a record's novelty: the stranger of the two speaks.

    Both are put on the scale of how rare they are among harmless records that nothing was fitted to; the larger is
    taken, so that an alarm is raised where either would raise it; one logistic curve makes it a probability (Platt
    1999).

    Args:
        known, novel: the scales of logits and of novelty.
        slope, intercept: of the curve, slope above 0.
    """

    known: Tail
    novel: Tail
    slope: float
    intercept: float

    @classmethod
    def fit(
        cls, logits: Scores, novelty: Scores, bad: Bool[np.ndarray, " records"], bad_share: float
    ) -> Self:
        """Learn it from records that were held back.

        Args:
            logits, novelty: of each.
            bad: which are bad; where none is, Bayes' rule with tails alone gives the curve.
            bad_share: of bad records in training, above 0 and below 1, which probabilities are made for.
        """
        known, novel = Tail.fit(logits[~bad]), Tail.fit(novelty[~bad])
        plain = cls(known, novel, 1.0, float(logit(bad_share)))
        if not bad.any():
            return plain
        nats = plain.nats(logits, novelty)
        weights = np.where(bad, bad_share / bad.mean(), (1 - bad_share) / (1 - bad.mean()))
        curve = LogisticRegression(C=100.0).fit(nats[:, None], bad, sample_weight=weights)
        slope = float(curve.coef_[0, 0])
        # Where bad records held back are no stranger than harmless ones, ranks must stay as they are.
        return replace(plain, slope=slope, intercept=float(curve.intercept_[0])) if slope > 1e-3 else plain

    def nats(self, logits: Scores, novelty: Scores) -> Scores:
        """The larger rarity of the two."""
        return np.maximum(self.known(logits), self.novel(novelty))

    def probabilities(self, logits: Scores, novelty: Scores) -> Scores:
        """The probability of each record to be bad."""
        return np.asarray(expit(self.slope * self.nats(logits, novelty) + self.intercept))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "known": self.known.to_dict(), "novel": self.novel.to_dict(), "slope": self.slope,
            "intercept": self.intercept,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """From what `to_dict` gave."""
        return cls(
            Tail.from_dict(stored["known"]), Tail.from_dict(stored["novel"]), float(stored["slope"]),
            float(stored["intercept"]),
        )  # fmt: skip


@dataclass(frozen=True)
class Scorer:
    """What a fitted detector knows.

    Args:
        members: its classifiers; their mean logit counts.
        novelty: the density of harmless records, or None.
        mixing: what makes one of both, or None without a density.
    """

    members: tuple[Member, ...]
    novelty: Novelty | None
    mixing: Mixing | None

    def probabilities(self, sequences: Sequences) -> Scores:
        """The probability of each row to be bad, (rows,)."""
        if len(self.members) == 1 and self.novelty is None:
            return self.members[0].probabilities(sequences)
        found = [logits_of(member.probabilities(sequences)) for member in self.members]
        return self.mixed(
            np.mean(found, axis=0), None if self.novelty is None else self.novelty.scores(sequences)
        )

    def mixed(self, logits: Scores, novelty: Scores | None) -> Scores:
        """Probabilities from the members' mean logits and, where there is a density, from novelty."""
        if self.mixing is None or novelty is None:
            return np.asarray(expit(logits))
        return self.mixing.probabilities(logits, novelty)


def logits_of(probabilities: Scores) -> Scores:
    """log p / (1 - p), finite."""
    return np.asarray(logit(np.clip(probabilities, _EDGE, 1 - _EDGE)))


def binned(sequences: Sequences, bins: FieldTokens | None) -> Sequences:
    """The sequences with a category besides for each column of numbers: the bin of its value."""
    if bins is None:
        return sequences
    codes = bins.encode(sequences.values, np.empty((sequences.rows, 0), dtype=object))
    texts: NDArray[np.object_] = codes.astype(str).astype(object)
    return replace(
        sequences,
        texts=np.concatenate([sequences.texts, texts], axis=1),
        categories=(*sequences.categories, *(_BIN.format(name) for name in bins.channels)),
    )


def binned_record(record: Mapping[str, Any], bins: FieldTokens | None) -> Mapping[str, Any]:
    """The same of one record."""
    if bins is None:
        return record
    codes = bins.record(record)[0]
    return {
        **record,
        **{_BIN.format(name): str(code) for name, code in zip(bins.channels, codes, strict=True)},
    }
