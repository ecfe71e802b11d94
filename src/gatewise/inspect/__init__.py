"""Seeing what a recurrent network does: gates, states and units, the gradient's way through time, and what is wrong."""

from __future__ import annotations

from gatewise.inspect.callback import FlowMonitor
from gatewise.inspect.contributions import Contributions, integrated_gradients, retained_contributions
from gatewise.inspect.features import TEXT_FEATURES, number_features, text_features
from gatewise.inspect.findings import THRESHOLDS, Finding
from gatewise.inspect.flow import gradient_flow
from gatewise.inspect.flow_log import FlowRecord, MonitoredLayer, MonitorWarning, read_records
from gatewise.inspect.flow_numbers import GradientFlow, LayerFlow
from gatewise.inspect.flow_plots import plot_flow_history, plot_gradient_flow, plot_loss_gradient
from gatewise.inspect.health import Health, examine, health
from gatewise.inspect.horizon import HorizonEstimate, Reach, estimate_horizon
from gatewise.inspect.recording import Layer, Recording, Trace, record, trace
from gatewise.inspect.statistics import LayerStatistics, Statistics, Tally, ValueStatistics, statistics
from gatewise.inspect.units import Activations, Response, activations, find_units
from gatewise.inspect.verdict import EXPLODING, VANISHING, Verdict

__all__ = [
    "EXPLODING",
    "TEXT_FEATURES",
    "THRESHOLDS",
    "VANISHING",
    "Activations",
    "Contributions",
    "Finding",
    "FlowMonitor",
    "FlowRecord",
    "GradientFlow",
    "Health",
    "HorizonEstimate",
    "Layer",
    "LayerFlow",
    "LayerStatistics",
    "MonitorWarning",
    "MonitoredLayer",
    "Reach",
    "Recording",
    "Response",
    "Statistics",
    "Tally",
    "Trace",
    "ValueStatistics",
    "Verdict",
    "activations",
    "estimate_horizon",
    "examine",
    "find_units",
    "gradient_flow",
    "health",
    "integrated_gradients",
    "number_features",
    "plot_flow_history",
    "plot_gradient_flow",
    "plot_loss_gradient",
    "read_records",
    "record",
    "retained_contributions",
    "statistics",
    "text_features",
    "trace",
]
