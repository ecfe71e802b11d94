"""What every `gatewise fit` and `evaluate` does around its model: settings, numbers, and what is told at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from gatewise.cli.console import output, say

if TYPE_CHECKING:
    from gatewise.tasks.base import Estimator

__all__ = [
    "Judged", "described", "print_scores", "print_written", "training_numbers", "write_metrics", "write_numbers",
]  # fmt: skip

# These only say where a model is trained, how it tells of it, and how long it may take.
_FREE = ("checkpoint_folder", "progress", "max_time", "device")


@runtime_checkable
class Judged(Protocol):
    """An evaluation: its text is a table, with a header first and a verdict last."""

    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values."""


def described(estimator: Estimator, *, deep: bool = True) -> dict[str, Any]:
    """The parameters that tell one run from another.

    Args:
        estimator: not fitted.
        deep: whether parameters of parameters are among them.
    """
    return {name: value for name, value in estimator.get_params(deep=deep).items() if name not in _FREE}


def training_numbers(estimator: Any) -> dict[str, Any]:
    """How a fit went, for `write_metrics`."""
    return {
        "fit_seconds": round(estimator.fit_seconds_, 3), "epochs": len(estimator.history_),
        "best_epoch": estimator.best_epoch_, "stopped": estimator.stopped_,
    }  # fmt: skip


def write_metrics(
    out: Path, evaluation: Judged, seconds: float, *, ascii_only: bool = True, **further: Any
) -> None:
    """Write metrics.json after a fit.

    Args:
        out: the folder.
        evaluation: on what was not fitted to.
        seconds: the whole command's, so far.
        ascii_only: whether other signs are written by their codes.
        **further: how the training went, and numbers that only this kind of model has.
    """
    from gatewise.report.environment import environment
    from gatewise.store import atomic_write

    numbers = {
        **evaluation.to_dict(),
        "seconds": round(seconds, 3),
        **further,
        "environment": environment(),
    }
    atomic_write(out / "metrics.json", _text(numbers, ascii_only))


def write_numbers(evaluation: Judged, out: Path | None, *, ascii_only: bool = True) -> None:
    """Write an evaluation's numbers where a file was named for them.

    Args:
        evaluation: what is written.
        out: the file, or None.
        ascii_only: whether other signs are written by their codes.
    """
    from gatewise.store import atomic_write

    if out is not None:
        atomic_write(out, _text(evaluation.to_dict(), ascii_only))
        say(f"numbers written to {out}")


def print_scores(head: str, evaluation: Judged, *, good: bool, further: Iterable[str] = ()) -> None:
    """The table of scores and the verdict.

    Args:
        head: what was tested on, in words.
        evaluation: what came out.
        good: whether the verdict is good news.
        further: lines between the table and the verdict.
    """
    *lines, _ = str(evaluation).splitlines()
    output.print(head, soft_wrap=True)
    for index, line in enumerate(lines):
        output.print(line, markup=False, soft_wrap=True, style="bold" if index == 1 else "")
    for line in further:
        output.print(line, markup=False, soft_wrap=True)
    output.print(evaluation.verdict, markup=False, style="green" if good else "yellow", soft_wrap=True)


def print_written(
    out: Path, begun: float, *pictures: tuple[str, str], model: str = "the model",
    beside: Iterable[tuple[str, str]] = (), checkpoints: str = "the training's last state",
) -> None:  # fmt: skip
    """Which files a fit has written, and what each is.

    Args:
        out: the folder.
        begun: when the command began, by `time.perf_counter`.
        *pictures: file and meaning of what stands after the report.
        model: what config.json and model.safetensors hold.
        beside: file and meaning of what stands after these.
        checkpoints: what checkpoints are for.
    """
    output.print(f"\nWritten to {out} in {time.perf_counter() - begun:.0f} s:", soft_wrap=True)
    for name, what in (
        ("report.html", "open this"),
        *pictures,
        ("config.json, model.safetensors", model),
        *beside,
        ("card.md", "what the model is"),
        ("metrics.json", "the numbers above"),
        ("checkpoints", checkpoints),
    ):
        output.print(f"  {name:32} {what}", soft_wrap=True)


def _text(numbers: dict[str, Any], ascii_only: bool) -> bytes:
    return (json.dumps(numbers, indent=2, ensure_ascii=ascii_only) + "\n").encode()
