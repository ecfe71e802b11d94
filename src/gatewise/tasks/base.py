"""What all estimators share: scikit-learn's contract, seeds, and the check that something was fitted."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from gatewise.checks import unwrapped
from gatewise.nn.arguments import no_type_check

__all__ = ["Estimator"]


class Estimator(BaseEstimator):
    """Base of the tasks' estimators: `__init__` stores, `fit` returns self, what was learned ends in `_`."""

    # The attribute that says that something was fitted.
    _learned = "fitted_"

    @no_type_check
    def save(self, path: str | os.PathLike[str]) -> None:
        """Save into a model folder: config.json, model.safetensors, card.md.

        Args:
            path: the folder; made if need be.

        Raises:
            StoreError: it cannot be written.
        """
        self._require_fitted(self._learned)
        self._persistence()[0](self, Path(path))

    @classmethod
    @no_type_check
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load from a model folder; nothing in it is executed or unpickled, and the source of the cell is not needed.

        Args:
            path: the folder.

        Raises:
            StoreError: the folder holds another kind of model, is torn, its files do not belong together, or it was
                written by a newer version.
        """
        return cls._persistence()[1](cls, Path(path))

    @classmethod
    def _persistence(cls) -> tuple[Callable[..., None], Callable[..., Any]]:
        """What saves (estimator, folder) and what loads (class, folder) estimators of this kind."""
        raise NotImplementedError

    def _remember_training(self, result: Any) -> None:
        """Set what every estimator knows after `fit`.

        Args:
            result: with the fitted model (`fitted`), its training (`history`), how long it all took (`seconds`), and
                what was held back, in words (`validation`).
        """
        self.fitted_ = result.fitted
        self.history_ = result.history.epochs
        self.best_epoch_ = result.history.best_epoch
        self.stopped_ = result.history.stopped
        self.fit_seconds_ = result.seconds
        self.validation_ = result.validation

    def _plain(self) -> Self:
        """A copy with numpy's numbers, flags and words among the parameters made plain; `fit` reads its settings here.

        The estimator's own parameters stay as they were given, which scikit-learn's `clone` asks for.
        """
        own = copy.copy(self)
        for name in self.get_params(deep=False):
            setattr(own, name, unwrapped(getattr(self, name)))
        return own

    def _seed(self) -> int:
        """A seed from `random_state`: an integer, a numpy RandomState, or None for a new one each time."""
        state: Any = getattr(self, "random_state", None)
        if isinstance(state, int | np.integer) and not isinstance(state, bool) and 0 <= int(state) < 2**32:
            return int(state)
        return int(check_random_state(state).randint(2**31 - 1))

    def _require_fitted(self, attribute: str) -> None:
        if not hasattr(self, attribute):
            name = type(self).__name__
            raise NotFittedError(
                f"this {name} is not fitted yet: call fit, or {name}.load, before this method"
            )
