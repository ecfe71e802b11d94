"""`gatewise bench`: measurements on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.console import output, say

__all__ = ["app"]

app = typer.Typer(help="Measure on this machine: ratios within one run.", no_args_is_help=True)

EXAMPLES = """\
[bold]Examples[/]

gatewise bench kernels

gatewise bench kernels --seconds 0.2 --threads 1 --out kernels
"""


@app.command("kernels", epilog=EXAMPLES)
def kernels(
    seconds: Annotated[float, typer.Option(min=0.01, help="About how long each comparison takes.")] = 1.0,
    threads: Annotated[list[int] | None, typer.Option(min=1, help="Threads; one and all by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Path without ending: .md and .json are written.")] = None,
) -> None:
    """The native engine beside torch.nn, each figure only after the outputs agree."""
    from gatewise.bench import Row, measure_kernels

    def tell(row: Row) -> None:
        shape = ", ".join(map(str, row.shape))
        say(
            f"{row.table}: {row.name} ({shape}) {row.job}, {row.threads} threads, {row.peer}: x{row.ratio:.2f}"
        )

    report = measure_kernels(seconds=seconds, threads=threads, tell=tell)
    text = report.markdown()
    output.print(text, markup=False, soft_wrap=True)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".md").write_text(text, encoding="utf-8")
        out.with_suffix(".json").write_text(json.dumps(report.as_dict(), indent=1) + "\n", encoding="utf-8")
        say(f"written: {out.with_suffix('.md')} and {out.with_suffix('.json')}")
