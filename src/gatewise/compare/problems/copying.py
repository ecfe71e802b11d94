"""Copying: read ten symbols, wait, and say them again in the same order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gatewise.compare.problems.base import Measure, Problem, Trivial, check_steps, one_hot

__all__ = ["Copying"]

_KEPT, _SYMBOLS = 10, 8
_BLANK, _SIGNAL = 8, 9
_CLASSES = 10


@dataclass(frozen=True)
class Copying(Problem):
    """Ten symbols of eight, T - 1 blanks, a signal, ten blanks; the answer is T + 10 blanks and the ten symbols.

    Saying the blanks and guessing the symbols, without any memory, has a cross entropy of 10 ln 8 / (T + 20) a step.
    Sources name no threshold. Here it is solved where the cross entropy is below a tenth of that.

    Source: Arjovsky et al. 2016, section 4.1 (after Hochreiter & Schmidhuber 1997).

    Args:
        steps: T, the steps between the last symbol and the first answer, at least 1.

    Example:
        >>> import numpy as np
        >>> batch = Copying(steps=3).draw(np.random.default_rng(0), 1)
        >>> batch["input"][0].argmax(1)[10:].tolist()
        [8, 8, 9, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]
        >>> (batch["target"][0, -10:] == batch["input"][0, :10].argmax(1)).all().item()
        True
    """

    steps: int = 100
    kind: ClassVar[str] = "copying"
    source: ClassVar[str] = "Arjovsky et al. 2016, sec. 4.1"
    by_step: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the length."""
        check_steps(self.steps, 1)

    @property
    def title(self) -> str:
        """The problem and its length."""
        return f"copying over {self.steps} steps"

    @property
    def inputs(self) -> int:
        """Eight symbols, the blank and the signal."""
        return _CLASSES

    @property
    def outputs(self) -> int:
        """The same."""
        return _CLASSES

    @property
    def span(self) -> int:
        """From a symbol to its answer."""
        return self.steps + _KEPT

    @property
    def length(self) -> int:
        """T + 20."""
        return self.steps + 2 * _KEPT

    @property
    def measure(self) -> Measure:
        """Cross entropy below a tenth of the memoryless answer's."""
        goal = self.trivial().value / 10
        return Measure("loss", "cross entropy", goal=goal, lower=True, log=True)

    def trivial(self) -> Trivial:
        """Blanks, and guesses at the end."""
        return Trivial("no memory", _KEPT * math.log(_SYMBOLS) / self.length)

    def draw(self, generator: np.random.Generator, rows: int) -> dict[str, Tensor]:
        """What is read and what is to be said."""
        codes = np.full((rows, self.length), _BLANK)
        target = codes.copy()
        codes[:, :_KEPT] = generator.integers(_SYMBOLS, size=(rows, _KEPT))
        codes[:, _KEPT + self.steps - 1] = _SIGNAL
        target[:, -_KEPT:] = codes[:, :_KEPT]
        return {
            "input": one_hot(codes, _CLASSES),
            "lengths": torch.full((rows,), self.length),
            "target": torch.from_numpy(target),
        }

    def loss(self, answer: Float[Tensor, "batch time classes"], batch: Mapping[str, Tensor]) -> Tensor:
        """Mean cross entropy of all steps, in nats."""
        return F.cross_entropy(answer.float().flatten(0, 1), batch["target"].flatten())

    def tally(
        self, answer: Float[Tensor, "batch time classes"], batch: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Cross entropies, and symbols that were said again."""
        answer, target = answer.double(), batch["target"]
        right = answer[:, -_KEPT:].argmax(2) == target[:, -_KEPT:]
        return {
            "loss": F.cross_entropy(answer.flatten(0, 1), target.flatten(), reduction="sum"),
            "right": right.sum(),
            "whole": right.all(1).sum(),
            "count": answer.new_tensor(len(target)),
        }

    def measures(self, sums: Mapping[str, Tensor]) -> dict[str, float]:
        """Cross entropy a step in nats; the share of the ten symbols that were right, and of whole sequences."""
        return {
            "loss": float(sums["loss"] / sums["count"] / self.length),
            "accuracy": float(sums["right"] / sums["count"] / _KEPT),
            "sequences": float(sums["whole"] / sums["count"]),
        }
