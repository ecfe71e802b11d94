"""What a comparison tells while it runs: which run, how it ended, how long the rest may take."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import rich.console
import rich.progress

from gatewise.compare.problems import Problem
from gatewise.compare.settings import Run
from gatewise.train.progress import Plan, Snapshot, Stream, clock

__all__ = ["Telling", "time_left"]

_EVERY_SECONDS = 30.0


class Telling:
    """Tells of a comparison and, as a `gatewise.train` progress, of the run that is being trained.

    Args:
        total: how many runs there are in all.
        stream: where to write, standard error by default; a bar in a terminal, plain lines elsewhere.
        silent: say nothing.
    """

    def __init__(self, total: int, *, stream: Stream | None = None, silent: bool = False) -> None:
        self._total, self._silent = total, silent
        self._stream: Stream = stream if stream is not None else sys.stderr
        self._left: float | None = None
        self._name, self._place, self._last = "", 0, 0.0
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None
        if not silent and self._stream.isatty():
            self._bar = rich.progress.Progress(
                rich.progress.TextColumn("{task.description}"), rich.progress.BarColumn(bar_width=24),
                rich.progress.TextColumn("{task.fields[note]}"),
                console=rich.console.Console(file=self._stream),  # type: ignore[arg-type]
                auto_refresh=False,
            )  # fmt: skip

    def begin(self, run: Run, place: int, left: float | None) -> None:
        """Hear which run begins.

        Args:
            run: which.
            place: counted from 1.
            left: seconds that it and all runs behind it may take, or None while unknown.
        """
        self._place, self._left = place, left
        self._name = f"{run.problem.title} · {run.variant.name} · seed {run.seed}"
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(f"[{place}/{self._total}] {self._name}", total=1.0, note="")

    def end(self, row: Mapping[str, Any], measure_text: str, left: float | None) -> None:
        """Hear how a run ended.

        Args:
            row: its line.
            measure_text: the measure in words.
            left: seconds that the runs behind it may take, or None.
        """
        yes, no = ("solved", "not solved")
        if "trivial" in row:  # of a table
            yes, no = (f"{word} {row['trivial']['name']}" for word in ("better than", "no better than"))
        ended = yes if row["solved"] else "diverged" if row["stopped"] == "diverged" else no
        text = (
            f"[{self._place}/{self._total}] {self._name}: {ended}, {measure_text}, {row['steps']:,} steps in "
        )
        text += clock(row["train_seconds"])
        if left is not None and self._place < self._total:
            text += f"; about {clock(left)} left"
        self._take_down()
        self.message(text)

    def start(self, plan: Plan) -> None:
        """Hear a training's plan."""
        self._last = time.monotonic()
        self._steps = plan.total_steps

    def update(self, snapshot: Snapshot) -> None:
        """Hear where a training is."""
        loss = "" if snapshot.train_loss is None else f"loss {snapshot.train_loss:.4g}, "
        whole = "" if self._left is None else f", about {clock(self._left)} for all"
        text = f"step {snapshot.step:,}, {loss}{snapshot.left}{whole}"
        if self._bar is not None and self._task is not None:
            part = _part(snapshot)
            self._bar.update(self._task, completed=part, note=text, refresh=True)
        elif time.monotonic() - self._last >= _EVERY_SECONDS:
            self.message(f"[{self._place}/{self._total}] {self._name}: {text}")

    def epoch(self, record: Mapping[str, Any], improved: bool) -> None:
        """Let the next update tell it."""

    def message(self, text: str) -> None:
        """Write a sentence."""
        self._last = time.monotonic()
        if not self._silent:
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def stop(self, text: str) -> None:
        """Take the bar down; `end` says how it ended."""
        self._take_down()

    def _take_down(self) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.remove_task(self._task)
            self._bar.stop()
            self._task = None


def _part(snapshot: Snapshot) -> float:
    """Which part of a training is over, by its time."""
    most = snapshot.left.at_most
    return 0.0 if most is None else snapshot.seconds / max(snapshot.seconds + most, 1e-9)


def time_left(done: Sequence[tuple[Run, Mapping[str, Any]]], waiting: Sequence[Run]) -> float | None:
    """About how many seconds some runs will take, from those that are done.

    A run takes as long as the same cell's on the same problem did on the mean; else as the same cell's, else as any
    did, in proportion to the problems' lengths.

    Args:
        done: runs and their lines.
        waiting: runs that are not done.

    Returns:
        Seconds, or None where nothing is known.
    """
    if not done:
        return None
    return sum(_cost(run, done) for run in waiting)


def _cost(run: Run, done: Sequence[tuple[Run, Mapping[str, Any]]]) -> float:
    for kin in (
        [pair for pair in done if pair[0].problem is run.problem and pair[0].variant is run.variant],
        [pair for pair in done if pair[0].problem is run.problem],
        [pair for pair in done if pair[0].variant is run.variant],
        done,
    ):
        if kin:
            each = [row["train_seconds"] * _length(run) / _length(other) for other, row in kin]
            return sum(each) / len(each)
    return 0.0


def _length(run: Run) -> int:
    return run.problem.length if isinstance(run.problem, Problem) else 1
