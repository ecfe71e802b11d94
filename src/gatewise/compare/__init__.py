"""Comparing cells: on the classic problems of long dependencies and on users' own tables, at equal budgets.

Example:
    >>> from gatewise.compare import PROBLEMS
    >>> sorted(PROBLEMS)
    ['adding', 'adding-1997', 'copying', 'dyck', 'sequential-mnist', 'temporal-order']
"""

from __future__ import annotations

from gatewise.compare.comparison import Comparison, compare
from gatewise.compare.config import EXAMPLE, parse_plan, read_plan
from gatewise.compare.problems import PROBLEMS
from gatewise.compare.settings import Budget, Plan, Run, Training

__all__ = [
    "EXAMPLE", "PROBLEMS", "Budget", "Comparison", "Plan", "Run", "Training", "compare", "parse_plan", "read_plan",
]  # fmt: skip
