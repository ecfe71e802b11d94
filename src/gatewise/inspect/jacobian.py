"""Norms of d h_T / d h_t, the product of a layer's step Jacobians, by lag T - t: exact, without finite differences.

The state of a step is all states of the cell side by side (h and c of an LSTM). Products with the Jacobian and its
transpose come from the program's own derivative: J^T u is one backward pass from the last state, J v the derivative
of that pass, which is linear in u. Long sequences are cut into pieces that are computed again when they are needed,
and each product is brought back to size after each piece, so that neither memory nor the range of numbers bounds the
lag.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gatewise.engines import recurrence
from gatewise.inspect.tapped import Tap

__all__ = ["MOST_DENSE", "Alignment", "JacobianNorms", "align", "jacobian_norms", "lag_grid"]

MOST_DENSE = 128
"""Widest state (all states together) whose whole Jacobian is carried under method "auto"."""

_BLOCK = 4  # vectors of the power iteration: it converges as (sigma_5 / sigma_1)^2 a round
_PIECE = 1 << 24  # numbers that one piece may save for its derivative, about
_STEPS = 16  # the most of a piece: products of so many Jacobians stay within the range of float32
_SAVED = 8  # values that a step saves for its derivative per unit of its state, about


@dataclass(frozen=True)
class Alignment:
    """Each row's steps that count, in the order in which the layer runs through them, ending together.

    Attributes:
        index: (steps, rows), the time of each; 0 where a shorter row has not begun.
        valid: (steps, rows), whether the row has begun.
        counts: (rows,), how many steps of each row count.
    """

    index: Int[Tensor, "steps rows"]
    valid: Bool[Tensor, "steps rows"]
    counts: Int[Tensor, " rows"]

    def gather(self, sequence: Tensor) -> Tensor:
        """(time, rows, width) as (steps, rows, width); what stands where a row has not begun means nothing."""
        return sequence.gather(0, self.index.unsqueeze(-1).expand(-1, -1, sequence.shape[-1]))


def align(tap: Tap, rows: Int[Tensor, " chosen"]) -> Alignment:
    """The chosen rows of a layer's run, ending together.

    Args:
        tap: The run.
        rows: Positions in the batch.
    """
    steps, device = tap.inputs[0].shape[0], tap.inputs[0].device
    counted = torch.ones(steps, len(rows), dtype=torch.bool, device=device)
    if tap.mask is not None:
        counted = tap.mask[:, rows, 0].clone()
    for stream, values in zip(tap.call.program.inputs, tap.inputs, strict=True):
        if stream.name == "reset":
            counted |= values[:, rows, 0]  # a reset changes the state even where the step does not count
    if tap.reverse:
        counted = counted.flip(0)
    counts = counted.sum(0)
    # A stable sort by "counts or not" moves the steps that count to the end and keeps their order.
    order = counted.to(torch.uint8).argsort(dim=0, stable=True)[steps - int(counts.max()) :]
    valid = counted.gather(0, order)
    index = steps - 1 - order if tap.reverse else order
    return Alignment(torch.where(valid, index, 0), valid, counts)


@dataclass(frozen=True)
class JacobianNorms:
    """How large d h_T / d h_t is, by lag and row; natural logarithms, -inf where nothing arrives.

    Attributes:
        lags: (lags,), in steps that count.
        log_norm: (rows, lags), of the largest singular value; NaN where a row has fewer steps.
        log_rms: (rows, lags), of the Frobenius norm over the square root of the width: what a random direction keeps
            in the mean square; NaN by the power iteration, which does not see all directions.
        converged: (rows, lags), whether the norm is within the tolerance; always so by the dense method.
        method: "dense" or "power".
    """

    lags: Int[np.ndarray, " lags"]
    log_norm: Float[np.ndarray, "rows lags"]
    log_rms: Float[np.ndarray, "rows lags"]
    converged: Bool[np.ndarray, "rows lags"]
    method: str


def lag_grid(longest: int, count: int) -> list[int]:
    """At most `count` lags from 1 to the longest, each about as many times the one before.

    Example:
        >>> lag_grid(100, 8)
        [1, 2, 4, 7, 14, 27, 52, 100]
    """
    if longest < 1:
        return []
    return sorted({round(lag) for lag in np.geomspace(1, longest, count).tolist()})


class _Chain:
    """The chosen rows of a run, cut into pieces that end at the lags, with the state before each piece."""

    def __init__(self, tap: Tap, rows: Tensor, lags: Sequence[int], copies: Callable[[int], int]) -> None:
        alignment = align(tap, rows)
        self.program, self.tensors = tap.call.program, tap.tensors
        self.inputs = [alignment.gather(x[:, rows]) for x in tap.inputs]
        for k, stream in enumerate(self.program.inputs):
            if stream.name == "mask":
                self.inputs[k] = self.inputs[k] & alignment.valid.unsqueeze(-1)
        self.widths = [state.shape[-1] for state in tap.states]
        self.width, self.rows, self.steps = sum(self.widths), len(rows), alignment.index.shape[0]
        self.counts = alignment.counts
        self.copies = copies(self.width)
        self.bounds = self._cut(lags)
        self.begun = self._run_forward([state[rows] for state in tap.states])

    def _cut(self, lags: Sequence[int]) -> list[int]:
        """Where pieces begin and end, in steps, from 0 to the last."""
        most = max(1, min(_STEPS, _PIECE // (self.rows * self.copies * self.width * _SAVED)))
        ends = sorted({0, self.steps, *(self.steps - lag for lag in lags)})
        cuts = [range(a, b, most) for a, b in itertools.pairwise(ends)]
        return [*itertools.chain.from_iterable(cuts), self.steps]

    def _run_forward(self, states: list[Tensor]) -> list[list[Tensor]]:
        begun = []
        with torch.no_grad():
            for first, stop in itertools.pairwise(self.bounds):
                begun.append(states)
                pieces = [x[first:stop] for x in self.inputs]
                states = list(recurrence(self.program, pieces, states, self.tensors).states)
        return begun

    @property
    def pieces(self) -> range:
        return range(len(self.bounds) - 1)

    def _open(self, piece: int) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """The states before a piece and after it, a graph between them, each row as often as there are vectors."""
        first, stop = self.bounds[piece : piece + 2]
        inputs = [x[first:stop].repeat_interleave(self.copies, 1) for x in self.inputs]
        begun = [s.repeat_interleave(self.copies, 0).requires_grad_() for s in self.begun[piece]]
        return begun, recurrence(self.program, inputs, begun, self.tensors).states

    def pull(self, piece: int, u: Tensor) -> Tensor:
        """J^T u over a piece, for (rows, copies, width) vectors."""
        with torch.enable_grad():
            begun, ended = self._open(piece)
        return self._joined(_grad(ended, begun, self._split(u), create=False))

    def push(self, piece: int, v: Tensor) -> Tensor:
        """J v over a piece: the derivative of the backward pass, which is linear in what it starts from."""
        with torch.enable_grad():
            begun, ended = self._open(piece)
            at = [torch.zeros_like(state, requires_grad=True) for state in ended]
            back = _grad(ended, begun, at, create=True)
        return self._joined(_grad(back, at, self._split(v), create=False))

    def _split(self, vectors: Tensor) -> list[Tensor]:
        return list(vectors.reshape(-1, self.width).split(self.widths, -1))

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts), -1).reshape(self.rows, -1, self.width)


def _grad(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], given: Sequence[Tensor], *, create: bool
) -> list[Tensor]:
    """A vector-Jacobian product, zeros where an output does not depend on an input."""
    pairs = [(y, g) for y, g in zip(outputs, given, strict=True) if y.requires_grad]
    if not pairs:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad(
        [y for y, _ in pairs], inputs, [g for _, g in pairs], create_graph=create, allow_unused=True
    )
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


class _Scaled:
    """(rows, vectors, width) numbers of ordinary size, and the logarithm of what each row was divided by."""

    def __init__(self, values: Tensor, log_scale: Tensor | None = None) -> None:
        largest = values.detach().abs().flatten(1).amax(1).double()
        safe = torch.where(largest > 0, largest, 1.0)
        self.values = values / safe.to(values.dtype)[:, None, None]
        self.log_scale = (0.0 if log_scale is None else log_scale) + largest.log()

    def through(self, step: Callable[[int, Tensor], Tensor], piece: int) -> _Scaled:
        """The product over one more piece."""
        return _Scaled(step(piece, self.values), self.log_scale)


def jacobian_norms(
    tap: Tap, rows: Int[Tensor, " chosen"], lags: Sequence[int], *, method: str, tolerance: float,
    max_iterations: int,
) -> JacobianNorms:  # fmt: skip
    """The largest singular value of d h_T / d h_t for each lag and row.

    "dense" carries the whole Jacobian from the last step back: exact, with all lags in one pass of as many backward
    rows as the state is wide. "power" carries a block of four vectors back and forth over each lag (subspace
    iteration with a Rayleigh-Ritz step; Golub & Van Loan 2013, sec. 8.2.4 for the symmetric J^T J) until the norm
    changes by less than the tolerance; each lag starts from the last one's vectors.

    Args:
        tap: A layer's run.
        rows: Positions in the batch.
        lags: In steps, increasing, at least 1 and at most the number of steps that count in the longest row.
        method: "auto" (dense up to a width of 128), "dense" or "power".
        tolerance: Relative, of the power iteration.
        max_iterations: Of the power iteration, for each lag.
    """
    width = sum(state.shape[-1] for state in tap.states)
    dense = method == "dense" or (method == "auto" and width <= MOST_DENSE)
    chain = _Chain(tap, rows, lags, lambda width: width if dense else min(_BLOCK, width))
    shape = (len(rows), len(lags))
    norms, rms, converged = np.full(shape, np.nan), np.full(shape, np.nan), np.ones(shape, bool)
    if dense:
        _dense(chain, lags, norms, rms)
    else:
        _power(chain, lags, norms, converged, tolerance, max_iterations)
    short = chain.counts.cpu().numpy()[:, None] < np.asarray(lags)[None, :]
    norms[short], rms[short] = np.nan, np.nan
    return JacobianNorms(np.asarray(lags, np.int64), norms, rms, converged, "dense" if dense else "power")


def _dense(chain: _Chain, lags: Sequence[int], norms: Any, rms: Any) -> None:
    like = chain.begun[0][0]
    eye = torch.eye(chain.width, dtype=like.dtype, device=like.device)
    carried = _Scaled(eye.expand(chain.rows, -1, -1))
    column = {lag: k for k, lag in enumerate(lags)}
    for piece in reversed(chain.pieces):
        carried = carried.through(chain.pull, piece)
        k = column.get(chain.steps - chain.bounds[piece])
        if k is not None:
            norms[:, k], rms[:, k] = _sizes(carried)


def _sizes(carried: _Scaled) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the largest singular value and of the root mean square over directions."""
    matrix = carried.values.double()
    # The square root of the Gram matrix' largest eigenvalue: as exact as singular values for the largest of them.
    largest = torch.linalg.eigvalsh(matrix @ matrix.mT)[:, -1].clamp_min(0)
    mean = matrix.square().sum((1, 2)) / matrix.shape[-1]
    logs = [(0.5 * size.log() + carried.log_scale).cpu().numpy() for size in (largest, mean)]
    return logs[0], logs[1]


def _power(
    chain: _Chain, lags: Sequence[int], norms: Any, converged: Any, tolerance: float, rounds: int
) -> None:
    like = chain.begun[0][0]
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(
        chain.rows, chain.copies, chain.width, generator=generator, dtype=torch.float64, device="cpu"
    )
    u = _orthonormal(start.to(like))
    for k, lag in enumerate(lags):
        pieces = [piece for piece in chain.pieces if chain.bounds[piece] >= chain.steps - lag]
        before = np.full(chain.rows, np.nan)
        for _ in range(rounds):
            back = _Scaled(u)
            for piece in reversed(pieces):
                back = back.through(chain.pull, piece)
            there = _Scaled(_orthonormal(back.values))
            for piece in pieces:
                there = there.through(chain.push, piece)
            size = torch.linalg.matrix_norm(there.values.double(), 2).log() + there.log_scale
            norms[:, k] = size.cpu().numpy()
            u = _orthonormal(there.values)
            with np.errstate(invalid="ignore"):
                same = np.abs(norms[:, k] - before) <= tolerance
            converged[:, k] = same | np.isneginf(norms[:, k])
            if converged[:, k].all():
                break
            before = norms[:, k].copy()


def _orthonormal(vectors: Tensor) -> Tensor:
    """An orthonormal basis of each row's vectors, (rows, vectors, width)."""
    q: Tensor = torch.linalg.qr(vectors.double().mT)[0].mT
    return q.to(vectors.dtype).contiguous()
