"""How far a float32 computation may stray from the exact one: running error analysis (Higham 2002, sec. 3.3).

Each value is carried in float64 together with a bound of the error that float32 may have made on the way to it.
What is assumed of the implementation under test, whatever the order in which it works:

- A sum of n products errs by at most ``gamma(n) = n u / (1 - n u)`` times the sum of the products' sizes, in any
  order and with or without fused multiply-add (Higham 2002, eq. 3.4-3.5), u = 2**-24 being float32's unit
  round-off (half its machine epsilon).
- tanh and the logistic function err by at most ``ACTIVATION`` in absolute terms on top of what their argument's
  error, times their slope there, makes of it.

So the tolerance of each number is derived from the length of the sums behind it, the machine epsilon and the
weights at hand; none is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

UNIT = 2.0**-24
# onnxruntime approximates both functions by rational functions with clamped arguments: 10 u is the most seen over
# [-30, 30] through its operators (test_onnxruntime.py holds it to 16), libraries' own tanh and exp stay within 4 u.
ACTIVATION = 16 * UNIT


def gamma(terms: int) -> float:
    """The relative error of a float32 sum of that many products."""
    return terms * UNIT / (1 - terms * UNIT)


@dataclass(frozen=True)
class Bounded:
    """A value, and a bound of what float32 may have put on top of it."""

    value: Array
    error: Array

    @staticmethod
    def exact(value: np.ndarray) -> Bounded:
        """A number that float32 holds exactly: an input or a weight."""
        wide = np.asarray(value, dtype=np.float64)
        return Bounded(wide, np.zeros_like(wide))

    def where(self, condition: np.ndarray, other: Bounded) -> Bounded:
        """This where the condition holds, the other elsewhere."""
        return Bounded(
            np.where(condition, self.value, other.value), np.where(condition, self.error, other.error)
        )


@dataclass(frozen=True)
class Sum:
    """Terms that are added in some order, not rounded yet: value, sum of the terms' sizes, error they bring, number."""

    value: Array
    size: Array
    error: Array
    terms: int

    def __add__(self, other: Sum) -> Sum:
        """All terms of both."""
        return Sum(
            self.value + other.value,
            self.size + other.size,
            self.error + other.error,
            self.terms + other.terms,
        )

    def gates(self, count: int) -> list[Sum]:
        """The same for each of the gates that are stacked along the last axis."""
        parts = [np.split(a, count, -1) for a in (self.value, self.size, self.error)]
        return [Sum(value, size, error, self.terms) for value, size, error in zip(*parts, strict=True)]

    def rounded(self) -> Bounded:
        """The sum as float32 gives it."""
        return Bounded(self.value, self.error + gamma(self.terms) * (self.size + self.error))


def constant(values: np.ndarray) -> Sum:
    """One term that float32 holds exactly: a bias."""
    wide = np.asarray(values, dtype=np.float64)
    return Sum(wide, np.abs(wide), np.zeros_like(wide), 1)


def matrix(weight: np.ndarray, vector: Bounded) -> Sum:
    """A matrix times each row of ``vector``: one term a column."""
    wide = np.asarray(weight, dtype=np.float64)
    return Sum(
        vector.value @ wide.T,
        np.abs(vector.value) @ np.abs(wide).T,
        vector.error @ np.abs(wide).T,
        wide.shape[1],
    )


def product(one: Bounded, two: Bounded) -> Sum:
    """Unit by unit: one term."""
    size = np.abs(one.value) * np.abs(two.value)
    error = one.error * np.abs(two.value) + np.abs(one.value) * two.error + one.error * two.error
    return Sum(one.value * two.value, size, error, 1)


def blend(gate: Bounded, on: Bounded, off: Bounded) -> Bounded:
    """``gate * on + (1 - gate) * off``, or the same written as ``off + gate * (on - off)``: four roundings at most.

    Each rounding is of something no larger than the sum of both sizes.
    """
    difference = np.abs(on.value - off.value) + on.error + off.error
    error = gate.error * difference + gate.value * on.error + (1 - gate.value) * off.error
    return Sum(
        gate.value * on.value + (1 - gate.value) * off.value, np.abs(on.value) + np.abs(off.value), error, 4
    ).rounded()


def sigmoid(total: Sum) -> Bounded:
    """The logistic function; its slope is s (1 - s), and bends by less than 1/8 per unit."""
    a = total.rounded()
    s = 1 / (1 + np.exp(-a.value))
    return Bounded(s, a.error * (s * (1 - s) + a.error / 8) + ACTIVATION)


def tanh(total: Sum) -> Bounded:
    """The hyperbolic tangent; its slope is 1 - t**2, and bends by less than 1 per unit."""
    a = total.rounded()
    t = np.tanh(a.value)
    return Bounded(t, a.error * (1 - t * t + a.error) + ACTIVATION)


def relu(total: Sum) -> Bounded:
    """The rectifier, which rounds nothing."""
    a = total.rounded()
    return Bounded(np.maximum(a.value, 0.0), a.error)
