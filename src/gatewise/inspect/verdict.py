"""What the gradient's way through time means, in words, with the thresholds that were applied."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from gatewise.inspect.horizon import HorizonEstimate
from gatewise.spec.program import Program

__all__ = ["EXPLODING", "LEAST_WINDOW", "VANISHING", "Verdict", "judge", "median_rows"]

VANISHING = 0.01
"""A norm below it vanishes: what is left is beneath the noise of a minibatch gradient, whose standard error over 32 to
a few thousand rows is 2 to 20 % of it, so that the nearby steps alone decide what is learned."""

EXPLODING = 100.0
"""A norm above it explodes: a gradient clipped at norm 1 (Pascanu, Mikolov & Bengio 2013) then leaves to the nearby
steps less than 1 %, the mirror image of vanishing."""

LEAST_WINDOW = 4
"""Shorter windows say nothing of memory."""


@dataclass(frozen=True)
class Verdict:
    """A judgement.

    Attributes:
        kind: "healthy", "vanishing", "exploding", "mixed" (some sequences vanish and others explode) or "unknown" (too
            few steps).
        sentence: What was seen, with the threshold.
        suggestion: What to change; "" where nothing needs to.
    """

    kind: str
    sentence: str
    suggestion: str

    def to_dict(self) -> dict[str, str]:
        """Plain JSON."""
        return {"kind": self.kind, "sentence": self.sentence, "suggestion": self.suggestion}


def judge(
    lags: Int[np.ndarray, " lags"],
    log_norm: Float[np.ndarray, "rows lags"],
    horizon: HorizonEstimate,
    program: Program,
) -> Verdict:
    """Judges a layer by how a gradient's norm changes on its way back.

    Args:
        lags: Increasing, in steps.
        log_norm: Natural logarithm of the norm by row and lag, 0 at lag 0; NaN where a row is shorter.
        horizon: The estimate from the median over rows.
        program: The cell, for the suggestion.
    """
    if len(lags) == 0 or lags[-1] < LEAST_WINDOW:
        seen = int(lags[-1]) if len(lags) else 0
        return Verdict(
            "unknown",
            f"The window of {seen} steps is too short to judge; {LEAST_WINDOW} are needed.",
            "Give longer sequences.",
        )
    last = np.array([row[~np.isnan(row)][-1] if (~np.isnan(row)).any() else np.nan for row in log_norm])
    peak = np.array([np.nanmax(row) if (~np.isnan(row)).any() else np.nan for row in log_norm])
    seen_rows = ~np.isnan(last)
    vanishes = (last < math.log(VANISHING)) & seen_rows
    explodes = (peak > math.log(EXPLODING)) & seen_rows
    half, window = seen_rows.sum() / 2, int(lags[-1])
    if explodes.any() and (vanishes & ~explodes).any():
        return Verdict(
            "mixed",
            f"Over {window} steps the gradient explodes (norm above {EXPLODING:g}) in {int(explodes.sum())} of "
            f"{int(seen_rows.sum())} sequences and vanishes (below {VANISHING:g}) in others.",
            f"{_against_explosion()} {_against_vanishing(program, window)}",
        )
    if explodes.sum() >= half:
        return Verdict("exploding", _explosion(lags, log_norm, window), _against_explosion())
    if vanishes.sum() >= half:
        return Verdict("vanishing", _vanishing(last, horizon, window), _against_vanishing(program, window))
    return Verdict(
        "healthy",
        f"Over {window} steps the gradient's norm stays between {VANISHING:g} and {EXPLODING:g} of what it was: "
        f"{_size(float(np.nanmedian(last)))} of it arrives at the far end.",
        "",
    )


def _explosion(lags: np.ndarray, log_norm: np.ndarray, window: int) -> str:
    typical = median_rows(log_norm)
    at = int(np.nanargmax(typical))
    return (
        f"The gradient explodes: within {window} steps its norm grows to {_size(float(typical[at]))} times what it was "
        f"(at lag {int(lags[at])}; the threshold is {EXPLODING:g})."
    )


def _vanishing(last: np.ndarray, horizon: HorizonEstimate, window: int) -> str:
    reach = horizon.reach(VANISHING) if any(r.share == VANISHING for r in horizon.reaches) else None
    back = (
        ""
        if reach is None or math.isinf(reach.lag)
        else f"; it falls under {VANISHING:.0%} {reach.lag:.3g} steps back"
    )
    return (
        f"The gradient vanishes: of its norm {_size(float(np.nanmedian(last)))} is left after {window} steps (the "
        f"threshold is {VANISHING:g}){back}."
    )


def _size(log_norm: float) -> str:
    """A norm from its logarithm, also where it is outside the range of numbers."""
    if np.isneginf(log_norm):
        return "nothing"
    if abs(log_norm) < math.log(1e4):
        return f"{math.exp(log_norm):.3g}"
    return f"1e{log_norm / math.log(10):+.0f}"


def median_rows(log_norm: Float[np.ndarray, "rows lags"]) -> Float[np.ndarray, " lags"]:
    """The median over rows at each lag, of those that are long enough; NaN where none is."""
    found = np.full(log_norm.shape[1], np.nan)
    for k, column in enumerate(log_norm.T):
        known = np.sort(column[~np.isnan(column)])
        if len(known):
            low, high = known[(len(known) - 1) // 2], known[len(known) // 2]
            found[k] = low if low == high else (low + high) / 2
    return found


def _against_explosion() -> str:
    return (
        "Clip the gradient (gradient_clip=1.0), lower the learning rate, or begin with recurrent weights of spectral "
        'radius at most 1 (init="orthogonal").'
    )


def _against_vanishing(program: Program, window: int) -> str:
    beside = "otherwise shorter windows cost less and lose nothing."
    if program.retain is not None or program.admit is not None:
        return (
            f'If what matters lies that far back: init="chrono" with chrono_steps={max(window, 3)} (Tallec & Ollivier '
            f"2018), which begins with a memory of that length; {beside}"
        )
    return f'If what matters lies that far back: a cell with a forget gate (lstm, gru), or init="orthogonal"; {beside}'
