"""Cells without another oracle, beside numpy written from their papers (papers.py), in float64."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gatewise import cells, nn
from tests.oracles.papers import STEPS, Vector

TIME, BATCH, INPUT, HIDDEN, PROJ = 7, 3, 4, 6, 2
# Every cell that onnxruntime does not know, with the options that change its equations.
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in STEPS} | {
    "lstm_projected": ("lstm_projected", {"proj_size": PROJ}),
    "lstm_mogrifier, 2 rounds": ("lstm_mogrifier", {"rounds": 2}),
    "slstm, 2 heads": ("slstm", {"heads": 2}),
    "slstm, 3 heads": ("slstm", {"heads": 3}),
}
IN_ONNX = {"rnn_tanh", "rnn_relu", "lstm", "lstm_peephole", "lstm_coupled", "gru", "gru_reset_before"}

each_cell = pytest.mark.parametrize("case", OPTIONS)
each_engine = pytest.mark.parametrize("engine", ["reference", "auto"])


def layer(case: str, engine: str, **more: Any) -> nn.Recurrent:
    """A layer whose parameters are all random, those that start at zero or one too."""
    cell, options = OPTIONS[case]
    made = nn.Recurrent(cell, INPUT, HIDDEN, engine=engine, dtype=torch.float64, **options, **more)
    generator = torch.Generator().manual_seed(len(case))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
            parameter.add_(1.0 if "gain" in name else 0.0)
    return made


def parameters(made: nn.Recurrent, suffix: str = "_l0") -> SimpleNamespace:
    """One direction's parameters as papers.py wants them."""
    gates = STEPS[made.program.name][1]
    given = {
        name.removesuffix(suffix): value.detach().numpy()
        for name, value in made.named_parameters()
        if name.endswith(suffix)
    }

    def by_gate(rows: Vector, order: str) -> dict[str, Vector]:
        return dict(zip(order, np.split(rows, len(order)), strict=True))

    p: dict[str, Any] = dict(given)
    for name in (
        "norm_ih_gain",
        "norm_ih_shift",
        "norm_hh_gain",
        "weight_mask",
    ):  # they say how they are stacked
        if name in given:
            p[name] = by_gate(given[name], "".join(part for part, _ in made.program.tensor(name).parts))
    for name, tensor in {"W": "weight_ih", "R": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}.items():
        if tensor in given:
            p[name] = by_gate(given[tensor], gates)
    if "bias_ih" in given:
        p["b"] = by_gate(given["bias_ih"] + given.get("bias_hh", 0.0), gates)
    return SimpleNamespace(**p)


def random_inputs(made: nn.Recurrent) -> tuple[Vector, dict[str, Vector], tuple[Vector, ...]]:
    """x, further streams and states; a normaliser is positive, a mask zero or one."""
    generator = np.random.default_rng(7)
    x = generator.standard_normal((TIME, BATCH, INPUT))
    streams: dict[str, Vector] = {}
    if made.program.name == "gru_d":
        streams["m"] = (generator.random(x.shape) < 0.6).astype(np.float64)
        streams["d"] = generator.exponential(size=x.shape)
        x[streams["m"] == 0] = np.nan  # a missing value may be anything
    rows = made.num_layers * (2 if made.bidirectional else 1)
    widths = {"hidden": HIDDEN, "proj": PROJ, "input": INPUT}
    states = [generator.standard_normal((rows, BATCH, widths[s.width])) for s in made.program.states]
    names = [s.name for s in made.program.states]
    return x, streams, tuple(np.abs(s) if name == "n" else s for s, name in zip(states, names, strict=True))


def by_the_paper(
    made: nn.Recurrent, x: Vector, streams: dict[str, Vector], states: tuple[Vector, ...]
) -> tuple[Vector, tuple[Vector, ...]]:
    """Output and last states, sequence by sequence and step by step."""
    step = STEPS[made.program.name][0]
    outputs, finals = [], []
    for direction in range(2 if made.bidirectional else 1):
        p = parameters(made, "_l0_reverse" if direction else "_l0")
        y, last = [], []
        for b in range(BATCH):
            held, row = tuple(s[direction, b] for s in states), [np.empty(0)] * TIME
            for t in reversed(range(TIME)) if direction else range(TIME):
                row[t], held = step(p, x[t, b], *held, *(s[t, b] for s in streams.values()))
            y.append(np.stack(row))
            last.append(held)
        outputs.append(np.stack(y, axis=1))
        finals.append([np.stack(parts) for parts in zip(*last, strict=True)])
    return np.concatenate(outputs, axis=-1), tuple(np.stack(parts) for parts in zip(*finals, strict=True))


def check(
    made: nn.Recurrent, x: Vector, streams: dict[str, Vector], states: tuple[Vector, ...] | None
) -> None:
    """The layer equals its paper.

    Sums of at most 17 terms over 7 steps err by 17 * 7 * 1.1e-16 = 1.3e-14 of their size; 1e-12 leaves two digits for
    what normalisation and recurrence multiply it by, and none for a wrong formula.
    """
    zeros = tuple(np.zeros_like(s) for s in random_inputs(made)[2])
    expected, finals = by_the_paper(made, x, streams, zeros if states is None else states)
    with torch.no_grad():
        output, final = made(
            torch.from_numpy(x),
            None if states is None else tuple(torch.from_numpy(s) for s in states),
            streams={name: torch.from_numpy(s) for name, s in streams.items()} or None,
        )
    for got, wanted in zip((output, *final), (expected, *finals), strict=True):
        assert np.isfinite(wanted).all()
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max())


def test_every_cell_has_an_oracle() -> None:
    assert {cell for cell, _ in OPTIONS.values()} | IN_ONNX == set(cells.names())


@each_cell
@each_engine
def test_from_given_states(case: str, engine: str) -> None:
    made = layer(case, engine)
    check(made, *random_inputs(made))


@each_cell
@each_engine
def test_from_zero_states(case: str, engine: str) -> None:
    made = layer(case, engine)
    x, streams, _ = random_inputs(made)
    check(made, x, streams, None)


@each_cell
def test_both_directions(case: str) -> None:
    made = layer(case, "auto", bidirectional=True)
    check(made, *random_inputs(made))


@each_engine
def test_sru_with_an_identity_highway_is_the_papers(engine: str) -> None:
    # Lei et al. 2018, eq. 4: h = r c + (1 - r) x, where x is as wide as h.
    made = nn.Recurrent("sru", HIDDEN, HIDDEN, engine=engine, dtype=torch.float64)
    with torch.no_grad():
        made.weight_highway_l0.copy_(torch.eye(HIDDEN))
    x = np.random.default_rng(3).standard_normal((TIME, HIDDEN))
    p, c = parameters(made), np.zeros(HIDDEN)
    with torch.no_grad():
        output, _ = made(torch.from_numpy(x))
    for t in range(TIME):
        r = 1 / (1 + np.exp(-(p.W["r"] @ x[t] + p.recurrent_r * c + p.b["r"])))
        _, (c,) = STEPS["sru"][0](p, x[t], c)
        np.testing.assert_allclose(output[t].numpy(), r * c + (1 - r) * x[t], rtol=1e-12, atol=1e-12)


@each_engine
def test_slstm_is_stabilised(engine: str) -> None:
    # exp(i) is beyond float64 at every step, so the expected is written in logarithms: h = o c / n, a mean of tanh(z)
    # weighted by the input gates and what the forget gates leave of them (Beck et al. 2024, eq. 8-10).
    made = layer("slstm", engine)
    with torch.no_grad():
        made.weight_hh_l0.zero_()
        made.bias_ih_l0[:HIDDEN] += 800.0
    p, x = parameters(made), np.random.default_rng(5).standard_normal((TIME, INPUT))
    with torch.no_grad():
        output, _ = made(torch.from_numpy(x))
    i, f, z, o = (x @ p.W[k].T + p.b[k] for k in "ifzo")
    assert i.min() > np.log(np.finfo(np.float64).max)
    log_f = -np.logaddexp(0, -f)
    for t in range(TIME):
        weights = i[: t + 1] + np.array([log_f[s + 1 : t + 1].sum(0) for s in range(t + 1)])
        share = np.exp(weights - np.logaddexp.reduce(weights))
        expected = (share * np.tanh(z[: t + 1])).sum(0) / (1 + np.exp(-o[t]))
        # Differences of numbers up to 1e3 in an exponent: 1e3 * 1.1e-16 = 1.1e-13 relative, per step.
        np.testing.assert_allclose(output[t].numpy(), expected, rtol=1e-12 * TIME, atol=1e-12)
