"""Which sequences are held back: to stop early and to calibrate. Whole groups, each class's share alike."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from gatewise.data.identity import identity_names
from gatewise.errors import DataError

__all__ = ["hold_out"]

Whole = NDArray[np.int64]


def hold_out(labels: Whole, groups: Any, share: float, seed: int) -> tuple[Whole, Whole]:
    """Indices of the sequences to train on, and of those to hold back.

    Args:
        labels: (sequences,) a class each, by which both parts are made alike.
        groups: (sequences,) what must not be torn apart (a patient, a card, a recording), or None.
        share: which part is held back, above 0 and below 1.
        seed: for the draw.

    Returns:
        Two sorted arrays of indices.

    Raises:
        DataError: there are not two sequences, or not two groups.

    Example:
        >>> kept, held = hold_out(np.array([0] * 8 + [1] * 4), None, 0.25, seed=0)
        >>> len(kept), len(held)
        (9, 3)
    """
    count = len(labels)
    generator = np.random.default_rng(seed)
    if groups is not None:
        return _by_group(labels, np.asarray(groups), share, seed)
    if count < 2:
        raise DataError(
            f"X: at least 2 sequences are needed, one to learn from and one to stop by, came n_samples = {count} "
            "(1 sample)"
        )
    held = []
    for one in np.unique(labels):
        own = generator.permutation(np.flatnonzero(labels == one))
        # A class of one stays in training; of several, at least one is held back.
        held.append(own[: max(round(len(own) * share), min(1, len(own) - 1))])
    chosen = np.sort(np.concatenate(held)).astype(np.int64)
    if not len(chosen):
        chosen = generator.permutation(count)[:1].astype(np.int64)
    return np.setdiff1d(np.arange(count), chosen), chosen


def _by_group(labels: Whole, groups: NDArray[Any], share: float, seed: int) -> tuple[Whole, Whole]:
    if groups.shape != labels.shape:
        raise DataError(
            f"groups: one for each of the {len(labels)} sequences is expected, came shape {groups.shape}"
        )
    named = np.unique(identity_names(groups), return_inverse=True)[1].reshape(-1)
    several = int(named.max()) + 1
    if several < 2:
        raise DataError(
            "groups: at least 2 groups are needed, one to learn from and one to stop by, came one; leave groups out"
        )
    # No more folds than the most frequent class has members: scikit-learn refuses that, and rightly.
    most = int(np.unique(labels, return_counts=True)[1].max())
    folds = max(2, min(several, most, round(1 / share)))
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class with fewer members than folds is missing in some of them
        options = [
            held
            for _, held in splitter.split(np.zeros(len(labels)), labels if most > 1 else named * 0, named)
        ]
    # The fold with the most classes, then the one whose size comes nearest to what was asked for.
    wanted = share * len(labels)
    chosen = max(options, key=lambda held: (len(np.unique(labels[held])), -abs(len(held) - wanted)))
    held = np.sort(chosen).astype(np.int64)
    return np.setdiff1d(np.arange(len(labels)), held), held
