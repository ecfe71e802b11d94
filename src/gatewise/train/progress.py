"""Progress that people can watch: a bar in a terminal, plain lines in a file, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, Protocol, cast, runtime_checkable

import rich.console
import rich.progress
import rich.text

__all__ = [
    "BarProgress",
    "LineProgress",
    "Plan",
    "Progress",
    "SilentProgress",
    "Snapshot",
    "TimeLeft",
    "choose",
    "estimate",
]


@runtime_checkable
class Stream(Protocol):
    """What lines are written to: sys.stderr, an open file, io.StringIO."""

    def write(self, text: str, /) -> int:
        """Write some text."""
        ...

    def flush(self) -> None:
        """Write it through."""
        ...

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        ...


@dataclass(frozen=True)
class Plan:
    """What a run sets out to do.

    Attributes:
        max_epochs: the most epochs.
        steps_per_epoch: steps of one epoch.
        total_steps: the most steps in all.
        patience: epochs without improvement that end it, or None.
        max_time: seconds that end it, or None.
        step: steps that were done before (a resumed run).
        device: where it computes.
        precision: in which precision.
        parameters: how many numbers are trained.
    """

    max_epochs: int
    steps_per_epoch: int
    total_steps: int
    patience: int | None
    max_time: float | int | None
    step: int
    device: str
    precision: str
    parameters: int


@dataclass(frozen=True)
class TimeLeft:
    """How long a run may still take.

    Attributes:
        at_most: seconds if no early end comes, None while unknown.
        at_least: seconds if the validation loss never improves again, None without patience.
    """

    at_most: float | None = None
    at_least: float | None = None

    def __str__(self) -> str:
        """Write "1:20 left", or "0:40 to 1:20 left" where patience may end it earlier."""
        if self.at_most is None:
            return "time left: measuring"
        if self.at_least is None or round(self.at_least) >= round(self.at_most):
            return f"{clock(self.at_most)} left"
        return f"{clock(self.at_least)} to {clock(self.at_most)} left"


@dataclass(frozen=True)
class Snapshot:
    """Where a run is.

    Attributes:
        epoch: counted from 1.
        step_in_epoch: steps done in this epoch.
        step: steps done in all.
        train_loss: the mean over this epoch's steps so far, None before the first.
        validation_loss: the last one, or None.
        best_loss: the least one, or None.
        learning_rate: the last step's.
        seconds: time spent, earlier resumptions included.
        left: how long it may still take.
    """

    epoch: int
    step_in_epoch: int
    step: int
    train_loss: float | None
    validation_loss: float | None
    best_loss: float | None
    learning_rate: float
    seconds: float
    left: TimeLeft


@runtime_checkable
class Progress(Protocol):
    """What `fit` tells while it runs. Calls come from the main process only."""

    def start(self, plan: Plan) -> None:
        """Hear the plan, once."""
        ...

    def update(self, snapshot: Snapshot) -> None:
        """Hear where it is, at most ten times a second."""
        ...

    def epoch(self, record: Mapping[str, Any], improved: bool) -> None:
        """Hear an epoch's record and whether it is the best so far."""
        ...

    def message(self, text: str) -> None:
        """Hear a sentence for people."""
        ...

    def stop(self, text: str) -> None:
        """Hear how it ended, once; also after an error."""
        ...


class SilentProgress:
    """Says nothing."""

    def start(self, plan: Plan) -> None:
        """Say nothing."""

    def update(self, snapshot: Snapshot) -> None:
        """Say nothing."""

    def epoch(self, record: Mapping[str, Any], improved: bool) -> None:
        """Say nothing."""

    def message(self, text: str) -> None:
        """Say nothing."""

    def stop(self, text: str) -> None:
        """Say nothing."""


class LineProgress:
    """One plain line per epoch, and one a while within long epochs: for files and pipes.

    Args:
        stream: where to write, standard error by default.
        every: seconds between two lines within an epoch.
    """

    def __init__(self, stream: Stream | None = None, *, every: float = 30.0) -> None:
        self._stream = stream
        self._every = every
        self._plan: Plan | None = None
        self._left = TimeLeft()
        self._last = time.monotonic()

    def start(self, plan: Plan) -> None:
        """Write the plan."""
        self._plan = plan
        self._last = time.monotonic()
        self._write(describe(plan))

    def update(self, snapshot: Snapshot) -> None:
        """Write a line if the last one is long ago."""
        self._left = snapshot.left
        if self._plan is not None and time.monotonic() - self._last >= self._every:
            loss = "" if snapshot.train_loss is None else f"  loss {snapshot.train_loss:.4g}"
            where = f"step {snapshot.step_in_epoch}/{self._plan.steps_per_epoch}"
            self._write(f"epoch {snapshot.epoch}/{self._plan.max_epochs}  {where}{loss}  {snapshot.left}")

    def epoch(self, record: Mapping[str, Any], improved: bool) -> None:
        """Write the epoch's line."""
        epochs = "" if self._plan is None else f"/{self._plan.max_epochs}"
        text = f"epoch {record['epoch']}{epochs}  loss {record['train_loss']:.4g}"
        text += f"  validation {record['validation_loss']:.4g}{' (best)' if improved else ''}"
        self._write(f"{text}  {record['seconds']:.1f} s  {self._left}")

    def message(self, text: str) -> None:
        """Write the sentence."""
        self._write(text)

    def stop(self, text: str) -> None:
        """Write how it ended."""
        self._write(text)

    def _write(self, text: str) -> None:
        self._last = time.monotonic()
        stream: Stream = self._stream if self._stream is not None else sys.stderr
        stream.write(f"{text}\n")
        stream.flush()


class BarProgress:
    """A bar with epoch, loss, validation loss and an honest time left.

    It has no thread of its own: it is drawn when the loop reports.

    Args:
        console: where to draw, a console on standard error by default.
    """

    def __init__(self, console: rich.console.Console | None = None) -> None:
        self._console = console or rich.console.Console(stderr=True)
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TextColumn("{task.percentage:>3.0f}%"),
            rich.progress.TextColumn("{task.fields[losses]}"),
            rich.progress.TextColumn("{task.fields[left]}", style="cyan"),
            console=self._console,
            auto_refresh=False,
        )
        self._task: rich.progress.TaskID | None = None
        self._plan: Plan | None = None
        self._validation = ""

    def start(self, plan: Plan) -> None:
        """Write the plan and show the bar."""
        self._plan = plan
        self.message(describe(plan))
        self._bar.start()
        self._task = self._bar.add_task(
            f"epoch 1/{plan.max_epochs}",
            total=plan.total_steps,
            completed=plan.step,
            losses="",
            left=str(TimeLeft()),
        )

    def update(self, snapshot: Snapshot) -> None:
        """Move the bar."""
        if self._task is None or self._plan is None:
            return
        losses = "" if snapshot.train_loss is None else f"loss {snapshot.train_loss:.4g}"
        if snapshot.validation_loss is not None:
            losses += f"  validation {snapshot.validation_loss:.4g}"
        if snapshot.best_loss is not None:
            losses += f" (best {snapshot.best_loss:.4g})"
        self._bar.update(
            self._task,
            description=f"epoch {snapshot.epoch}/{self._plan.max_epochs}",
            completed=snapshot.step,
            losses=losses,
            left=str(snapshot.left),
            refresh=True,
        )

    def epoch(self, record: Mapping[str, Any], improved: bool) -> None:
        """Let the bar's next drawing tell it."""

    def message(self, text: str) -> None:
        """Write a sentence above the bar."""
        self._console.print(rich.text.Text(text))

    def stop(self, text: str) -> None:
        """Take the bar down, leave its last state, and write how it ended."""
        if self._task is not None:
            self._bar.update(self._task, left="", refresh=True)
        self._bar.stop()
        self.message(text)


def choose(stream: Stream | None = None, *, silent: bool = False) -> Progress:
    """Pick the progress that fits a stream.

    Args:
        stream: where to show it, standard error by default.
        silent: show nothing.

    Returns:
        A bar on a terminal, plain lines elsewhere.

    Example:
        >>> import io
        >>> type(choose(io.StringIO())).__name__
        'LineProgress'
    """
    if silent:
        return SilentProgress()
    target: Stream = stream if stream is not None else sys.stderr
    if target.isatty():
        console = rich.console.Console(file=cast(IO[str], target))
        if not console.is_dumb_terminal:
            return BarProgress(console)
    return LineProgress(target)


def estimate(
    *,
    steps_left: int,
    epochs_left: int,
    patience_epochs: int | None,
    steps_to_epoch_end: int,
    steps_per_epoch: int,
    step_seconds: float | None,
    validation_seconds: float,
    budget: float | None,
) -> TimeLeft:
    """Work out how long a run may still take.

    Args:
        steps_left: the most steps to come.
        epochs_left: the validations to come, the running epoch's included.
        patience_epochs: epochs in a row without improvement, from the next validation on, that end the run.
        steps_to_epoch_end: steps left in the running epoch.
        steps_per_epoch: steps of a whole one.
        step_seconds: of one step, None before the first.
        validation_seconds: of one validation.
        budget: seconds until `max_time`, or None.

    Returns:
        The least and the most.

    Example:
        >>> str(
        ...     estimate(
        ...         steps_left=90,
        ...         epochs_left=9,
        ...         patience_epochs=2,
        ...         steps_to_epoch_end=10,
        ...         steps_per_epoch=10,
        ...         step_seconds=1.0,
        ...         validation_seconds=0.0,
        ...         budget=60.0,
        ...     )
        ... )
        '0:20 to 1:00 left'
    """
    if step_seconds is None:
        return TimeLeft(None if budget is None else max(budget, 0.0))
    most = steps_left * step_seconds + epochs_left * validation_seconds
    if budget is not None:
        most = min(most, max(budget, 0.0))
    if patience_epochs is None:
        return TimeLeft(most)
    steps = min(steps_to_epoch_end + (patience_epochs - 1) * steps_per_epoch, steps_left)
    return TimeLeft(most, min(most, steps * step_seconds + patience_epochs * validation_seconds))


def describe(plan: Plan) -> str:
    """Say in one line what a run sets out to do."""
    text = f"training {plan.parameters:,} parameters on {plan.device} in {plan.precision}: "
    text += f"at most {plan.max_epochs} epochs of {plan.steps_per_epoch} steps"
    if plan.max_time is not None:
        text += f", at most {clock(plan.max_time)}"
    if plan.patience is not None:
        text += f", ends after {plan.patience} epochs without improvement"
    return text if plan.step == 0 else f"{text}; resumed after step {plan.step}"


def clock(seconds: float | int) -> str:
    """Write seconds as m:ss or h:mm:ss."""
    whole = round(seconds)
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
