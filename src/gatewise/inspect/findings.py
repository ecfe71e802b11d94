"""What counts as wrong with a recurrent layer, each with its threshold: from statistics, gradient flow and training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.errors import ArgumentTypeError
from gatewise.inspect.flow_numbers import GradientFlow, LayerFlow
from gatewise.inspect.statistics import LayerStatistics, ValueStatistics
from gatewise.inspect.verdict import EXPLODING, VANISHING

__all__ = ["THRESHOLDS", "Finding", "flow_place", "of_flows", "of_layer", "of_training"]

THRESHOLDS = {
    # A unit that moves by less than this share of what its layer's units usually move by does not move.
    "dead": 1e-3,
    # So many of a layer's units must be dead to be worth a word: 1 of 50 costs as much as it saves.
    "dead units": 0.02,
    # A unit within 0.1 of its bound for so much of the time passes on 1 - 0.9^2 = 0.19 of a gradient at most.
    "saturated": 0.9,
    "saturated units": 0.1,
    # A gate that is open, or shut, for so much of the time is no gate.
    "stuck": 0.99,
    "stuck units": 0.1,
    # A shut gate that lets through less than this at a time writes, or says, nothing within a thousand steps. What is
    # above it may be meant: chrono initialisation begins with input gates of 1 / chrono_steps.
    "closed": 1e-3,
    # States that move in so small a share of their directions leave most units redundant.
    "directions": 0.05,
    # A gradient so many times its usual (median) size; an update so large a part of the weights (a usual one is 0.001).
    "exploding gradient": 100.0,
    "exploding update": 0.1,
    # The memory must reach over this share of a sequence for its beginning to be heard at its end.
    "forgotten start": 0.5,
}
"""Every threshold, by what it decides on; the reasons stand beside them in the source and in docs/tasks/inspect.md."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth to know.

    Attributes:
        kind: "states not finite", "dead units", "saturated units", "gate stuck open", "gate stuck shut", "few
            directions", "exploding gradient", "exploding update", "loss not finite", "gradient not finite", "forgotten
            start" or "gradient explodes".
        where: the layer, and the gate or state.
        measured: the number.
        threshold: what it was held against.
        words: a sentence with both.
        suggestion: what to change.
        serious: whether training or use suffers; otherwise it is a note.
    """

    kind: str
    where: str
    measured: float
    threshold: float
    words: str
    suggestion: str
    serious: bool


def of_layer(layer: LayerStatistics) -> list[Finding]:
    """Dead, saturated and idle units, and stuck gates, of one layer."""
    found = []
    for one in layer.states:
        if one.not_finite.any():
            found.append(_not_finite(layer, one))
            continue
        found += [*_dead(layer, one), *_saturated(layer, one), *_directions(layer, one)]
    for one in layer.gates:
        found += _stuck(layer, one) if one.is_switch else []
    return found


def _not_finite(layer: LayerStatistics, one: ValueStatistics) -> Finding:
    broken = one.not_finite > 0
    if layer.input_not_finite:
        advice = f"So are the inputs of {layer.input_not_finite:.2%} of the steps: look for NaN in the data."
    else:
        advice = (
            "The inputs are: look for NaN among the weights, and train again with a lower learning rate and "
            "gradient_clip=1.0."
        )
    return Finding(
        "states not finite", f"{layer.name}, state {one.name}", float(broken.mean()), 0.0,
        f"{int(broken.sum())} of {len(broken)} units of {one.name} in {layer.name} are no finite numbers, at "
        f"{one.not_finite.max():.2%} of the steps.",
        advice, True,
    )  # fmt: skip


def _dead(layer: LayerStatistics, one: ValueStatistics) -> list[Finding]:
    usual = float(np.median(one.deviation))
    still = one.deviation <= THRESHOLDS["dead"] * (usual if usual > 0 else 1.0)
    share = float(still.mean())
    if share < THRESHOLDS["dead units"]:
        return []
    return [
        Finding(
            "dead units", f"{layer.name}, state {one.name}", share, THRESHOLDS["dead units"],
            f"{int(still.sum())} of {len(still)} units of {one.name} in {layer.name} never move (threshold "
            f"{THRESHOLDS['dead units']:.0%}): {_some(still)}.",
            "Use fewer units, a lower learning rate or, in place of relu, a cell with gates; init=\"orthogonal\" or "
            "layer_norm=True keeps units alive at the start.", share > 0.5,
        )
    ]  # fmt: skip


def _saturated(layer: LayerStatistics, one: ValueStatistics) -> list[Finding]:
    if not np.isfinite(one.low).all():
        return []
    much = one.saturated > THRESHOLDS["saturated"]
    share = float(much.mean())
    if share < THRESHOLDS["saturated units"]:
        return []
    low, high = one.range
    return [
        Finding(
            "saturated units", f"{layer.name}, state {one.name}", share, THRESHOLDS["saturated units"],
            f"{int(much.sum())} of {len(much)} units of {one.name} in {layer.name} are within 0.1 of {low:g} or "
            f"{high:g} more than {THRESHOLDS['saturated']:.0%} of the time (threshold: "
            f"{THRESHOLDS['saturated units']:.0%} of the units): {_some(much)}.",
            "They pass on hardly any gradient: scale the inputs, use layer_norm=True, weight decay, or a lower "
            "learning rate with gradient_clip=1.0.", True,
        )
    ]  # fmt: skip


def _stuck(layer: LayerStatistics, one: ValueStatistics) -> list[Finding]:
    found = []
    keeps = one.name in layer.retained.values()
    for way, shares in (("open", one.high), ("shut", one.low)):
        much = shares > THRESHOLDS["stuck"]
        share = float(much.mean())
        if share < THRESHOLDS["stuck units"]:
            continue
        if keeps and way == "open":
            serious, advice = (
                False,
                "These units keep what they hold: a long memory where that is wanted, a constant otherwise.",
            )
        elif keeps:
            serious, advice = (
                True,
                'These units forget at once: init="orthogonal" begins with forget bias 1, init="chrono" with a memory '
                "of chrono_steps.",
            )
        else:
            serious, advice = (
                way == "shut" and float(one.mean[much].max()) < THRESHOLDS["closed"],
                "A gate that does not move does nothing: layer_norm=True, smaller or scaled inputs, weight decay, or "
                "a cell with fewer gates.",
            )
        found.append(
            Finding(
                f"gate stuck {way}",
                f"{layer.name}, gate {one.name}",
                share,
                THRESHOLDS["stuck units"],
                f"Gate {one.name} of {int(much.sum())} of {len(much)} units in {layer.name} is {way} more than "
                f"{THRESHOLDS['stuck']:.0%} of the time (threshold: {THRESHOLDS['stuck units']:.0%} of the units): "
                f"{_some(much)}.",
                advice,
                serious,
            )
        )
    return found


def _directions(layer: LayerStatistics, one: ValueStatistics) -> list[Finding]:
    units, dimension = len(one.mean), layer.dimension[one.name]
    # Of few units, few directions are no waste; of few steps, no more could be seen.
    if units < 32 or layer.steps < 10 * units or dimension == 0 or one.name != layer.states[0].name:
        return []
    share = dimension / units
    if share >= THRESHOLDS["directions"]:
        return []
    return [
        Finding(
            "few directions", f"{layer.name}, state {one.name}", share, THRESHOLDS["directions"],
            f"The {units} units of {one.name} in {layer.name} move in {dimension:.1f} directions, {share:.1%} of what "
            f"they could (participation ratio; threshold {THRESHOLDS['directions']:.0%}).",
            "A smaller hidden_size may do as well; or the task, or the data, asks for no more.", False,
        )
    ]  # fmt: skip


def flow_place(path: str, flow: GradientFlow, layer: LayerFlow) -> str:
    """Where a layer of a module is, in the words of a recording."""
    layers = 1 + max(one.layer for one in flow.layers)
    both = any(one.direction for one in flow.layers)
    parts = [path or "the module"]
    if layers > 1:
        parts.append(f"layer {layer.layer + 1} of {layers}")
    if both:
        parts.append("backward" if layer.direction else "forward")
    return ", ".join(parts)


def of_flows(flows: Mapping[str, GradientFlow]) -> list[Finding]:
    """Gradients that explode, and beginnings that are forgotten, of modules by their path."""
    findings = []
    for path, flow in flows.items():
        for layer in flow.layers:
            where = flow_place(path, flow, layer)
            if layer.verdict.kind in ("exploding", "mixed"):
                peak = float(np.nanmax(layer.jacobian_norm))
                findings.append(
                    Finding("gradient explodes", where, peak, EXPLODING, f"{where}: {layer.verdict.sentence}",
                            layer.verdict.suggestion, True)
                )  # fmt: skip
            window = layer.horizon.window
            reach = next((one for one in layer.horizon.reaches if math.isclose(one.share, VANISHING)), None)
            if reach is None or window < 10 or reach.lag >= THRESHOLDS["forgotten start"] * window:
                continue
            findings.append(
                Finding(
                    "forgotten start",
                    where,
                    reach.lag / window,
                    THRESHOLDS["forgotten start"],
                    f"{where}: what came more than {reach.lag:.3g} steps ago moves the state by less than 1 % of what "
                    f"the last step does: {reach.lag / window:.0%} of the {window} steps looked at (threshold "
                    f"{THRESHOLDS['forgotten start']:.0%}); of the beginning hardly anything is left at the end.",
                    layer.verdict.suggestion
                    or 'Where that matters: init="chrono" with chrono_steps, or longer windows.',
                    False,
                )
            )
    return findings


def of_training(history: Sequence[Any]) -> list[Finding]:
    """What a training's records say: a `FlowMonitor`'s, or dicts.

    Raises:
        ArgumentTypeError: a loss, norm or update is no number.
    """
    rows = [one if isinstance(one, Mapping) else one.to_dict() for one in history]
    losses = [_number(row, "loss" if row.get("loss") is not None else "train_loss") for row in rows]
    norms = [_number(row, "gradient_norm") for row in rows]
    lost = [place for place, loss in enumerate(losses) if not math.isfinite(loss or 0.0)]
    found = []
    if lost:
        found.append(
            Finding("loss not finite", "training", float(len(lost)), 0.0,
                    f"The loss was not finite in {len(lost)} of {len(rows)} records, first in record {lost[0] + 1}.",
                    "Lower the learning rate, clip the gradient (gradient_clip=1.0), look for NaN in the data.", True)
        )  # fmt: skip
    broken = [place for place, norm in enumerate(norms) if not math.isfinite(norm or 0.0)]
    if set(broken) - set(lost):
        found.append(
            Finding("gradient not finite", "training", float(len(broken)), 0.0,
                    f"The gradient was not finite in {len(broken)} of {len(rows)} records, first in record "
                    f"{broken[0] + 1}.",
                    "Lower the learning rate, clip the gradient (gradient_clip=1.0), or use layer_norm=True.", True)
        )  # fmt: skip
    known = [norm for norm in norms if norm is not None and math.isfinite(norm)]
    if len(known) >= 3:
        usual, worst = float(np.median(known)), max(known)
        ratio = worst / usual if usual > 0 else 0.0
        if ratio > THRESHOLDS["exploding gradient"]:
            found.append(
                Finding("exploding gradient", "training", ratio, THRESHOLDS["exploding gradient"],
                        f"The gradient's norm rose to {worst:.3g}, {ratio:,.0f} times its usual {usual:.3g} (threshold "
                        f"{THRESHOLDS['exploding gradient']:g} times).",
                        "Clip it (gradient_clip=1.0), lower the learning rate, or use layer_norm=True.", True)
            )  # fmt: skip
    largest: dict[str, float] = {}
    for row in rows[len(rows) // 10 :]:  # the first updates of a training are large by design
        updates = row.get("updates")
        named = updates if isinstance(updates, Mapping) else {"all parameters": updates}
        for group in named:
            size = _number(named, group)
            if size is not None and math.isfinite(size):
                largest[group] = max(largest.get(group, 0.0), size)
    for group, size in largest.items():
        if size > THRESHOLDS["exploding update"]:
            found.append(
                Finding("exploding update", f"training, {group}", size, THRESHOLDS["exploding update"],
                        f"One step changed {group} by {size:.0%} of its size (threshold "
                        f"{THRESHOLDS['exploding update']:.0%}; about 0.1 % is usual).",
                        "Lower the learning rate, begin with warmup, or clip the gradient (gradient_clip=1.0).", True)
            )  # fmt: skip
    return found


def _number(row: Mapping[str, Any], name: str) -> float | None:
    """A number of a record, also one that JSON has as "nan" or "inf"; None where there is none."""
    value = row.get(name)
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"history: a number is expected for {name!r} of each record, came {value!r:.60}"
        ) from None


def _some(which: np.ndarray) -> str:
    """The first few units that something is true of."""
    places = np.flatnonzero(which)
    shown = ", ".join(str(one) for one in places[:8])
    return f"unit{'s' if len(places) > 1 else ''} {shown}{', …' if len(places) > 8 else ''}"
