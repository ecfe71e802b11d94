"""The scalar-memory cell of xLSTM."""

from gatewise.spec import cell, exp, greater, log_sigmoid, maximum, select, sigmoid, tanh


@cell(
    states="h c n m", gates="i f z o", blocks="heads", retain="f", admit="i", title="sLSTM",
    cite="Beck et al. 2024, eq. 8-17",
)  # fmt: skip
def slstm(gate, state, *, heads=1):
    """LSTM with an exponential input gate, a normaliser n and a stabiliser m; R is block-diagonal over heads.

    The forget gate is a logistic sigmoid. Where nothing is remembered yet (n = 0) the stabiliser is the input
    gate alone, so that n is at least 1 from the first step on, however small the gate.
    """
    begun = greater(state.n, 0.0)
    f = log_sigmoid(gate.f) + state.m
    m = select(begun, maximum(f, gate.i), gate.i + 0.0)
    keep, take = exp(select(begun, f, m) - m), exp(gate.i - m)
    c = keep * state.c + take * tanh(gate.z)
    n = keep * state.n + take
    return sigmoid(gate.o) * c / n, c, n, m
