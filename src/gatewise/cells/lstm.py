"""Long short-term memory and its variants."""

from gatewise.spec import cell, normalize, project, sigmoid, tanh


@cell(states="h c", gates="i g o", admit="i", title="LSTM of 1997", cite="Hochreiter & Schmidhuber 1997")
def lstm_1997(gate, state):
    """The first LSTM: input and output gates, a memory that never forgets.

    The paper squashes with scaled logistic functions; tanh is used here, as in Greff et al. 2017 ("NFG").
    """
    c = state.c + sigmoid(gate.i) * tanh(gate.g)
    return sigmoid(gate.o) * tanh(c), c


@cell(
    states="h c", gates="i f g o", bias="both", retain="f", admit="i", title="LSTM",
    cite="Hochreiter & Schmidhuber 1997; Gers et al. 2000",
)  # fmt: skip
def lstm(gate, state):
    """LSTM with a forget gate, the one that is meant where nothing is added: torch's LSTM."""
    c = sigmoid(gate.f) * state.c + sigmoid(gate.i) * tanh(gate.g)
    return sigmoid(gate.o) * tanh(c), c


@cell(
    states="h c",
    gates="i f g o",
    retain="f",
    admit="i",
    title="Peephole LSTM",
    cite="Gers & Schmidhuber 2000",
)
def lstm_peephole(gate, state, unit):
    """LSTM whose gates see the memory: input and forget gate the old one, the output gate the new one."""
    i = sigmoid(gate.i + unit.peephole_i * state.c)
    f = sigmoid(gate.f + unit.peephole_f * state.c)
    c = f * state.c + i * tanh(gate.g)
    return sigmoid(gate.o + unit.peephole_o * c) * tanh(c), c


@cell(
    states="h c", gates="i g o", admit="i", title="Coupled input-forget LSTM", cite="Greff et al. 2017 (CIFG)"
)
def lstm_coupled(gate, state):
    """LSTM that forgets exactly as much as it takes in: f = 1 - i."""
    i = sigmoid(gate.i)
    c = (1 - i) * state.c + i * tanh(gate.g)
    return sigmoid(gate.o) * tanh(c), c


@cell(
    states="h:proj c", gates="i f g o", bias="both", retain="f", admit="i", title="LSTM with projection",
    cite="Sak et al. 2014",
)  # fmt: skip
def lstm_projected(gate, state):
    """LSTM whose output is projected to a smaller width before it recurs: torch's LSTM with proj_size.

    Without the peepholes and the second, non-recurrent projection of the paper.
    """
    c = sigmoid(gate.f) * state.c + sigmoid(gate.i) * tanh(gate.g)
    return project(sigmoid(gate.o) * tanh(c)), c


@cell(
    states="h c", gates="i f g o", layer_norm=True, retain="f", admit="i", title="Layer-norm LSTM",
    cite="Ba et al. 2016, eq. 20-22",
)  # fmt: skip
def lstm_layer_norm(gate, state):
    """LSTM with layer normalisation of each gate's two products and of the cell state before its tanh.

    The products are normalised gate by gate (the paper normalises all gates of a product together), each with a
    gain; the gate's bias follows. The cell state has a gain and a shift.
    """
    c = sigmoid(gate.f) * state.c + sigmoid(gate.i) * tanh(gate.g)
    return sigmoid(gate.o) * tanh(normalize(c, "norm_c")), c
