"""One comparison, all of them, and the check that stands before each figure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from gatewise.errors import EngineError

__all__ = ["GATES", "GRID", "Error", "Report", "Row", "Shape", "agree", "row"]

Shape = tuple[int, int, int, int]

GRID: tuple[Shape, ...] = (
    (1, 128, 64, 128), (1, 128, 256, 256), (4, 64, 64, 96), (8, 128, 128, 128), (32, 128, 128, 128),
    (64, 100, 128, 256), (32, 100, 512, 512), (64, 35, 650, 650), (16, 50, 1024, 1024),
)  # fmt: skip
"""(batch, steps, input, hidden)."""

HEAD = "| what | batch, steps, input, hidden | job | threads | peer | peer ms | ours ms | ratio | of peak |"
ERROR_HEAD = "| what | batch, steps, input, hidden | result | torch.nn's error | ours | ours by torch.nn's |"
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
class Error:
    """Both errors of one result.

    Attributes:
        name: LSTM, GRU or RNN.
        shape: (batch, steps, input, hidden).
        result: "output", "input's gradient", or the name of a weight whose gradient it is.
        ours, theirs: Root mean square of the difference from float64, by the root mean square of the result.
        ratio: Ours over theirs; at most 1.5 is aimed at.
    """

    name: str
    shape: Shape
    result: str
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours / self.theirs


@dataclass(frozen=True)
class Report:
    """All rows, what they come to, and the errors of the numbers."""

    rows: tuple[Row, ...]
    errors: tuple[Error, ...] = ()

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
        if self.errors:
            lines += ["", "## errors", "", ERROR_HEAD, "| --- | --- | --- | --- | --- | --- |"]
        for one in self.errors:
            lines.append(
                f"| {one.name} | {', '.join(map(str, one.shape))} | {one.result} | {one.theirs:.2g} | {one.ours:.2g} "
                f"| {one.ratio:.2f} |"
            )
        return "\n".join(lines) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        errors = [asdict(one) | {"ratio": one.ratio} for one in self.errors]
        return {"summary": self.summary(), "rows": [asdict(row) for row in self.rows], "errors": errors}


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
