"""``prepare``: a frozen copy of a module whose recurrent weights are packed once, in as many bits as wished."""

from __future__ import annotations

import copy
from typing import Any

import torch

from gatewise.engines import WEIGHT_FORMATS, PreparedLayer, may_prepare
from gatewise.errors import ArgumentError, ArgumentTypeError, EngineError
from gatewise.nn.arguments import no_type_check

__all__ = ["Preparable", "prepare"]


@no_type_check
def prepare(module: torch.nn.Module, weights: str = "float32") -> torch.nn.Module:
    """Makes a frozen copy for inference whose recurrent layers keep their matrices packed for the native engine.

    A call of the copy need not lay out the weights again. With fewer bits there is less to read, which is all the work
    in batches of one to four rows. Sums are in float32; with "int8" inputs are rounded to 16 bits and sums are exact.

    Args:
        module: A gatewise layer or cell, or any module that holds some; on the CPU, float32 (float64 with "float32",
            which then means that nothing is rounded).
        weights: "float32": the numbers as they are. "bfloat16": rounded to 8 significant bits, half the memory.
            "int8": whole numbers of -127 to 127 with one scale for each output channel and part of a matrix, a quarter.

    Returns:
        A copy in inference mode. Its parameters are those of the original, unrounded, in ``state_dict``; they cannot
        be trained, loaded or moved.

    Raises:
        ArgumentError: An unknown format, no recurrent layer, or parameters of another dtype or device.
        ArgumentTypeError: No module.
        EngineError: The native engine is not installed; it says why.

    Example:
        >>> import torch
        >>> from gatewise import nn
        >>> lstm = nn.LSTM(3, 5)
        >>> fast = nn.prepare(lstm, weights="bfloat16")
        >>> x = torch.randn(7, 1, 3)
        >>> with torch.no_grad():
        ...     error = (fast(x)[0] - lstm(x)[0]).abs().max()
        >>> bool(error < 0.02)
        True
    """
    if not isinstance(module, torch.nn.Module):
        raise ArgumentTypeError(f"module: expected a torch.nn.Module, got {type(module).__name__}")
    if not isinstance(weights, str) or weights not in WEIGHT_FORMATS:
        raise ArgumentError(f"weights: expected one of {', '.join(WEIGHT_FORMATS)}, got {weights!r:.60}")
    if not any(isinstance(part, Preparable) for part in module.modules()):
        raise ArgumentError(
            f"module: expected a gatewise layer or a module that holds one, got {type(module).__name__} without any"
        )
    # A copy that is made in inference mode would hold tensors that do not say whether they were changed.
    with torch.inference_mode(mode=False):
        # Pruning and the older norms keep weights that they computed, with a graph, which torch does not copy.
        computed = {
            id(value): value.detach().clone()
            for part in module.modules()
            for value in vars(part).values()
            if isinstance(value, torch.Tensor) and not value.is_leaf
        }
        frozen = copy.deepcopy(module, computed).eval().requires_grad_(False)
        for part in frozen.modules():
            _refresh(part)
            if isinstance(part, Preparable):
                part._prepare(weights)
    return frozen


def _refresh(part: torch.nn.Module) -> None:
    """Computes anew the weights that hooks of torch.nn.utils compute before each call."""
    for hook in part._forward_pre_hooks.values():
        if type(hook).__module__.startswith("torch.nn.utils."):
            hook(part, ())


class Preparable:
    """What a layer needs to be prepared, and to stay as it is afterwards; mixed in before torch.nn.Module."""

    engine: str
    # By layer and direction, on a frozen copy: the weights, packed.
    _prepared: tuple[PreparedLayer, ...] | None = None

    def _prepare(self: Any, weights: str) -> None:
        if not may_prepare(self.engine):
            raise ArgumentError(
                f"module: expected engine='auto' where weights are prepared, got engine={self.engine!r}"
            )
        self._prepared = tuple(PreparedLayer(row, weights) for row in self._tensors(None))

    def __prepare_scriptable__(self) -> None:
        """What torch.jit.script asks for; it reads Python's text, which engines are not written for.

        Raises:
            EngineError: Always, saying what to use.
        """
        raise EngineError(
            f"torch.jit.script: expected a module whose Python text it can compile, got a {type(self).__name__}; use "
            "torch.export.export(module, ...), which keeps batch and time free, or torch.jit.trace"
        )

    def train(self: Any, mode: bool = True) -> Any:
        """Sets training or inference mode, as torch does; a prepared layer stays in inference mode."""
        if mode:
            self._refuse_change("train()")
        return super().train(mode)  # type: ignore[misc]

    def _apply(self: Any, fn: Any, recurse: bool = True) -> Any:
        self._refuse_change("another device or dtype")
        return super()._apply(fn, recurse)  # type: ignore[misc]

    def _load_from_state_dict(self: Any, *args: Any, **kwargs: Any) -> None:
        self._refuse_change("load_state_dict()")
        super()._load_from_state_dict(*args, **kwargs)  # type: ignore[misc]

    def _refuse_change(self, what: str) -> None:
        if self._prepared is not None:
            raise ArgumentError(
                f"{type(self).__name__}: expected no change of a module that gatewise.nn.prepare made, got {what}; "
                "change the original module and prepare it again"
            )
