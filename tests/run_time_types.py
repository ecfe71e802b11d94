"""The type checker that jaxtyping's import hook calls in the suite: beartype, but not under torch.compile."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Self

import torch
from beartype import BeartypeConf, beartype

# PEP 484: where a float is asked for an int will do, as for mypy.
_typed = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what checks a call's types at run time, eager calls only.

    torch.compile cannot trace beartype's own code: `fullgraph=True` would fail in the checker and not in what
    is tested. While it traces, the check is skipped; the same function is checked wherever it runs eagerly.
    """
    # A method is decorated before its class exists, so `Self` has nothing yet that it could mean.
    hints = function.__annotations__
    function.__annotations__ = {name: Any if hint is Self else hint for name, hint in hints.items()}
    checked = _typed(function)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_dynamo_compiling():
            return None
        return checked(*args, **kwargs)

    return wrapper
