"""Users' own tasks in a comparison: a table, and one of the library's estimators, with each cell in turn."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import torch
from torch import nn

from gatewise.compare.network import nearest_width, width_step
from gatewise.compare.problems import Measure, Trivial
from gatewise.compare.reach import watched
from gatewise.compare.suggest import check_keys
from gatewise.compare.variants import Variant
from gatewise.data import examples, read_table
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.tasks.base import Estimator
from gatewise.train import DivergenceError

__all__ = ["TableTask", "content_of", "read_data"]

# What ends a training after its first step, and keeps that one from diverging.
_NO_TIME, _NO_RATE = 1e-6, 1e-6


@dataclass(frozen=True)
class TableTask(ABC):
    """A table, and an estimator that learns from it with each cell in turn.

    Args:
        data: a file's path, or an example's name.
        options: further parameters of the estimator.
    """

    data: str
    options: Mapping[str, Any] = field(default_factory=dict)
    kind: ClassVar[str]
    source: ClassVar[str] = "a table of your own"
    unit: ClassVar[str] = "epoch"
    # Parameters of the estimator that the comparison itself decides.
    decided: ClassVar[tuple[str, ...]] = (
        "cell", "hidden_size", "num_layers", "max_time", "random_state", "checkpoint_folder", "progress",
        "members",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check the estimator's parameters, and that the data are there."""
        where = f"problem: {self.kind}: options"
        for name in self.decided:
            if name in self.options:
                raise ArgumentError(
                    f"{where}: {name} is decided by the comparison or named outside of options; leave it out"
                )
        check_keys(where, self.options, self._estimator_class()().get_params())
        if not isinstance(self.data, str):
            raise ArgumentTypeError(
                f"problem: {self.kind}: data: a file's path is expected, came {self.data!r}"
            )
        if self.data not in examples.names() and not Path(self.data).is_file():
            raise DataError(
                f"problem: {self.kind}: data: {self.data!r} is neither a file nor an example "
                f"({', '.join(examples.names())})"
            )

    @property
    def title(self) -> str:
        """The kind and the file."""
        return f"{self.kind} {Path(self.data).name}"

    @property
    @abstractmethod
    def measure(self) -> Measure:
        """What is looked at on the held-out part."""

    @abstractmethod
    def check(self, variants: Iterable[Variant]) -> None:
        """Raises where a cell, a parameter or the data cannot be, before anything is trained."""

    @abstractmethod
    def judge(self, estimator: Any) -> tuple[dict[str, float], Trivial, bool]:
        """The measures on the held-out part, the best trivial method, and whether the network beats it."""

    @abstractmethod
    def fit(self, estimator: Any) -> None:
        """Fit to the other part."""

    @staticmethod
    @abstractmethod
    def _estimator_class() -> type[Estimator]:
        """The estimator."""

    @staticmethod
    @abstractmethod
    def _network(plan: Any) -> nn.Module:
        """The network of a plan."""

    def identity(self) -> dict[str, Any]:
        """The options, and the file by its content, as plain JSON."""
        values = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return {
            **values,
            "data": Path(self.data).name,
            "content": content_of(self.data),
            "options": dict(self.options),
        }

    def estimator(self, variant: Variant, **further: Any) -> Any:
        """The estimator with a cell.

        Raises:
            ArgumentError: the variant starts its cell in a way of its own.
        """
        if variant.init != "torch":
            raise ArgumentError(
                f"cells: {variant.name!r}: {type(self).__name__} starts every cell in one way; leave +{variant.init} "
                "out where a table is compared"
            )
        return self._estimator_class()(**{**self.options, "cell": variant.program, **further})

    def width(self, variant: Variant, parameters: int, num_layers: int) -> int:
        """The hidden size whose network comes nearest to a number of parameters.

        The inputs' width follows from the data, so that one network is made without any training; others of its kind
        are then counted on no device at all.
        """
        return nearest_width(
            self._counter(variant, num_layers), parameters, step=width_step(variant.program), name=variant.program.name
        )  # fmt: skip

    def _counter(self, variant: Variant, num_layers: int) -> Callable[[int], int]:
        """How many numbers the network learns, by its hidden size."""
        probe = self.estimator(
            variant, hidden_size=width_step(variant.program), num_layers=num_layers, max_time=_NO_TIME,
            learning_rate=_NO_RATE, random_state=0, progress=False,
        )  # fmt: skip
        self.fit(probe)
        plan = probe.fitted_.network.plan

        def count(width: int) -> int:
            with torch.device("meta"):
                made = self._network(dataclasses.replace(plan, hidden_size=width))
            return sum(one.numel() for one in made.parameters())

        return count

    def learn(
        self, variant: Variant, *, seed: int, hidden_size: int, num_layers: int, seconds: float | None,
        checkpoints: Path | None, progress: bool, goal: float | None,
    ) -> dict[str, Any] | None:  # fmt: skip
        """Fit and test one network; its numbers as plain JSON, None where Ctrl-C came first.

        A training that diverges is a result too: one without a value.
        """
        estimator = self.estimator(
            variant, hidden_size=hidden_size, num_layers=num_layers, max_time=seconds, random_state=seed,
            checkpoint_folder=checkpoints, progress=progress,
        )  # fmt: skip
        try:
            self.fit(estimator)
        except DivergenceError as error:
            # Nothing was fitted, so that there is nothing to test: the run is done, without a value.
            return {
                "value": None, "solved": False, "measures": {}, "hidden_size": hidden_size,
                "parameters": self._counter(variant, num_layers)(hidden_size), "diverged": str(error),
                **_course(error.history.epochs, "diverged"),
            }  # fmt: skip
        if estimator.stopped_ == "interrupted":
            return None
        (tested, trivial, beats), reach = watched(estimator, lambda: self.judge(estimator))
        value = tested[self.measure.name]
        parameters = sum(one.numel() for one in estimator.fitted_.network.parameters())
        return {
            "value": value,
            "solved": beats if goal is None else dataclasses.replace(self.measure, goal=goal).met(value),
            "measures": tested,
            "trivial": dataclasses.asdict(trivial),
            "hidden_size": hidden_size,
            "parameters": parameters,
            "reach": reach,
            **_course(estimator.history_, estimator.stopped_),
        }


def content_of(data: str) -> str:
    """Sixteen digits of a file's content; of an example, nothing: its name says it."""
    path = Path(data)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


def read_data(data: str, columns: Mapping[str, str]) -> pa.Table:
    """A file's table, with some columns given the names of what they are.

    Args:
        data: a CSV or Parquet file's path.
        columns: names in the file by what they are to be called.

    Raises:
        DataError: the file cannot be read, or has no such column.
    """
    table = read_table(data)
    for meant, name in columns.items():
        if name not in table.column_names:
            raise DataError(f"{data!r} has no column {name!r}; it has: {', '.join(table.column_names)}")
        if meant != name and meant in table.column_names:
            table = table.drop_columns([meant])
        table = table.rename_columns([meant if one == name else one for one in table.column_names])
    return table


def _course(history: Sequence[Mapping[str, Any]], stopped: str) -> dict[str, Any]:
    """How a fit went: epochs in place of steps, and the loss on what was held back."""
    seconds, curve = 0.0, []
    for record in history:
        seconds += record["seconds"]
        curve.append([record["epoch"], round(seconds, 2), record["train_loss"], record["validation_loss"]])
    steps = history[-1]["step"] if history else 0
    return {
        "steps": steps,
        "solved_at": None,
        "stopped": stopped,
        "train_seconds": round(seconds, 2),
        "step_seconds": round(seconds / max(steps, 1), 6),
        "curve": curve,
    }
