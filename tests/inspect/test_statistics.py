"""Statistics equal plain numpy's, over batches as over all at once; what was planted is seen."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from gatewise import cell as declare
from gatewise import cells, nn
from gatewise.errors import ArgumentError
from gatewise.inspect import Tally, record, statistics, trace
from gatewise.inspect.ranges import gate_ranges, state_ranges
from gatewise.inspect.retention import retained_gate, retained_states
from gatewise.spec import sigmoid, tanh


def scaled(module: torch.nn.Module, by: float = 3.0) -> torch.nn.Module:
    """The module with larger weights, so that some gates and states saturate."""
    with torch.no_grad():
        for weight in module.parameters():
            weight *= by
    return module


def test_statistics_equal_numpy() -> None:
    torch.manual_seed(0)
    model = scaled(nn.LSTM(3, 6), 6.0)
    x, lengths = torch.randn(40, 5, 3), [40, 7, 0, 1, 33]
    [one] = trace(model, x, lengths=lengths)
    _, _, [raw] = model(x, lengths=lengths, return_gates=True)
    counts = np.arange(40)[:, None] < np.array(lengths)
    found = statistics([one]).layers[0]
    assert found.steps == sum(lengths)
    for name in ("i", "f", "g", "o", "h", "c"):
        rows = raw[name].detach().double().numpy()[counts]
        own = found.value(name, "state" if name in "hc" else "gate")
        np.testing.assert_allclose(own.mean, rows.mean(0), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(own.deviation, rows.std(0), rtol=1e-10)
        np.testing.assert_array_equal((own.lowest, own.highest), (rows.min(0), rows.max(0)))
        if name in "ifo":
            np.testing.assert_allclose(own.high, (rows > 0.9).mean(0))
            np.testing.assert_allclose(own.low, (rows < 0.1).mean(0))
        elif name in "gh":
            np.testing.assert_allclose(own.saturated, (np.abs(rows) > 0.9).mean(0))
        else:
            assert np.isnan(own.low).all()
    assert found.value("f").is_switch
    assert found.value("f").high.max() > 0
    forget = raw["f"].detach().double().numpy()[counts]
    np.testing.assert_allclose(found.time_constants["c"], -1 / np.log(forget).mean(0), rtol=1e-9)
    values = np.linalg.eigvalsh(np.cov(raw["h"].detach().double().numpy()[counts].T, bias=True))
    assert found.dimension["h"] == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-9)


def test_batches_add_up_to_the_whole() -> None:
    torch.manual_seed(0)
    model, x = nn.GRU(3, 6, num_layers=2, bidirectional=True), torch.randn(20, 12, 3)
    tally = Tally()
    with record(model, each=tally.visit) as recording:
        for part in x.split(5, dim=1):
            model(part)
    assert recording.traces == []  # nothing is kept: memory does not grow with the data
    assert (recording.calls, recording.steps) == (3, 240)
    found, whole = tally.statistics(), statistics(trace(model, x, path="GRU"))
    assert [one.name for one in found.layers] == [
        f"GRU, layer {layer} of 2, {way}" for layer in (1, 2) for way in ("forward", "backward")
    ]
    assert (found.sequences, found.longest) == (12, 20)
    for one, other in zip(found.layers, whole.layers, strict=True):
        for own, all_at_once in zip(one.values, other.values, strict=True):
            np.testing.assert_allclose(own.mean, all_at_once.mean, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(own.deviation, all_at_once.deviation, rtol=1e-6)
        assert one.dimension["h"] == pytest.approx(other.dimension["h"], rel=1e-6)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["sequences"] == 12
    assert "layer 2 of 2, backward: gru, 240 steps" in str(found)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_a_constant_gate_has_its_analytic_time_constant(share) -> None:
    model = nn.Recurrent("lstm", 2, 3).double()
    with torch.no_grad():
        model.weight_ih_l0[3:6] = 0
        model.weight_hh_l0[3:6] = 0
        model.bias_ih_l0[3:6] = np.log(share / (1 - share))
        model.bias_hh_l0[3:6] = 0
    found = statistics(trace(model, torch.randn(30, 2, 2, dtype=torch.float64))).layers[0]
    np.testing.assert_allclose(found.time_constants["c"], -1 / np.log(share), rtol=1e-12)
    assert found.retained == {"c": "f"}


def test_what_is_retained_follows_from_the_equations() -> None:
    names = {name: retained_states(cells.get(name)) for name in cells.names()}
    assert {name for name, states in names.items() if not states} == {"rnn_tanh", "rnn_relu", "indrnn"}
    assert names["gru"] == ("h",)
    assert names["lstm_peephole"] == ("c",)
    for name in cells.names():
        program = cells.get(name)
        gates = [retained_gate(program, state) for state in names[name]]
        # Where a cell declares the gate that retains, the graph says the same; a formula of several gates is none.
        assert program.retain in gates or program.retain is None or name in ("min_lstm", "slstm"), name


@pytest.mark.parametrize(
    "cell", ["gru", "lstm_coupled", "mgu", "min_gru", "min_lstm", "sru", "lstm_1997", "slstm"]
)
def test_the_retained_share_is_the_derivative_with_all_gates_fixed(cell) -> None:
    torch.manual_seed(1)
    model = scaled(nn.Recurrent(cell, 2, 4).double())
    [one] = trace(model, torch.randn(12, 3, 2, dtype=torch.float64))
    gates, share = one.gates, one.retained
    wanted = {
        "gru": lambda: gates["z"], "lstm_coupled": lambda: 1 - gates["i"], "mgu": lambda: 1 - gates["f"],
        "min_gru": lambda: 1 - gates["z"], "min_lstm": lambda: gates["f"] / (gates["f"] + gates["i"]),
        "sru": lambda: gates["f"], "lstm_1997": lambda: torch.ones_like(gates["i"]),
    }  # fmt: skip
    if cell == "slstm":
        # The normaliser gains exactly what the memory's own share leaves: n_t = r n_(t-1) + take.
        assert torch.equal(share["c"], share["n"])
        return
    [found] = share.values()
    torch.testing.assert_close(found, wanted[cell](), rtol=1e-12, atol=1e-14)


def test_a_cell_of_ones_own_is_read_too() -> None:
    @declare(states="h", gates="z n", cite="a test")
    def leaking(gate, state):
        return state.h - sigmoid(gate.z) * (0.5 * state.h - tanh(gate.n))

    torch.manual_seed(0)
    [one] = trace(nn.Recurrent(leaking, 2, 4).double(), torch.randn(9, 2, 2, dtype=torch.float64))
    torch.testing.assert_close(one.retained["h"], 1 - 0.5 * one.gates["z"], rtol=1e-12, atol=1e-14)
    assert retained_gate(leaking.program(), "h") is None


def test_ranges_follow_from_the_equations() -> None:
    inside = (0.0, 1.0)
    assert gate_ranges(cells.get("lstm")) == {"i": inside, "f": inside, "g": (-1.0, 1.0), "o": inside}
    assert state_ranges(cells.get("mgu")) == {"h": (-1.0, 1.0)}
    assert state_ranges(cells.get("lstm_coupled"))["c"] == (-1.0, 1.0)
    assert state_ranges(cells.get("ligru"))["h"] == (0.0, np.inf)
    assert state_ranges(cells.get("min_gru"))["h"] == (-np.inf, np.inf)


@pytest.mark.parametrize("cell", [name for name in cells.names() if name != "gru_d"])
def test_no_value_leaves_its_range(cell) -> None:
    torch.manual_seed(0)
    options = {"proj_size": 3} if cells.get(cell).output_width == "proj" else {}
    model = scaled(nn.Recurrent(cell, 3, 5, **options), 4.0)
    for one in statistics(trace(model, 3 * torch.randn(30, 8, 3))).layers[0].values:
        low, high = one.range
        assert (one.lowest >= low).all(), one.name
        assert (one.highest <= high).all(), one.name


def test_nothing_to_add_up() -> None:
    with pytest.raises(ArgumentError, match="at least one step"):
        Tally().statistics()
    with pytest.raises(ArgumentError, match="at least one step"):
        statistics(trace(nn.GRU(3, 4), torch.randn(5, 2, 3), lengths=[0, 0]))
    found = statistics(trace(nn.GRU(3, 4), torch.randn(5, 2, 3))).layers[0]
    with pytest.raises(ArgumentError, match="a gate of the cell 'gru'"):
        found.value("f")
