"""What a model folder holds, so that one command serves models of every kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewise.cli.reading import with_kept
from gatewise.errors import ArgumentError

__all__ = ["Reading", "read_model"]


@dataclass(frozen=True)
class Reading:
    """What one kind of model does with a file.

    Attributes:
        options: the names of the command's options that it reads, as the command line has them.
        run: what is called with the kind, the model's folder, the data, the output and all options.
    """

    options: frozenset[str]
    run: Callable[[str, Path, str, Path | None, dict[str, Any]], None]

    def check(self, kind: str, options: Mapping[str, Any]) -> None:
        """Refuse an option that was given and that this kind has no use for."""
        for name, value in options.items():
            if value not in (None, ()) and name not in self.options:
                raise ArgumentError(
                    f"--{name}: a model of kind {kind} has no use for this option; leave it out"
                )


def read_model(
    readings: Mapping[str, Reading], other: Reading, model: Path, data: str, out: Path | None, options: dict[str, Any]
) -> None:  # fmt: skip
    """Do what the kind of a model folder, as its config.json says, does with data.

    Options about reading that were not given are those that `fit` was given.

    Args:
        readings: by kind.
        other: of all other kinds.
        model, data, out: as the command was given them.
        options: by name; None, or empty, where one was not given.

    Raises:
        ArgumentError: an option was given that this kind has no use for; the message names it.
        StoreError: it is no model folder, or damaged.
    """
    from gatewise.store import model_kind

    kind = model_kind(model)
    reading = readings.get(kind, other)
    reading.check(kind, options)
    reading.run(kind, model, data, out, with_kept(model, options, reading.options - _of_example(data)))


def _of_example(data: str) -> set[str]:
    """Options that are no business of an example's: it names its columns itself."""
    from gatewise.data import examples

    return {"id", "time", "target"} if data in examples.names() else set()
