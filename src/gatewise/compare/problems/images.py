"""Sequential MNIST: an image read row by row or pixel by pixel, in order or in one fixed disorder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from gatewise.compare.problems.base import Batch, Measure, Trivial, check_steps
from gatewise.compare.problems.classes import Classes
from gatewise.data.images import Images, mnist
from gatewise.errors import ArgumentError

__all__ = ["SequentialMNIST"]

_SIDE = 28
_PIXELS = _SIDE * _SIDE
_HELD = 5000  # of the training images, the last ones
_PERMUTATION_SEED = 92916  # any fixed number: all runs must see the same disorder
_AT_ONCE = 250
# What an LSTM reaches by pixel and permuted (Cooijmans et al. 2017); by row nothing is published as a standard.
_GOALS = {"row": 0.99, "pixel": 0.989, "permuted": 0.902}


@dataclass(frozen=True)
class SequentialMNIST(Classes):
    """Ten digits of 28 x 28 pixels in [0, 1], read from above: 28 steps of 28, or 784 steps of one.

    Source: Le et al. 2015, section 4.2. The last 5,000 training images are held back for validation; the measure in the
    end is taken on the 10,000 test images.

    Args:
        order: "row", "pixel" or "permuted" (pixel by pixel in one random order, the same for all images).
        shift: training images are moved by up to so many pixels, drawn anew at each sight; 0, as in the source.
        images: so many training images alone, or None for all 55,000.

    Example:
        >>> SequentialMNIST(order="row").title
        'MNIST by row, 28 steps'
    """

    order: str = "pixel"
    shift: int = 0
    images: int | None = None
    kind: ClassVar[str] = "sequential-mnist"
    source: ClassVar[str] = "Le et al. 2015, sec. 4.2"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.order not in _GOALS:
            names = ", ".join(map(repr, _GOALS))
            raise ArgumentError(f"order: one of {names} is expected, came {self.order!r}")
        check_steps(self.shift, 0, "shift")
        if self.shift > 4:
            raise ArgumentError(
                f"shift: at most 4 pixels are expected, came {self.shift}; digits touch the edge"
            )
        if self.images is not None:
            check_steps(self.images, 10, "images")

    @property
    def title(self) -> str:
        """The order and the length."""
        words = {"row": "by row", "pixel": "by pixel", "permuted": "by permuted pixel"}[self.order]
        return f"MNIST {words}, {self.length} steps"

    @property
    def inputs(self) -> int:
        """A row, or a pixel."""
        return _SIDE if self.order == "row" else 1

    @property
    def outputs(self) -> int:
        """Ten digits."""
        return 10

    @property
    def span(self) -> int:
        """The whole image."""
        return self.length

    @property
    def length(self) -> int:
        """Steps of an image."""
        return _SIDE if self.order == "row" else _PIXELS

    @property
    def measure(self) -> Measure:
        """Accuracy."""
        return Measure("accuracy", "digits that are right", goal=_GOALS[self.order], percent=True)

    def trivial(self) -> Trivial:
        """Always the digit that is most frequent in training, on the test images."""
        labels = _loaded().train_labels[:-_HELD]
        most = np.bincount(labels).argmax()
        return Trivial(f"always {most}", float((_loaded().test_labels == most).mean()))

    def draw(self, generator: np.random.Generator, rows: int) -> Batch:
        """Some of the training images, drawn at random."""
        return self._batch("train", generator.integers(self._count, size=rows), generator)

    def train_batch(self, seed: int, index: int, rows: int) -> Batch:
        """The images of one step: epoch after epoch, each in an order of its own."""
        rows = min(rows, self._count)
        epoch, step = divmod(index, self._count // rows)
        order = _order(seed, epoch, self._count)[step * rows : (step + 1) * rows]
        return self._batch("train", order, np.random.default_rng([4, seed, index]))

    def held_out(self, part: str) -> Iterator[Batch]:
        """The images that are held back, or the test images."""
        data = _loaded()
        which, first, end = "test", 0, len(data.test_labels)
        if part == "validation":
            which, end = "train", len(data.train_labels)
            first = end - _HELD
        for begin in range(first, end, _AT_ONCE):
            yield self._batch(which, np.arange(begin, min(begin + _AT_ONCE, end)), None)

    @property
    def _count(self) -> int:
        whole = len(_loaded().train_labels) - _HELD
        return whole if self.images is None else min(self.images, whole)

    def _batch(self, part: str, places: NDArray[np.int64], generator: np.random.Generator | None) -> Batch:
        data = _loaded()
        pixels = (data.train if part == "train" else data.test)[places]
        labels = (data.train_labels if part == "train" else data.test_labels)[places]
        if generator is not None and self.shift:
            pixels = _shifted(pixels, self.shift, generator)
        steps = pixels.reshape(len(pixels), self.length, self.inputs).transpose(1, 0, 2)
        if self.order == "permuted":
            steps = steps[_permutation()]
        values = torch.from_numpy(np.ascontiguousarray(steps)).float() / 255
        return {
            "input": values.transpose(0, 1),
            "lengths": torch.full((len(pixels),), self.length),
            "target": torch.from_numpy(labels.astype(np.int64)),
        }


def _shifted(pixels: NDArray[np.uint8], most: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Each image moved by its own draw; what comes in from outside is black."""
    wide = np.pad(pixels, ((0, 0), (most, most), (most, most)))
    down, right = generator.integers(0, 2 * most + 1, size=(2, len(pixels)))
    side = np.arange(_SIDE)
    rows, columns = down[:, None] + side, right[:, None] + side
    return wide[np.arange(len(pixels))[:, None, None], rows[:, :, None], columns[:, None, :]]


@lru_cache(maxsize=1)
def _loaded() -> Images:
    return mnist()


@lru_cache(maxsize=1)
def _permutation() -> NDArray[np.int64]:
    return np.random.default_rng(_PERMUTATION_SEED).permutation(_PIXELS)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([5, seed, epoch]).permutation(count)
