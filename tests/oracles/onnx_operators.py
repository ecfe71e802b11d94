"""ONNX's RNN, LSTM and GRU: one call of an operator, what its specification says of it, and Gatewise's layer for it.

The specification (onnx.ai/onnx/operators, RNN/LSTM/GRU, opset 22) orders the gates i, o, f, c and z, r, h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gatewise import nn
from tests.oracles.rounding import Bounded, Sum, blend, constant, matrix, product, relu, sigmoid, tanh

INPUTS = {
    "RNN": ("X", "W", "R", "B", "sequence_lens", "initial_h"),
    "GRU": ("X", "W", "R", "B", "sequence_lens", "initial_h"),
    "LSTM": ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"),
}
# The attributes that the layer below knows how to follow; a call with another one (clip, ...) is refused, not guessed.
ATTRIBUTES = {
    "RNN": {"hidden_size", "direction", "layout", "activations"},
    "GRU": {"hidden_size", "direction", "layout", "linear_before_reset"},
    "LSTM": {"hidden_size", "direction", "layout", "input_forget"},
}
# Where each of Gatewise's gates stands among ONNX's: i f g o in i o f c, r z n in z r h.
GATES = {
    "rnn_tanh": [0], "rnn_relu": [0], "lstm": [0, 2, 3, 1], "lstm_peephole": [0, 2, 3, 1], "lstm_coupled": [0, 3, 1],
    "gru": [1, 0, 2], "gru_reset_before": [1, 0, 2],
}  # fmt: skip
STACKED = {"RNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True)
class Call:
    """One call of an operator: its inputs by name (those given) and its attributes."""

    op: str
    attributes: dict[str, Any]
    inputs: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        unknown = set(self.attributes) - ATTRIBUTES[self.op] | set(self.inputs) - set(INPUTS[self.op])
        if unknown:
            raise ValueError(
                f"{self.op}: expected {ATTRIBUTES[self.op]} and {INPUTS[self.op]}, got {unknown}"
            )

    @property
    def direction(self) -> str:
        """ "forward", "reverse" or "bidirectional"."""
        return self.attributes.get("direction", "forward")

    @property
    def directions(self) -> int:
        """One or two."""
        return 2 if self.direction == "bidirectional" else 1

    @property
    def batch_first(self) -> bool:
        """The layout attribute: states are batch first too, where it is set."""
        return self.attributes.get("layout", 0) == 1

    @property
    def x(self) -> np.ndarray:
        """X as (time, batch, input)."""
        return self.inputs["X"].swapaxes(0, 1) if self.batch_first else self.inputs["X"]

    def initial(self, name: str) -> np.ndarray | None:
        """A state to start from as (directions, batch, hidden), if given."""
        given = self.inputs.get(name)
        return given.swapaxes(0, 1) if self.batch_first and given is not None else given

    @property
    def cell(self) -> str:
        """The name of Gatewise's cell for it."""
        if self.op == "GRU":
            return "gru" if self.attributes.get("linear_before_reset", 0) else "gru_reset_before"
        if self.op == "RNN":
            kinds = set(self.attributes.get("activations", ["Tanh"]))
            (kind,) = (k.decode() if isinstance(k, bytes) else k for k in kinds)
            return {"Tanh": "rnn_tanh", "Relu": "rnn_relu"}[kind]
        if self.attributes.get("input_forget", 0):
            if "P" in self.inputs:
                raise ValueError("LSTM: expected no P beside input_forget: no cell is both")
            return "lstm_coupled"
        return "lstm_peephole" if "P" in self.inputs else "lstm"


# --- Gatewise


def layer(call: Call, dtype: torch.dtype, engine: str) -> nn.Recurrent:
    """Gatewise's layer with the call's weights."""
    hidden = call.attributes["hidden_size"]
    made = nn.Recurrent(
        call.cell, call.x.shape[-1], hidden, bias="B" in call.inputs, batch_first=call.batch_first,
        bidirectional=call.directions == 2, reverse=call.direction == "reverse", dtype=dtype, engine=engine,
    )  # fmt: skip
    with torch.no_grad():
        for direction in range(call.directions):
            suffix = "_l0" + ("_reverse" if direction else "")
            for name, array in _tensors(call, direction).items():
                getattr(made, name + suffix).copy_(torch.from_numpy(array))
    return made


def _tensors(call: Call, direction: int) -> dict[str, np.ndarray]:
    """One direction's weights under Gatewise's names: the blocks of rows in its order of the gates."""
    order, count = GATES[call.cell], STACKED[call.op]

    def reordered(rows: np.ndarray) -> np.ndarray:
        blocks = np.split(rows, count)
        return np.concatenate([blocks[gate] for gate in order])

    made = {
        "weight_ih": reordered(call.inputs["W"][direction]),
        "weight_hh": reordered(call.inputs["R"][direction]),
    }
    if "B" in call.inputs:
        exact = call.inputs["B"][direction].astype(np.float64)  # summed below without rounding
        inner, outer = np.split(exact, 2)
        if call.cell in ("lstm_peephole", "lstm_coupled", "gru_reset_before"):  # cells with one bias a gate
            made["bias_ih"] = reordered(inner + outer)
        else:
            made["bias_ih"], made["bias_hh"] = reordered(inner), reordered(outer)
    if call.cell == "lstm_peephole":
        made["peephole_i"], made["peephole_o"], made["peephole_f"] = np.split(call.inputs["P"][direction], 3)
    return made


def run(call: Call, dtype: torch.dtype, engine: str) -> dict[str, np.ndarray]:
    """What Gatewise gives for the call, in ONNX's layout: Y, Y_h and, of the LSTM, Y_c."""
    names = ("initial_h", "initial_c") if call.op == "LSTM" else ("initial_h",)
    given = [call.initial(name) for name in names]
    shape = (call.directions, call.x.shape[1], call.attributes["hidden_size"])
    state = [
        torch.zeros(shape, dtype=dtype) if s is None else torch.from_numpy(s.copy()).to(dtype) for s in given
    ]
    lengths = call.inputs.get("sequence_lens")
    with torch.no_grad():
        output, final = layer(call, dtype, engine)(
            torch.from_numpy(call.inputs["X"]).to(dtype),
            None if all(s is None for s in given) else tuple(state),
            lengths=None if lengths is None else torch.from_numpy(lengths).long(),
        )
    y = output.numpy().reshape(*output.shape[:2], call.directions, -1)
    result = {"Y": y if call.batch_first else y.transpose(0, 2, 1, 3)}
    for name, state_ in zip(("Y_h", "Y_c"), final, strict=False):
        result[name] = state_.numpy().swapaxes(0, 1) if call.batch_first else state_.numpy()
    return result


# --- the specification, with the error that float32 may make on the way


def specified(call: Call) -> dict[str, Bounded]:
    """Y, Y_h and Y_c as the operator's specification has them, each with the bound of float32's error."""
    time, batch, _ = call.x.shape
    hidden = call.attributes["hidden_size"]
    lengths = call.inputs.get("sequence_lens", np.full(batch, time))
    outputs, finals = [], []
    for direction in range(call.directions):
        state = tuple(
            Bounded.exact(np.zeros((batch, hidden)) if given is None else given[direction])
            for given in map(call.initial, ("initial_h", "initial_c"))
        )
        backwards = direction == 1 or call.direction == "reverse"
        y: list[Bounded] = [Bounded.exact(np.zeros((batch, hidden)))] * time
        for t in reversed(range(time)) if backwards else range(time):
            alive = (t < lengths)[:, None]
            after = _step(call, direction, Bounded.exact(call.x[t]), *state)
            y[t] = after[0].where(alive, y[t])
            state = tuple(new.where(alive, old) for new, old in zip(after, state, strict=True))
        outputs.append(_stack(y, 0))
        finals.append(state)
    hs, cs = zip(*finals, strict=True)
    result = {"Y": _stack(outputs, 2 if call.batch_first else 1)}
    if call.batch_first:
        result["Y"] = Bounded(result["Y"].value.swapaxes(0, 1), result["Y"].error.swapaxes(0, 1))
    result["Y_h"] = _stack(hs, int(call.batch_first))
    return {**result, "Y_c": _stack(cs, int(call.batch_first))} if call.op == "LSTM" else result


def _stack(parts: Any, axis: int) -> Bounded:
    return Bounded(np.stack([p.value for p in parts], axis), np.stack([p.error for p in parts], axis))


def _step(call: Call, direction: int, x: Bounded, h: Bounded, c: Bounded) -> tuple[Bounded, Bounded]:
    """One step of the operator, by its equations; ``c`` is the LSTM's and passes through the others."""
    inputs, count = call.inputs, STACKED[call.op]
    W, R = inputs["W"][direction], inputs["R"][direction]
    zeros = np.zeros((inputs["W"].shape[0], 2 * count * h.value.shape[1]))
    Wb, Rb = np.split(inputs.get("B", zeros)[direction], 2)
    rows = np.zeros_like(h.value[:, :1])  # so that a bias has the batch's rows
    from_x = (matrix(W, x) + constant(Wb + rows)).gates(count)
    from_h = (matrix(R, h) + constant(Rb + rows)).gates(count)
    if call.op == "RNN":
        total = from_x[0] + from_h[0]
        return (relu if call.cell == "rnn_relu" else tanh)(total), c
    if call.op == "GRU":
        return _gru(call, from_x, from_h, np.split(R, 3)[2], np.split(Rb, 3)[2] + rows, h), c
    p_i, p_o, p_f = (
        Bounded.exact(p) for p in np.split(inputs.get("P", zeros[:, : 3 * h.value.shape[1]])[direction], 3)
    )
    i, o, f, g = (a + b for a, b in zip(from_x, from_h, strict=True))
    taken, candidate = sigmoid(i + product(p_i, c)), tanh(g)
    if call.attributes.get("input_forget", 0):
        new = blend(taken, candidate, c)
    else:
        new = (product(sigmoid(f + product(p_f, c)), c) + product(taken, candidate)).rounded()
    out = product(sigmoid(o + product(p_o, new)), tanh(Sum(new.value, abs(new.value), new.error, 0)))
    return out.rounded(), new


def _gru(
    call: Call, from_x: list[Sum], from_h: list[Sum], R: np.ndarray, Rb: np.ndarray, h: Bounded
) -> Bounded:
    z, r = (sigmoid(a + b) for a, b in zip(from_x[:2], from_h[:2], strict=True))
    if call.attributes.get("linear_before_reset", 0):
        total = from_x[2] + product(r, from_h[2].rounded())
    else:
        total = from_x[2] + matrix(R, product(r, h).rounded()) + constant(Rb)
    return blend(z, h, tanh(total))
