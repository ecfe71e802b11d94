"""Commands that are given typer's context, and what it tells of the command line."""

from __future__ import annotations

from collections.abc import Callable

import typer

__all__ = ["given", "no_type_check"]


def no_type_check(function: Callable[..., None]) -> Callable[..., None]:
    """Mark what the suite's run-time type checks skip, by this name: typer passes a Context of its own making."""
    return function


@no_type_check
def given(context: typer.Context) -> set[str]:
    """The parameters that stand on the command line, by their Python names."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
