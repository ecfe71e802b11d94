"""Recurrent layers: torch.nn's, drop-in, and every other cell with the same machinery.

Example:
    >>> import torch
    >>> from gatewise import nn
    >>> lstm = nn.LSTM(8, 16, num_layers=2, bidirectional=True)
    >>> lstm.load_state_dict(torch.nn.LSTM(8, 16, num_layers=2, bidirectional=True).state_dict())
    <All keys matched successfully>
"""

from gatewise.nn.attention import Attention, Memory
from gatewise.nn.bidirectional import Bidirectional
from gatewise.nn.crf import CRF
from gatewise.nn.prepare import prepare
from gatewise.nn.recurrent import Recurrent, explain
from gatewise.nn.state import RecurrentState
from gatewise.nn.torch_like import GRU, LSTM, RNN
from gatewise.nn.torch_like_cells import GRUCell, LSTMCell, RNNCell

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "RNN",
    "Attention",
    "Bidirectional",
    "GRUCell",
    "LSTMCell",
    "Memory",
    "RNNCell",
    "Recurrent",
    "RecurrentState",
    "explain",
    "prepare",
]
