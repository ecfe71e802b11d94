"""The scores of the Numenta Anomaly Benchmark, from their definition (Lavin & Ahmad 2015).

A detection within a labelled window is worth the more the earlier it comes, once per window; a window that is missed
costs, and so does every detection outside, the less the sooner after a window it comes. The first 15 % of a file (of
its first 5,000 rows) are for learning and do not count. A corpus is scored so that a detector that never
alarms has 0 and one that alarms at the first row of every window has 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatewise.errors import ArgumentError, DataError
from gatewise.tasks.anomaly.labels import spans_of

__all__ = ["PROFILES", "Counts", "NabFile", "Profile", "best_nab", "probation", "score_nab"]

Values = NDArray[np.float64]
PROBATION_SHARE, PROBATION_ROWS = 0.15, 5000


@dataclass(frozen=True)
class Profile:
    """What detections are worth: a true one (at best), a false one, a missed window."""

    true_positive: float
    false_positive: float
    false_negative: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "reward_low_FP_rate": Profile(1.0, 0.22, 1.0),
    "reward_low_FN_rate": Profile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True)
class NabFile:
    """One file's scores and its windows.

    Args:
        scores: (rows,), higher is stranger.
        windows: pairs of first and last row (included), in order, apart from each other.
    """

    scores: Values
    windows: Sequence[tuple[int, int]]

    @classmethod
    def of_labels(cls, scores: Values, labels: NDArray[np.bool_]) -> NabFile:
        """A file whose windows are the runs of labelled rows."""
        return cls(scores, [(first, end - 1) for first, end in spans_of(labels)])


@dataclass(frozen=True)
class Counts:
    """Rows by what they are: detected or not, in a window or not; those of the probation are left out."""

    true_positives: int
    true_negatives: int
    false_positives: int
    false_negatives: int


def probation(rows: int) -> int:
    """How many rows at the beginning do not count.

    Example:
        >>> probation(4032), probation(22695)
        (604, 750)
    """
    return int(min(np.floor(PROBATION_SHARE * rows), PROBATION_SHARE * PROBATION_ROWS))


def score_nab(
    files: Sequence[NabFile], threshold: float, profile: Profile | str = "standard"
) -> tuple[float, list[float], list[Counts]]:
    """The score of a corpus at one threshold.

    Args:
        files: the corpus.
        threshold: a row is detected if its score is at least this.
        profile: one of `PROFILES`, or one of your own.

    Returns:
        The corpus' score, 0 for a detector that never alarms and 100 for the perfect one; the raw score of each file;
        and its counts.

    Raises:
        ArgumentError: an unknown profile.
        DataError: there is no window to find, or windows lie outside their file.

    Example:
        >>> scores = np.zeros(100)
        >>> score_nab([NabFile(scores, [(50, 59)])], 1.0)[0]
        0.0
        >>> scores[50] = 1.0
        >>> score_nab([NabFile(scores, [(50, 59)])], 1.0)[0]
        100.0
    """
    weights = _profile(profile)
    raw, counts = [], []
    for file in files:
        worth, window = _worth(file, weights)
        first = probation(len(file.scores))
        detected = np.where(np.isnan(file.scores), False, file.scores >= threshold)
        detected[:first] = False
        inside, counted = window >= 0, np.arange(len(file.scores)) >= first
        score = float(worth[detected & ~inside].sum())
        for index in np.unique(window[inside & counted]):
            hits = worth[detected & (window == index)]
            score += float(hits.max()) if len(hits) else -weights.false_negative
        raw.append(score)
        counts.append(
            Counts(
                int((detected & inside).sum()), int((counted & ~detected & ~inside).sum()),
                int((detected & ~inside).sum()), int((counted & ~detected & inside).sum()),
            )
        )  # fmt: skip
    return _normalised(sum(raw), files, weights), raw, counts


def best_nab(files: Sequence[NabFile], profile: Profile | str = "standard") -> tuple[float, float]:
    """The threshold that the benchmark itself would choose: the best on the labels; and the score there.

    Every score of the corpus is tried, and one above them all. The threshold is chosen with the labels that it is then
    scored on: a bound on what a threshold set beforehand can reach, not a promise.

    Args:
        files: the corpus.
        profile: one of `PROFILES`, or one of your own.

    Returns:
        (threshold, score)
    """
    weights = _profile(profile)
    scores, worths, names = [], [], []
    windows = 0
    for file in files:
        worth, window = _worth(file, weights)
        first = probation(len(file.scores))
        scores.append(file.scores[first:])
        worths.append(worth[first:])
        names.append(np.where(window[first:] >= 0, window[first:] + windows, -1))
        windows += len(file.windows)
    score, worth, name = (np.concatenate(parts) for parts in (scores, worths, names))
    score = np.where(np.isnan(score), -np.inf, score)
    order = np.argsort(-score, kind="stable")
    best = np.full(windows, -weights.false_negative)
    total = -weights.false_negative * len(np.unique(name[name >= 0]))
    champion, champion_score = float("inf"), total
    for place, row in enumerate(order):
        if name[row] < 0:
            total += worth[row]
        elif worth[row] > best[name[row]]:
            total += worth[row] - best[name[row]]
            best[name[row]] = worth[row]
        whole = place + 1 == len(order) or score[order[place + 1]] != score[row]
        if whole and total > champion_score and np.isfinite(score[row]):
            champion, champion_score = float(score[row]), total
    return champion, _normalised(champion_score, files, weights)


def _profile(profile: Profile | str) -> Profile:
    if isinstance(profile, Profile):
        return profile
    if profile not in PROFILES:
        raise ArgumentError(f"profile: one of {', '.join(PROFILES)} is expected, came {profile!r}")
    return PROFILES[profile]


def _sigmoid(position: Values) -> Values:
    """From 1 far before the end of a window over 0 at its end to -1 far behind it (Lavin & Ahmad 2015, eq. 1)."""
    bounded = np.clip(position, -50, 50)
    return np.where(position >= 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * bounded)) - 1.0)


def _worth(file: NabFile, weights: Profile) -> tuple[Values, NDArray[np.int64]]:
    """What a detection at each row is worth, and the window that the row lies in (-1: none)."""
    rows = np.arange(len(file.scores))
    window = np.full(len(rows), -1)
    position = np.full(len(rows), 3.0)
    ends = -1
    for index, (first, last) in enumerate(file.windows):
        if not ends < first <= last < len(rows):
            raise DataError(
                f"windows: pairs of first and last row in order and within the {len(rows)} rows are expected, came "
                f"{tuple(file.windows[index])}"
            )
        width = last - first + 1
        window[first : last + 1] = index
        # The last row of a window stands one place before its end, the first one a whole width.
        position[first : last + 1] = (rows[first : last + 1] - last - 1) / width
        position[last + 1 :] = (rows[last + 1 :] - last) / max(width - 1, 1)
        ends = last
    value = _sigmoid(position)
    best = _sigmoid(np.array([-1.0]))[0]
    return np.where(window >= 0, weights.true_positive * value / best, weights.false_positive * value), window


def _normalised(raw: float, files: Sequence[NabFile], weights: Profile) -> float:
    windows = sum(len(file.windows) for file in files)
    if windows == 0:
        raise DataError("windows: no file has one, so there is nothing to find and no score")
    null, perfect = -weights.false_negative * windows, weights.true_positive * windows
    return 100.0 * (raw - null) / (perfect - null)
