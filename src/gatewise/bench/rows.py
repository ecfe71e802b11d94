"""One comparison, all of them, and the check that stands before each figure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from gatewise.errors import EngineError

__all__ = ["GATES", "GRID", "Report", "Row", "Shape", "agree", "row"]

Shape = tuple[int, int, int, int]

GRID: tuple[Shape, ...] = (
    (1, 128, 64, 128), (1, 128, 256, 256), (4, 64, 64, 96), (8, 128, 128, 128), (32, 128, 128, 128),
    (64, 100, 128, 256), (32, 100, 512, 512), (64, 35, 650, 650), (16, 50, 1024, 1024),
)  # fmt: skip
"""(batch, steps, input, hidden)."""

HEAD = "| what | batch, steps, input, hidden | job | threads | peer | peer ms | ours ms | ratio | of peak |"
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        table: Which table it belongs to.
        name: What ran.
        shape: (batch, steps, input, hidden).
        job: "infer" or "train".
        threads: How many.
        peer: What it is compared with.
        peer_ms, ours_ms: Medians.
        ratio: The peer's time over ours.
        of_peak: Our share of the machine's matrix-product rate (or of its copy rate), where that says something.
    """

    table: str
    name: str
    shape: Shape
    job: str
    threads: int
    peer: str
    peer_ms: float
    ours_ms: float
    ratio: float
    of_peak: float | None = None


@dataclass(frozen=True)
class Report:
    """All rows, and what they come to."""

    rows: tuple[Row, ...]

    def summary(self) -> dict[str, float]:
        """Geometric mean of the ratios by what ran beside what, and the worst of them."""
        found: dict[str, list[float]] = {}
        for row in self.rows:
            what = f"torch.nn, {row.name}" if row.table == "torch.nn" else f"{row.table} beside {row.peer}"
            key = f"{what}, {row.job}, {row.threads} thread{'s' * (row.threads > 1)}"
            found.setdefault(key, []).append(row.ratio)
        means = {key: math.exp(sum(map(math.log, ratios)) / len(ratios)) for key, ratios in found.items()}
        return means | {f"{key}, worst": min(ratios) for key, ratios in found.items()}

    def markdown(self) -> str:
        """The rows as tables, the summary first."""
        lines = ["| | ratio |", "| --- | --- |"]
        lines += [f"| {key} | {value:.2f} |" for key, value in self.summary().items()]
        for table in dict.fromkeys(row.table for row in self.rows):
            lines += ["", f"## {table}", "", HEAD, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
            for row in self.rows:
                if row.table == table:
                    share = "" if row.of_peak is None else f"{100 * row.of_peak:.0f} %"
                    lines.append(
                        f"| {row.name} | {', '.join(map(str, row.shape))} | {row.job} | {row.threads} | {row.peer} "
                        f"| {row.peer_ms:.3f} | {row.ours_ms:.3f} | {row.ratio:.2f} | {share} |"
                    )
        return "\n".join(lines) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"summary": self.summary(), "rows": [asdict(row) for row in self.rows]}


def row(
    table: str, name: str, shape: Shape, job: str, peer: str, times: tuple[float, float], of_peak: float | None = None
) -> Row:  # fmt: skip
    """A comparison on as many threads as torch has now; times in seconds, the peer's first."""
    one, two = times
    return Row(
        table, name, shape, job, torch.get_num_threads(), peer, one * 1e3, two * 1e3, one / two, of_peak
    )


def agree(ours: Tensor, theirs: Tensor, what: str) -> None:
    """Raises unless two results are the same up to the rounding of float32 over long sequences."""
    scale = max(1.0, float(theirs.detach().abs().max()))
    error = float((ours - theirs).abs().max()) / scale
    if not error < 1e-4:
        raise EngineError(
            f"engine: {what}: the outputs differ by {error:.2g}; no speed is reported for wrong numbers"
        )
