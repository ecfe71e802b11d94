"""The parallel scan equals the loop, also over block borders."""

from __future__ import annotations

import pytest
import torch

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
