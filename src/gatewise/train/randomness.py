"""The random generators of a run: seeded at its start, kept in checkpoints, given back at its end.

The generators are the process's own (dropout draws from torch's default one), so two fits in two threads
share them: both train, but neither repeats number for number.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import torch
from torch import Tensor

__all__ = ["Randomness", "isolated"]


class Randomness:
    """The generators that a run may draw from: torch's on the CPU and on its device, Python's and numpy's.

    Args:
        device: the run's device.
        seed: what all of them are started from.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self._device = device
        # torch.manual_seed would restart every device's generator; only these two belong to the run.
        torch.default_generator.manual_seed(seed)
        if device.type != "cpu":
            getattr(torch, device.type).manual_seed(seed)
        random.seed(seed)
        numpy.random.seed(seed % 2**32)
        self._python_start = random.getstate()
        self._numpy_start = _numpy_state()

    def state(self, *, everything: bool = False) -> dict[str, Tensor]:
        """Return the states as tensors; Python's and numpy's only if the run has drawn from them.

        Args:
            everything: return them all the same, so that all processes return the same names.
        """
        tensors = {"torch": torch.default_generator.get_state()}
        if self._device.type != "cpu":
            tensors["device"] = getattr(torch, self._device.type).get_rng_state(self._device).cpu()
        python = random.getstate()
        if everything or python != self._python_start:
            gauss = -1.0 if python[2] is None else float(python[2])
            tensors["python"] = torch.tensor(python[1], dtype=torch.int64, device="cpu")
            tensors["python_gauss"] = torch.tensor(
                [python[2] is not None, gauss], dtype=torch.float64, device="cpu"
            )
        numbers = _numpy_state()
        if everything or not _equal(numbers, self._numpy_start):
            tensors["numpy"] = torch.tensor(
                [*numbers["words"].tolist(), numbers["position"]], dtype=torch.int64, device="cpu"
            )
            tensors["numpy_gauss"] = torch.tensor(
                [numbers["has"], numbers["gauss"]], dtype=torch.float64, device="cpu"
            )
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `state` gave.

        Raises:
            ValueError: a state has the wrong form.
            RuntimeError: torch refuses a state.
        """
        torch.default_generator.set_state(tensors["torch"])
        if "device" in tensors and self._device.type != "cpu":
            getattr(torch, self._device.type).set_rng_state(tensors["device"], self._device)
        if "python" in tensors:
            words, (has, gauss) = tensors["python"].tolist(), tensors["python_gauss"].tolist()
            random.setstate((3, tuple(words), gauss if has else None))
        if "numpy" in tensors:
            words, (has, gauss) = tensors["numpy"].tolist(), tensors["numpy_gauss"].tolist()
            numpy.random.set_state(
                ("MT19937", numpy.array(words[:-1], numpy.uint32), words[-1], int(has), gauss)
            )


@contextmanager
def isolated(device: torch.device) -> Iterator[None]:
    """Give the process's generators back as they were when the block ends, however it ends."""
    cpu = torch.default_generator.get_state()
    other = getattr(torch, device.type).get_rng_state(device) if device.type != "cpu" else None
    python, numbers = random.getstate(), numpy.random.get_state()
    try:
        yield
    finally:
        torch.default_generator.set_state(cpu)
        if other is not None:
            getattr(torch, device.type).set_rng_state(other, device)
        random.setstate(python)
        numpy.random.set_state(numbers)


def _numpy_state() -> dict[str, Any]:
    _, words, position, has, gauss = numpy.random.get_state()
    return {"words": words, "position": position, "has": has, "gauss": gauss}


def _equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    same = all(first[key] == second[key] for key in ("position", "has", "gauss"))
    return same and bool((first["words"] == second["words"]).all())
