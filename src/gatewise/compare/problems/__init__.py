"""The classic problems that recurrent networks are compared on, each as its source defines it."""

from __future__ import annotations

from gatewise.compare.problems.adding import Adding, Adding1997
from gatewise.compare.problems.base import Measure, Problem, Trivial
from gatewise.compare.problems.copying import Copying
from gatewise.compare.problems.dyck import Dyck
from gatewise.compare.problems.images import SequentialMNIST
from gatewise.compare.problems.temporal_order import TemporalOrder

__all__ = [
    "PROBLEMS", "Adding", "Adding1997", "Copying", "Dyck", "Measure", "Problem", "SequentialMNIST", "TemporalOrder",
    "Trivial",
]  # fmt: skip

PROBLEMS: dict[str, type[Problem]] = {
    problem.kind: problem for problem in (Adding, Adding1997, Copying, TemporalOrder, Dyck, SequentialMNIST)
}
