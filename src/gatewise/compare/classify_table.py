"""Sequences of a table that are classified with each cell in turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from torch import nn

from gatewise.compare.problems import Measure, Trivial
from gatewise.compare.suggest import check_keys
from gatewise.compare.tables import TableTask, content_of, read_data
from gatewise.compare.variants import Variant
from gatewise.data.identity import identity_names
from gatewise.errors import DataError
from gatewise.tasks import SequenceClassifier
from gatewise.tasks.base import Estimator
from gatewise.tasks.classify.ensemble import Ensemble
from gatewise.tasks.classify.evaluation import MAJORITY
from gatewise.tasks.classify.splits import hold_out

__all__ = ["ClassifyTable"]

_TEST_SHARE = 0.2


@dataclass(frozen=True)
class ClassifyTable(TableTask):
    """Sequences that a `SequenceClassifier` classifies; measured by accuracy on whole sequences that are held out.

    Args:
        data: a file's path.
        options: further parameters of the `SequenceClassifier`.
        columns: names in the file by what they are: id, time, label.
        group: a column with what must not be torn apart (the patient, the machine), or None; it is no input.
        test_data: a file with the sequences to test on; None: a fifth of those in `data`, the same for all cells.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    test_data: str | None = None
    kind: ClassVar[str] = "classify"
    decided: ClassVar[tuple[str, ...]] = (
        *TableTask.decided, "id_column", "time_column", "label_column", "output",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check the columns' roles and the second file too."""
        super().__post_init__()
        check_keys("problem: classify: columns", self.columns, ("id", "time", "label"))
        if self.test_data is not None and not Path(self.test_data).is_file():
            raise DataError(f"problem: classify: test_data: there is no file {self.test_data!r}")

    def identity(self) -> dict[str, Any]:
        """The options, and both files by their content, as plain JSON."""
        found = super().identity()
        if self.test_data is not None:
            found |= {"test_data": Path(self.test_data).name, "test_content": content_of(self.test_data)}
        return found

    @property
    def measure(self) -> Measure:
        """The share of labels that are right."""
        return Measure("accuracy", "labels that are right", goal=None, percent=True)

    @staticmethod
    def _estimator_class() -> type[Estimator]:
        return SequenceClassifier

    @staticmethod
    def _network(plan: Any) -> nn.Module:
        return Ensemble(plan, 1)

    def estimator(self, variant: Variant, **further: Any) -> Any:
        """The classifier with a cell."""
        named = {f"{role}_column": name for role, name in self.columns.items()}
        return super().estimator(variant, **named, **further)

    def check(self, variants: Iterable[Variant]) -> None:
        """Raises where a cell, a parameter or the table cannot be."""
        for variant in variants:
            self._data(self.estimator(variant))

    def fit(self, estimator: Any) -> None:
        """Fit to the sequences that are not held out."""
        kept, _ = self._data(estimator)
        estimator.fit(kept, groups=self.group)

    def judge(self, estimator: Any) -> tuple[dict[str, float], Trivial, bool]:
        """Scores on the sequences that are held out, beside the majority class."""
        found = estimator.evaluate(self._data(estimator)[1], groups=self.group)
        own, trivial = found.scores[found.model], found.scores[MAJORITY]
        tested = {"accuracy": float(own.accuracy), "macro_f1": float(own.macro_f1)}
        return tested, Trivial(MAJORITY, float(trivial.accuracy)), bool(found.beats_trivial)

    def _data(self, estimator: Any) -> tuple[pa.Table, pa.Table]:
        """The rows to fit to and the rows to test on."""
        if self.test_data is not None:
            return read_data(self.data, {}), read_data(self.test_data, {})
        return _split(self.data, estimator.id_column, estimator.label_column, self.group)


@lru_cache(maxsize=1)
def _split(data: str, identity: str, label: str, group: str | None) -> tuple[pa.Table, pa.Table]:
    """Whole sequences, whole groups, the classes' shares alike."""
    table = read_data(data, {})
    for name in (identity, label, *([] if group is None else [group])):
        if name not in table.column_names:
            raise DataError(
                f"problem: classify: {data!r} has no column {name!r}; it has: {', '.join(table.column_names)}. Say in "
                "columns which is which"
            )
    names = identity_names(table.column(identity).to_pylist())
    places, first, owner = np.unique(names, return_index=True, return_inverse=True)
    labels = identity_names(table.column(label).to_pylist())[first]
    groups = None if group is None else identity_names(table.column(group).to_pylist())[first]
    codes = np.unique(labels, return_inverse=True)[1].astype(np.int64).reshape(-1)
    tested = np.isin(owner.reshape(-1), hold_out(codes, groups, _TEST_SHARE, seed=0)[1])
    if tested.all() or not tested.any():
        raise DataError(
            f"problem: classify: {len(places)} sequences in {data!r} are too few to hold some out"
        )
    return table.filter(pa.array(~tested)), table.filter(pa.array(tested))
