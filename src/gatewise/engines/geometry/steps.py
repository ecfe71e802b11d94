"""What a user gives a single step."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from gatewise.engines.geometry.common import expect_tensor, is_dense, wrong

__all__ = ["check_row", "check_row_states"]


def check_row(owner: str, argument: str, row: object, input_size: int) -> bool:
    """Checks the input of one step, (batch, input_size) or (input_size,).

    Returns:
        Whether it has a batch axis.

    Raises:
        ArgumentTypeError: Not a tensor.
        ShapeError: Wrong number of axes or features.
    """
    shape = expect_tensor(argument, row, "one step of the sequences").shape
    dims = len(shape)
    if dims != 2 and dims != 1:
        wrong(
            argument,
            "(batch, input_size) or, unbatched, (input_size,)",
            f"shape {tuple(shape)}",
            "give one step at a time; whole sequences go to the layer itself",
            f"{owner}: Expected input to be 1D or 2D, got {dims}D instead",
        )
    if shape[-1] != input_size:
        wrong(
            argument,
            f"{input_size} features (input_size) on the last axis",
            f"shape {tuple(shape)}",
            f"give (batch, {input_size}), or make the module with input_size={shape[-1]}",
            f"input has inconsistent input_size: got {shape[-1]} expected {input_size}",
        )
    return dims == 2


def check_row_states(
    owner: str, states: Sequence[object], names: Sequence[str], widths: Sequence[int], batch: int | None
) -> None:
    """Checks the states of a cell module, (batch, width), or (width,) where ``batch`` is None.

    Raises:
        ArgumentTypeError: Not tensors.
        ShapeError: Wrong count or shapes.
    """
    if len(states) != len(widths):
        wrong(
            "hx", f"{len(widths)} states ({', '.join(names)})", f"{len(states)}", "pass one tensor per state"
        )
    for i, (state, width) in enumerate(zip(states, widths, strict=True)):
        expected = (width,) if batch is None else (batch, width)
        if isinstance(state, Tensor) and is_dense(state) and state.shape == expected:
            continue
        shape = expect_tensor("hx", state, f"the state {names[i]}").shape
        which = "hidden" if len(widths) == 1 else f"hx[{i}]"
        if len(shape) not in (1, 2) or len(shape) != len(expected):
            said = f"{owner}: Expected {which} to be 1D or 2D, got {len(shape)}D instead"
        elif shape[-1] != width:
            said = f"hidden{i} has inconsistent hidden_size: got {shape[-1]}, expected {width}"
        else:
            said = f"Input batch size {batch} doesn't match hidden{i} batch size {shape[0]}"
        wrong(
            "hx",
            f"the state {names[i]} of shape {expected}, as the input has it",
            f"shape {tuple(shape)}",
            "start from None for zeros, or give it the input's batch",
            said,
        )
