"""The scalar-memory cell of xLSTM."""

from gatewise.spec import cell, exp, log_sigmoid, maximum, sigmoid, tanh


@cell(
    states="h c n m", gates="i f z o", blocks="heads", retain="f", admit="i", title="sLSTM",
    cite="Beck et al. 2024, eq. 8-17",
)  # fmt: skip
def slstm(gate, state, *, heads=1):
    """LSTM with an exponential input gate, a normaliser n and a stabiliser m; R is block-diagonal over heads."""
    f = log_sigmoid(gate.f) + state.m
    m = maximum(f, gate.i)
    keep, take = exp(f - m), exp(gate.i - m)
    c = keep * state.c + take * tanh(gate.z)
    n = keep * state.n + take
    return sigmoid(gate.o) * c / n, c, n, m
