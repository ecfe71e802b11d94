"""The page's interpreter against the reference engine, run by node: no browser is needed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from gatewise import cells, explorer, nn
from gatewise.explorer.page import operations_script
from gatewise.spec.operations import OPERATIONS
from tests.explorer.oracle import assert_same, numbers, own_cell

ALL = "documents.map((d) => { const m = new Model(d); m.last = 6; return m.run().numbers(); })"


def subjects() -> list[explorer.Subject]:
    """Every registered cell with two features, and what none of them has: blocks, and a cell typed here."""
    found = [explorer.of_cell(name, input_size=2, steps=9) for name in cells.names()]
    found.append(explorer.of_cell("slstm", 6, 2, 9, heads=3))
    return [at_random(subject) for subject in (*found, explorer.of_cell(own_cell(), 5, 3, 9, seed=3))]


def at_random(subject: explorer.Subject) -> explorer.Subject:
    """The same with random inputs and initial states; the latter positive, as sLSTM's normaliser must be."""
    draw = np.random.default_rng(4)
    inputs = {name: draw.normal(size=x.shape) for name, x in subject.inputs.items()}
    initial = {name: draw.uniform(0.2, 0.9, size=x.shape) for name, x in subject.initial.items()}
    return replace(subject, inputs=inputs, initial=initial)


def test_states_gates_and_gradients_are_those_of_the_reference(node) -> None:
    listed = subjects()
    for subject, got in zip(listed, node(ALL, listed), strict=True):
        compared = assert_same(got, numbers(subject, 6), subject.program.name)
        assert compared > 50, subject.program.name


def test_one_output_as_the_loss(node) -> None:
    listed = [explorer.of_cell(name, steps=8) for name in ("lstm", "sru", "lstm_projected")]
    found = node(
        "documents.map((d) => { const m = new Model(d); m.unit = 1; return m.run().numbers(); })", listed
    )
    for subject, got in zip(listed, found, strict=True):
        assert assert_same(got, numbers(subject, 7, unit=1))


def test_a_wrong_derivative_would_be_seen(node) -> None:
    subject = explorer.of_cell("gru", steps=8)
    (got,) = node(ALL, [subject], body="OPERATIONS.tanh = (a) => Math.tanh(1.0001 * a);")
    with pytest.raises(AssertionError):
        assert_same(got, numbers(subject, 6))


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_each_operation_has_the_table_s_value(node, name: str) -> None:
    row = OPERATIONS[name]
    values = [0.3, 2.5, 40.0, 800.0] if name in ("log", "sqrt") else [-800.0, -1.25, -0.0, 0.75, 30.0, 800.0]
    if name == "exp":
        values = values[1:-1]
    arguments = [tuple(values[(k * j + k) % len(values)] for j in range(3)) for k in range(len(values))]
    if name == "div":
        arguments = [(a, b or 2.0, c) for a, b, c in arguments]
    if name == "select":
        arguments = [(float(a > 0), b, c) for a, b, c in arguments]
    arguments = [given[: len(row.arguments)] for given in arguments]
    found = node(f"{[list(given) for given in arguments]}.map((given) => OPERATIONS.{name}(...given))")
    for given, got in zip(arguments, found, strict=True):
        assert math.isclose(got, float(row.number(*given)), rel_tol=1e-14, abs_tol=1e-300), given


def test_the_script_has_a_function_for_each_row() -> None:
    assert [line.split(":")[0].strip() for line in operations_script().splitlines()[2:-1]] == list(OPERATIONS)


def test_a_layer_gives_its_own_numbers(node) -> None:
    layer = nn.Recurrent("gru", 3, 20, num_layers=2, bidirectional=True, zoneout=0.2, batch_first=True)
    x, lengths = torch.randn(4, 11, 3), torch.tensor([5, 11, 2, 7])
    subject = explorer.of_layer(layer, x, lengths=lengths)
    (got,) = node("documents.map((d) => new Model(d).run().numbers())", [subject])
    layer.eval()
    _, _, traces = layer(x, lengths=lengths, return_gates=True)
    output = traces[0]["state:h"] if "state:h" in traces[0] else next(iter(traces[0].values()))
    expected = output[1] if output.shape[0] == 4 else output[:, 1]
    np.testing.assert_allclose(got["output"], expected.detach().numpy(), atol=1e-5)
    assert_same(got, numbers(subject, 10))


def test_sliders_and_edits_act_on_the_weights_together(node) -> None:
    subject = explorer.of_cell("lstm", hidden_size=3, steps=5)
    body = """
const m = new Model(documents[0]);
m.presetWeights("large"); m.presetWeights("open"); m.scale = 2;
m.setWeight("weight_hh", 4, 0.5); m.setWeight("bias_ih", 4, 0.25);
m.run();
const one = m.numbers(); m.shift = 0; m.scale = 1; m.run();"""
    before, after = node("[one, m.numbers()]", [subject], body=body)
    drawn = subject.tensors
    assert before["tensors"]["weight_hh"][4] == 0.5
    assert after["tensors"]["weight_hh"][4] == 0.25
    np.testing.assert_allclose(before["tensors"]["weight_hh"][5:], 2 * drawn["weight_hh"].ravel()[5:])
    # The forget gate is the second of four: entries 3 to 5 of its bias move, and of no other.
    assert before["tensors"]["bias_ih"][4] == 0.25
    np.testing.assert_allclose(before["tensors"]["bias_ih"][3], drawn["bias_ih"][3] + 4)
    np.testing.assert_allclose(before["tensors"]["bias_ih"][:3], drawn["bias_ih"][:3])
    np.testing.assert_allclose(after["tensors"]["bias_ih"][4], 0.25 - 4)


def test_a_plain_network_s_gradient_vanishes_and_explodes(node) -> None:
    subject = explorer.of_cell("rnn_tanh", steps=21)
    body = """
const m = new Model(documents[0]);
m.presetInput("silence");
const ratio = (name) => { m.presetWeights(name); m.run(); return m.norms[1] / m.norms[21]; };"""
    small, large = node('[ratio("small"), ratio("large")]', [subject], body=body)
    # Orthogonal weights, no input: each step back multiplies by the scale, exactly.
    assert math.isclose(small, 0.5**20, rel_tol=1e-5)
    assert math.isclose(large, 1.6**20, rel_tol=1e-5)


def test_presets_are_those_that_the_cell_has(node) -> None:
    listed = [explorer.of_cell(name) for name in ("rnn_tanh", "lstm", "sru", "lstm_1997", "min_gru")]
    found = node("documents.map((d) => new Model(d).weightPresets())", listed)
    plain, gated = ["given", "small", "large"], ["given", "open", "shut", "small", "large"]
    assert found == [plain, gated, ["given", "open", "shut"], gated, ["given", "open", "shut"]]


def test_an_open_gate_keeps_what_a_shut_one_forgets(node) -> None:
    listed = [explorer.of_cell(name, steps=12) for name in ("lstm", "gru", "lstm_coupled", "min_gru")]
    body = """
const kept = (d, name) => {
  const m = new Model(d);
  m.presetInput("impulse"); m.presetWeights(name); m.run();
  return m.norms[1] / m.norms[12];
};"""
    for left, lost in node('documents.map((d) => [kept(d, "open"), kept(d, "shut")])', listed, body=body):
        assert left > 10 * lost
