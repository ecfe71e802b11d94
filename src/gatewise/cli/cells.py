"""`gatewise cells`: the recurrent cells, and their equations."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from gatewise.cli.console import output
from gatewise.cli.contexts import no_type_check

__all__ = ["app"]

app = typer.Typer(
    help="List the recurrent cells, or show one with its equations.", invoke_without_command=True
)

EXAMPLES = """\
[bold]Examples[/]

gatewise cells

gatewise cells show lstm
"""


@app.callback(epilog=EXAMPLES)
@no_type_check
def listing(context: typer.Context) -> None:
    """List the recurrent cells, or show one with its equations."""
    if context.invoked_subcommand is None:
        list_cells()


@app.command("list", epilog=EXAMPLES)
def list_cells() -> None:
    """List the recurrent cells."""
    from gatewise import cells as registry

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("cell", "what it is", "source"):
        shown.add_column(name, no_wrap=name == "cell")
    for name in registry.names():
        info = registry.describe(name)
        shown.add_row(info.name, info.title, info.cite)
    output.print(shown)
    output.print("\nEquations: gatewise cells show NAME", markup=False)


@app.command("show", epilog=EXAMPLES)
def show(name: Annotated[str, typer.Argument(help="A cell's name, as `gatewise cells` lists it.")]) -> None:
    """Show one cell: its equations, states, weights and source."""
    from gatewise import cells as registry
    from gatewise.spec import printers

    info = registry.describe(name)
    program = registry.get(name)
    output.print(f"{info.name}: {info.title}", style="bold", markup=False, soft_wrap=True)
    output.print()
    for line in printers.equations_text(program):
        output.print(f"  {line}", markup=False, soft_wrap=True)
    output.print()
    pairs = [
        ("states", ", ".join(state.name for state in program.states)),
        ("weights", ", ".join(spec.name for spec in program.tensors)),
        ("options", ", ".join(f"{key}={value!r}" for key, value in info.options.items())),
        ("source", info.cite),
    ]
    for label, text in pairs:
        if text:
            output.print(f"  {label:8} {text}", markup=False, soft_wrap=True)
    if info.doc:
        output.print()
        output.print(info.doc, markup=False, soft_wrap=True)
