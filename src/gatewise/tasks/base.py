"""What all estimators share: scikit-learn's contract, seeds, and the check that something was fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

__all__ = ["Estimator"]


class Estimator(BaseEstimator):
    """Base of the tasks' estimators: `__init__` stores, `fit` returns self, what was learned ends in `_`."""

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
