"""A run's folder: new, the same run to be resumed, or somebody else's and refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gatewise.cli.console import say
from gatewise.cli.reading import READING, keep_reading
from gatewise.errors import ArgumentError, GatewiseError, StoreError
from gatewise.store import atomic_write

__all__ = ["RunFolder"]

_RUN = "run.json"
_FILES = (
    "config.json", "model.safetensors", "card.md", "report.html", "metrics.json", "forecast.png", "confusion.png",
    "perplexity.png", "attention.png", "samples.txt", "baseline.safetensors", "search.json", "cross_validation.csv",
    "cross_validation.json", READING, _RUN,
)  # fmt: skip


class RunFolder:
    """Decides what an existing --out folder means.

    Args:
        path: the folder.
        settings: what JSON can hold, and tells one run from another.
        reading: options about reading files, for `keep_reading`.
    """

    def __init__(
        self, path: Path, settings: dict[str, Any], reading: Mapping[str, Any] | None = None
    ) -> None:
        self.path, self.settings = path, json.loads(json.dumps(settings))
        self.checkpoints = path / "checkpoints"
        self._reading = reading or {}

    def open(self, *, overwrite: bool) -> None:
        """Make the folder, or accept the one that is there if it holds the same run, unfinished.

        Raises:
            ArgumentError: the folder holds something else, or the run is finished.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ArgumentError(f"--out: {str(self.path)!r} is a file; name a folder")
        if self.path.exists() and any(self.path.iterdir()) and not self._may_resume(overwrite=overwrite):
            self._clear()
        self._write(finished=False)

    def abandon(self) -> None:
        """Take back what `open` made, if nothing was trained: the next call starts as this one did."""
        if self.checkpoints.is_dir() and any(self.checkpoints.iterdir()):
            return
        (self.path / _RUN).unlink(missing_ok=True)
        for folder in (self.checkpoints, self.path):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    @contextmanager
    def training(self) -> Iterator[None]:
        """Take back what `open` made where the training inside cannot begin, or fails."""
        try:
            yield
        except GatewiseError:
            self.abandon()
            raise

    def end(self, stopped: str) -> bool:
        """Note that the run is finished, or say how it goes on; whether Ctrl-C ended the training early.

        Args:
            stopped: why training ended, as an estimator's `stopped_` has it.
        """
        keep_reading(self.path, self._reading)
        if stopped == "interrupted":
            say(
                "stopped by Ctrl-C; the best model so far is saved. The same command goes on with the training."
            )
            return True
        self._write(finished=True)
        return False

    def _may_resume(self, *, overwrite: bool) -> bool:
        if overwrite:
            return False
        stored = self._read()
        if stored is None:
            raise ArgumentError(
                f"--out: {str(self.path)!r} is not empty and holds no run of this command; name another folder, "
                "or say --overwrite to replace a model that is there"
            )
        changed = sorted(
            name
            for name in {*stored["settings"], *self.settings}
            if stored["settings"].get(name) != self.settings.get(name)
        )
        if changed:
            raise ArgumentError(
                f"--out: {str(self.path)!r} holds another run ({', '.join(changed)} differ); name another folder, or "
                "say --overwrite to replace it"
            )
        if stored["finished"]:
            raise ArgumentError(
                f"--out: {str(self.path)!r} holds this very run, finished; name another folder, or say --overwrite to "
                "do it again"
            )
        return True

    def _clear(self) -> None:
        """Remove what a run writes, and nothing else."""
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)
        if self.checkpoints.is_dir():
            shutil.rmtree(self.checkpoints)

    def _read(self) -> dict[str, Any] | None:
        try:
            stored = json.loads((self.path / _RUN).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        whole = isinstance(stored, dict) and isinstance(stored.get("settings"), dict)
        return stored if whole and isinstance(stored.get("finished"), bool) else None

    def _write(self, *, finished: bool) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"--out: {str(self.path)!r} cannot be made: {error.strerror}") from error
        text = json.dumps({"settings": self.settings, "finished": finished}, indent=2) + "\n"
        atomic_write(self.path / _RUN, text.encode())
