"""Running a comparison: what is not done yet, from where it was cut off, and the report in the end."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewise.compare.learning import learn
from gatewise.compare.lines import Lines, digest_of
from gatewise.compare.problems import Problem
from gatewise.compare.report import overall, report_html, summary
from gatewise.compare.scores import ProblemScore, gather
from gatewise.compare.settings import Plan, Run
from gatewise.compare.telling import Telling, time_left
from gatewise.errors import ArgumentError
from gatewise.report.environment import environment
from gatewise.store import atomic_write
from gatewise.store.files import make_folder
from gatewise.train.interrupt import Interrupt

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """What came out of a comparison.

    Args:
        plan: what was asked for.
        done: the runs that are done, and their lines in results.jsonl.
        stopped: "finished", "interrupted" (Ctrl-C) or "stop_after".
    """

    plan: Plan
    done: tuple[tuple[Run, Mapping[str, Any]], ...]
    stopped: str

    @property
    def scores(self) -> list[ProblemScore]:
        """The values of all seeds, by problem and cell."""
        return gather(self.plan, self.done)

    @property
    def verdict(self) -> str:
        """The whole in a few sentences."""
        return overall(self.scores)


def compare(
    plan: Plan, out: str | Path, *, progress: bool = True, stop_after: float | None = None
) -> Comparison:
    """Do all runs of a comparison that are not done yet, and write what came out.

    Each run leaves one line in `results.jsonl` and none is done twice; a run that is cut off (Ctrl-C, a kill, the
    power) goes on from its last checkpoint with the numbers of one that was not. Lines of other settings stay in the
    file and are not counted. `report.html` and `summary.json` are written whenever this ends.

    Args:
        plan: as `gatewise.compare.read_plan` or `parse_plan` give it.
        out: the folder, made if need be; one process at a time may work in it.
        progress: whether to tell how it goes, on standard error.
        stop_after: seconds after which no further run is begun, or None.

    Returns:
        What is done now; after Ctrl-C a part of it.

    Raises:
        ArgumentError: `out` is a file; a cell cannot be had on a problem.
        StoreError: the folder cannot be written.

    Example:
        >>> from gatewise.compare import parse_plan
        >>> plan = parse_plan(
        ...     {
        ...         "cells": ["rnn_tanh", "gru"],
        ...         "seeds": 2,
        ...         "problem": [{"kind": "adding", "steps": 4}],
        ...         "budget": {"parameters": 100, "steps": 4},
        ...         "training": {"validate_every": 2},
        ...     }
        ... )
        >>> result = compare(plan, "runs", progress=False)
        >>> result.stopped, len(result.done)
        ('finished', 4)
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ArgumentError(f"out: {str(folder)!r} is a file; name a folder")
    make_folder(folder)
    lines = Lines(folder / "results.jsonl")
    runs = plan.runs()
    found = {place: lines.find(run.identity) for place, run in enumerate(runs)}
    begun, stopped = time.monotonic(), "finished"
    telling = Telling(len(runs), silent=not progress)
    if any(found.values()):
        telling.message(
            f"{sum(row is not None for row in found.values())} of {len(runs)} runs are done already"
        )
    with Interrupt(loud=progress) as interrupt:
        for place, run in enumerate(runs):
            if found[place] is not None:
                continue
            if interrupt.asked or (stop_after is not None and time.monotonic() - begun >= stop_after):
                stopped = "interrupted" if interrupt.asked else "stop_after"
                break
            known = [(runs[other], row) for other, row in found.items() if row is not None]
            waiting = [runs[other] for other, row in found.items() if row is None]
            telling.begin(run, place + 1, time_left(known, waiting))
            row = _row(run, folder / "checkpoints", telling, progress)
            if row is None:
                stopped = "interrupted"
                break
            lines.append(row)
            found[place] = row
            shutil.rmtree(_checkpoints(folder / "checkpoints", run), ignore_errors=True)
            text = f"{run.measure.title} {run.measure.text(row['value'])}"
            telling.end(row, text, time_left([*known, (run, row)], waiting[1:]))
    if stopped == "finished":
        with contextlib.suppress(OSError):
            (folder / "checkpoints").rmdir()
    done = tuple((runs[place], row) for place, row in found.items() if row is not None)
    result = Comparison(plan, done, stopped)
    _write(result, folder)
    return result


def _row(run: Run, checkpoints: Path, telling: Telling, progress: bool) -> dict[str, Any] | None:
    """A run's line, or None where Ctrl-C came first."""
    own = _checkpoints(checkpoints, run)
    if isinstance(run.problem, Problem):
        numbers = learn(run, own, telling)
    else:
        width = run.hidden_size
        if width is None:
            width = run.problem.width(run.variant, run.budget.parameters or 1, run.budget.num_layers)
        numbers = run.problem.learn(
            run.variant, seed=run.seed, hidden_size=width, num_layers=run.budget.num_layers,
            seconds=run.budget.seconds, checkpoints=own, progress=progress, goal=run.measure.goal,
        )  # fmt: skip
    if numbers is None:
        return None
    return {"key": run.key, **numbers, "environment": environment(), "run": run.identity}


def _checkpoints(folder: Path, run: Run) -> Path:
    return folder / digest_of(run.identity)


def _write(result: Comparison, folder: Path) -> None:
    scores = result.scores
    text = json.dumps(summary(result.plan, scores), indent=2, allow_nan=False) + "\n"
    atomic_write(folder / "summary.json", text.encode())
    atomic_write(folder / "report.html", report_html(result.plan, scores).encode())
