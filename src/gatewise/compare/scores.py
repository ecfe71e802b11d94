"""What came out, gathered: for each problem and cell the values of all seeds, with mean and spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.compare.problems import Measure, Problem, Trivial
from gatewise.compare.settings import Plan, Run, Subject

__all__ = ["CellScore", "ProblemScore", "gather"]

_LEAST = 1e-12


@dataclass(frozen=True)
class CellScore:
    """One cell on one problem.

    Args:
        name: the variant's.
        rows: the lines of its runs that are done, one for each seed.
        wanted: how many there are to be.
    """

    name: str
    rows: tuple[Mapping[str, Any], ...]
    wanted: int

    @property
    def values(self) -> list[float]:
        """The measure of each run that has one (a run that diverged at once has none)."""
        return [float(row["value"]) for row in self.rows if row["value"] is not None]

    @property
    def solved(self) -> int:
        """How many runs met the goal."""
        return sum(bool(row["solved"]) for row in self.rows)

    @property
    def always(self) -> bool:
        """Whether all of them did."""
        return 0 < len(self.rows) == self.solved

    @property
    def diverged(self) -> int:
        """How many runs ended with numbers that are not finite."""
        return sum(row["stopped"] == "diverged" for row in self.rows)

    @property
    def solved_at(self) -> list[int]:
        """After how many steps held-out sequences first met the goal, of the runs where they did."""
        return [int(row["solved_at"]) for row in self.rows if row["solved_at"] is not None]

    def common(self, name: str) -> Any:
        """What all runs share (a width, a number of parameters), or None before the first."""
        return self.rows[0][name] if self.rows else None

    def mean_of(self, name: str) -> float:
        """The mean of a number over the runs; NaN before the first."""
        return float(np.mean([row[name] for row in self.rows])) if self.rows else math.nan


@dataclass(frozen=True)
class ProblemScore:
    """All cells on one problem.

    Args:
        problem: which.
        measure: with the goal of this comparison.
        trivial: what the trivial answer is worth, or None while nobody knows.
        cells: in the order of the configuration.
    """

    problem: Subject
    measure: Measure
    trivial: Trivial | None
    cells: tuple[CellScore, ...]

    @property
    def done(self) -> tuple[CellScore, ...]:
        """The cells with at least one value."""
        return tuple(cell for cell in self.cells if cell.values)

    def scaled(self, values: Sequence[float]) -> list[float]:
        """Values as they are compared: their logarithms, where the measure spans orders of magnitude."""
        return [math.log(max(one, _LEAST)) for one in values] if self.measure.log else list(values)

    def center(self, values: Sequence[float]) -> float:
        """The mean; the geometric one, where the measure spans orders of magnitude."""
        mean = float(np.mean(self.scaled(values)))
        return math.exp(mean) if self.measure.log else mean

    def spread_text(self, values: Sequence[float]) -> str:
        """Mean and spread as they are printed: the standard deviation, or the least and the largest."""
        if not values:
            return "none"
        text = self.measure.text(self.center(values))
        if len(values) == 1:
            return text
        if self.measure.log:
            return f"{text} ({self.measure.text(min(values))} to {self.measure.text(max(values))})"
        deviation = float(np.std(values, ddof=1))
        return f"{text} ± {deviation:.1%}" if self.measure.percent else f"{text} ± {deviation:.2g}"


def gather(plan: Plan, done: Sequence[tuple[Run, Mapping[str, Any]]]) -> list[ProblemScore]:
    """The scores of all problems.

    Args:
        plan: the comparison.
        done: the runs that are done, and their lines.
    """
    scores = []
    for problem, measure in plan.problems:
        own = [(run, row) for run, row in done if run.problem is problem]
        cells = tuple(
            CellScore(variant.name, tuple(row for run, row in own if run.variant is variant), len(plan.seeds))
            for variant in plan.variants
        )
        scores.append(ProblemScore(problem, measure, _trivial(problem, own), cells))
    return scores


def _trivial(problem: Subject, own: Sequence[tuple[Run, Mapping[str, Any]]]) -> Trivial | None:
    if isinstance(problem, Problem):
        return problem.trivial()
    # A run that diverged does not know it.
    return next((Trivial(**row["trivial"]) for _, row in own if "trivial" in row), None)
