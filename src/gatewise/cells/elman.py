"""Plain recurrent networks (Elman 1990)."""

from gatewise.spec import cell, relu, tanh


@cell(states="h", gates="h", bias="both", title="Elman RNN, tanh", cite="Elman 1990")
def rnn_tanh(gate, state):
    """The simple recurrent network: torch's RNN with nonlinearity "tanh"."""
    return tanh(gate.h)


@cell(states="h", gates="h", bias="both", title="Elman RNN, relu", cite="Elman 1990; Le et al. 2015")
def rnn_relu(gate, state):
    """The simple recurrent network with a rectifier: torch's RNN with nonlinearity "relu"."""
    return relu(gate.h)
