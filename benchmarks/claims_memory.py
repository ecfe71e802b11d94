"""Claims on memory: the adding problem by lag, and how far back the trained networks look.

Runs of benchmarks/understanding.py; settings and protocol are told there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch

from gatewise.compare import parse_plan
from gatewise.compare.learning import ProblemObjective, ProblemSource, evaluate
from gatewise.compare.network import Network
from gatewise.compare.settings import Plan
from gatewise.inspect import gradient_flow
from gatewise.nn import Recurrent
from gatewise.train import DivergenceError, fit

__all__ = ["ADDING", "FLOW", "STARTS", "flow", "remember"]

ADDING = {
    "parameters": 2000,
    "steps": 3000,
    "slower": 0.2,
    "training": {"learning_rate": 0.005, "batch_size": 32, "validate_every": 100},
}
FLOW = {"time": 200, "batch": 8, "inputs": 4, "hidden_size": 64}
# Cell, start, and what the recurrent matrix (rnn) or the forget gate's bias (lstm) is set to.
STARTS: dict[str, dict] = {
    "RNN, torch's start": {"cell": "rnn_tanh"},
    "RNN, radius 0.7": {"cell": "rnn_tanh", "radius": 0.7},
    "RNN, orthogonal": {"cell": "rnn_tanh", "init": "orthogonal"},
    "RNN, radius 2.0": {"cell": "rnn_tanh", "radius": 2.0},
    "LSTM, forget bias 0": {"cell": "lstm", "forget": 0.0},
    "LSTM, forget bias 1": {"cell": "lstm", "forget": 1.0},
    "LSTM, forget bias 3": {"cell": "lstm", "forget": 3.0},
    "LSTM, chrono": {"cell": "lstm", "init": "chrono"},
    "GRU, torch's start": {"cell": "gru"},
    "GRU, chrono": {"cell": "gru", "init": "chrono"},
}


@cache
def _plan(steps: int, quick: bool) -> Plan:
    """The adding problem of one length, as gatewise.compare defines it; one variant and seed are taken from it."""
    return parse_plan(
        {
            "cells": ["rnn_tanh", "rnn_tanh+orthogonal", "lstm", "lstm+chrono", "gru"],
            "seeds": 10,
            "problem": [{"kind": "adding", "steps": steps}],
            "budget": {"parameters": ADDING["parameters"], "steps": 20 if quick else ADDING["steps"]},
            "training": {**ADDING["training"], **({"validate_every": 10} if quick else {})},
        }
    )


def remember(steps: int, cell: str, seed: int, *, quick: bool = False) -> dict:
    """Train a network on the adding problem, and look at how far back it hears before and after.

    Args:
        steps: the problem's length.
        cell: a variant's name, such as "lstm+chrono"; with " slower" behind it, learned at a fifth of the rate.
        seed: of the weights and the training sequences, 0 to 9.
        quick: a few steps, to see that it runs.
    """
    name, _, slower = cell.partition(" ")
    run = next(run for run in _plan(steps, quick).runs() if (run.variant.name, run.seed) == (name, seed))
    problem, training = run.problem, run.training
    if slower:
        training = replace(training, learning_rate=training.learning_rate * ADDING["slower"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Network(
            run.variant,
            problem.inputs,
            problem.outputs,
            run.hidden_size,
            by_step=problem.by_step,
            span=problem.span,
        )
    looked_at = next(problem.held_out("validation"))["input"][:8].transpose(0, 1)
    before = _memory(model.recurrent, looked_at)
    source = ProblemSource(problem, seed, training.batch_size, training.validate_every)
    objective = ProblemObjective(run, problem)
    stopped = ""
    try:
        history = fit(model, objective, source, training.config(run.budget, seed=seed))
    except DivergenceError as error:
        history, stopped = error.history, "diverged"
    tested = evaluate(problem, model.eval(), problem.held_out("test"))
    curve = [[one["step"], one["train_loss"], one["validation_mse"]] for one in history.epochs]
    return {
        "mse": tested["mse"],
        "solved": run.measure.met(tested["mse"]),
        "solved_at": next((step for step, _, error in curve if run.measure.met(error)), None),
        "steps": history.steps,
        "stopped": stopped or history.stopped,
        "hidden_size": run.hidden_size,
        "parameters": sum(one.numel() for one in model.parameters()),
        "before": before,
        "after": _memory(model.recurrent, looked_at),
        "curve": curve,
    }


def _memory(layer: Recurrent, inputs: torch.Tensor) -> dict:
    """The norm of d h_T / d h_(T-k) by lag k, and where it falls under 1 %."""
    found = gradient_flow(layer, inputs, lags=12, rows=4).layers[0]
    reach = found.horizon.reach(0.01)
    return {
        "lags": found.lags.tolist(),
        "log_norm": [round(float(x), 4) for x in torch.from_numpy(found.log_jacobian).median(0).values],
        "horizon": None if reach.lag == float("inf") else round(reach.lag, 2),
        "extrapolated": reach.extrapolated,
        "rate": round(found.horizon.rate, 6),
        "verdict": found.verdict.kind,
    }


def flow(start: str, seed: int, *, quick: bool = False) -> dict:
    """How a gradient's norm changes on its way back through an untrained layer, fed with white noise.

    Args:
        start: one of STARTS.
        seed: of the weights and the input.
        quick: a short sequence, to see that it runs.
    """
    chosen = STARTS[start]
    time = 20 if quick else FLOW["time"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        chrono = {"chrono_steps": time} if chosen.get("init") == "chrono" else {}
        layer = Recurrent(
            chosen["cell"], FLOW["inputs"], FLOW["hidden_size"], init=chosen.get("init", "torch"), **chrono
        )
        _set(layer, chosen)
        inputs = torch.randn(time, FLOW["batch"], FLOW["inputs"])
    found = gradient_flow(layer, inputs, rows=FLOW["batch"]).layers[0]
    reach = found.horizon.reach(0.01)
    return {
        "lags": found.lags.tolist(),
        "log_norm": [round(float(x), 4) for x in torch.from_numpy(found.log_jacobian).median(0).values],
        "loss_gradient": [float(f"{x:.4g}") for x in found.loss_gradient_by_lag],
        "horizon": None if reach.lag == float("inf") else round(reach.lag, 2),
        "extrapolated": reach.extrapolated,
        "rate": round(found.horizon.rate, 6),
        "verdict": found.verdict.kind,
        "radius": _radius(layer) if chosen["cell"] == "rnn_tanh" else None,
    }


@torch.no_grad()
def _set(layer: Recurrent, chosen: dict) -> None:
    """Scale the recurrent matrix to a spectral radius, or set the forget gate's bias."""
    if "radius" in chosen:
        layer.weight_hh_l0 *= chosen["radius"] / _radius(layer)
    if "forget" in chosen:
        own = slice(layer.hidden_size, 2 * layer.hidden_size)  # the gates stand as i, f, g, o
        layer.bias_ih_l0[own] = chosen["forget"]
        layer.bias_hh_l0[own] = 0.0


def _radius(layer: Recurrent) -> float:
    """The largest absolute eigenvalue of the recurrent matrix."""
    return float(torch.linalg.eigvals(layer.weight_hh_l0.detach().double()).abs().max())
