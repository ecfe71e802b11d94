"""Gated recurrent units and their smaller relatives."""

from gatewise.spec import cell, normalize, recur, relu, sigmoid, tanh


@cell(
    states="h", gates="r z n:split", bias="both", retain="z", title="GRU, reset after", cite="Cho et al. 2014"
)
def gru(gate, state):
    """The GRU of torch and cuDNN: the reset gate acts on the recurrent product."""
    n = tanh(gate.n.x + sigmoid(gate.r) * gate.n.h)
    return n + sigmoid(gate.z) * (state.h - n)


@cell(states="h", gates="r z n:split", retain="z", title="GRU, reset before", cite="Cho et al. 2014, eq. 5-8")
def gru_reset_before(gate, state):
    """The GRU as first published: the reset gate acts on the state before the recurrent product."""
    n = tanh(gate.n.x + recur(sigmoid(gate.r) * state.h, gate.n.R))
    return n + sigmoid(gate.z) * (state.h - n)


@cell(
    states="h", gates="r z n:split", bias="both", layer_norm=True, retain="z", title="Layer-norm GRU",
    cite="Ba et al. 2016; Cho et al. 2014",
)  # fmt: skip
def gru_layer_norm(gate, state):
    """The reset-after GRU with layer normalisation of each gate's two products, each with a gain."""
    n = tanh(gate.n.x + sigmoid(gate.r) * gate.n.h)
    return n + sigmoid(gate.z) * (state.h - n)


@cell(states="h", gates="f n:split", admit="f", title="Minimal gated unit", cite="Zhou et al. 2016")
def mgu(gate, state):
    """A GRU with one gate, which forgets and resets at once."""
    f = sigmoid(gate.f)
    n = tanh(gate.n.x + recur(f * state.h, gate.n.R))
    return (1 - f) * state.h + f * n


@cell(states="h", gates="g n", retain="g", title="Update-gate RNN", cite="Collins et al. 2017")
def ugrnn(gate, state):
    """A plain RNN with one gate between old and new."""
    g = sigmoid(gate.g)
    return g * state.h + (1 - g) * tanh(gate.n)


@cell(
    states="h", gates="z:split n:split", retain="z", title="Light GRU", cite="Ravanelli et al. 2018, eq. 8-10"
)
def ligru(gate, state, stream):
    """The light GRU for speech: no reset gate, a rectifier, normalised input products.

    The paper normalises over the batch; here it is layer normalisation over the units, which needs no
    statistics of the batch and is the same at training and at inference.
    """
    z = sigmoid(normalize(recur(stream.x, gate.z.W), "norm_ih.z") + gate.z.h)
    n = relu(normalize(recur(stream.x, gate.n.W), "norm_ih.n") + gate.n.h)
    return z * state.h + (1 - z) * n
