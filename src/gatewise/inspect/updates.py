"""How large a step's gradients and updates are, group by group of a model's parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor

__all__ = ["Updates", "group_name"]

_LAYER = re.compile(r"_(l\d+(?:_reverse)?)$")


def group_name(parameter: str) -> str:
    """The group of a parameter: its module, and of a recurrent stack the layer and direction.

    Example:
        >>> group_name("encoder.weight_hh_l1_reverse"), group_name("head.bias"), group_name("weight_ih_l0")
        ('encoder.l1_reverse', 'head', 'l0')
    """
    *path, own = parameter.split(".")
    layer = _LAYER.search(own)
    return ".".join([*path, layer[1]] if layer else path) or "model"


class Updates:
    """A model's parameters before a step, and the norms of what the step does to them.

    Args:
        model: The model, before the step.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._groups: dict[str, list[Tensor]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                self._groups.setdefault(group_name(name), []).append(parameter)
        self._before = {parameter: parameter.detach().clone() for parameter in model.parameters()}
        self._norms: dict[Tensor, Tensor] = {}

    def watch(self, hooks: ExitStack) -> None:
        """Notes the norm of each gradient when it is complete, before anybody clips it."""
        for parameters in self._groups.values():
            for parameter in parameters:
                handle = parameter.register_post_accumulate_grad_hook(partial(_note, self._norms))
                hooks.callback(handle.remove)

    @contextmanager
    def as_before(self) -> Iterator[None]:
        """The model's modules with the weights that the step started from."""
        swapped = []
        try:
            for module in self._model.modules():
                for name, parameter in module._parameters.items():
                    if parameter is not None and parameter in self._before:
                        swapped.append((module, name, parameter))
                        module._parameters[name] = self._before[parameter]  # type: ignore[assignment]
            yield
        finally:
            for module, name, parameter in swapped:
                module._parameters[name] = parameter

    def gradients(self, scale: float) -> tuple[float | None, dict[str, float]]:
        """The gradient's 2-norm over all parameters, None where there was none, and by group.

        Args:
            scale: What the gradients were multiplied by.
        """
        found = {}
        for group, parameters in self._groups.items():
            norms = [self._norms[p] for p in parameters if p in self._norms]
            if norms:
                found[group] = float(torch.stack(norms).norm()) / scale
        total = (
            float(torch.tensor(list(found.values()), dtype=torch.float64, device="cpu").norm())
            if found
            else None
        )
        return total, found

    def ratios(self) -> dict[str, float]:
        """The 2-norm of each group's update over that of its weights before; weights that are all zero are left out."""
        found = {}
        with torch.no_grad():
            for group, parameters in self._groups.items():
                before = [self._before[p] for p in parameters]
                moved = [torch.sub(p, b) for p, b in zip(parameters, before, strict=True)]
                size, held = _norm(moved), _norm(before)
                if held > 0:
                    found[group] = size / held
        return found


def _note(norms: dict[Tensor, Tensor], parameter: Tensor) -> None:
    gradient = parameter.grad
    if gradient is not None:
        values = gradient.coalesce().values() if gradient.is_sparse else gradient
        norms[parameter] = values.detach().norm(dtype=torch.float64 if values.is_cpu else None)


def _norm(tensors: list[Tensor]) -> float:
    return float(torch.stack([t.norm().double() for t in tensors]).norm())
