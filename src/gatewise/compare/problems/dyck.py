"""Dyck words: brackets of several kinds, well nested up to a depth; say what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatewise.compare.problems.base import Measure, Problem, Trivial, check_steps, one_hot

__all__ = ["Dyck"]

# A closing bracket counts as told where it has so much of the probability of all closing ones (Hewitt 2020, sec. 5).
_SURE = 0.8


@dataclass(frozen=True)
class Dyck(Problem):
    """Words of Dyck-(k, m): opening or closing with equal chance, only opening at depth 0, only closing at depth m.

    An opening bracket is one of k kinds with equal chance; at depth 0 the word ends with chance 1/2, but never before
    its least length; words that do not end within their greatest length are drawn anew. The network reads a start
    symbol and the word, and says each next symbol, the end included. Measured as in the source: of the closing
    brackets l symbols after their opening one, the share with more than 80 % of the probability of all closing
    ones, and the mean of these shares over all l.

    Source: Hewitt et al. 2020, section 5; bounded depth and kinds as there, nesting as in Suzgun et al. 2019.

    Args:
        steps: the least number of brackets, at least 4; with the end symbol a word has at most a tenth more, or
            2 (depth + 1) more if that is greater.
        kinds: kinds of brackets k, at least 2.
        depth: the greatest depth m, at least 1.

    Example:
        >>> import numpy as np
        >>> batch = Dyck(steps=8).draw(np.random.default_rng(0), 2)
        >>> batch["input"].shape[2], batch["target"].shape == batch["input"].shape[:2]
        (5, True)
    """

    steps: int = 100
    kinds: int = 2
    depth: int = 3
    kind: ClassVar[str] = "dyck"
    source: ClassVar[str] = "Hewitt et al. 2020, sec. 5; Suzgun et al. 2019"
    by_step: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the options."""
        check_steps(self.steps, 4)
        check_steps(self.kinds, 2, "kinds")
        check_steps(self.depth, 1, "depth")

    @property
    def title(self) -> str:
        """The problem and its length."""
        return f"Dyck-({self.kinds}, {self.depth}) words of {self.steps} brackets and more"

    @property
    def longest(self) -> int:
        """The greatest length, the end symbol counted."""
        return self.steps + max(self.steps // 10, 2 * (self.depth + 1))

    @property
    def inputs(self) -> int:
        """Opening and closing brackets, and one symbol that stands for start and end."""
        return 2 * self.kinds + 1

    @property
    def outputs(self) -> int:
        """The same."""
        return self.inputs

    @property
    def span(self) -> int:
        """A word's least length: how far apart two brackets of a pair can be."""
        return self.steps

    @property
    def length(self) -> int:
        """A word's least length."""
        return self.steps

    @property
    def measure(self) -> Measure:
        """At least 99 % of the closing brackets told, on the mean over all distances."""
        return Measure("closing", "closing brackets told", goal=0.99, percent=True)

    def trivial(self) -> Trivial:
        """A network that has forgotten the opening bracket gives each kind the same chance, at most a half."""
        return Trivial("no memory", 0.0)

    def draw(self, generator: np.random.Generator, rows: int) -> dict[str, Tensor]:
        """Words, each with its start, and what comes next at each step; beyond a word's end the target is -100."""
        words = np.zeros((0, self.longest), np.int64)
        distances = words
        while len(words) < rows:
            more, far, ended = self._walk(generator, rows)
            words = np.concatenate([words, more[ended]])
            distances = np.concatenate([distances, far[ended]])
        words, distances = words[:rows], distances[:rows]
        end = 2 * self.kinds
        lengths = 1 + (words == end).argmax(axis=1)
        beyond = np.arange(self.longest) >= lengths[:, None]
        codes = np.concatenate([np.full((rows, 1), end), words[:, :-1]], axis=1)
        codes[beyond] = -1
        time = int(lengths.max())
        return {
            "input": one_hot(codes[:, :time], self.inputs),
            "lengths": torch.from_numpy(lengths),
            "target": torch.from_numpy(np.where(beyond, -100, words)[:, :time]),
            "distance": torch.from_numpy(distances[:, :time]),
        }

    def _walk(
        self, generator: np.random.Generator, rows: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Words, for each closing bracket how far back its opening one is (else 0), and which words ended in time.

        Codes: kinds 0 to k - 1 open, k to 2k - 1 close, 2k ends.
        """
        closing = generator.random((self.longest, rows)) < 0.5
        fresh = generator.integers(self.kinds, size=(self.longest, rows))
        stack = np.zeros((self.depth + 1, rows), np.int64)
        opened = np.zeros((self.depth + 1, rows), np.int64)
        depth, everyone = np.zeros(rows, np.int64), np.arange(rows)
        ended = np.zeros(rows, bool)
        words = np.full((self.longest, rows), 2 * self.kinds)
        distances = np.zeros((self.longest, rows), np.int64)
        for step in range(self.longest):
            down = closing[step] | (depth == self.depth)
            # At depth 0, to close is to end; before the least length nothing but opening is possible there.
            ended |= (depth == 0) & down & (step >= self.steps)
            down &= depth > 0
            words[step] = np.where(down, self.kinds + stack[depth, everyone], fresh[step])
            words[step, ended] = 2 * self.kinds
            distances[step] = np.where(down & ~ended, step - opened[depth, everyone], 0)
            depth = np.where(ended, 0, depth + np.where(down, -1, 1))
            up = ~down & ~ended
            stack[depth[up], everyone[up]] = fresh[step, up]
            opened[depth[up], everyone[up]] = step
        return words.T, distances.T, ended

    def loss(self, answer: Float[Tensor, "batch time classes"], batch: Mapping[str, Tensor]) -> Tensor:
        """Mean cross entropy of the symbols, in nats."""
        return F.cross_entropy(answer.float().flatten(0, 1), batch["target"].flatten())

    def tally(
        self, answer: Float[Tensor, "batch time classes"], batch: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Cross entropies; closing brackets that were told, and all of them, by distance."""
        answer, target, distance = answer.double(), batch["target"], batch["distance"]
        at = distance > 0
        own = torch.softmax(answer[at][:, self.kinds : 2 * self.kinds], dim=1)
        told = own.gather(1, target[at][:, None] - self.kinds)[:, 0] > _SURE
        return {
            "loss": F.cross_entropy(answer.flatten(0, 1), target.flatten(), reduction="sum"),
            "count": (target >= 0).sum(),
            "told": torch.bincount(distance[at], told.double(), minlength=self.longest),
            "closing": torch.bincount(distance[at], minlength=self.longest),
        }

    def measures(self, sums: Mapping[str, Tensor]) -> dict[str, float]:
        """Cross entropy a symbol in nats; closing brackets told, mean over distances and over all of them."""
        there = sums["closing"] > 0
        return {
            "loss": float(sums["loss"] / sums["count"]),
            "closing": float((sums["told"][there] / sums["closing"][there]).mean()),
            "closing_all": float(sums["told"].sum() / sums["closing"].sum()),
        }
