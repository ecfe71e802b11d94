"""Adding: remember two marked numbers among many and give their sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatewise.compare.problems.base import Measure, Problem, Trivial, check_steps, last_step_batch

__all__ = ["Adding", "Adding1997"]

# "A sequence was processed correctly if the absolute error at the sequence end is below 0.04" (1997).
_CLOSE = 0.04


@dataclass(frozen=True)
class _Sum(Problem):
    """What both forms share: two numbers a step, one number as the answer, squared error."""

    steps: int = 100

    @property
    def inputs(self) -> int:
        """The number and its mark."""
        return 2

    @property
    def outputs(self) -> int:
        """The sum."""
        return 1

    def loss(self, answer: Float[Tensor, "batch 1"], batch: Mapping[str, Tensor]) -> Tensor:
        """Mean squared error."""
        return (answer[:, 0].float() - batch["target"]).square().mean()

    def tally(self, answer: Float[Tensor, "batch 1"], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Squared errors, errors below 0.04, sequences."""
        error = answer[:, 0].double() - batch["target"].double()
        return {
            "square": error.square().sum(),
            "close": (error.abs() < _CLOSE).sum(),
            "count": error.new_tensor(len(error)),
        }

    def measures(self, sums: Mapping[str, Tensor]) -> dict[str, float]:
        """Mean squared error, and the share of sequences with an error below 0.04."""
        square = float(sums["square"] / sums["count"])
        return {"loss": square, "mse": square, "right": float(sums["close"] / sums["count"])}

    @property
    def span(self) -> int:
        """From the first step to the last."""
        return self.length

    @property
    def length(self) -> int:
        """The least length."""
        return self.steps


@dataclass(frozen=True)
class Adding(_Sum):
    """The form that is usual today: numbers from U[0, 1], one marked in each half; the answer is their sum.

    Source: Arjovsky et al. 2016, section 4.2 (after Le et al. 2015, section 4.1); Tallec & Ollivier 2018 take it too.
    Always answering 1 has an error of 1/6, the variance of the sum of two numbers from U[0, 1].

    Args:
        steps: the length T, at least 2.

    Example:
        >>> import numpy as np
        >>> batch = Adding(steps=6).draw(np.random.default_rng(0), 2)
        >>> batch["input"].shape, batch["input"][..., 1].sum(1).tolist()
        (torch.Size([2, 6, 2]), [2.0, 2.0])
    """

    kind: ClassVar[str] = "adding"
    source: ClassVar[str] = "Arjovsky et al. 2016, sec. 4.2; Le et al. 2015"

    def __post_init__(self) -> None:
        """Check the length."""
        check_steps(self.steps, 2)

    @property
    def title(self) -> str:
        """The problem and its length."""
        return f"adding, {self.steps} steps"

    @property
    def measure(self) -> Measure:
        """Mean squared error below 0.01."""
        return Measure("mse", "mean squared error", goal=0.01, lower=True, log=True)

    def trivial(self) -> Trivial:
        """Always answering 1."""
        return Trivial("always 1", 1 / 6)

    def draw(self, generator: np.random.Generator, rows: int) -> dict[str, Tensor]:
        """Numbers, marks and sums."""
        values = generator.random((self.steps, rows), dtype=np.float32)
        half = self.steps // 2
        marked = np.stack(
            [generator.integers(half, size=rows), generator.integers(half, self.steps, size=rows)]
        )
        return _marked(values, marked, np.full(rows, self.steps), None)


@dataclass(frozen=True)
class Adding1997(_Sum):
    """The original: numbers from U[-1, 1], lengths from T to T + T/10, marks 1, ends -1; the answer is 0.5 + sum / 4.

    One mark falls on the first ten steps, the other on the first T/2 - 1 that are left. Where one falls on the first
    step, that step's number is zero.

    Source: Hochreiter & Schmidhuber 1997, section 5.4.

    Args:
        steps: the least length T, at least 30.

    Example:
        >>> import numpy as np
        >>> batch = Adding1997(steps=40).draw(np.random.default_rng(0), 3)
        >>> (batch["lengths"] >= 40).all().item(), (batch["lengths"] <= 44).all().item()
        (True, True)
    """

    kind: ClassVar[str] = "adding-1997"
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997, sec. 5.4"

    def __post_init__(self) -> None:
        """Check the length."""
        check_steps(self.steps, 30)

    @property
    def title(self) -> str:
        """The problem and its length."""
        return f"adding as in 1997, {self.steps} to {self.steps + self.steps // 10} steps"

    @property
    def measure(self) -> Measure:
        """At least 99 % of the sequences with an error below 0.04."""
        return Measure("right", "sequences with an error below 0.04", goal=0.99, percent=True)

    def trivial(self) -> Trivial:
        """Always answering 0.5: right where |x1 + x2| < 0.16; the sum of two has the density (2 - |s|) / 4."""
        width = 4 * _CLOSE
        return Trivial("always 0.5", width - width**2 / 4)

    def draw(self, generator: np.random.Generator, rows: int) -> dict[str, Tensor]:
        """Numbers, marks and scaled sums."""
        lengths = generator.integers(self.steps, self.steps + self.steps // 10 + 1, size=rows)
        values = generator.uniform(-1, 1, (int(lengths.max()), rows)).astype(np.float32)
        first = generator.integers(10, size=rows)
        second = generator.integers(self.steps // 2 - 2, size=rows)
        second += second >= first  # of those that are still unmarked
        everyone = np.arange(rows)
        for place in (first, second):
            values[place[place == 0], everyone[place == 0]] = 0.0
        ends = np.stack([np.zeros(rows, np.int64), lengths - 1])
        batch = _marked(values, np.stack([first, second]), lengths, ends)
        batch["target"] = 0.5 + batch["target"] / 4
        return batch


def _marked(
    values: NDArray[np.float32],
    marked: NDArray[np.int64],
    lengths: NDArray[np.int64],
    ends: NDArray[np.int64] | None,
) -> dict[str, Tensor]:
    """Numbers and marks side by side, -1 at the ends; nothing beyond a sequence's last step."""
    time, rows = values.shape
    everyone = np.arange(rows)
    marks = np.zeros((time, rows), np.float32)
    if ends is not None:
        marks[ends, everyone] = -1.0
    marks[marked, everyone] = 1.0
    values = np.where(np.arange(time)[:, None] < lengths, values, np.float32(0))
    target = values[marked, everyone].sum(axis=0)
    return last_step_batch(np.stack([values, marks], axis=-1), lengths.astype(np.int64), target)
