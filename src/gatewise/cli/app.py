"""The `gatewise` command."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import gatewise
from gatewise.cli import (
    bench,
    cells,
    compare,
    evaluate,
    explain_cell,
    fit,
    generate,
    inspect,
    predict,
    update,
    watch,
)
from gatewise.cli.console import any_console, errors, fail
from gatewise.errors import GatewiseError

__all__ = ["app", "main"]

app = typer.Typer(
    name="gatewise",
    help="Recurrent networks: fit, predict, evaluate, and the cells they are made of.",
    epilog="First steps:  gatewise fit forecast beijing-air --horizon 24 --out runs/first",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
app.add_typer(fit.app, name="fit")
app.add_typer(cells.app, name="cells")
app.add_typer(bench.app, name="bench")
app.command("predict", epilog=predict.EXAMPLES)(predict.predict)
app.command("update", epilog=update.EXAMPLES)(update.update)
app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("generate", epilog=generate.EXAMPLES)(generate.generate)
app.command("compare", epilog=compare.EXAMPLES)(compare.compare)
app.command("inspect", epilog=inspect.EXAMPLES)(inspect.inspect)
app.command("watch", epilog=watch.EXAMPLES)(watch.watch)
app.command("explain-cell", epilog=explain_cell.EXAMPLES)(explain_cell.explain_cell)


def _version(asked: bool) -> bool:
    if asked:
        typer.echo(f"gatewise {gatewise.__version__}")
        raise typer.Exit
    return asked


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Take the options that stand before a command."""
    errors.debug = debug


def _run() -> None:
    """The command, and what it printed: an error in writing it is told here and not while Python ends."""
    try:
        app()
    except SystemExit:
        sys.stdout.flush()
        raise


def main() -> None:
    """Run the command line; an error that Gatewise raises on purpose ends it with one message and code 2."""
    any_console()
    try:
        _run()
    except GatewiseError as error:
        if errors.debug:
            raise
        fail(str(error))
    except BrokenPipeError:
        # The reader of our output is gone (`| head`).
        _forget_output()
        sys.exit(141)
    except OSError as error:
        if errors.debug:
            raise
        place = f": {error.filename}" if error.filename else ""
        _forget_output()
        fail(f"{error.strerror or error}{place}")
    except KeyboardInterrupt:
        sys.exit(130)


def _forget_output() -> None:
    """What is left to flush goes nowhere where it cannot be written, so that Python can end in silence."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
