"""Pictures of gradient flow, drawn from its numbers alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from gatewise.errors import ArgumentError
from gatewise.inspect.flow_log import FlowRecord, MonitoredLayer
from gatewise.inspect.flow_numbers import GradientFlow, LayerFlow
from gatewise.inspect.verdict import VANISHING, median_rows
from gatewise.report.canvas import INK, LINE, MODEL, OTHERS, canvas, power_of_ten

__all__ = ["plot_flow_history", "plot_gradient_flow", "plot_loss_gradient"]

_COLOURS = (MODEL, *OTHERS)
_FLOOR, _CEILING = -12.0, 6.0  # decades that a picture shows
_NOTHING = -400.0  # decades at which nothing is drawn: far below every picture
_CELLS = 160  # columns of a heat map: more could not be told apart


def plot_gradient_flow(flow: GradientFlow, *, columns: int = 2) -> Figure:
    """How much of a gradient arrives by lag, a panel for each layer and direction, the horizons marked.

    The line is the largest singular value of d h_T / d h_(T-lag), the median over the sequences looked at; the band
    spans them; the dotted line is a random direction's gain, where it is known.

    Args:
        flow: What `gradient_flow` measured.
        columns: Panels beside each other, at most; 1 for narrow pages.

    Raises:
        ArgumentError: No sequence has a step.
    """
    layers = [layer for layer in flow.layers if len(layer.lags)]
    if not layers:
        raise ArgumentError("flow: expected layers with lags, got none; give sequences with steps")
    columns = min(columns, len(layers))
    rows = math.ceil(len(layers) / columns)
    low, high = _decades([layer.log_jacobian / math.log(10) for layer in layers])
    with canvas(5.4 * columns, 3.7 * rows, rows, columns, squeeze=False, sharey=True) as (figure, axes):
        places = axes.ravel()
        for place, layer in zip(places, layers, strict=False):
            _by_lag(place, layer, low, high)
        for place in places[len(layers) :]:
            place.set_visible(False)
        for place in axes[:, 0]:
            place.set_ylabel("norm of dh(T) / dh(T − lag)")
        if any(not np.isnan(layer.log_rms).all() for layer in layers):
            places[0].legend(loc="lower left", frameon=True, edgecolor="none", framealpha=0.9)
        return figure


def _by_lag(axes: Any, layer: LayerFlow, low: float, high: float) -> None:
    logs = np.concatenate([np.zeros((len(layer.log_jacobian), 1)), layer.log_jacobian], 1) / math.log(10)
    lags = np.concatenate([[0], layer.lags])
    shown = np.maximum(logs, _NOTHING)
    axes.fill_between(lags, np.nanmin(shown, 0), np.nanmax(shown, 0), color=MODEL, alpha=0.15, lw=0)
    axes.plot(lags, np.maximum(median_rows(logs), _NOTHING), color=MODEL, lw=2, label="best direction")
    random = median_rows(layer.log_rms) / math.log(10)
    if not np.isnan(random).all():
        own = np.maximum(np.concatenate([[0.0], random]), _NOTHING)
        axes.plot(lags, own, color=OTHERS[0], lw=1.5, ls=":", label="random direction")
    axes.axhline(0, color=LINE, lw=1)
    _mark_horizons(axes, layer, low, high)
    axes.set_ylim(low, high)
    axes.set_xlim(0, lags[-1])
    _decade_ticks(axes.yaxis, low, high)
    axes.set_xlabel("lag in steps")
    axes.set_title(f"{layer.name} ({layer.cell}): {layer.verdict.kind}")


def _mark_horizons(axes: Any, layer: LayerFlow, low: float, high: float) -> None:
    """A point where each horizon lies inside the window, with its lag; those near each other stand on two lines."""
    text, window = [], layer.horizon.window
    for reach in layer.horizon.reaches:
        share = "1/e" if math.isclose(reach.share, math.exp(-1)) else f"{100 * reach.share:g} %"
        if reach.extrapolated:
            far = "never" if math.isinf(reach.lag) else f"about {reach.lag:.3g}, beyond the window"
            text.append(f"{share}: {far}")
            continue
        text.append(f"{share}: lag {reach.lag:.3g}")
        height = max(math.log10(reach.share), low)
        axes.plot([reach.lag] * 2, [low, height], color=INK, lw=1, ls=(0, (2, 2)))
        axes.plot(reach.lag, height, "o", color=INK, ms=5, clip_on=False, zorder=3)
    if window:
        # In the corner that the curve does not end in.
        ends_high = median_rows(layer.log_jacobian)[-1] / math.log(10) > (low + high) / 2
        height, side = (0.04, "bottom") if ends_high else (0.96, "top")
        axes.text(
            0.98, height, "memory horizon\n" + "\n".join(text), transform=axes.transAxes, ha="right", va=side,
            color=INK, fontsize=9, linespacing=1.4, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        )  # fmt: skip


def plot_loss_gradient(flow: GradientFlow) -> Figure:
    """The norm of d loss / d h_t by time, one line for each layer and direction.

    Args:
        flow: What `gradient_flow` measured.
    """
    logs = [_log10(layer.loss_gradient) for layer in flow.layers]
    low, high = _decades(logs)
    with canvas(7.2, 3.7) as (figure, axes):
        for k, (layer, log) in enumerate(zip(flow.layers, logs, strict=True)):
            style = {"color": _COLOURS[k % len(_COLOURS)], "ls": "--" if layer.direction else "-"}
            axes.plot(np.maximum(log, _NOTHING), lw=1.8, label=layer.name, **style)
        axes.set_ylim(low, high)
        _decade_ticks(axes.yaxis, low, high)
        axes.set_xlabel("step t")
        axes.set_ylabel("norm of dloss / dh(t)")
        axes.set_title("What the loss says of each step")
        axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside right upper")
        return figure


def plot_flow_history(
    records: Sequence[FlowRecord], *, what: str = "loss_gradient", run: int = 0, columns: int = 2
) -> Figure:
    """Gradient norm over training steps and distance from the end, a heat map for each layer and direction.

    Args:
        records: What a `FlowMonitor` saw.
        what: "loss_gradient", the norm of d loss / d h_t; or "reach", what arrives of a gradient at the last step.
        run: Which of the monitor's runs.
        columns: Maps beside each other, at most; 1 for narrow pages.

    Raises:
        ArgumentError: No record of that run has a recurrent layer that ran over a sequence; `what` is neither.
    """
    if what not in ("loss_gradient", "reach"):
        raise ArgumentError(f"what: expected 'loss_gradient' or 'reach', got {what!r:.60}")
    # A layer that was called one step at a time, or whose gradients were not finite, has no lags in that record.
    seen: dict[str, list[tuple[int, MonitoredLayer]]] = {}
    for record in records:
        for layer in record.layers if record.run == run else ():
            if len(layer.lags):
                seen.setdefault(layer.name, []).append((record.step, layer))
    if not seen:
        raise ArgumentError(
            f"records: expected some in run {run} with recurrent layers that ran over sequences, got none; give a "
            "monitor's records"
        )
    names = list(seen)
    maps = [_over_training(found, what) for found in seen.values()]
    low, high = _decades([values for _, _, values in maps])
    columns = min(columns, len(names))
    rows = math.ceil(len(names) / columns)
    with canvas(5.4 * columns + 0.8, 3.4 * rows, rows, columns, squeeze=False) as (figure, axes):
        places = axes.ravel()
        for place, name, (steps, lags, values) in zip(places, names, maps, strict=False):
            edges = _edges(steps)
            image = place.pcolormesh(
                edges, _edges(lags), np.clip(values, low, high).T, cmap="cividis", vmin=low, vmax=high, rasterized=True
            )  # fmt: skip
            place.set_title(name)
            place.grid(False)
            place.set_xlabel("training step")
            place.set_ylim(_edges(lags)[[0, -1]])
        for place in places[len(names) :]:
            place.set_visible(False)
        for place in axes[:, 0]:
            place.set_ylabel("steps from the end")
        extend = "min" if min(np.nanmin(values) for _, _, values in maps) < low else "neither"
        label = "norm of dloss / dh(t)" if what == "loss_gradient" else "share that arrives"
        bar = figure.colorbar(image, ax=axes, label=label, aspect=30, extend=extend)
        _decade_ticks(bar.ax.yaxis, low, high)
        bar.outline.set_visible(False)
        return figure


def _over_training(
    found: Sequence[tuple[int, MonitoredLayer]], what: str
) -> tuple[Int[np.ndarray, " steps"], Int[np.ndarray, " lags"], Float[np.ndarray, "steps lags"]]:
    """A layer's norms in decades by training step and lag, on the lags of the longest sequences."""
    found = found[:: max(1, math.ceil(len(found) / _CELLS))]
    longest = max((layer.lags for _, layer in found), key=len)
    values = np.full((len(found), len(longest)), np.nan)
    for k, (_, layer) in enumerate(found):
        logs = _log10(getattr(layer, what))
        inside = longest <= layer.lags[-1]
        values[k, inside] = np.interp(longest[inside], layer.lags, np.maximum(logs, _FLOOR - 1))
    return np.array([step for step, _ in found]), longest, values


def _edges(places: Int[np.ndarray, " places"]) -> Float[np.ndarray, " edges"]:
    """Where the cells around places begin and end."""
    if len(places) == 1:
        return np.array([places[0] - 0.5, places[0] + 0.5])
    between = (places[1:] + places[:-1]) / 2
    return np.concatenate([[2 * places[0] - between[0]], between, [2 * places[-1] - between[-1]]])


def _log10(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log10(values)


def _decades(logs: Sequence[np.ndarray]) -> tuple[float, float]:
    """The decades that a picture shows: those of the numbers, 1 % and 1 among them, at most 18."""
    known = np.concatenate([log[np.isfinite(log)].ravel() for log in logs])
    low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
    low, high = min(low, math.log10(VANISHING) - 0.3), max(high, 0.0)
    return max(math.floor(low), _FLOOR), min(math.ceil(high + 0.2), _CEILING)


def _decade_ticks(axis: Any, low: float, high: float) -> None:
    """Ticks at whole decades, written as powers of ten."""
    every = max(1, math.ceil((high - low) / 7))
    ticks = [d for d in range(int(low), int(high) + 1) if d % every == 0]
    axis.set_ticks(ticks, [power_of_ten(d) for d in ticks])
