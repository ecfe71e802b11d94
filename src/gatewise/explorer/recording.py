"""What the first recurrent layer of a running model is called with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils.rnn import PackedSequence

from gatewise import nn

__all__ = ["Recorded", "first_call"]


class Recorded(Exception):  # noqa: N818 - it ends a run that has given what was wanted, and is no error
    """Ends a model's run after its first recurrent layer; holds the layer and what it was called with."""

    def __init__(self, layer: nn.Recurrent, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__("the first recurrent layer was called")
        self.layer, self.args, self.kwargs = layer, args, kwargs


@contextmanager
def first_call() -> Iterator[list[Recorded]]:
    """Runs what is inside up to the first call of a recurrent layer on a sequence, of whatever model.

    A call on a single step is passed over: some models try their network with one when they are loaded.

    Yields:
        A list that then holds that one call; it stays empty where none was made.

    Example:
        >>> import torch
        >>> with first_call() as calls:
        ...     _ = nn.GRU(2, 3)(torch.zeros(5, 1, 2))
        >>> calls[0].args[0].shape
        torch.Size([5, 1, 2])
    """
    calls: list[Recorded] = []

    def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if isinstance(module, nn.Recurrent) and _steps(module, (*args, *kwargs.values())[0]) > 1:
            raise Recorded(module, args, kwargs)

    handle = register_module_forward_hook(hook, with_kwargs=True)
    try:
        yield calls
    except Recorded as found:
        calls.append(found)
    finally:
        handle.remove()


def _steps(layer: nn.Recurrent, input: Tensor | PackedSequence) -> int:
    """Length of the longest sequence of a call."""
    if isinstance(input, PackedSequence):
        return len(input.batch_sizes)
    return input.shape[1 if layer.batch_first and input.dim() == 3 else 0]
