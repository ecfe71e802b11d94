"""The reference engine's numbers in the form in which the page gives its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gatewise import cell
from gatewise.engines.reference import evaluate
from gatewise.explorer import Subject
from gatewise.spec import (
    Cell,
    absolute,
    exp,
    greater,
    log,
    maximum,
    minimum,
    normalize,
    project,
    recur,
    relu,
    select,
    sigmoid,
    softplus,
    sqrt,
    tanh,
)  # fmt: skip
from gatewise.spec.program import bind

TOLERANCE = 1e-6
"""Both sides compute in float64: sums in another order differ by some 1e-15, and a normalisation over units that are
almost alike (an input of zero) magnifies that to 1e-8. The rest is for what nobody would see on a page."""


def own_cell() -> Cell:
    """A cell that nobody registered, with every operation, kind of gate and marker."""

    @cell(
        states="h:proj c", gates="i f:input n:split", inputs="x m:input", retain="f", admit="i",
        title="Everything </script ><!--<script>alert(1)</script>", cite="nobody & nothing",
    )  # fmt: skip
    def everything(gate, state, stream, unit):
        """Uses what there is <b>."""
        i, f = sigmoid(gate.i), exp(-softplus(gate.f))
        seen = greater(stream.m, 0.5)
        gated = recur(select(seen, stream.x, stream.m * unit("mean", width="input")), "further", "hidden")
        n = tanh(gate.n.x + recur(relu(state.h), gate.n.R)) - minimum(gated, 0.3) / (1 + absolute(gate.n.h))
        c = f * state.c + i * maximum(n, -0.5) + log(1.5 + absolute(normalize(gated, "norm_g"))) * unit.leak
        return project(tanh(c) * sqrt(1 + c * c)), c

    return everything


def numbers(subject: Subject, last: int, unit: int | None = None) -> dict[str, Any]:
    """What ``window.explorer.numbers()`` should give: a loop over the steps, and torch's autograd behind it.

    Args:
        subject: what the page explains.
        last: the step of the loss.
        unit: the output that is the loss; None for the sum of all.
    """
    program = subject.program
    tensors = {name: torch.from_numpy(x.copy()).requires_grad_() for name, x in subject.tensors.items()}
    inputs = [
        {name: torch.from_numpy(x[t][None]).requires_grad_() for name, x in subject.inputs.items()}
        for t in range(subject.steps)
    ]
    states = [{name: torch.from_numpy(x[None]).requires_grad_() for name, x in subject.initial.items()}]
    gates: dict[str, list[Any]] = {label.name: [] for label in program.labels}
    outputs = []
    for given in inputs:
        values = evaluate(program, given, states[-1], tensors, subject.sizes, {})
        # The output hangs on the state itself where it is one, as the loss then does.
        after = {s.name: values[k] for s, k in zip(program.states, program.next, strict=True)}
        states.append(
            {
                s.name: after[s.name].expand(1, bind(s.width, subject.sizes)).clone().requires_grad_()
                for s in program.states
            }
        )
        for state in states[-1].values():
            state.retain_grad()
        same = [s.name for s, k in zip(program.states, program.next, strict=True) if k == program.output]
        outputs.append(states[-1][same[0]] if same else values[program.output])
        for label in program.labels:
            gates[label.name].append(values[label.node])
    loss = outputs[last].sum() if unit is None else outputs[last][0, unit]
    loss.backward()

    def grad(x: torch.Tensor) -> list[float]:
        return flat(torch.zeros_like(x) if x.grad is None else x.grad)

    return {
        "gates": {name: [flat(v) for v in listed] for name, listed in gates.items()},
        "output": [flat(v) for v in outputs],
        "states": [{name: flat(v) for name, v in row.items()} for row in states],
        "gradient": {
            "states": [{name: grad(v) for name, v in row.items()} for row in states],
            "inputs": [{name: grad(v) for name, v in row.items()} for row in inputs],
            "tensors": {name: grad(v) for name, v in tensors.items()},
        },
    }


def flat(tensor: torch.Tensor) -> list[float]:
    """All numbers of a tensor in order."""
    found: list[float] = tensor.detach().double().reshape(-1).tolist()
    return found


def assert_same(got: Any, expected: Any, where: str = "") -> int:
    """Every expected number is there, within the tolerance; gradients that are zero may be left out.

    Returns:
        How many numbers that are not zero were compared.
    """
    if isinstance(expected, dict):
        missing = {name: value for name, value in expected.items() if name not in got}
        assert not any(np.any(value) for value in missing.values()), (where, sorted(missing))
        return sum(assert_same(got[n], v, f"{where}.{n}") for n, v in expected.items() if n not in missing)
    if expected and isinstance(expected[0], dict | list):
        assert len(got) == len(expected), where
        return sum(
            assert_same(a, b, f"{where}[{k}]") for k, (a, b) in enumerate(zip(got, expected, strict=True))
        )
    np.testing.assert_allclose(got, expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=where)
    return int(np.count_nonzero(expected))
