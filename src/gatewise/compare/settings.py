"""What a comparison is asked to do: problems, cells, seeds, budgets, training; and what tells one run from another."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatewise.compare.network import count_parameters, solve_width
from gatewise.compare.problems import Measure, Problem
from gatewise.compare.suggest import check_keys
from gatewise.compare.tables import TableTask
from gatewise.compare.variants import Variant
from gatewise.errors import ArgumentError, ArgumentTypeError, GatewiseError
from gatewise.train import TrainConfig

__all__ = ["Budget", "Plan", "Run", "Subject", "Training"]

Subject = Problem | TableTask
_ENDLESS = 10**6


@dataclass(frozen=True)
class Budget:
    """What every cell gets alike.

    Args:
        parameters: each cell's hidden size is the one whose network comes nearest to so many, or None.
        hidden_size: the hidden size of all cells instead, or None.
        num_layers: recurrent layers.
        steps: optimiser steps at most; None: no limit but `seconds`.
        seconds: of training at most, looks at held-out sequences included; None: no limit.

    Raises:
        ArgumentError: both widths or none are given, or a number is out of range.
    """

    parameters: int | None = None
    hidden_size: int | None = None
    num_layers: int = 1
    steps: int | None = None
    seconds: float | int | None = None

    def __post_init__(self) -> None:
        """Check that there is one width, and every number."""
        for name in ("parameters", "hidden_size", "num_layers", "steps"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
                raise ArgumentTypeError(f"budget: {name}: a whole number is expected, came {value!r}")
            if value is not None and value < 1:
                raise ArgumentError(f"budget: {name}: at least 1 is expected, came {value}")
        if self.seconds is not None and (not isinstance(self.seconds, int | float) or not self.seconds > 0):
            raise ArgumentError(f"budget: seconds: a number above 0 is expected, came {self.seconds!r}")
        if (self.parameters is None) == (self.hidden_size is None):
            raise ArgumentError(
                "budget: either parameters (equal for all cells) or hidden_size is expected, came "
                + ("both" if self.parameters is not None else "neither")
            )

    def words(self) -> str:
        """The budget in one line."""
        width = (
            f"about {self.parameters:,} parameters"
            if self.parameters is not None
            else f"{self.hidden_size} units"
        )
        layers = "" if self.num_layers == 1 else f" in {self.num_layers} layers"
        limits = [f"{self.steps:,} steps"] if self.steps is not None else []
        limits += [f"{self.seconds:g} s"] if self.seconds is not None else []
        most = f", at most {' and '.join(limits)}" if limits else ""
        return f"{width}{layers}{most} each"


@dataclass(frozen=True)
class Training:
    """How networks learn the classic problems.

    Args:
        batch_size: sequences of a step.
        validate_every: steps between two looks at held-out sequences.
        stop_when_solved: whether a run ends when held-out sequences meet the goal.
        dropout: in training, 0 to 1 (exclusive).
        learning_rate, optimizer, schedule, warmup_steps, weight_decay, momentum, gradient_clip, averaging, device: as
            in `gatewise.train.TrainConfig`.
    """

    learning_rate: float = 2e-3
    optimizer: str = "adam"
    schedule: str = "constant"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    momentum: float = 0.9
    gradient_clip: float | None = 1.0
    averaging: str | None = None
    device: str = "auto"
    batch_size: int = 32
    validate_every: int = 200
    stop_when_solved: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("batch_size", "validate_every"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ArgumentError(
                    f"training: {name}: a whole number of at least 1 is expected, came {value!r}"
                )
        if not isinstance(self.stop_when_solved, bool):
            raise ArgumentTypeError(
                f"training: stop_when_solved: true or false is expected, came {self.stop_when_solved!r}"
            )
        if not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise ArgumentError(
                f"training: dropout: a number from 0 to below 1 is expected, came {self.dropout!r}"
            )
        try:
            self.config(Budget(hidden_size=1, steps=1), seed=0)
        except GatewiseError as error:
            raise type(error)(f"training: {error}") from error

    def changed(self, own: Mapping[str, Any], where: str) -> Training:
        """The same with some values of a variant's own."""
        check_keys(where, own, (one.name for one in dataclasses.fields(self)))
        return dataclasses.replace(self, **own)

    def config(self, budget: Budget, *, seed: int, **further: Any) -> TrainConfig:
        """What `gatewise.train.fit` is told."""
        named = ("learning_rate", "optimizer", "schedule", "warmup_steps", "weight_decay", "momentum",
                 "gradient_clip", "averaging", "device")  # fmt: skip
        epochs = _ENDLESS if budget.steps is None else -(-budget.steps // self.validate_every)
        return TrainConfig(
            max_epochs=epochs, max_steps=budget.steps, max_time=budget.seconds, seed=seed, patience=None,
            precision="float32", **{name: getattr(self, name) for name in named}, **further,
        )  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One network to be trained: a problem, a cell, a seed.

    Args:
        problem: what is learned.
        measure: what is looked at, with the goal of this comparison.
        variant: the cell and how it starts.
        seed: of the weights and of the training sequences.
        hidden_size: of the recurrent layers; None where a table's network is yet to be measured.
        budget: what every cell gets.
        training: how it learns.
    """

    problem: Subject
    measure: Measure
    variant: Variant
    seed: int
    hidden_size: int | None
    budget: Budget
    training: Training

    @property
    def key(self) -> dict[str, Any]:
        """Problem, cell and seed."""
        return {"problem": self.problem.title, "cell": self.variant.name, "seed": self.seed}

    @property
    def identity(self) -> dict[str, Any]:
        """All that a run's numbers depend on, as plain JSON: lines of another identity are not this run's."""
        limits: dict[str, Any] = {"steps": self.budget.steps, "seconds": self.budget.seconds}
        width = (
            {"parameters": self.budget.parameters}
            if self.hidden_size is None
            else {"hidden_size": self.hidden_size}
        )
        training = dataclasses.asdict(self.training)
        del training["device"]
        return {
            "problem": {"kind": self.problem.kind, **self.problem.identity()},
            "goal": self.measure.goal,
            "cell": self.variant.name,
            "equations": hashlib.sha256(self.variant.program.to_json().encode()).hexdigest()[:16],
            "seed": self.seed,
            **width,
            "num_layers": self.budget.num_layers,
            **limits,
            # A table's estimator has a training of its own, which its identity holds.
            **({"training": training} if isinstance(self.problem, Problem) else {}),
        }


@dataclass(frozen=True)
class Plan:
    """A whole comparison.

    Args:
        title: what the report is headed with.
        problems: what is learned, easiest first; each with its measure.
        variants: what is compared.
        seeds: one run of each problem and variant for each.
        budget: what every cell gets.
        training: how networks learn the classic problems.

    Raises:
        ArgumentError: there is a classic problem, and nothing would end its runs.
    """

    title: str
    problems: tuple[tuple[Subject, Measure], ...]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    budget: Budget
    training: Training

    def __post_init__(self) -> None:
        """Check that every run ends."""
        classic = [problem.title for problem, _ in self.problems if isinstance(problem, Problem)]
        if classic and self.budget.steps is None and self.budget.seconds is None:
            raise ArgumentError(
                f"budget: steps, seconds or both are expected, came neither; nothing would end a run of {classic[0]!r}"
            )

    def runs(self) -> list[Run]:
        """All runs, problem by problem, seed by seed, so that a part of them can be compared already.

        Raises:
            ArgumentError: a budget is impossible for a cell.
        """
        made = []
        for problem, measure in self.problems:
            for seed in self.seeds:
                for variant in self.variants:
                    _check_inputs(problem, variant)
                    own = self.training.changed(variant.training, f'cell."{variant.name}"')
                    width = self.width(problem, variant)
                    made.append(Run(problem, measure, variant, seed, width, self.budget, own))
        return made

    def width(self, problem: Subject, variant: Variant) -> int | None:
        """A cell's hidden size, solved from the budget; None where a table's network is yet to be measured."""
        if self.budget.hidden_size is not None:
            return self.budget.hidden_size
        if not isinstance(problem, Problem) or self.budget.parameters is None:
            return None
        return solve_width(
            variant.program, problem.inputs, problem.outputs, self.budget.parameters, self.budget.num_layers
        )

    def parameters(self, problem: Problem, variant: Variant) -> int:
        """How many numbers a cell's network learns."""
        width = self.width(problem, variant) or 1
        return count_parameters(
            variant.program, problem.inputs, problem.outputs, width, self.budget.num_layers
        )


def _check_inputs(problem: Subject, variant: Variant) -> None:
    if isinstance(problem, Problem) and len(variant.program.inputs) > 1:
        further = ", ".join(one.name for one in variant.program.inputs[1:])
        raise ArgumentError(
            f"cells: {variant.name!r} reads {further} beside its input, which {problem.kind!r} does not have; leave "
            "the cell out, or compare it on a table of yours alone"
        )
