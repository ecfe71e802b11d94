"""Cells whose inputs and states are changed before the gates see them."""

from gatewise.spec import cell, exp, greater, recur, relu, select, sigmoid, tanh


@cell(
    states="h last:input", gates="r z n:split", inputs="x m:input d:input", admit="z", title="GRU-D",
    cite="Che et al. 2018, eq. 10-15",
)  # fmt: skip
def gru_d(gate, state, stream, unit):
    """GRU for irregular samples with missing values.

    Streams: x the values (anything where missing), m one where observed, d the time since the last
    observation. A missing value decays from the last one seen to its mean, the state decays to zero.
    """
    seen = greater(stream.m, 0.5)
    decay_x = exp(
        -relu(unit("decay_x", width="input") * stream.d + unit("decay_x_bias", width="input", init="zeros"))
    )
    decay_h = exp(-relu(recur(stream.d, "decay_h", "hidden") + unit("decay_h_bias", init="zeros")))
    last = select(seen, stream.x, state.last)
    mean = unit("mean", width="input", init="zeros")
    x = select(seen, stream.x, decay_x * state.last + (1 - decay_x) * mean)
    h = decay_h * state.h
    g = gate.of(x=x, h=h)
    r = sigmoid(g.r + recur(stream.m, "mask.r", "hidden"))
    z = sigmoid(g.z + recur(stream.m, "mask.z", "hidden"))
    n = tanh(g.n.x + recur(r * h, g.n.R) + recur(stream.m, "mask.n", "hidden"))
    return h + z * (n - h), last


@cell(
    states="h c", gates="i f g o", bias="both", retain="f", admit="i", title="Mogrifier LSTM",
    cite="Melis et al. 2020, eq. 1-2",
)  # fmt: skip
def lstm_mogrifier(gate, state, stream, *, rounds=5):
    """LSTM in which input and state gate each other a few rounds before the step."""
    x, h = stream.x, state.h
    for k in range(rounds):
        if k % 2 == 0:
            x = 2 * sigmoid(recur(h, f"mogrify_q{k}", "input")) * x
        else:
            h = 2 * sigmoid(recur(x, f"mogrify_r{k}", "hidden")) * h
    g = gate.of(x=x, h=h)
    c = sigmoid(g.f) * state.c + sigmoid(g.i) * tanh(g.g)
    return sigmoid(g.o) * tanh(c), c
