"""The pictures draw the numbers, whatever those are, and say what they cannot draw."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from gatewise import nn
from gatewise.errors import ArgumentError
from gatewise.inspect import (
    FlowMonitor,
    gradient_flow,
    plot_flow_history,
    plot_gradient_flow,
    plot_loss_gradient,
)


def drawn(figure: Figure) -> Figure:
    """The figure, after it went through the renderer without a warning."""
    figure.savefig(io.BytesIO(), format="svg")
    return figure


@pytest.mark.filterwarnings("error")
def test_norms_by_lag_and_horizons() -> None:
    flow = gradient_flow(
        nn.LSTM(3, 6, num_layers=2, bidirectional=True), torch.randn(40, 3, 3), lengths=[40, 7, 20]
    )
    figure = drawn(plot_gradient_flow(flow))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"{f.name} (lstm): {f.verdict.kind}" for f in flow.layers
    ]
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xdata(), [0, *flow.layers[0].lags])
    np.testing.assert_allclose(line.get_ydata()[1:], np.log10(flow.layers[0].jacobian_norm), rtol=1e-12)
    inside = [r for r in flow.layers[0].horizon.reaches if not r.extrapolated]
    points = [at.get_xdata()[0] for at in figure.axes[0].lines if at.get_marker() == "o"]
    np.testing.assert_allclose(points, [r.lag for r in inside])
    assert len(drawn(plot_gradient_flow(flow, columns=1)).axes) == 4
    assert len(drawn(plot_loss_gradient(flow)).axes[0].lines) == 4


@pytest.mark.filterwarnings("error")
def test_nothing_arrives_or_too_much() -> None:
    flow = gradient_flow(nn.GRU(3, 4), torch.randn(9, 2, 3))
    layer = flow.layers[0]
    for value in (-math.inf, 900.0, math.nan):
        changed = np.full_like(layer.log_jacobian, value)
        if math.isnan(value):
            changed[0] = 0.0
        drawn(plot_gradient_flow(replace(flow, layers=(replace(layer, log_jacobian=changed),))))
    zeros = np.zeros_like(layer.loss_gradient)
    drawn(plot_loss_gradient(replace(flow, layers=(replace(layer, loss_gradient=zeros),))))
    with pytest.raises(ArgumentError, match="flow: "):
        plot_gradient_flow(gradient_flow(nn.GRU(3, 4), torch.randn(3, 1, 3), lengths=[0]))


@pytest.mark.filterwarnings("error")
def test_heat_maps_over_training() -> None:
    model, monitor = nn.GRU(3, 4, num_layers=2), FlowMonitor(every=1)
    for steps in (9, 12, 5, 1):
        with monitor.watch(model):
            model(torch.randn(steps, 2, 3))[0].sum().backward()
    for what in ("loss_gradient", "reach"):
        figure = drawn(plot_flow_history(monitor.records, what=what))
        assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["layer 0", "layer 1"]
        values = figure.axes[0].collections[0].get_array()
        seen = getattr(monitor.records[1].layers[0], what)
        np.testing.assert_allclose(values[:, 1], np.log10(seen), rtol=1e-12)
        assert np.ma.getmaskarray(values)[-1, 0] or np.isnan(
            values[-1, 0]
        )  # 9 steps have no 11th from the end
    # A record without lags is left out, here one whose gradients were not finite.
    with monitor.watch(model):
        (model(torch.randn(9, 2, 3))[0].sum() * math.nan).backward()
    figure = drawn(plot_flow_history(monitor.records))
    assert figure.axes[0].collections[0].get_array().shape[1] == 4
    with pytest.raises(ArgumentError, match="ran over sequences"):
        plot_flow_history(monitor.records[-1:])
    with pytest.raises(ArgumentError, match="what: "):
        plot_flow_history(monitor.records, what="gates")
    with pytest.raises(ArgumentError, match="records: "):
        plot_flow_history(monitor.records, run=3)
