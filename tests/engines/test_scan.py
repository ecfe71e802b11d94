"""The parallel scan equals the loop, also over block borders."""

from __future__ import annotations

import pytest
import torch

from gatewise import nn
from gatewise.engines.scan import BLOCK, linear_scan


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 63, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_equals_loop(steps, reverse):
    a = torch.rand(steps, 2, 3, dtype=torch.float64) * 2 - 1
    b = torch.randn(steps, 2, 3, dtype=torch.float64)
    first = torch.randn(2, 3, dtype=torch.float64)
    state, expected = first, torch.empty_like(b)
    for t in range(steps - 1, -1, -1) if reverse else range(steps):
        state = expected[t] = a[t] * state + b[t]
    torch.testing.assert_close(linear_scan(a, b, first, reverse=reverse), expected, rtol=1e-12, atol=1e-12)


def test_long_products_do_not_overflow():
    """Coefficients above one with zeros between: a product over all steps would be infinite, the loop is finite."""
    a = torch.full((2000, 1, 1), 1.5)
    a[::50] = 0.0
    b = torch.zeros(2000, 1, 1)
    b[25::50] = 1.0
    result = linear_scan(a, b, torch.ones(1, 1))
    assert torch.isfinite(result).all()
    torch.testing.assert_close(result[49].item(), 1.5**24, rtol=1e-5, atol=0)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize("cell", ["min_gru", "min_lstm"])
def test_what_is_not_finite_stays_on_its_side_of_a_reset(cell, engine, value):
    torch.manual_seed(0)
    layer, x = nn.Recurrent(cell, 3, 4, engine=engine), torch.randn(20, 1, 3)
    resets = torch.zeros(20, 1, dtype=torch.bool)
    resets[11] = True
    x[5] = value
    with torch.no_grad():
        output = layer(x, resets=resets)[0]
        torch.testing.assert_close(output[11:], layer(x[11:])[0], rtol=1e-5, atol=1e-6)
    assert output[:5].isfinite().all()
