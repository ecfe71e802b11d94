"""What the tasks' model folders have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gatewise.errors import GatewiseError, StoreError

__all__ = ["plain", "restoring"]


@contextmanager
def restoring(path: Path, what: str) -> Iterator[None]:
    """Turns whatever a damaged config.json leads to into a StoreError that names the folder.

    Args:
        path: the model folder.
        what: what it should hold, with its article.

    Example:
        >>> with restoring(Path("run"), "a forecaster"):
        ...     {}["network"]
        Traceback (most recent call last):
            ...
        gatewise.errors.StoreError: run does not hold a forecaster that this version can read (KeyError: 'network'); ...
    """
    try:
        yield
    except StoreError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, GatewiseError) as error:
        raise StoreError(
            f"{path} does not hold {what} that this version can read ({type(error).__name__}: {error}); save the "
            "model anew"
        ) from error


def plain(value: Any) -> Any:
    """The value with tuples as lists and numpy's numbers as Python's; what is not finite as None."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
