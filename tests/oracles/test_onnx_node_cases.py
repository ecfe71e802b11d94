"""ONNX's own test cases of RNN, LSTM and GRU, through our layers.

The onnx package makes the cases (model, inputs, expected outputs) when its modules are imported, with a numpy
implementation of its own; its wheel has carried no files of them since it does.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.oracles.onnx_operators import INPUTS, Call, run, specified

pytest.importorskip("onnx", reason="its test cases are the oracle")
onnx_cases = pytest.importorskip(
    "onnx.backend.test.case.node", reason="the onnx package without its test cases"
)

from onnx.backend.test.case.node import gru, lstm, rnn  # noqa: E402  (importing them makes the cases)
from onnx.helper import get_attribute_value  # noqa: E402

# Written down, so that none can drop out unseen.
ALIKE = ("defaults", "with_initial_bias", "batchwise", "reverse", "bidirectional")
NAMES = {f"test_{op}_{kind}" for op in ("simple_rnn", "gru", "lstm") for kind in ALIKE}
NAMES |= {"test_rnn_seq_length", "test_gru_seq_length", "test_lstm_with_peepholes"}
CASES = {
    case.name: case
    for case in onnx_cases._NodeTestCases
    if {node.op_type for node in case.model.graph.node} & set(INPUTS)
}


def read(name: str) -> tuple[Call, dict[str, np.ndarray]]:
    """The call that a case makes, and the outputs that it expects, by name."""
    case = CASES[name]
    (node,) = case.model.graph.node
    ((inputs, outputs),) = case.data_sets
    named = [known for known, given in zip(INPUTS[node.op_type], node.input, strict=False) if given]
    attributes = {a.name: get_attribute_value(a) for a in node.attribute}
    if "direction" in attributes:
        attributes["direction"] = attributes["direction"].decode()
    known = ("Y", "Y_h", "Y_c")
    wanted = [known[position] for position, given in enumerate(node.output) if given]
    call = Call(node.op_type, attributes, dict(zip(named, inputs, strict=True)))
    return call, dict(zip(wanted, outputs, strict=True))


def test_all_eighteen_are_here() -> None:
    assert len(NAMES) == 18
    assert set(CASES) == NAMES
    # Importing all of the package's cases takes seconds; that no other file makes some is read off their text.
    makes = re.compile(r"""["'](RNN|GRU|LSTM)["']""")
    folder = Path(rnn.__file__).parent
    files = {path for path in folder.glob("**/*.py") if makes.search(path.read_text(encoding="utf-8"))}
    assert files == {Path(module.__file__) for module in (rnn, gru, lstm)}


def test_they_cover_what_they_are_named_for() -> None:
    calls = [read(name)[0] for name in NAMES]
    assert {call.cell for call in calls} == {"rnn_tanh", "lstm", "lstm_peephole", "gru_reset_before"}
    assert {call.direction for call in calls} == {"forward", "reverse", "bidirectional"}
    assert sum(call.batch_first for call in calls) == 3


@pytest.mark.parametrize("engine", ["reference", "auto"])
@pytest.mark.parametrize("name", sorted(NAMES))
def test_case(name: str, engine: str) -> None:
    call, expected = read(name)
    exact = specified(call)
    wide, narrow = run(call, torch.float64, engine), run(call, torch.float32, engine)
    assert expected
    for output, theirs in expected.items():
        assert theirs.dtype == np.float32
        assert wide[output].shape == narrow[output].shape == theirs.shape
        # Theirs and our float32 within what float32 may err by (rounding.py), ours in float64 as exact as that is.
        value, error = exact[output].value, exact[output].error
        assert error.max() < 1e-4
        np.testing.assert_allclose(wide[output], value, rtol=0, atol=1e-12 * np.abs(value).max())
        assert (np.abs(theirs - wide[output]) <= error).all()
        assert (np.abs(narrow[output] - wide[output]) <= error).all()
        # And within what ONNX asks of a backend.
        np.testing.assert_allclose(narrow[output], theirs, rtol=CASES[name].rtol, atol=CASES[name].atol)
