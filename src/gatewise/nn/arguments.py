"""What a layer's constructor is given, checked once; torch's own wording stands in brackets where it has one."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any, TypedDict

import torch

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

from gatewise.engines.geometry import FLOATS
from gatewise.errors import ArgumentError, ArgumentTypeError, no_type_check

__all__ = [
    "Extras",
    "check_device",
    "check_dtype",
    "check_flag",
    "check_limits",
    "check_optional_count",
    "check_rate",
    "check_room",
    "check_size",
    "no_type_check",
    "plain",
    "warn_of_lone_dropout",
    "zoneout_rates",
]

MAX_TENSORS = 100_000
MAX_ELEMENTS = 1 << 40


class Extras(TypedDict, total=False):
    """The keyword-only arguments that every layer has beyond torch's; see :class:`gatewise.nn.Recurrent`."""

    recurrent_dropout: float
    zoneout: float | tuple[float, ...]
    weight_drop: float
    layer_norm: bool
    residual: bool
    learn_initial_state: bool
    init: str
    chrono_steps: int | None
    checkpoint_every: int | None
    engine: str
    reverse: bool


def check_flag(name: str, value: object) -> None:
    """Raises ArgumentTypeError unless the value is True or False."""
    if not isinstance(value, bool):
        kind = type(value).__name__
        raise ArgumentTypeError(
            f"{name}: expected True or False, got {value!r:.60}; pass a bool "
            f"[{name} should be of type bool, got: {kind}]"
        )


def check_size(name: str, value: object) -> None:
    """Raises unless the value is a whole number above zero."""
    if not isinstance(value, int) or isinstance(value, bool):
        kind = type(value).__name__
        raise ArgumentTypeError(
            f"{name}: expected a whole number, got {value!r:.60}; pass an int "
            f"[{name} should be of type int, got: {kind}]"
        )
    if value <= 0:
        raise ArgumentError(
            f"{name}: expected a number above zero, got {value}; pass at least 1 [{name} must be greater than zero]"
        )


def check_proj_size(value: object, hidden_size: int) -> None:
    """Raises unless the value is 0 (no projection) or a size below ``hidden_size``."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ArgumentTypeError(
            f"proj_size: expected a whole number, got {value!r:.60}; pass an int, or 0 for none"
        )
    if value < 0:
        raise ArgumentError(
            f"proj_size: expected 0 or a size, got {value}; pass 0 for no projection "
            "[proj_size should be a positive integer or zero to disable projections]"
        )
    if value >= hidden_size:
        raise ArgumentError(
            f"proj_size: expected less than hidden_size = {hidden_size}, got {value}; pass a smaller one "
            "[proj_size has to be smaller than hidden_size]"
        )


def check_optional_count(name: str, value: object, least: int) -> None:
    """Raises unless the value is None or a whole number of at least ``least``."""
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: expected a number of steps or None, got {value!r:.60}; pass an int")
    if value < least:
        raise ArgumentError(f"{name}: expected at least {least} steps, got {value}; pass more, or None")


def check_rate(name: str, value: object) -> float:
    """The value as a float, if it is a probability.

    Raises:
        ArgumentTypeError: Not a number.
        ArgumentError: Outside [0, 1].
    """
    said = (
        "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
    )
    if not isinstance(value, int | float) or isinstance(value, bool):
        # torch raises ValueError for a dropout that is no number; so does this, for that argument alone.
        error = ArgumentError if name == "dropout" else ArgumentTypeError
        raise error(f"{name}: expected a probability in [0, 1], got {value!r:.60}; pass a float [{said}]")
    if not 0 <= value <= 1:
        raise ArgumentError(
            f"{name}: expected a probability in [0, 1], got {value}; pass a share of units [{said}]"
        )
    return float(value)


def zoneout_rates(value: object, states: tuple[str, ...]) -> tuple[float, ...]:
    """One zoneout probability per state, from one number or from a sequence.

    Example:
        >>> zoneout_rates(0.1, ("h", "c")), zoneout_rates((0.05, 0.5), ("h", "c"))
        ((0.1, 0.1), (0.05, 0.5))
    """
    if not isinstance(value, tuple | list):
        return (check_rate("zoneout", value),) * len(states)
    if len(value) != len(states):
        raise ArgumentError(
            f"zoneout: expected one number, or one per state ({', '.join(states)}), got {len(value)}; match the states"
        )
    return tuple(check_rate("zoneout", rate) for rate in value)


def check_device(device: object) -> None:
    """Raises unless torch knows the device."""
    if device is None or isinstance(device, torch.device):
        return
    if not isinstance(device, str | int) or isinstance(device, bool):
        raise ArgumentTypeError(
            f"device: expected a torch.device or its name, got {device!r:.60}; pass 'cpu' or 'cuda:0'"
        )
    try:
        torch.device(device)
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        raise ArgumentError(
            f"device: expected a device that torch knows, got {device!r:.60}; pass 'cpu' or 'cuda:0' ({first})"
        ) from None


def check_dtype(dtype: object) -> None:
    """Raises unless the dtype is one that engines compute in."""
    if dtype is None:
        return
    names = ", ".join(str(d) for d in FLOATS)
    if not isinstance(dtype, torch.dtype):
        raise ArgumentTypeError(f"dtype: expected a torch.dtype, got {dtype!r:.60}; pass one of {names}")
    if dtype not in FLOATS:
        raise ArgumentError(f"dtype: expected one of {names}, got {dtype}; pass one of them")


def check_limits(tensors: int, elements: int, device: Any = None, dtype: torch.dtype | None = None) -> None:
    """Raises for sizes that no machine holds, or not this one, before anything is made.

    Args:
        tensors: How many parameters.
        elements: How many numbers in all of them.
        device, dtype: Of the parameters.
    """
    names = "input_size, hidden_size, num_layers"
    if tensors > MAX_TENSORS or elements > MAX_ELEMENTS:
        raise ArgumentError(
            f"{names}: expected at most {MAX_TENSORS} tensors and {MAX_ELEMENTS} numbers in all, got {tensors} and "
            f"{elements}; pass smaller sizes"
        )
    check_room(names, elements, device, dtype)


def check_room(names: str, elements: int, device: Any = None, dtype: torch.dtype | None = None) -> None:
    """Raises ArgumentError for weights that the machine's memory cannot hold, before any is taken."""
    place = torch.get_default_device() if device is None else torch.device(device)
    needed = elements * (dtype or torch.get_default_dtype()).itemsize
    if place.type == "cpu" and needed > _memory():
        raise ArgumentError(
            f"{names}: expected weights that fit the memory of {_memory() // 2**30} GiB, got sizes that take "
            f"{needed // 2**30:,} GiB; pass smaller sizes"
        )


def _memory() -> int:
    """Bytes that this process may take at most."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 1 << 42
    if resource is None:
        return total
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return total if limit == resource.RLIM_INFINITY else min(total, limit)


def plain(value: Any) -> Any:
    """numpy's scalars as Python's own numbers; all else as it is."""
    known = type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()
    return value.item() if known else value


@no_type_check
def warn_of_lone_dropout(dropout: float, num_layers: int) -> None:
    """torch's warning, shown at the line outside Gatewise that asked: dropout sits between layers, and there is one."""
    if dropout > 0 and num_layers == 1:
        level, frame = 2, sys._getframe(1)
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("gatewise."):
            level, frame = level + 1, frame.f_back
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
            f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=level,
        )
