"""A benchmark as a list of small runs, each of which leaves one JSON line: cut off at any moment, it goes on later."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from gatewise.store.rows import append_row, read_rows

try:
    from benchmarks.machine import describe
except ImportError:
    from machine import describe

__all__ = ["Lines", "data_folder", "spread"]


class Lines:
    """The results so far, one JSON object a line.

    Args:
        path: the file; made if need be.
        settings: what all runs share; lines of other settings are left alone and not counted.
    """

    def __init__(self, path: Path, settings: dict) -> None:
        self.path, self.settings = path, json.loads(json.dumps(settings))
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = [row for row in read_rows(path) if row["settings"] == self.settings]

    def run(
        self, keys: Iterable[dict], work: Callable[..., dict], *, stop_after: float | None = None
    ) -> list[dict]:
        """Do what is not done yet.

        Args:
            keys: what tells one run from another, as keyword arguments of `work`.
            work: gives a run's numbers.
            stop_after: seconds after which no further run is begun, or None.

        Returns:
            The rows of all keys that are done.
        """
        begun = time.perf_counter()
        wanted = [json.loads(json.dumps(key)) for key in keys]
        for key in wanted:
            if any(row["key"] == key for row in self.rows):
                continue
            if stop_after is not None and time.perf_counter() - begun > stop_after:
                print(f"stopped after {stop_after:.0f} s; the same command goes on", file=sys.stderr)
                break
            at = time.perf_counter()
            numbers = work(**key)
            row = {"key": key, "settings": self.settings, **numbers,
                   "seconds": round(time.perf_counter() - at, 1), "environment": describe()}  # fmt: skip
            append_row(self.path, row)
            self.rows.append(row)
            shown = {name: round(value, 4) if isinstance(value, float) else value for name, value in numbers.items()
                     if isinstance(value, int | float)}  # fmt: skip
            print(json.dumps(key), json.dumps(shown), f"{row['seconds']} s", flush=True)
        return [row for row in self.rows if row["key"] in wanted]


def data_folder() -> Path:
    """The folder that GATEWISE_DATA names."""
    if not os.environ.get("GATEWISE_DATA"):
        sys.exit("GATEWISE_DATA is not set: let it name the folder with the data sets")
    return Path(os.environ["GATEWISE_DATA"]).expanduser()


def spread(rows: list[dict], name: str, digits: int = 3) -> str:
    """Mean and standard deviation of a number over rows; empty if no row has it."""
    values = [row[name] for row in rows if row.get(name) is not None]
    if not values:
        return ""
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"
