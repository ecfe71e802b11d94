"""The lines that benchmarks/understanding.py measured, and how their numbers are compared."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy import stats

LINES = Path(__file__).resolve().parents[1] / "docs" / "results" / "claims.jsonl"
PARTS = ("flow", "memory", "measure", "generate", "units", "tagging", "activity")
MISSING = "not measured yet"
# A difference that chance alone gives less often than this is called clear.
LEVEL = 0.05
RNN_TRIES = ("rnn_tanh", "rnn_tanh slower", "rnn_tanh+orthogonal")
TRIES = (*RNN_TRIES, "gru", "lstm", "lstm+chrono")
NETWORKS = ("LSTM", "CNN", "CNN, then LSTM", "neither")


def rows_of(part: str, path: Path | None = None) -> list[dict]:
    """The lines of one part, of the settings that its last line has.

    Args:
        part: "flow", "memory", "measure", "generate", "units", "tagging" or "activity".
        path: the file; None: the one that is kept.
    """
    file = path or LINES
    found = (
        [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    )
    own = [row for row in found if row["settings"]["claim"] == part and not row["settings"]["quick"]]
    return [row for row in own if row["settings"] == own[-1]["settings"]]


def where(rows: list[dict], **key: object) -> list[dict]:
    """The lines whose key has these values."""
    return [row for row in rows if all(row["key"][name] == value for name, value in key.items())]


def values(rows: Iterable[dict], name: str) -> list[float]:
    """A number of each line that has it."""
    return [float(row[name]) for row in rows if row.get(name) is not None]


def spread(numbers: list[float], digits: int, factor: float = 1.0) -> str:
    """Mean and standard deviation."""
    if not numbers:
        return ""
    mean = f"{factor * np.mean(numbers):.{digits}f}"
    return mean if len(numbers) == 1 else f"{mean} ± {factor * np.std(numbers, ddof=1):.{digits}f}"


def chance(one: list[float], two: list[float]) -> float | None:
    """How often chance alone gives such a difference of means (Welch's test); None for fewer than two runs each."""
    if min(len(one), len(two)) < 2:
        return None
    if np.std(one) == np.std(two) == 0:
        return 1.0 if one[0] == two[0] else 0.0
    return float(stats.ttest_ind(one, two, equal_var=False).pvalue)


def clear(chance: float | None) -> bool:
    """Whether a difference is more than noise."""
    return chance is not None and chance < LEVEL


def odds(chance: float | None) -> str:
    """A test's result in words."""
    if chance is None:
        return "one run each: nobody knows how much of it is noise"
    return f"Welch's test: p {'< 0.001' if chance < 0.001 else f'= {chance:.2g}'}"


def solved(rows: list[dict]) -> tuple[int, int]:
    """How many runs solved it, and how many there are."""
    return sum(row["solved"] for row in rows), len(rows)


def always(rows: list[dict]) -> bool:
    """Whether there are runs and all solved it."""
    met, count = solved(rows)
    return 0 < met == count


def lengths(rows: list[dict]) -> list[int]:
    """The lengths that were tried."""
    return sorted({row["key"]["steps"] for row in rows})


def reach(rows: list[dict], cell: str) -> int:
    """The longest length up to which all runs of a cell solve the problem; 0: not the shortest."""
    reach = 0
    for steps in lengths(rows):
        if not always(where(rows, steps=steps, cell=cell)):
            break
        reach = steps
    return reach


def speed(rows: list[dict]) -> str:
    """Steps until it was solved, of the runs that did."""
    return spread(values(rows, "solved_at"), 0)


def accuracies(rows: list[dict]) -> list[float]:
    """One accuracy a seed: over all folds that are done, every recording counting once."""
    seeds = sorted({row["key"]["seed"] for row in rows})
    parts = [where(rows, seed=seed) for seed in seeds]
    whole = max((len(part) for part in parts), default=0)
    return [sum(values(p, "right")) / sum(values(p, "count")) for p in parts if len(p) == whole]


def timing_tasks(measured: list[dict], made: list[dict]) -> list[tuple[str, list[dict], dict]]:
    """The tasks on timing: title, lines, and what picks the task's own."""
    periods = sorted({row["key"]["period"] for row in made})
    return [("measure intervals of 10 to 30", measured, {}),
            *((f"a spike every {n} steps", made, {"period": n}) for n in periods)]  # fmt: skip


def up_to(steps: int) -> str:
    """A length as the verdicts say it."""
    return f"up to {steps} steps" if steps else "at no length"
