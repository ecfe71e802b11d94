"""One run on a classic problem: train, look at held-out sequences, test."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gatewise.compare.network import Network
from gatewise.compare.problems import Problem
from gatewise.compare.problems.base import Batch
from gatewise.compare.reach import ROWS, reach_of
from gatewise.compare.settings import Run
from gatewise.errors import ArgumentTypeError
from gatewise.train import DivergenceError, History, fit
from gatewise.train.progress import Progress

__all__ = ["ProblemObjective", "ProblemSource", "evaluate", "learn"]


class ProblemSource:
    """A problem's training sequences for `gatewise.train.fit`: an epoch is what lies between two validations.

    Args:
        problem: what is learned.
        seed: the run's.
        rows: sequences of a step.
        steps: steps of an epoch.
    """

    def __init__(self, problem: Problem, seed: int, rows: int, steps: int) -> None:
        self._problem, self._seed, self._rows, self._steps = problem, seed, rows, steps

    def steps_per_epoch(self) -> int:
        """Steps between two validations."""
        return self._steps

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """The sequences of one step, the same for the same pair."""
        return self._problem.train_batch(self._seed, epoch * self._steps + step, self._rows)

    def fingerprint(self) -> str:
        """The problem, the seed and the number of sequences."""
        return f"{self._problem!r} {self._seed} {self._rows}"


class ProblemObjective:
    """A problem's loss, its measures on held-out sequences, and its goal.

    Args:
        run: with the problem, its goal, and whether to stop there.
    """

    def __init__(self, run: Run, problem: Problem) -> None:
        self._run, self._problem = run, problem
        self._held_out: list[Batch] | None = None

    def loss(self, model: torch.nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """The mean loss of a batch."""
        return self._problem.loss(model(batch["input"], batch["lengths"]), batch)

    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        """The measures on the validation sequences."""
        if self._held_out is None:
            self._held_out = list(self._problem.held_out("validation"))
        return evaluate(self._problem, model, self._held_out)

    def reached(self, measures: Mapping[str, float]) -> bool:
        """Whether the goal is met with something to spare, and the run is to end there."""
        value = measures[self._run.measure.name]
        return self._run.training.stop_when_solved and self._run.measure.safely_met(value)

    def fingerprint(self) -> str:
        """The problem and its goal."""
        return f"{self._problem!r} {self._run.measure.goal}"


def evaluate(problem: Problem, model: torch.nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
    """The problem's measures of a network on held-out sequences.

    Args:
        problem: what it learned.
        model: called with steps and lengths; put into eval mode by the caller.
        batches: the sequences.
    """
    device = next(iter(model.parameters())).device
    sums: dict[str, Tensor] = {}
    with torch.no_grad():
        for batch in batches:
            moved = {name: value.to(device) for name, value in batch.items()}
            tally = problem.tally(model(moved["input"], moved["lengths"]), moved)
            sums = {name: sums[name] + value if sums else value for name, value in tally.items()}
    return problem.measures(sums)


def learn(run: Run, checkpoints: Path | None, progress: Progress | None) -> dict[str, Any] | None:
    """Train one network from its checkpoint on, or from the start, and test it.

    Args:
        run: which.
        checkpoints: a folder of this run alone, or None.
        progress: whom to tell.

    Returns:
        The run's numbers as plain JSON; None where Ctrl-C came first.
    """
    problem = run.problem
    if not isinstance(problem, Problem) or run.hidden_size is None:
        raise ArgumentTypeError(f"run: a classic problem is expected, came {type(problem).__name__}")
    model = _network(run, problem)
    source = ProblemSource(problem, run.seed, run.training.batch_size, run.training.validate_every)
    objective = ProblemObjective(run, problem)
    config = run.training.config(run.budget, seed=run.seed, checkpoint_folder=checkpoints)
    diverged = ""
    try:
        history = fit(model, objective, source, config, progress=progress)
    except DivergenceError as error:
        history, diverged = error.history, str(error)
        history = dataclasses.replace(history, stopped="diverged")
    if history.stopped == "interrupted":
        return None
    parameters = sum(one.numel() for one in model.parameters())
    tested: dict[str, float] = {}
    reach = None
    if history.epochs:
        tested = evaluate(problem, model.eval(), problem.held_out("test"))
        reach = _reach(problem, model)
    found = _numbers(run, history, tested, parameters) | {"reach": reach}
    return found | ({"diverged": diverged} if diverged else {})


def _reach(problem: Problem, model: Network) -> dict[str, Any] | None:
    """How far back a network looks on validation sequences."""
    batch = next(iter(problem.held_out("validation")))
    device = next(iter(model.parameters())).device
    steps, lengths = (batch[name][:ROWS].to(device) for name in ("input", "lengths"))
    mask = torch.arange(steps.shape[1], device=device) < lengths[:, None]
    return reach_of([(model.recurrent, steps.transpose(0, 1), mask.t())])


def _network(run: Run, problem: Problem) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        return Network(
            run.variant, problem.inputs, problem.outputs, run.hidden_size or 1, num_layers=run.budget.num_layers,
            by_step=problem.by_step, span=problem.span, dropout=run.training.dropout,
        )  # fmt: skip


def _numbers(run: Run, history: History, tested: dict[str, float], parameters: int) -> dict[str, Any]:
    """A run's line. Curves: steps, seconds, training loss, the measure on validation sequences."""
    name = f"validation_{run.measure.name}"
    seconds, curve, solved_at = 0.0, [], None
    for record in history.epochs:
        seconds += record["seconds"]
        curve.append([record["step"], round(seconds, 2), record["train_loss"], record[name]])
        if solved_at is None and run.measure.met(record[name]):
            solved_at = record["step"]
    value = tested.get(run.measure.name)
    return {
        "value": value,
        "solved": run.measure.met(value),
        "measures": tested,
        "hidden_size": run.hidden_size,
        "parameters": parameters,
        "steps": history.steps,
        "solved_at": solved_at,
        "stopped": history.stopped,
        "train_seconds": round(history.seconds, 2),
        "step_seconds": round(history.seconds / max(history.steps, 1), 6),
        "curve": curve,
    }
