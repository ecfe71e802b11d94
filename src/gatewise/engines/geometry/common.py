"""How a misfit is put into words, and what is asked of any one tensor."""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor

from gatewise.errors import ArgumentTypeError, ShapeError

__all__ = ["FLOATS", "check_like", "expect_tensor", "is_dense", "listed_numbers", "shape_of", "wrong"]

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
"""The dtypes that engines compute in."""


def wrong(argument: str, expected: str, got: str, remedy: str, torch_says: str = "") -> NoReturn:
    """Raises ShapeError in the form that all of Gatewise's errors have, with torch's words behind."""
    text = f"{argument}: expected {expected}, got {got}; {remedy}"
    raise ShapeError(f"{text} [{torch_says}]" if torch_says else text)


def shape_of(tensor: Tensor) -> str:
    """A tensor's shape for a message."""
    return f"shape {tuple(tensor.shape)}"


def expect_tensor(argument: str, value: object, meaning: str) -> Tensor:
    """The value, if it is a dense tensor; ``meaning`` says what it should hold.

    Raises:
        ArgumentTypeError: Not a tensor.
        ShapeError: A sparse, nested or quantised one.
    """
    if not isinstance(value, Tensor):
        raise ArgumentTypeError(
            f"{argument}: expected a torch.Tensor, {meaning}, got {type(value).__name__}; "
            "convert it with torch.as_tensor(...)"
        )
    if not is_dense(value):
        kind = "nested" if value.is_nested else "quantized" if value.is_quantized else str(value.layout)
        wrong(
            argument,
            "a dense (strided) tensor",
            f"a {kind} one",
            "convert it with to_dense(), dequantize() or, for a nested tensor, pad it and pass lengths=",
        )
    return value


def is_dense(tensor: Tensor) -> bool:
    """Whether a tensor is of the only layout that engines take."""
    return tensor.layout is torch.strided and not tensor.is_nested and not tensor.is_quantized


def listed_numbers(tensor: Tensor) -> list[int]:
    """The whole numbers of a dense tensor on the CPU; one of zeros alone may have no memory to read them from."""
    held: list[int] = (tensor.clone() if tensor._is_zerotensor() else tensor).tolist()
    return held


def check_like(argument: str, tensor: Tensor, weight: Tensor) -> None:
    """Raises ShapeError unless a tensor has the dtype and the device of the weights."""
    dtype = weight.dtype
    if tensor.dtype != dtype:
        wrong(
            argument,
            f"{dtype}, the weights' dtype",
            f"{tensor.dtype}",
            f"convert it with .to({dtype}), or the module with .to({tensor.dtype})",
            f"RNN {argument} dtype ({tensor.dtype}) does not match weight dtype ({dtype}). "
            f"Convert input: input.to({dtype}), or convert model: model.to({tensor.dtype})",
        )
    if tensor.device != weight.device:
        wrong(
            argument,
            f"device {weight.device}, where the weights are",
            f"{tensor.device}",
            f"move it with .to({str(weight.device)!r}), or the module with .to({str(tensor.device)!r})",
        )
