"""Temporal order: say in which order a few symbols came, far apart among many that mean nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gatewise.compare.problems.base import Measure, Trivial, check_steps, one_hot
from gatewise.compare.problems.classes import Classes
from gatewise.errors import ArgumentError

__all__ = ["TemporalOrder"]

# The symbols' codes: four distractors a b c d, the two that count, the start E and the end B.
_DISTRACTORS, _X, _START, _END = 4, 4, 6, 7
_SYMBOLS = 8


@dataclass(frozen=True)
class TemporalOrder(Classes):
    """The sequence starts with E, ends with B, and holds X or Y at two (or three) places among a, b, c, d.

    At `steps=100` as in the source: lengths from 100 to 110, the places from 10 to 20 and from 50 to 60 (of three: 10
    to 20, 33 to 43, 66 to 76); at other lengths in proportion. The class is the order: XX, XY, YX, YY (or eight).

    Source: Hochreiter & Schmidhuber 1997, section 5.6, tasks 6a and 6b. There a sequence counts as right where every
    output is within 0.3; here the largest output decides, and 99 % right is the goal (Pascanu et al. 2013).

    Args:
        steps: the least length T, at least 10.
        symbols: how many symbols count, 2 or 3.

    Example:
        >>> import numpy as np
        >>> batch = TemporalOrder(steps=20).draw(np.random.default_rng(0), 3)
        >>> batch["input"].shape[2], batch["target"].max().item() < 4
        (8, True)
    """

    steps: int = 100
    symbols: int = 2
    kind: ClassVar[str] = "temporal-order"
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997, sec. 5.6"

    def __post_init__(self) -> None:
        """Check the options."""
        check_steps(self.steps, 10)
        if self.symbols not in (2, 3):
            raise ArgumentError(f"symbols: 2 or 3 is expected, came {self.symbols!r}")

    @property
    def title(self) -> str:
        """The problem and its length."""
        return f"temporal order of {self.symbols}, {self.steps} to {self.steps + self.steps // 10} steps"

    @property
    def inputs(self) -> int:
        """Eight symbols."""
        return _SYMBOLS

    @property
    def outputs(self) -> int:
        """The orders."""
        return int(2**self.symbols)

    @property
    def span(self) -> int:
        """From the first step to the last."""
        return self.steps

    @property
    def length(self) -> int:
        """The least length."""
        return self.steps

    @property
    def measure(self) -> Measure:
        """At least 99 % right."""
        return Measure("accuracy", "sequences that are right", goal=0.99, percent=True)

    def trivial(self) -> Trivial:
        """Guessing: all orders are equally frequent."""
        return Trivial("guessing", 1 / self.outputs)

    def windows(self) -> list[tuple[int, int]]:
        """First and last place that each symbol may have, E standing at 0."""
        tenth = self.steps // 10
        starts = (
            (tenth, self.steps // 2) if self.symbols == 2 else (tenth, self.steps // 3, 2 * self.steps // 3)
        )
        return [(start, start + tenth) for start in starts]

    def draw(self, generator: np.random.Generator, rows: int) -> dict[str, Tensor]:
        """Symbols and the class of their order."""
        lengths = generator.integers(self.steps, self.steps + self.steps // 10 + 1, size=rows)
        time = int(lengths.max())
        codes = generator.integers(_DISTRACTORS, size=(rows, time))
        everyone = np.arange(rows)
        order = np.zeros(rows, np.int64)
        for first, last in self.windows():
            which = generator.integers(2, size=rows)
            codes[everyone, generator.integers(first, last + 1, size=rows)] = _X + which
            order = 2 * order + which
        codes[:, 0] = _START
        codes[everyone, lengths - 1] = _END
        codes[np.arange(time) >= lengths[:, None]] = -1
        return {
            "input": one_hot(codes, _SYMBOLS),
            "lengths": torch.from_numpy(lengths),
            "target": torch.from_numpy(order),
        }
