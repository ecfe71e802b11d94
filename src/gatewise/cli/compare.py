"""`gatewise compare`: which cell does best, at equal budgets, over several seeds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.console import output, say

__all__ = ["EXAMPLES", "compare"]

EXAMPLES = """\
[bold]Examples[/]

gatewise compare --example > compare.toml

gatewise compare compare.toml --out runs/compare

gatewise compare compare.toml --out runs/compare --stop-after 3600

gatewise compare compare.toml --out runs/compare --figures paper/figures
"""


def compare(
    config: Annotated[Path | None, typer.Argument(help="A TOML file; see --example.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for results and report; the same command goes on in it.")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print a commented configuration.")] = False,
    stop_after: Annotated[
        float | None, typer.Option(min=0, help="Seconds after which no further run is begun.")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="A folder for the report's pictures as PDF and PNG files, for a paper."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing while it runs.")] = False,
) -> None:
    """Train several cells on the same problems, with equal parameters or time, and say which does best.

    The classic problems (adding, copying, temporal order, Dyck words, sequential MNIST) and tables of your own. Each
    run leaves a line in results.jsonl; report.html shows curves with bands, tables and the verdict. Ctrl-C loses
    nothing: the same command goes on from there.
    """
    from gatewise.compare import EXAMPLE, read_plan
    from gatewise.compare import compare as run
    from gatewise.compare.report import table_rows
    from gatewise.compare.verdict import judge
    from gatewise.errors import ArgumentError
    from gatewise.report.pictures import kept_pictures, write_pictures
    from gatewise.report.text_table import aligned
    from gatewise.store.files import make_folder

    if example:
        sys.stdout.write(EXAMPLE)
        return
    if config is None or out is None:
        raise ArgumentError(
            "compare: a configuration and --out are expected; `gatewise compare --example` prints a configuration"
        )
    plan = read_plan(config)
    if figures is not None:
        make_folder(figures)  # what cannot be is said before hours of training
    with kept_pictures() as kept:
        result = run(plan, out, progress=not quiet, stop_after=stop_after)
    for score in result.scores:
        output.print(f"\n{score.problem.title}", style="bold", markup=False, soft_wrap=True)
        for line in aligned(table_rows(score)):
            output.print(line, markup=False, soft_wrap=True)
        output.print(" ".join(judge(score)), markup=False, soft_wrap=True)
    output.print(f"\n{result.verdict}", markup=False, style="green", soft_wrap=True)
    output.print(f"\nWritten to {out}: report.html (open this), summary.json, results.jsonl", soft_wrap=True)
    if figures is not None:
        names = write_pictures(kept, figures)
        output.print(f"{len(names)} pictures written to {figures}, each as PDF and PNG", soft_wrap=True)
    if result.stopped != "finished":
        say("not all runs are done; the same command goes on from here")
    if result.stopped == "interrupted":
        raise typer.Exit(130)
