"""Cells without a matrix in the loop: the state meets itself unit by unit."""

from gatewise.spec import cell, recur, relu, sigmoid


@cell(states="h", gates="h:diagonal", title="Independently recurrent network", cite="Li et al. 2018")
def indrnn(gate, state):
    """Each unit sees only its own past, through one weight."""
    return relu(gate.h)


@cell(
    states="c",
    gates="f:input r:input",
    retain="f",
    title="Simple recurrent unit",
    cite="Lei et al. 2018, eq. 1-4",
)
def sru(gate, state, stream, unit):
    """A gated running average with a highway connection; the output h is not its state.

    The highway needs the input at the output's width: it has a product of its own ("highway"), as the authors'
    code has where the widths differ.
    """
    f = sigmoid(gate.f + unit.recurrent_f * state.c)
    r = sigmoid(gate.r + unit.recurrent_r * state.c)
    c = f * state.c + (1 - f) * recur(stream.x, "candidate", "hidden")
    h = r * c + (1 - r) * recur(stream.x, "highway", "hidden")
    return h, c


@cell(
    states="h",
    gates="f:input i:input n:input",
    retain="f",
    admit="i",
    title="minLSTM",
    cite="Feng et al. 2024, sec. 3.2",
)
def min_lstm(gate, state):
    """An LSTM whose gates see only the input, normalised to sum to one: linear in its state."""
    f, i = sigmoid(gate.f), sigmoid(gate.i)
    total = f + i
    return f / total * state.h + i / total * gate.n


@cell(states="h", gates="z:input n:input", admit="z", title="minGRU", cite="Feng et al. 2024, sec. 3.1")
def min_gru(gate, state):
    """A GRU whose gate sees only the input: linear in its state."""
    z = sigmoid(gate.z)
    return (1 - z) * state.h + z * gate.n
