"""onnxruntime's RNN, LSTM and GRU operators on random weights, beside the same cells of ours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.onnx_operators import INPUTS, STACKED, Call, run, specified
from tests.oracles.rounding import ACTIVATION

onnx = pytest.importorskip("onnx", reason="the models are built with onnx.helper")
onnxruntime = pytest.importorskip("onnxruntime", reason="its operators are the oracle")

TIME, BATCH, INPUT, HIDDEN = 7, 4, 5, 6
VARIANTS = {
    "rnn_tanh": ("RNN", {}),
    "rnn_relu": ("RNN", {"activations": ["Relu"]}),
    "lstm": ("LSTM", {}),
    "lstm_peephole": ("LSTM", {}),
    "lstm_coupled": ("LSTM", {"input_forget": 1}),
    "gru": ("GRU", {"linear_before_reset": 1}),
    "gru_reset_before": ("GRU", {"linear_before_reset": 0}),
}
LENGTHS = {"whole": None, "ragged": [3, 7, 1, 5], "one empty": [2, 0, 7, 4]}
DIRECTIONS = ("forward", "reverse", "bidirectional")

each_cell = pytest.mark.parametrize("cell", VARIANTS)
each_direction = pytest.mark.parametrize("direction", DIRECTIONS)


def random_call(
    cell: str, direction: str, *, lengths: list[int] | None = None, states: bool = True, bias: bool = True
) -> Call:
    """A call with weights drawn as torch draws them, so that rounding errors do not blow up on the way."""
    op, attributes = VARIANTS[cell]
    generator = np.random.default_rng(sum(map(ord, cell + direction)))
    directions, gates = (2 if direction == "bidirectional" else 1), STACKED[op]

    def draw(*shape: int, scale: float = HIDDEN**-0.5) -> np.ndarray:
        return (generator.uniform(-1, 1, (directions, *shape)) * scale).astype(np.float32)

    inputs = {"X": generator.standard_normal((TIME, BATCH, INPUT)).astype(np.float32)}
    inputs |= {"W": draw(gates * HIDDEN, INPUT), "R": draw(gates * HIDDEN, HIDDEN)}
    if bias:
        inputs["B"] = draw(2 * gates * HIDDEN)
    if lengths is not None:
        inputs["sequence_lens"] = np.array(lengths, dtype=np.int32)
    if states:
        inputs["initial_h"] = draw(BATCH, HIDDEN, scale=1.0)
        if op == "LSTM":
            inputs["initial_c"] = draw(BATCH, HIDDEN, scale=1.0)
    if cell == "lstm_peephole":
        inputs["P"] = draw(3 * HIDDEN, scale=1.0)
    attributes = {**attributes, "direction": direction, "hidden_size": HIDDEN}
    if "activations" in attributes:
        attributes["activations"] = attributes["activations"] * directions
    call = Call(op, attributes, inputs)
    assert call.cell == cell
    return call


def by_onnxruntime(call: Call) -> dict[str, np.ndarray]:
    """What onnxruntime gives for the call."""
    outputs = ["Y", "Y_h", "Y_c"] if call.op == "LSTM" else ["Y", "Y_h"]
    rank = {"Y": 4, "Y_h": 3, "Y_c": 3}
    kinds = {np.dtype(np.float32): onnx.TensorProto.FLOAT, np.dtype(np.int32): onnx.TensorProto.INT32}
    node = onnx.helper.make_node(
        call.op, [n if n in call.inputs else "" for n in INPUTS[call.op]], outputs, **call.attributes
    )
    graph = onnx.helper.make_graph(
        [node],
        call.cell,
        [onnx.helper.make_tensor_value_info(n, kinds[a.dtype], a.shape) for n, a in call.inputs.items()],
        [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [None] * rank[n]) for n in outputs],
    )
    # Opset 14 is where these operators last changed but for types, IR 8 belongs to its time: any runtime reads both.
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(outputs, session.run(None, call.inputs), strict=True))


def check(call: Call) -> None:
    """Ours in float64 equals the specification; onnxruntime and ours in float32 stay within float32's error.

    The bound is derived number by number in rounding.py. It must itself stay small for the comparison to say
    something: a wrong gate, order, sign or step shows as 1e-2 and more.
    """
    expected, theirs = specified(call), by_onnxruntime(call)
    # An empty sequence ends where it began; onnxruntime gives zeros there, of which the specification says nothing.
    empty = np.flatnonzero(call.inputs.get("sequence_lens", np.ones(BATCH)) == 0)
    for name, (value, error) in ((n, (e.value, e.error)) for n, e in expected.items()):
        assert error.max() < 1e-4
        kept = value.copy()
        if name != "Y":
            kept[:, empty] = 0.0
        assert (np.abs(theirs[name] - kept) <= error).all()
    for engine in ("reference", "auto"):
        wide, narrow = run(call, torch.float64, engine), run(call, torch.float32, engine)
        assert set(wide) == set(narrow) == set(theirs) == set(expected)
        for name, (value, error) in ((n, (e.value, e.error)) for n, e in expected.items()):
            assert (wide[name].dtype, narrow[name].dtype) == (np.float64, np.float32)
            # Sums of 13 products over 7 steps: 13 * 7 * 1.1e-16 = 1e-14, and two digits for what the steps make of it.
            exact = 1e-12 * np.abs(value).max()
            np.testing.assert_allclose(wide[name], value, rtol=0, atol=exact, err_msg=f"{engine} {name}")
            assert (np.abs(narrow[name] - value) <= error).all(), f"{engine} {name}"


@each_cell
@each_direction
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_from_given_states(cell: str, direction: str, lengths: list[int] | None) -> None:
    check(random_call(cell, direction, lengths=lengths))


@each_cell
@each_direction
def test_from_zero_states_without_bias(cell: str, direction: str) -> None:
    check(random_call(cell, direction, lengths=[3, 7, 1, 5], states=False, bias=False))


def swept(
    op: str, gates: int, gate: int, biases: dict[int, float], state: float
) -> tuple[np.ndarray, np.ndarray]:
    """The operator with one unit, whose gate alone sees x: (x, Y)."""
    x = np.concatenate([np.linspace(-30, 30, 20001), np.linspace(-1, 1, 10001)]).astype(np.float32)
    W, R, B = (np.zeros((1, *shape), np.float32) for shape in ((gates, 1), (gates, 1), (2 * gates,)))
    W[0, gate] = 1.0
    for position, bias in biases.items():
        B[0, position] = bias
    inputs = {"X": x.reshape(1, -1, 1), "W": W, "R": R, "B": B}
    inputs["initial_h"] = np.full((1, len(x), 1), state, np.float32)
    return x.astype(np.float64), by_onnxruntime(Call(op, {"hidden_size": 1}, inputs))["Y"].ravel()


@pytest.mark.parametrize(
    ("op", "gates", "gate", "biases", "state", "function"),
    [
        pytest.param("RNN", 1, 0, {}, 0.0, np.tanh, id="tanh of RNN"),
        pytest.param("GRU", 3, 0, {}, 1.0, lambda x: 1 / (1 + np.exp(-x)), id="sigmoid of GRU: z times one"),
        pytest.param("GRU", 3, 2, {0: -100.0}, 1.0, np.tanh, id="tanh of GRU: z is zero"),
    ],
)
def test_its_activations_err_as_assumed(op, gates, gate, biases, state, function) -> None:
    x, y = swept(op, gates, gate, biases, state)
    assert np.abs(y - function(x)).max() <= ACTIVATION
