"""Shapes, dtypes, devices and lengths: checked here and nowhere else, for every layer and every engine.

A good call costs one pass of comparisons; a message is built only when a check fails. Nothing here branches on
the values of a tensor while a graph is being traced (torch.compile, torch.export), and symbolic sizes are only
compared. torch's own wording is kept, in brackets, in each message that torch has too (its test samples match it).
"""

from gatewise.engines.geometry.calls import check_call, check_step
from gatewise.engines.geometry.common import FLOATS, check_like, expect_tensor
from gatewise.engines.geometry.layers import (
    as_lengths,
    check_flags,
    check_packed,
    check_sequence,
    check_states,
    check_stream,
)
from gatewise.engines.geometry.steps import check_row, check_row_states

__all__ = [
    "FLOATS",
    "as_lengths",
    "check_call",
    "check_flags",
    "check_like",
    "check_packed",
    "check_row",
    "check_row_states",
    "check_sequence",
    "check_states",
    "check_step",
    "check_stream",
    "expect_tensor",
]
