"""What is wrong with the options of `gatewise fit` and can be told before anything heavy is loaded."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from gatewise.errors import ArgumentError

__all__ = ["FitCommand"]

# Options that count something; the estimators check them once more.
_COUNTS = ("horizon", "hidden_size", "num_layers", "batch_size")


class FitCommand(TyperCommand):
    """A command that looks at its options first."""

    def invoke(self, ctx: Any) -> Any:
        """Check, then run.

        Raises:
            ArgumentError: an option that cannot be; the message names it.
        """
        options = ctx.params
        for name in _COUNTS:
            if options.get(name) is not None and options[name] < 1:
                raise ArgumentError(
                    f"--{name.replace('_', '-')}: at least 1 is expected, came {options[name]}"
                )
        if options.get("out") is not None and options["out"].is_file():
            raise ArgumentError(f"--out: {str(options['out'])!r} is a file; name a folder")
        if options.get("cell") is not None:
            _check_cell(options["cell"])
        return super().invoke(ctx)


def _check_cell(name: str) -> None:
    from gatewise import cells
    from gatewise.errors import meant

    if name not in cells.names():
        known = cells.names()
        raise ArgumentError(f"--cell: no cell {name!r}{meant(name, known)} (known: {', '.join(known)})")
