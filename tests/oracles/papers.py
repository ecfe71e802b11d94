"""Cells as their papers write them: one step of one sequence, in numpy, with vectors and matrices.

Each function takes the parameters ``p`` (``p.W["i"]`` the input weight of gate i, ``p.R`` the recurrent one, ``p.b``
the bias, anything else by its name), the input and the states, and gives the output and the next states. They are
written from the papers and share no line with the package; where a cell differs from its paper by declaration, the
function says so and does as the cell declares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Step = tuple[Vector, tuple[Vector, ...]]


def sigma(a: Vector) -> Vector:
    """The logistic function."""
    return 1 / (1 + np.exp(-a))


def layer_norm(a: Vector, gain: Vector, shift: Vector | float = 0.0) -> Vector:
    """Ba et al. 2016, eq. 4: biased deviation over the units; epsilon (torch's, 1e-5) beside the variance."""
    return gain * (a - a.mean()) / np.sqrt(a.var() + 1e-5) + shift


def net(p: Any, gate: str, x: Vector, h: Vector) -> Vector:
    """W x + R h + b of one gate."""
    return p.W[gate] @ x + p.R[gate] @ h + p.b[gate]


def lstm_1997(p: Any, x: Vector, h: Vector, c: Vector) -> Step:
    """Hochreiter & Schmidhuber 1997, sec. 4: s(t) = s(t-1) + y_in g(net), y = y_out h(s).

    g and h are tanh here (Greff et al. 2017, "no forget gate"), where the paper scales logistic functions.
    """
    y_in, y_out = sigma(net(p, "i", x, h)), sigma(net(p, "o", x, h))
    s = c + y_in * np.tanh(net(p, "g", x, h))
    return y_out * np.tanh(s), (y_out * np.tanh(s), s)


def lstm(p: Any, x: Vector, h: Vector, c: Vector) -> Step:
    """Gers et al. 2000: the LSTM with a forget gate; two cells below end in it."""
    i, f, o = (sigma(net(p, gate, x, h)) for gate in "ifo")
    c = f * c + i * np.tanh(net(p, "g", x, h))
    m = o * np.tanh(c)
    return m, (m, c)


def lstm_projected(p: Any, x: Vector, r: Vector, c: Vector) -> Step:
    """Sak et al. 2014, eq. 1-6 without peepholes: r = W_rm m recurs in place of m."""
    m, (_, c) = lstm(p, x, r, c)
    r = p.weight_hr @ m
    return r, (r, c)


def lstm_layer_norm(p: Any, x: Vector, h: Vector, c: Vector) -> Step:
    """Ba et al. 2016, eq. 20-22, each gate's product being normalised by itself."""
    f, i, o, g = (
        layer_norm(p.R[k] @ h, p.norm_hh_gain[k]) + layer_norm(p.W[k] @ x, p.norm_ih_gain[k]) + p.b[k]
        for k in "fiog"
    )
    c = sigma(f) * c + sigma(i) * np.tanh(g)
    h = sigma(o) * np.tanh(layer_norm(c, p.norm_c_gain, p.norm_c_shift))
    return h, (h, c)


def lstm_mogrifier(p: Any, x: Vector, h: Vector, c: Vector) -> Step:
    """Melis et al. 2020, eq. 1-2: x^i = 2 sigma(Q^i h^(i-1)) x^(i-2) for odd i, h^i likewise with R^i for even i."""
    rounds = 1
    while True:  # i counts from 1, the cell's names from 0
        if rounds % 2 and hasattr(p, f"weight_mogrify_q{rounds - 1}"):
            x = 2 * sigma(getattr(p, f"weight_mogrify_q{rounds - 1}") @ h) * x
        elif rounds % 2 == 0 and hasattr(p, f"weight_mogrify_r{rounds - 1}"):
            h = 2 * sigma(getattr(p, f"weight_mogrify_r{rounds - 1}") @ x) * h
        else:
            return lstm(p, x, h, c)
        rounds += 1


def gru_layer_norm(p: Any, x: Vector, h: Vector) -> Step:
    """Ba et al. 2016, supplement (GRU), each gate's product being normalised by itself.

    As the cell declares: torch's two biases, and z keeps the old state (Cho et al. 2014, eq. 7).
    """

    def by_x(k: str) -> Vector:
        return layer_norm(p.W[k] @ x, p.norm_ih_gain[k]) + p.b_ih[k]

    def by_h(k: str) -> Vector:
        return layer_norm(p.R[k] @ h, p.norm_hh_gain[k]) + p.b_hh[k]

    z, r = sigma(by_h("z") + by_x("z")), sigma(by_h("r") + by_x("r"))
    h = z * h + (1 - z) * np.tanh(by_x("n") + r * by_h("n"))
    return h, (h,)


def gru_d(p: Any, x: Vector, h: Vector, last: Vector, m: Vector, d: Vector) -> Step:
    """Che et al. 2018, "GRU-D": decay of input and state, then the GRU with the mask; z lets the new content in."""
    gamma_x = np.exp(-np.maximum(0, p.decay_x * d + p.decay_x_bias))
    gamma_h = np.exp(-np.maximum(0, p.weight_decay_h @ d + p.decay_h_bias))
    last = np.array([new if seen == 1 else old for new, old, seen in zip(x, last, m, strict=True)])
    x = np.array([
        value if seen == 1 else decay * value + (1 - decay) * mean
        for value, seen, decay, mean in zip(last, m, gamma_x, p.mean, strict=True)
    ])  # fmt: skip
    h = gamma_h * h
    V = p.weight_mask
    r, z = (sigma(net(p, k, x, h) + V[k] @ m) for k in "rz")
    new = np.tanh(p.W["n"] @ x + p.R["n"] @ (r * h) + V["n"] @ m + p.b["n"])
    h = (1 - z) * h + z * new
    return h, (h, last)


def mgu(p: Any, x: Vector, h: Vector) -> Step:
    """Zhou et al. 2016, eq. 4-6 of the minimal gated unit."""
    f = sigma(net(p, "f", x, h))
    h = (1 - f) * h + f * np.tanh(net(p, "n", x, f * h))
    return h, (h,)


def ugrnn(p: Any, x: Vector, h: Vector) -> Step:
    """Collins et al. 2017, sec. 2.1: c = s(W_c x + U_c h + b_c), h = g h + (1 - g) c."""
    g = sigma(net(p, "g", x, h))
    h = g * h + (1 - g) * np.tanh(net(p, "n", x, h))
    return h, (h,)


def ligru(p: Any, x: Vector, h: Vector) -> Step:
    """Ravanelli et al. 2018, eq. 8-10: no reset gate, a rectifier, W x normalised with gain and shift.

    As the cell declares, over the units and not over the batch.
    """
    z, n = (layer_norm(p.W[k] @ x, p.norm_ih_gain[k], p.norm_ih_shift[k]) + p.R[k] @ h for k in "zn")
    h = sigma(z) * h + (1 - sigma(z)) * np.maximum(n, 0)
    return h, (h,)


def indrnn(p: Any, x: Vector, h: Vector) -> Step:
    """Li et al. 2018, eq. 2: h = relu(W x + u h + b), unit by unit."""
    h = np.maximum(p.W["h"] @ x + p.diagonal_hh * h + p.b["h"], 0)
    return h, (h,)


def sru(p: Any, x: Vector, c: Vector) -> Step:
    """Lei et al. 2018, eq. 1-4; the highway's x has a weight of its own, as the cell declares."""
    f = sigma(p.W["f"] @ x + p.recurrent_f * c + p.b["f"])
    r = sigma(p.W["r"] @ x + p.recurrent_r * c + p.b["r"])
    c = f * c + (1 - f) * (p.weight_candidate @ x)
    return r * c + (1 - r) * (p.weight_highway @ x), (c,)


def slstm(p: Any, x: Vector, h: Vector, c: Vector, n: Vector, m: Vector) -> Step:
    """Beck et al. 2024, eq. 8-14 with f = sigma, as written before stabilisation; heads mix by a block-diagonal R.

    The stabilised states (eq. 15-17) are the plain ones times exp(-m), which is undone first and done again last.
    """
    c, n = c * np.exp(m), n * np.exp(m)
    tilde = {
        k: p.W[k] @ x + np.concatenate([R @ part for R, part in _heads(p.R[k], h)]) + p.b[k] for k in "zifo"
    }
    z, i, f, o = np.tanh(tilde["z"]), np.exp(tilde["i"]), sigma(tilde["f"]), sigma(tilde["o"])
    c, n = f * c + i * z, f * n + i
    h = o * (c / n)
    m = np.maximum(np.log(f) + m, np.log(i))  # eq. 15
    return h, (h, c * np.exp(-m), n * np.exp(-m), m)


def _heads(R: Vector, h: Vector) -> list[tuple[Vector, Vector]]:
    """The diagonal blocks, which are stored on top of each other, and the part of h that each sees."""
    heads = len(h) // R.shape[1]
    return list(zip(np.split(R, heads), np.split(h, heads), strict=True))


def min_lstm(p: Any, x: Vector, h: Vector) -> Step:
    """Feng et al. 2024, sec. 3.2: f' = f / (f + i), i' = i / (f + i), h = f' h + i' h~."""
    f, i, new = (p.W[k] @ x + p.b[k] for k in "fin")
    f, i = sigma(f), sigma(i)
    h = f / (f + i) * h + i / (f + i) * new
    return h, (h,)


def min_gru(p: Any, x: Vector, h: Vector) -> Step:
    """Feng et al. 2024, sec. 3.1: h = (1 - z) h + z h~."""
    z = sigma(p.W["z"] @ x + p.b["z"])
    h = (1 - z) * h + z * (p.W["n"] @ x + p.b["n"])
    return h, (h,)


# By cell: its step, and the order in which it stacks its gates' rows.
STEPS: dict[str, tuple[Callable[..., Step], str]] = {
    "lstm_1997": (lstm_1997, "igo"),
    "lstm_projected": (lstm_projected, "ifgo"),
    "lstm_layer_norm": (lstm_layer_norm, "ifgo"),
    "lstm_mogrifier": (lstm_mogrifier, "ifgo"),
    "gru_layer_norm": (gru_layer_norm, "rzn"),
    "gru_d": (gru_d, "rzn"),
    "mgu": (mgu, "fn"),
    "ugrnn": (ugrnn, "gn"),
    "ligru": (ligru, "zn"),
    "indrnn": (indrnn, "h"),
    "sru": (sru, "fr"),
    "slstm": (slstm, "ifzo"),
    "min_lstm": (min_lstm, "fin"),
    "min_gru": (min_gru, "zn"),
}
