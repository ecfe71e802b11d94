"""The verdict in words: who solves it, who is level with whom, and what the seeds cannot tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from gatewise.compare.reach import middle, reached
from gatewise.compare.scores import CellScore, ProblemScore

__all__ = ["Difference", "differ", "judge", "judge_lengths"]

# A difference that chance alone gives less often than this is called clear.
_LEVEL = 0.05
# Parameters that differ by less are called equal.
_SAME_SIZE = 0.05
# A mean within this share of the trivial answer's is no better than it.
_NO_BETTER = 0.02
_NOTHING = 1e-12


@dataclass(frozen=True)
class Difference:
    """How two cells compare.

    Args:
        known: whether there are seeds enough to say anything: two of each.
        chance: how often chance alone gives such a difference (the smaller of two tests' p), 1 where nothing is known.
        by_speed: whether both solve it always, and steps are what was compared.
    """

    known: bool
    chance: float
    by_speed: bool

    @property
    def clear(self) -> bool:
        """Whether it is beyond the noise."""
        return self.known and self.chance < _LEVEL


def differ(score: ProblemScore, first: CellScore, second: CellScore) -> Difference:
    """Compare two cells on one problem.

    Where both solve it with every seed, and it was noted when, their steps until then are compared (by the
    logarithm): their last values say only where they were stopped. Otherwise the values, by Welch's t test (1947),
    and how many seeds solve it, by Fisher's exact test.

    Args:
        score: the problem's.
        first, second: two of its cells.
    """
    by_speed = _by_speed(first, second)
    if by_speed:
        one, two = ([math.log(step) for step in cell.solved_at] for cell in (first, second))
    else:
        one, two = score.scaled(first.values), score.scaled(second.values)
    if min(len(one), len(two)) < 2:
        return Difference(False, 1.0, by_speed)
    chance = _welch(one, two)
    if not by_speed:
        table = [[cell.solved, len(cell.rows) - cell.solved] for cell in (first, second)]
        chance = min(chance, float(stats.fisher_exact(table)[1]))
    return Difference(True, chance, by_speed)


def judge(score: ProblemScore) -> list[str]:
    """The sentences on one problem.

    Args:
        score: all cells on it.
    """
    begun, cells = [cell for cell in score.cells if cell.rows], score.done
    if not begun:
        return ["No run is done yet."]
    said = [_solving(score, begun), *_leading(score, cells), *_no_better(score, cells), *_reaching(cells)]
    diverged = [f"{cell.name} ({cell.diverged} of {len(cell.rows)})" for cell in score.cells if cell.diverged]
    if diverged:
        said.append(f"Runs that ended in numbers that are not finite: {_listed(diverged)}.")
    missing = sum(cell.wanted - len(cell.rows) for cell in score.cells)
    if missing:
        said.append(f"{missing} of {sum(cell.wanted for cell in score.cells)} runs are not done yet.")
    return said


def judge_lengths(scores: Sequence[ProblemScore], lengths: Sequence[int]) -> str:
    """The sentence on one problem at several lengths: up to where each cell solves it with every seed.

    Args:
        scores: the same problem's, from short to long.
        lengths: in steps.
    """
    reach: dict[int, list[str]] = {}
    for place, cell in enumerate(scores[0].cells):
        longest = 0
        for score, length in zip(scores, lengths, strict=True):
            if not score.cells[place].always:
                break
            longest = length
        reach.setdefault(longest, []).append(cell.name)
    parts = []
    for length in sorted(reach, reverse=True):
        where = f"up to {length:,} steps" if length else f"not even at {lengths[0]:,} steps"
        parts.append(f"{_listed(reach[length])} {where}")
    seeds = max(cell.wanted for cell in scores[0].cells)
    whom = "the one seed" if seeds == 1 else f"all {seeds} seeds"
    return f"With {whom} {scores[0].problem.kind} is solved by {'; '.join(parts)}."


def _by_speed(first: CellScore, second: CellScore) -> bool:
    return all(cell.always and len(cell.solved_at) == len(cell.rows) for cell in (first, second))


def _welch(one: Sequence[float], two: Sequence[float]) -> float:
    """Two-sided p of Welch's test; of values without any spread an exact permutation test's."""
    gap = abs(float(np.mean(one)) - float(np.mean(two)))
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (one, two)]
    error = math.sqrt(sum(parts))
    if error <= _NOTHING * max(1.0, gap):
        # No spread is no proof: seeds that agree by chance. How often chance alone sorts them so (Fisher 1935).
        return 1.0 if gap <= _NOTHING else 2 / math.comb(len(one) + len(two), len(one))
    # Welch & Satterthwaite's degrees of freedom.
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (one, two), strict=True)
    )
    return float(2 * stats.t.sf(gap / error, freedom))


def _solving(score: ProblemScore, cells: Sequence[CellScore]) -> str:
    """Who meets the goal, the most seeds first."""
    head = "Solved"
    if score.measure.goal is None:
        head = f"Better than {score.trivial.name if score.trivial else 'the trivial method'}"
    groups: dict[tuple[int, int], list[str]] = {}
    for cell in cells:
        groups.setdefault((cell.solved, len(cell.rows)), []).append(cell.name)
    parts = []
    for solved, runs in sorted(groups, key=lambda pair: (-pair[0] / pair[1], pair)):
        whom = "no seed" if solved == 0 else "every seed" if solved == runs else "some seeds"
        parts.append(f"{_listed(groups[solved, runs])} with {whom} ({solved} of {runs})")
    return f"{head}: {'; '.join(parts)}."


def _leading(score: ProblemScore, cells: Sequence[CellScore]) -> list[str]:
    """Who is best, who is level with it, and at which size."""
    if len(cells) < 2:
        return []
    best, *others = sorted(cells, key=lambda cell: _rank(score, cell))
    found = {other.name: differ(score, best, other) for other in others}
    if not any(one.known for one in found.values()):
        return [
            f"The best value is {best.name}'s ({_worth(score, best)}); with one seed each nobody knows how much of the "
            "difference is noise."
        ]
    level = [other for other in others if not found[other.name].clear]
    behind = [other.name for other in others if found[other.name].clear]
    said = []
    if not behind:
        said.append(
            f"No cell differs from the best, {best.name} ({_worth(score, best)}), beyond the noise of these seeds."
        )
    else:
        text = f"Best: {best.name} ({_worth(score, best)}); {_listed(behind)} {_is(behind)} behind by more than noise"
        if level:
            text += f", {_listed([one.name for one in level])} {_is(level)} level with it within the noise"
        said.append(text + ".")
    return said + _sizes([best, *level])


def _sizes(level: Sequence[CellScore]) -> list[str]:
    """Which of several cells that are level needs fewer parameters, if it is worth saying."""
    sized = [cell for cell in level if cell.common("parameters")]
    if len(sized) < 2:
        return []
    small = min(sized, key=lambda cell: cell.common("parameters"))
    large = max(sized, key=lambda cell: cell.common("parameters"))
    saved = 1 - small.common("parameters") / large.common("parameters")
    if saved < _SAME_SIZE:
        return []
    return [f"Of these {small.name} has {saved:.0%} fewer parameters than {large.name}."]


def _no_better(score: ProblemScore, cells: Sequence[CellScore]) -> list[str]:
    """Who learned nothing."""
    trivial = score.trivial
    if trivial is None or score.measure.goal is None:  # without a goal, the first sentence says it
        return []
    edge = trivial.value * (1 - _NO_BETTER if score.measure.lower else 1 + _NO_BETTER)
    lost = [cell.name for cell in cells if not score.measure.better(score.center(cell.values), edge)]
    if not lost:
        return []
    return [f"{_listed(lost)} {_is(lost)} no better than the trivial answer, {trivial.name} "
            f"({score.measure.text(trivial.value)})."]  # fmt: skip


def _reaching(cells: Sequence[CellScore]) -> list[str]:
    """In which cells gradients vanish within the sequences, where they do in some."""
    known = [
        (cell.name, *middle(found), found[0]["window"]) for cell in cells if (found := reached(cell.rows))
    ]
    short = sorted((lag, name) for name, lag, beyond, _ in known if not beyond)
    if not short:
        return []
    parts = [f"{lag:.3g} steps in {name}" for lag, name in short]
    text = f"Of a gradient 1 % is left after {_listed(parts)}"
    far = [name for name, _, beyond, _ in known if beyond]
    if far:
        text += f"; in {_listed(far)} more than that over all {max(one[3] for one in known):,}"
    return [f"{text}."]


def _rank(score: ProblemScore, cell: CellScore) -> tuple[float, float]:
    """Sorts the best first: by the share of seeds that solve it, then steps until then, or the value."""
    share = 0.0 if score.measure.goal is None else -cell.solved / len(cell.rows)
    if cell.always and len(cell.solved_at) == len(cell.rows):
        return share, float(np.mean(np.log(cell.solved_at)))
    value = score.center(cell.values)
    return share, value if score.measure.lower else -value


def _worth(score: ProblemScore, cell: CellScore) -> str:
    if cell.always and len(cell.solved_at) == len(cell.rows):
        return f"solved after {round(float(np.exp(np.mean(np.log(cell.solved_at))))):,} steps on the mean"
    return f"{score.measure.title} {score.spread_text(cell.values)}"


def _is(names: Sequence[object]) -> str:
    return "is" if len(names) == 1 else "are"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
