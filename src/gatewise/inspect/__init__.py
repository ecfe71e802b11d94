"""What a recurrent network does: the gradient's way through time, as plain numbers and pictures of them."""

from __future__ import annotations

from gatewise.inspect.callback import FlowMonitor
from gatewise.inspect.flow import gradient_flow
from gatewise.inspect.flow_log import FlowRecord, MonitoredLayer, MonitorWarning, read_records
from gatewise.inspect.flow_numbers import GradientFlow, LayerFlow
from gatewise.inspect.flow_plots import plot_flow_history, plot_gradient_flow, plot_loss_gradient
from gatewise.inspect.horizon import HorizonEstimate, Reach, estimate_horizon
from gatewise.inspect.verdict import EXPLODING, VANISHING, Verdict

__all__ = [
    "EXPLODING",
    "VANISHING",
    "FlowMonitor",
    "FlowRecord",
    "GradientFlow",
    "HorizonEstimate",
    "LayerFlow",
    "MonitorWarning",
    "MonitoredLayer",
    "Reach",
    "Verdict",
    "estimate_horizon",
    "gradient_flow",
    "plot_flow_history",
    "plot_gradient_flow",
    "plot_loss_gradient",
    "read_records",
]
