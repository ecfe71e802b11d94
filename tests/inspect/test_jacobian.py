"""Singular values of d h_T / d h_t: finite differences on every cell, spectral analysis of a linear network."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gatewise import cell, cells, nn
from gatewise.inspect import Verdict, estimate_horizon, gradient_flow
from gatewise.inspect.jacobian import lag_grid
from tests.inspect.finite_differences import Push, jacobian
from tests.inspect.test_flow import begin
from tests.nn.helpers import layer, rows_of, streams_for

TOLERANCE = 1e-7
"""As in test_flow."""


@cell(states="h", gates="h", title="Linear network")
def linear(gate, state):  # type: ignore[no-untyped-def]
    """h = W x + R h + b."""
    return 1.0 * gate.h


def linear_layer(recurrent: Tensor, bidirectional: bool = False) -> nn.Recurrent:
    """A linear layer with a given R."""
    module = nn.Recurrent(linear, 2, len(recurrent), bidirectional=bidirectional, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "weight_hh" in name:
                parameter.copy_(recurrent)
    return module


@pytest.mark.parametrize("method", ["dense", "power"])
@pytest.mark.parametrize("name", cells.names())
def test_norms_equal_finite_differences(name: str, method: str) -> None:
    module, (steps, batch), lags = layer(name, 3, 4), (5, 2), [1, 2, 5]
    x = torch.randn(steps, batch, 3, dtype=torch.float64)
    hx, streams = begin(module, batch), streams_for(module, (steps, batch))
    given = hx if len(hx) > 1 else hx[0]
    flow = gradient_flow(module, x, given, streams=streams, lags=lags, method=method, tolerance=1e-12).layers[
        0
    ]
    assert flow.method == method
    assert flow.converged.all()
    expected = np.zeros((batch, len(lags)))
    for b in range(batch):
        for k, lag in enumerate(lags):
            first = tuple(h[:, b] for h in hx)
            own = rows_of(streams, (slice(None), b))
            found = jacobian(module, x[:, b], own, first, Push(0, 0, steps - 1 - lag))
            expected[b, k] = float(torch.linalg.matrix_norm(found, 2))
    np.testing.assert_allclose(np.exp(flow.log_jacobian), expected, rtol=TOLERANCE, atol=1e-8)
    np.testing.assert_allclose(flow.jacobian_norm, np.sqrt(expected.prod(0)), rtol=TOLERANCE, atol=1e-8)
    if method == "dense":
        size = float(found.norm()) / math.sqrt(len(found))
        np.testing.assert_allclose(np.exp(flow.log_rms[-1, -1]), size, rtol=TOLERANCE, atol=1e-8)


def test_both_directions_of_two_layers_and_of_ragged_sequences() -> None:
    module, lengths = layer("lstm", 3, 3, num_layers=2, bidirectional=True), [5, 3]
    x, hx = torch.randn(5, 2, 3, dtype=torch.float64), begin(module, 2)
    flow = gradient_flow(module, x, hx, lengths=lengths, lags=[1, 2, 3, 5])
    for found in flow.layers:
        for b, length in enumerate(lengths):
            for k, lag in enumerate([1, 2, 3, 5]):
                if lag > length:
                    assert np.isnan(found.log_jacobian[b, k])
                    continue
                time = lag if found.direction else length - 1 - lag
                push = Push(found.layer, found.direction, time)
                matrix = jacobian(module, x[:length, b], None, tuple(h[:, b] for h in hx), push)
                expected = float(torch.linalg.matrix_norm(matrix, 2))
                assert math.exp(found.log_jacobian[b, k]) == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("method", ["dense", "power"])
def test_a_linear_network_decays_as_its_spectrum_says(method: str) -> None:
    # R = Q diag(0.9, 0.6, -0.5, 0.3, 0.2, 0.1) Q^-1, not normal: its norm at lag 1 is above its spectral radius.
    values = torch.tensor([0.9, 0.6, -0.5, 0.3, 0.2, 0.1], dtype=torch.float64)
    basis = torch.eye(6, dtype=torch.float64) + 0.4 * torch.rand(6, 6, dtype=torch.float64)
    recurrent = basis @ values.diag() @ torch.linalg.inv(basis)
    lags = [1, 2, 3, 5, 13, 60, 100]
    x = torch.randn(100, 2, 2, dtype=torch.float64)
    module = linear_layer(recurrent, bidirectional=True)
    for flow in gradient_flow(module, x, lags=lags, method=method, tolerance=1e-10, rows=1).layers:
        expected = [float(torch.linalg.matrix_norm(torch.linalg.matrix_power(recurrent, k), 2)) for k in lags]
        np.testing.assert_allclose(flow.jacobian_norm, expected, rtol=1e-6)
        assert flow.jacobian_norm[0] > 1
        # The rate is the logarithm of the spectral radius, the time constant its negative reciprocal.
        assert flow.horizon.rate == pytest.approx(math.log(0.9), abs=1e-6)
        assert flow.horizon.time_constant == pytest.approx(-1 / math.log(0.9), abs=1e-4)


def test_lags_beyond_the_range_of_numbers() -> None:
    # 0.1^400 is 1e-400 and 10^400 its inverse: neither float32 nor float64 holds them, their logarithms they do.
    for factor in (0.1, 10.0):
        module = linear_layer(factor * torch.eye(3, dtype=torch.float64)).float()
        with torch.no_grad():
            module.bias_ih_l0.zero_()
        for method in ("dense", "power"):
            found = gradient_flow(module, torch.zeros(400, 1, 2), lags=[200, 400], method=method).layers[0]
            expected = np.array([200, 400]) * math.log(factor)
            np.testing.assert_allclose(found.log_jacobian[0], expected, rtol=1e-5)
            assert found.verdict.kind == ("vanishing" if factor < 1 else "exploding")
            assert ("-400" if factor < 1 else "+400") in found.verdict.sentence


def test_the_power_iteration_says_where_it_did_not_converge() -> None:
    module = layer("lstm", 3, 8)
    x = torch.randn(10, 2, 3, dtype=torch.float64)
    found = gradient_flow(module, x, method="power", max_iterations=1).layers[0]
    assert not found.converged.any()
    assert "lower bounds" in found.describe()
    exact = gradient_flow(module, x, method="dense").layers[0]
    assert (found.log_jacobian <= exact.log_jacobian + 1e-9).all()


def test_wide_states_are_iterated_on_and_rows_are_chosen_evenly() -> None:
    flow = gradient_flow(nn.GRU(2, 130), torch.randn(6, 9, 2), rows=3, lags=[1, 6])
    assert flow.layers[0].method == "power"
    assert flow.rows == (0, 4, 8)
    narrow = gradient_flow(nn.GRU(2, 16), torch.randn(6, 9, 2), rows=20, lags=[1, 6])
    assert narrow.layers[0].method == "dense"
    assert len(narrow.rows) == 9


def test_horizons() -> None:
    lags = np.array([1, 2, 4, 8, 16, 32])
    # exp(-k / 10): 1/e at lag 10, 1 % at 46.05, beyond the window.
    found = estimate_horizon(lags, -lags / 10)
    assert found.reaches[0].lag == pytest.approx(10)
    assert not found.reaches[0].extrapolated
    assert found.reaches[1].lag == pytest.approx(10 * math.log(100))
    assert found.reaches[1].extrapolated
    # What falls under the share and comes back has not reached its horizon.
    again = estimate_horizon(np.array([1, 2, 3]), np.log([0.1, 0.9, 0.2]), (0.5,))
    assert 2 < again.reaches[0].lag < 3
    # Nothing decays; nothing arrives.
    assert math.isinf(estimate_horizon(lags, np.zeros(6)).reaches[0].lag)
    assert math.isinf(estimate_horizon(lags, np.zeros(6)).time_constant)
    gone = estimate_horizon(lags, np.full(6, -np.inf))
    assert gone.reaches[0].lag == 1
    assert estimate_horizon(np.zeros(0, np.int64), np.zeros(0)).window == 0


def test_lag_grid() -> None:
    assert lag_grid(0, 5) == []
    assert lag_grid(1, 5) == [1]
    grid = lag_grid(1000, 24)
    assert (grid[0], grid[-1]) == (1, 1000)
    assert grid == sorted(set(grid))
    assert len(grid) <= 24


def verdict(module: nn.Recurrent, steps: int = 60) -> Verdict:
    return gradient_flow(module, 0.1 * torch.randn(steps, 4, module.input_size)).verdict


def planted(cell: str, factor: float) -> nn.Recurrent:
    """A plain network whose R is a multiple of an orthogonal matrix."""
    module = nn.Recurrent(cell, 3, 12, init="orthogonal")
    with torch.no_grad():
        module.weight_hh_l0.mul_(factor)
    return module


def test_planted_verdicts() -> None:
    small = verdict(planted("rnn_tanh", 0.5))
    assert small.kind == "vanishing"
    assert "0.01" in small.sentence
    assert "lstm" in small.suggestion
    large = verdict(planted("rnn_relu", 3.0))
    assert large.kind == "exploding"
    assert "100" in large.sentence
    assert "gradient_clip" in large.suggestion
    assert verdict(linear_layer(torch.linalg.qr(torch.randn(12, 12).double())[0]).float()).kind == "healthy"
    open_gate = nn.LSTM(3, 12)
    with torch.no_grad():
        open_gate.bias_ih_l0[12:24] = 6.0
    healthy = verdict(open_gate)
    assert healthy.kind == "healthy"
    assert healthy.suggestion == ""
    # The LSTM as torch draws it forgets half at each step.
    plain = verdict(nn.LSTM(3, 12))
    assert plain.kind == "vanishing"
    assert "chrono_steps=60" in plain.suggestion
    assert verdict(planted("rnn_tanh", 0.5), steps=3).kind == "unknown"


def test_sequences_that_disagree_are_mixed() -> None:
    # The rectifier passes half of the units of one sequence and none of the other's.
    module = planted("rnn_relu", 3.0)
    hx = torch.stack([torch.ones(12), -torch.ones(12)])[None]
    with torch.no_grad():
        module.weight_hh_l0.copy_(3 * torch.eye(12))
    x = torch.zeros(30, 2, 3)
    with torch.no_grad():
        for parameter in (module.bias_ih_l0, module.bias_hh_l0):
            parameter.zero_()
    assert gradient_flow(module, x, hx).verdict.kind == "mixed"
