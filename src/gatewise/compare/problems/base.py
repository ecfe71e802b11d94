"""What a problem is: sequences as a pure function of (seed, index), a loss, a measure with a goal, a trivial answer."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatewise.errors import ArgumentError, ArgumentTypeError

__all__ = ["Measure", "Problem", "Trivial", "check_steps", "last_step_batch", "one_hot"]

Batch = dict[str, Tensor]
# Streams of the random generator: what is learned from, and what is held out, never meet.
_STREAMS = {"training": 1, "validation": 2, "test": 3}
_COUNTS = {"validation": 500, "test": 2000}
_AT_ONCE = 250
_SPARE = 0.2


@dataclass(frozen=True)
class Measure:
    """What is looked at on held-out sequences, and what it must reach.

    Args:
        name: its key among the measures.
        title: what it is called.
        goal: the value that counts as solved; None: beating the trivial answer does.
        lower: whether lower is better.
        log: whether it spans orders of magnitude (curves are drawn and compared by their logarithm).
        percent: whether it is a share.

    Example:
        >>> error = Measure("mse", "mean squared error", goal=0.01, lower=True, log=True)
        >>> error.met(0.002), error.met(0.01), error.better(0.1, 0.2)
        (True, False, True)
    """

    name: str
    title: str
    goal: float | None
    lower: bool = False
    log: bool = False
    percent: bool = False

    def met(self, value: float | None) -> bool:
        """Whether a value reaches the goal: below it, or at least it."""
        if value is None or self.goal is None:
            return False
        return value < self.goal if self.lower else value >= self.goal

    def safely_met(self, value: float) -> bool:
        """Whether a value reaches the goal with a fifth to spare (of the error, where it is a share).

        Training goes on until then: a goal that was just met on some held-out sequences may be missed on others.
        """
        if self.goal is None:
            return False
        if self.lower:
            return value < (1 - _SPARE) * self.goal
        return value >= (self.goal + _SPARE * (1 - self.goal) if self.percent else self.goal)

    def better(self, first: float, second: float) -> bool:
        """Whether the first value is better than the second."""
        return first < second if self.lower else first > second

    def text(self, value: float | None) -> str:
        """A value as it is printed."""
        if value is None:
            return "none"
        if self.percent:
            return f"{value:.2%}" if value > 0.98 else f"{value:.1%}"
        return f"{value:.3g}"


@dataclass(frozen=True)
class Trivial:
    """What an answer is worth that learns nothing of the sequence.

    Args:
        name: which answer.
        value: of the problem's measure.
    """

    name: str
    value: float


class Problem(ABC):
    """One problem of one length. Every problem is a frozen dataclass of its options.

    Attributes:
        kind: its name in a configuration.
        source: where it is defined.
        by_step: whether an answer is asked for at every step, or after the last one alone.
        unit: what a curve is drawn over.
    """

    kind: ClassVar[str]
    source: ClassVar[str]
    by_step: ClassVar[bool] = False
    unit: ClassVar[str] = "step"

    @property
    @abstractmethod
    def title(self) -> str:
        """The problem and its length in words."""

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Numbers at each step."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers of an answer."""

    @property
    @abstractmethod
    def span(self) -> int:
        """Steps of the longest dependency, which chrono initialisation is told."""

    @property
    @abstractmethod
    def length(self) -> int:
        """Steps of a sequence, about: what a run's time goes with."""

    @property
    @abstractmethod
    def measure(self) -> Measure:
        """What is looked at, with the goal that is published or usual."""

    def identity(self) -> dict[str, Any]:
        """The options, as plain JSON."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @abstractmethod
    def trivial(self) -> Trivial:
        """The trivial answer's measure, computed."""

    @abstractmethod
    def draw(self, generator: np.random.Generator, rows: int) -> Batch:
        """Draw sequences.

        Args:
            generator: where randomness comes from, the only thing that the result depends on.
            rows: how many.

        Returns:
            "input" (batch, time, inputs), "lengths" (batch,), and what `loss` and `tally` read; the batch comes first.
        """

    @abstractmethod
    def loss(self, answer: Float[Tensor, "batch *rest"], batch: Mapping[str, Tensor]) -> Tensor:
        """The mean loss of a network's answers, to be differentiated."""

    @abstractmethod
    def tally(self, answer: Float[Tensor, "batch *rest"], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What adds up over batches and gives the measures in the end."""

    @abstractmethod
    def measures(self, sums: Mapping[str, Tensor]) -> dict[str, float]:
        """The measures from what was added up, "loss" among them."""

    def train_batch(self, seed: int, index: int, rows: int) -> Batch:
        """The batch of one step: a pure function of its arguments.

        Args:
            seed: the run's.
            index: steps before this one.
            rows: how many sequences.
        """
        return self.draw(_generator("training", seed, index), rows)

    def held_out(self, part: str) -> Iterator[Batch]:
        """Sequences to be measured on, the same for every cell and seed.

        Args:
            part: "validation" (looked at while a network learns) or "test" (looked at once).
        """
        left, index = _COUNTS[part], 0
        while left > 0:
            rows = min(left, _AT_ONCE)
            yield self.draw(_generator(part, 0, index), rows)
            left, index = left - rows, index + 1


def _generator(part: str, seed: int, index: int) -> np.random.Generator:
    return np.random.default_rng([_STREAMS[part], seed, index])


def check_steps(value: object, least: int, name: str = "steps") -> None:
    """Raises unless a problem's length is a whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: a whole number is expected, came {value!r}")
    if value < least:
        raise ArgumentError(f"{name}: at least {least} is expected, came {value}; give a longer sequence")


def one_hot(codes: NDArray[np.int64], classes: int) -> Float[Tensor, "batch time classes"]:
    """Codes as vectors with a single one; codes of -1 (beyond a sequence's end) as zeros.

    The memory is time first, as the layers read it; the view is batch first.
    """
    rows, time = codes.shape
    place = np.zeros((time, rows, classes), np.float32)
    at = np.nonzero(codes.T >= 0)
    place[(*at, codes.T[at])] = 1.0
    return torch.from_numpy(place).transpose(0, 1)


def last_step_batch(
    steps: NDArray[np.float32], lengths: NDArray[np.int64], target: NDArray[Any]
) -> dict[str, Tensor]:
    """A batch whose answer is asked for after the last step.

    Args:
        steps: (time, batch, inputs).
        lengths: (batch,).
        target: (batch,), numbers or classes.
    """
    return {
        "input": torch.from_numpy(steps).transpose(0, 1),
        "lengths": torch.from_numpy(lengths),
        "target": torch.from_numpy(target),
    }
