"""What an option may be: numpy's numbers, flags and words count as Python's."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.errors import ArgumentError, ArgumentTypeError

__all__ = ["unwrapped", "whole"]


def unwrapped(value: Any) -> Any:
    """The value as plain Python: numpy's scalars as bool, int, float or str, inside tuples and lists too.

    Args:
        value: anything; what is no number, flag or word of numpy's (dates and arrays among them) stays as it is.

    Returns:
        The plain value, the very same object where there was nothing to change.

    Example:
        >>> import numpy as np
        >>> unwrapped(np.int32(3)), unwrapped((np.float64(0.5), "a")), unwrapped(np.bool_(True))
        (3, (0.5, 'a'), True)
    """
    if isinstance(value, np.timedelta64):  # numpy counts it among its integers
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.str_):
        return str(value)
    if type(value) in (tuple, list):
        found = [unwrapped(one) for one in value]
        return value if all(a is b for a, b in zip(found, value, strict=True)) else type(value)(found)
    return value


def whole(name: str, value: Any, least: int = 1) -> int:
    """A whole number of at least so much, as an int.

    Args:
        name: the argument's, for errors.
        value: an int or one of numpy's.
        least: the smallest that is allowed.

    Raises:
        ArgumentError, ArgumentTypeError: naming it.

    Example:
        >>> import numpy as np
        >>> whole("every", np.int64(3))
        3
    """
    found = unwrapped(value)
    if not isinstance(found, int) or isinstance(found, bool):
        raise ArgumentTypeError(
            f"{name}: an integer is expected, came {value!r:.60} ({type(value).__name__})"
        )
    if found < least:
        raise ArgumentError(f"{name}: at least {least} is expected, came {found}")
    return found
