"""An inspection as one HTML page: verdicts first, then what they are read from."""

from __future__ import annotations

from dataclasses import replace
from html import escape

import numpy as np
from matplotlib.figure import Figure

from gatewise.inspect.findings import THRESHOLDS, Finding, flow_place
from gatewise.inspect.flow_plots import plot_gradient_flow
from gatewise.inspect.inspection import Along, Explained, Inspection, UnitAlong
from gatewise.inspect.state_plots import (
    plot_contributions,
    plot_gates,
    plot_heat,
    plot_responses,
    text_html,
)
from gatewise.inspect.statistics import LayerStatistics
from gatewise.report.environment import environment
from gatewise.report.page import definitions, page, section, table
from gatewise.report.pictures import picture

__all__ = ["report_html"]

# Layers whose pictures are drawn; of a deeper model the tables tell the rest.
_MOST_LAYERS = 6


def report_html(found: Inspection, *, folder: str = "", seconds: float | None = None) -> str:
    """The page, self-contained.

    Args:
        found: what to show.
        folder: of the model, for the commands.
        seconds: how long the inspection took.
    """
    parts = [_findings(found), _flow(found), _gates(found)]
    if found.along:
        parts.append(_along(found))
    if found.responses:
        parts.append(_units(found))
    if found.explained is not None:
        parts.append(_explained(found.explained))
    parts.append(
        section("Thresholds", definitions([(name, f"{value:g}") for name, value in THRESHOLDS.items()]))
    )
    took = "" if seconds is None else f"Inspected in {seconds:.0f} s. "
    machine = ", ".join(f"{name} {value}" for name, value in environment().items())
    again = (
        f" Again: <code>gatewise inspect {escape(folder)} --data DATA --out FOLDER</code>." if folder else ""
    )
    return page(f"Inspection of {found.model}", _header(found), parts, f"{took}{escape(machine)}.{again}")


def _header(found: Inspection) -> str:
    health, statistics = found.health, found.health.statistics
    mark = "good" if health.healthy else "bad"
    units = sum(len(layer.states[0].mean) for layer in statistics.layers)
    tiles = [
        (f"{len(statistics.layers)}", "recurrent layers and directions"),
        (f"{units:,}", "units in all"),
        (f"{statistics.layers[0].steps:,}", "steps looked at"),
        (f"{sum(one.serious for one in health.findings)}", "serious findings"),
    ]
    return (
        f'<p class="eyebrow">{escape(found.data)}</p><h1>What {escape(found.model)} does inside</h1>'
        f'<p class="lede {mark}">{escape(health.verdict)}</p><div class="tiles">'
        + "".join(
            f'<div class="tile"><b>{value}</b><span>{escape(what)}</span></div>' for value, what in tiles
        )
        + "</div>"
    )


def _findings(found: Inspection) -> str:
    health = found.health
    if not health.findings:
        parts = ["<p>No unit is dead or saturated, no gate is stuck, and gradients reach the beginning.</p>"]
    else:
        parts = [_finding(one) for one in health.findings]
    parts += [f'<p class="note">Not examined: {escape(one)}.</p>' for one in health.unmeasured]
    return section("Findings", *parts, note="Each with what was measured, the threshold, and what to change.")


def _finding(one: Finding) -> str:
    mark, word = ("bad", "serious") if one.serious else ("", "note")
    return (
        f'<p><b class="{mark}">{escape(one.kind.capitalize())}</b> ({word}). {escape(one.words)} '
        f"<br>{escape(one.suggestion)}</p>"
    )


def _flow(found: Inspection) -> str:
    rows = [["layer", "verdict", "1/e left after", "1 % left after", "steps looked at"]]
    pictures = []
    for path, flow in found.health.flows.items():
        for layer in flow.layers:
            reaches = [_steps(one.lag, one.extrapolated) for one in layer.horizon.reaches[:2]]
            rows.append(
                [flow_place(path, flow, layer), layer.verdict.kind, *reaches, f"{layer.horizon.window:,}"]
            )
        named = [replace(layer, name=flow_place(path, flow, layer)) for layer in flow.layers]
        figure = plot_gradient_flow(replace(flow, layers=tuple(named)))
        pictures.append(picture(figure, f"The gradient's norm by lag in {path or 'the module'}"))
    if len(rows) == 1:
        return section("How gradients flow", "<p>Not measured.</p>")
    return section(
        "How gradients flow",
        table(rows),
        f'<div class="pair">{"".join(pictures[:_MOST_LAYERS])}</div>',
        note="How much of a small change of the state so many steps ago arrives now, at most: the largest singular "
        "value of the product of the steps' Jacobians.",
    )


def _gates(found: Inspection) -> str:
    layers = found.health.statistics.layers
    pictures = [
        _wide(picture(plot_gates(layer), f"Gates and memory of {layer.name}"))
        for layer in layers[:_MOST_LAYERS]
        if layer.time_constants or any(one.is_switch for one in layer.gates)
    ]
    return section(
        "Gates, states and memory", table(_statistics_rows(layers)), *pictures,
        note="A dot is a unit: how often its gate is shut and how often open. A time constant says in how many steps "
        "what a unit holds decays to 1/e, by the mean logarithm of the share that it retains.",
    )  # fmt: skip


def _statistics_rows(layers: tuple[LayerStatistics, ...]) -> list[list[str]]:
    rows = [["layer", "value", "mean", "deviation", "low | high end", "directions", "time constant"]]
    for layer in layers:
        for one in layer.values:
            constants = layer.time_constants.get(one.name) if one.kind == "state" else None
            near = f"{one.low.mean():.0%} | {one.high.mean():.0%}" if np.isfinite(one.low).all() else ""
            dimension = f"{layer.dimension[one.name]:.1f} of {len(one.mean)}" if one.kind == "state" else ""
            rows.append([
                f"{layer.name} ({layer.cell})", f"{one.kind} {one.name}", f"{one.mean.mean():.3f}",
                f"{one.deviation.mean():.3f}", near, dimension,
                "" if constants is None else _steps(float(np.median(constants)), False),
            ])  # fmt: skip
    return rows


def _along(found: Inspection) -> str:
    pictures = []
    for one in found.along[: 2 * _MOST_LAYERS]:
        title = (
            f"{one.kind.capitalize()} {one.name} of {one.layer}: the {len(one.units)} units that move most"
        )
        pictures.append(_wide(picture(_heat(found, one, title), title)))
    return section(
        "Along one sequence", *pictures,
        note="Each line is a unit, each column a step; beneath stands what the model read there.",
    )  # fmt: skip


def _heat(found: Inspection, one: Along, title: str) -> Figure:
    labels = found.labels[: len(one.values)]
    return plot_heat(
        one.values, labels, title, range=one.range, names=[str(unit) for unit in one.units], most_rows=4
    )


def _units(found: Inspection) -> str:
    units, steps = found.searched
    rows = [["feature", "unit", "measure", "held-out", "on the half it was chosen by", "input alone", "p"]]
    for one in found.responses:
        rows.append([
            one.feature, f"{one.unit}{'' if one.sign > 0 else ' (low)'}", one.measure, f"{one.score:.3f}",
            f"{one.chosen_by:.3f}", "" if one.baseline is None else f"{one.baseline:.3f}", f"{one.p_value:.2g}",
        ])  # fmt: skip
    return section(
        "Units that tell something", picture(plot_responses(found.responses), "How well single units tell features"),
        table(rows), *(_coloured(one) for one in found.units),
        note=f"{units:,} units were searched over {steps:,} steps. The unit and its sign are chosen on the first half, "
        "the figure is that of the second; chance is the same unit against the feature shifted in time; p is corrected "
        "for the number of features (Holm).",
    )  # fmt: skip


def _coloured(one: UnitAlong) -> str:
    response = one.response
    way = "blue" if response.sign > 0 else "orange"
    caption = (
        f"{response.unit}, for “{response.feature}” ({way} where it should be high): a part of the text that took no "
        "part in its choice."
    )
    return text_html(one.labels[:1200], one.values[:1200], caption=caption)


def _explained(one: Explained) -> str:
    found = one.contributions
    words = (
        f"They add up to {found.scores.sum() + found.base:.4g}, the output's length is {found.value:.4g}: "
        + ("complete within 1 %." if found.complete else "they are NOT complete; read them with care.")
    )
    return section(
        "What past inputs add to the present output",
        _wide(
            picture(
                plot_contributions(one.labels, found.scores, f"Integrated gradients through {one.layer}"),
                "What each past input adds",
            )
        ),
        f"<p>{escape(words)}</p>",
        note="To the length of the layer's last output along its own direction, against inputs that are zero "
        "(Sundararajan et al. 2017).",
    )


def _steps(steps: float, extrapolated: bool) -> str:
    if not np.isfinite(steps):
        return "endless"
    return f"{steps:,.3g} steps" + (" (extrapolated)" if extrapolated else "")


def _wide(figure: str) -> str:
    """A picture as wide as the page, which a narrow screen scrolls rather than shrinks: its letters stay readable."""
    style = 'style="max-width:none;width:max(100%,980px)" '
    return f'<div class="scroll">{figure.replace("<img ", f"<img {style}", 1)}</div>'
