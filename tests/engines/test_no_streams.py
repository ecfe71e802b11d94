"""The derivative of a step that is linear in its states reads no stream: it still runs as many steps."""

from __future__ import annotations

import pytest
import torch

from gatewise import cell
from gatewise.engines import recurrence


@cell(states="h", gates="h", title="Linear network")
def linear(gate, state):  # type: ignore[no-untyped-def]
    """h = W x + R h + b."""
    return 1.0 * gate.h


@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_gradients_of_the_first_state_alone(engine: str) -> None:
    program, steps = linear.program(), 5
    tensors = [
        0.4 * torch.randn(program.shape(t, {"input": 2, "hidden": 3}), dtype=torch.float64)
        for t in program.tensors
    ]
    recurrent = tensors[[t.role for t in program.tensors].index("recurrent")]
    power = torch.linalg.matrix_power(recurrent, steps)
    x, h = (
        torch.randn(steps, 4, 2, dtype=torch.float64),
        torch.randn(4, 3, dtype=torch.float64, requires_grad=True),
    )
    (final,) = recurrence(program, [x], [h], tensors, engine=engine).states
    u = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    (back,) = torch.autograd.grad(final, h, u, create_graph=True)
    torch.testing.assert_close(back, u @ power)
    v = torch.randn(4, 3, dtype=torch.float64)
    # The derivative of the backward pass, which is linear in u, is the product with the Jacobian itself.
    (there,) = torch.autograd.grad(back, u, v)
    torch.testing.assert_close(there, v @ power.T)
