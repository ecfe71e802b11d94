"""What `gatewise fit forecast` can do in the training rows before it fits: search parameters, cross-validate."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from sklearn.base import clone

from gatewise.cli.console import output, print_evaluation, say
from gatewise.data.files import csv_bytes
from gatewise.errors import ArgumentError
from gatewise.store import atomic_write
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast.search import SearchResult, search_parameters

__all__ = ["Before"]


@dataclass(frozen=True)
class Before:
    """The command's options.

    Args:
        search: trials, or 0.
        cv: windows of a cross-validation, or 0.
        cv_step: steps between its cutoffs; None: a horizon.
        refit: whether it fits at every cutoff.
    """

    search: int = 0
    cv: int = 0
    cv_step: int | None = None
    refit: bool = True

    def __post_init__(self) -> None:
        """Check what cannot be."""
        for name, value in (("--search", self.search), ("--cv", self.cv)):
            if value < 0:
                raise ArgumentError(f"{name}: a number of at least 0 is expected, came {value}")
        if self.cv_step is not None and not self.cv:
            raise ArgumentError("--cv-step: there is no cross-validation; say --cv WINDOWS too")

    @property
    def settings(self) -> dict[str, Any]:
        """What tells one run from another."""
        return asdict(self)

    def run(self, forecaster: Forecaster, rows: pa.Table, out: Path, checkpoints: Path) -> None:
        """Search and cross-validate in the training rows; a search changes the forecaster's parameters.

        Args:
            forecaster: not fitted.
            rows: the training rows; nothing that is held out for the test.
            out: the folder for search.json, cross_validation.csv and cross_validation.json.
            checkpoints: where an interrupted search keeps its trials.
        """
        if self.search:
            say(f"searching parameters in the training rows: {self.search} trials")
            checkpoints.mkdir(parents=True, exist_ok=True)
            found = search_parameters(
                forecaster, rows, n_trials=self.search, storage=checkpoints / "search.db"
            )
            forecaster.set_params(**found.parameters)
            atomic_write(out / "search.json", (json.dumps(asdict(found), indent=2) + "\n").encode())
            output.print(_found(found), soft_wrap=True)
        if self.cv:
            say(f"cross-validation in the training rows: {self.cv} windows")
            candidate = clone(forecaster)
            table = candidate.cross_validation(rows, self.cv, self.cv_step, self.refit, linear=True)
            evaluation = candidate.cross_validation_
            atomic_write(out / "cross_validation.csv", csv_bytes(table))
            text = json.dumps(evaluation.to_dict(), indent=2) + "\n"
            atomic_write(out / "cross_validation.json", text.encode())
            output.print(f"Cross-validation, {self.cv} windows:", soft_wrap=True)
            print_evaluation(evaluation)
            output.print()


def _found(found: SearchResult) -> str:
    if not found.parameters:
        return f"Search: none of {len(found.trials)} trials was better than the parameters as given ({found.score:.4g})"
    chosen = ", ".join(f"{name} {value}" for name, value in found.parameters.items())
    before = "" if found.default_score is None else f", {found.default_score:.4g} as given"
    return f"Search: best of {len(found.trials)} trials (scaled pinball loss {found.score:.4g}{before}): {chosen}"
