"""Units that respond to something: how well one unit alone tells a feature, and what of that is chance.

Karpathy et al. (2015) found by eye units that follow quotation marks and line lengths; here they are searched for. The
unit and its sign are chosen on the first half of the steps, and its figure is told on the second, which took no part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.stats import rankdata

from gatewise.errors import ArgumentError, ArgumentTypeError, ShapeError
from gatewise.inspect.recording import Trace
from gatewise.nn.arguments import no_type_check
from gatewise.store.documents import plain

__all__ = ["Activations", "Response", "activations", "find_units"]

# Steps that both values of a feature need in each half, below which nothing is said of it.
_FEWEST = 20
_FEWEST_STEPS = 100
# A correlation below it tells less than 4 % of what varies.
_LEAST_STRENGTH = 0.2


@dataclass(frozen=True)
class Activations:
    """What units did at each step of one sequence.

    Attributes:
        values: (time, units) of all gates and states that were taken.
        names: (units,) of each: layer, gate or state, number of the unit.
    """

    values: Float[np.ndarray, "time units"]
    names: tuple[str, ...]

    def of(self, name: str) -> NDArray[np.float32]:
        """(time,) the values of one unit, by its name."""
        if name not in self.names:
            raise ArgumentError(f"name: one of the {len(self.names):,} units is expected, came {name!r:.80}")
        return np.asarray(self.values[:, self.names.index(name)])


@dataclass(frozen=True)
class Response:
    """How well one unit alone tells a feature.

    Attributes:
        feature: its name.
        unit: the name of the unit that told it best on the first half.
        measure: "AUC" for truth values, the probability that the unit is higher (or, with a negative sign, lower) at a
            random step with the feature than at one without: 0.5 is chance; "correlation" (Pearson's) for numbers.
        score: of that unit on the second half, with the sign of the first; below 0.5 or 0 where it does not hold.
        chosen_by: the score on the first half, the best of all units': flattered by the choice.
        sign: 1: high with the feature; -1: low.
        baseline: how well the input at the step alone tells the feature, on the second half; None where no input was
            given. A unit that is not above it need not remember anything.
        chance: (2.5 %, 97.5 %) of the score where the feature is shifted in time against the unit by a random amount:
            chance that has the same memory as both.
        p_value: of the score against that chance, corrected for the number of features that were searched for (Holm).
        runners_up: further units and their scores on the first half.
    """

    feature: str
    unit: str
    measure: str
    score: float
    chosen_by: float
    sign: int
    baseline: float | None
    chance: tuple[float, float]
    p_value: float
    runners_up: tuple[tuple[str, float], ...]

    @property
    def r_squared(self) -> float:
        """The share of a number's variance that the unit tells; of truth values, Gini's 2 AUC - 1 in its place."""
        return self.score**2 if self.measure == "correlation" else 2 * self.score - 1

    @property
    def strength(self) -> float:
        """From 0, chance, to 1, perfect: comparable between truth values and numbers."""
        return max(0.0, 2 * self.score - 1 if self.measure == "AUC" else self.score)

    @property
    def holds(self) -> bool:
        """Whether it is more than chance, more than the input of the step tells, and no trifle."""
        return (
            self.p_value < 0.05
            and self.strength >= _LEAST_STRENGTH
            and (self.baseline is None or self.score > self.baseline)
        )

    def to_dict(self) -> dict[str, Any]:
        """Its numbers as plain JSON values."""
        found: dict[str, Any] = plain(self)
        return found

    def __str__(self) -> str:
        beside = "" if self.baseline is None else f", {self.baseline:.3f} by the input of the step alone"
        way = "high" if self.sign > 0 else "low"
        return (
            f"{self.feature}: {self.unit} ({way}), held-out {self.measure} {self.score:.3f}{beside}; "
            f"p = {self.p_value:.2g}"
        )


@no_type_check
def activations(traces: Sequence[Trace], *, kinds: Sequence[str] = ("state",), row: int = 0) -> Activations:
    """The units' values along one sequence, calls that follow each other put together.

    Args:
        traces: as `Recording.traces`, of any layers; calls of one layer are joined in their order.
        kinds: which values: "state", "gate" or both.
        row: of the batch, which sequence.

    Raises:
        ArgumentError: there is no trace, or an unknown kind.
    """
    if not traces:
        raise ArgumentError(
            "traces: at least one is expected, came none; call the model while it is recorded"
        )
    if not kinds or any(kind not in ("gate", "state") for kind in kinds):
        raise ArgumentError(f"kinds: 'gate', 'state' or both are expected, came {kinds!r}")
    layers: dict[str, list[Trace]] = {}
    for one in traces:
        layers.setdefault(one.layer.name, []).append(one)
    parts, names = [], []
    for layer, own in layers.items():
        for kind in kinds:
            for name in own[0].states if kind == "state" else own[0].gates:
                found = []
                for one in own:
                    if row >= one.valid.shape[1]:
                        raise ArgumentError(
                            f"row: below {one.valid.shape[1]}, the batch, is expected, came {row}"
                        )
                    value = (one.states if kind == "state" else one.gates)[name]
                    found.append(value[:, row][one.valid[:, row]].float().cpu().numpy())
                whole = np.concatenate(found)
                parts.append(whole)
                names += [f"{layer}, {kind} {name}, unit {unit}" for unit in range(whole.shape[1])]
    lengths = {len(part) for part in parts}
    if len(lengths) > 1:
        raise ShapeError(
            f"traces: layers that ran over the same steps are expected, came {sorted(lengths)} steps; inspect "
            "layers of different lengths apart"
        )
    return Activations(np.concatenate(parts, axis=1), tuple(names))


@no_type_check
def find_units(
    units: Activations, features: Mapping[str, Any], *, inputs: Sequence[Any] | None = None,
    shifts: int = 999, random_state: int = 0, most_runners_up: int = 4,
) -> list[Response]:  # fmt: skip
    """The unit that tells each feature best, chosen on the first half of the steps and reported on the second.

    Args:
        units: what the units did, as `activations` gives it.
        features: by name, (time,) truth values or numbers; see `gatewise.inspect.text_features` for a text's.
        inputs: (time,) what came in at each step (a character, a word), to see what that alone tells.
        shifts: random shifts in time that chance is measured with, at least 19; the smallest p value is one in so many.
        random_state: a seed for them.
        most_runners_up: how many further units are named.

    Returns:
        One for each feature that has at least 20 steps of each kind in both halves, the strongest first.

    Raises:
        ArgumentError: there are fewer than 100 steps.
        ShapeError: a feature has another number of steps than the units.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> inside = (np.arange(2000) // 7) % 2 == 0
        >>> values = generator.normal(size=(2000, 3)) + np.outer(inside, [0, 2, 0])
        >>> units = Activations(values, ("a", "b", "c"))
        >>> [best] = find_units(units, {"inside": inside})
        >>> best.unit, best.score > 0.9, best.p_value < 0.05
        ('b', True, True)

    References:
        Karpathy, Johnson & Fei-Fei 2015, "Visualizing and understanding recurrent networks"; Holm 1979.
    """
    time = len(units.values)
    if time < _FEWEST_STEPS:
        raise ArgumentError(
            f"units: at least {_FEWEST_STEPS} steps are expected, came {time}; give a longer sequence"
        )
    if shifts < 19:
        raise ArgumentError(f"shifts: at least 19 are expected, came {shifts}")
    half = time // 2
    checked = {name: _checked(name, given, time) for name, given in features.items()}
    kept = {name: own for name, own in checked.items() if _tells(own[:half]) and _tells(own[half:])}
    if inputs is not None and len(inputs) != time:
        raise ShapeError(f"inputs: as many as steps, {time}, are expected, came {len(inputs)}")
    codes = (
        None if inputs is None else np.unique(np.array([str(one) for one in inputs]), return_inverse=True)[1]
    )
    first = _Ranked(units.values[:half])
    generator = np.random.default_rng(random_state)
    found = [
        _respond(name, own, units, first, codes, half, shifts, generator, most_runners_up)
        for name, own in kept.items()
    ]
    corrected = _holm([one.p_value for one in found])
    found = [replace(one, p_value=value) for one, value in zip(found, corrected, strict=True)]
    return sorted(found, key=lambda one: -one.strength)


class _Ranked:
    """Units' values as they are and by rank, so that all of them are held against a feature by one product."""

    def __init__(self, values: Float[np.ndarray, "time units"]) -> None:
        deviation = values.std(0)
        moves = deviation > 1e-9
        self.standard = np.where(moves, (values - values.mean(0)) / np.where(moves, deviation, 1.0), 0.0)
        self.ranks = rankdata(values, axis=0).astype(np.float64)

    def scores(self, feature: NDArray[Any]) -> NDArray[np.float64]:
        """(units,) AUC less a half, or correlation: both 0 by chance."""
        if feature.dtype == bool:
            yes = int(feature.sum())
            least = yes * (yes + 1) / 2
            return (feature @ self.ranks - least) / (yes * (len(feature) - yes)) - 0.5
        return ((feature - feature.mean()) / feature.std()) @ self.standard / len(feature)


def _respond(
    name: str, feature: NDArray[Any], units: Activations, first: _Ranked, codes: NDArray[np.int64] | None, half: int,
    shifts: int, generator: np.random.Generator, most: int,
) -> Response:  # fmt: skip
    scores = first.scores(feature[:half])
    order = np.argsort(-np.abs(scores))
    best = int(order[0])
    sign = 1 if scores[best] >= 0 else -1
    base = 0.5 if feature.dtype == bool else 0.0
    later, held = _Ranked(units.values[half:, [best]]), feature[half:]
    score = float(sign * later.scores(held)[0])
    # Shifts by less than a twentieth would leave much of the feature where it was.
    nearest = max(1, len(held) // 20)
    moved = generator.integers(nearest, len(held) - nearest, size=shifts)
    chance = np.array([sign * later.scores(np.roll(held, int(one)))[0] for one in moved])
    low, high = (float(one) + base for one in np.percentile(chance, [2.5, 97.5]))
    return Response(
        feature=name, unit=units.names[best], measure="AUC" if base else "correlation", score=score + base,
        chosen_by=float(abs(scores[best])) + base, sign=sign,
        baseline=None if codes is None else _by_input(feature, codes, half), chance=(low, high),
        p_value=float((1 + (chance >= score).sum()) / (1 + shifts)),
        runners_up=tuple((units.names[int(one)], float(abs(scores[one])) + base) for one in order[1 : 1 + most]),
    )  # fmt: skip


def _by_input(feature: NDArray[Any], codes: NDArray[np.int64], half: int) -> float:
    """How well the feature's mean for each input, learned on the first half, tells it on the second."""
    count = np.bincount(codes[:half], minlength=int(codes.max()) + 1)
    total = np.bincount(codes[:half], weights=feature[:half].astype(float), minlength=len(count))
    overall = float(feature[:half].mean())
    told = np.where(count > 0, total / np.maximum(count, 1), overall)[codes[half:]]
    score = float(_Ranked(told[:, None]).scores(feature[half:])[0])
    return score + (0.5 if feature.dtype == bool else 0.0)


def _checked(name: str, given: Any, time: int) -> NDArray[Any]:
    feature = np.asarray(given)
    if feature.shape != (time,):
        raise ShapeError(
            f"features[{name!r}]: ({time},), a value for each step, is expected, came {feature.shape}"
        )
    if feature.dtype == bool:
        return feature
    if not np.issubdtype(feature.dtype, np.number):
        raise ArgumentTypeError(
            f"features[{name!r}]: truth values or numbers are expected, came {feature.dtype}"
        )
    if not np.isfinite(feature).all():
        raise ArgumentError(f"features[{name!r}]: finite numbers are expected, came some that are not")
    return feature.astype(np.float64)


def _tells(feature: Bool[np.ndarray, " time"] | Float[np.ndarray, " time"]) -> bool:
    if feature.dtype == bool:
        return _FEWEST <= int(feature.sum()) <= len(feature) - _FEWEST
    return float(feature.std()) > 0


def _holm(values: list[float]) -> list[float]:
    """P values corrected for their number (Holm 1979)."""
    order = np.argsort(values)
    corrected, worst = [0.0] * len(values), 0.0
    for place, index in enumerate(order):
        worst = max(worst, min(1.0, values[index] * (len(values) - place)))
        corrected[int(index)] = worst
    return corrected
