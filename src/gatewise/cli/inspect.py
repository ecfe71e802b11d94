"""`gatewise inspect`: what a model folder's network does inside, on data; its kind decides how the data are read."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gatewise.cli.console import output, say
from gatewise.cli.kinds import Reading, read_model
from gatewise.errors import ArgumentError

__all__ = ["EXAMPLES", "inspect"]

EXAMPLES = """\
[bold]Examples[/]

gatewise inspect runs/first --data beijing-air --out runs/first/inside

gatewise inspect runs/novel --data chapter.txt --out inside

gatewise inspect runs/machine --data machine.csv --format json > inside.json

gatewise inspect runs/films --data newer.csv --text review --figures paper/figures
"""


def inspect(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    data: Annotated[
        str, typer.Option(help="What to run it on: a file as it was fitted to, or an example's name.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="A folder for report.html and inspection.json [dim](none)[/].")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="A folder for the report's pictures as PDF and PNG files, for a paper."),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="text: words; json: all numbers, on standard output.")
    ] = "text",
    identity: Annotated[
        str | None, typer.Option("--id", help="Column with the series' name [dim](unique_id)[/].")
    ] = None,
    stamp: Annotated[str | None, typer.Option("--time", help="Column with the stamp [dim](ds)[/].")] = None,
    target: Annotated[str | None, typer.Option(help="Column to forecast [dim](y)[/].")] = None,
    text: Annotated[str | None, typer.Option(help="Column with the text, for a text classifier.")] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column to leave out; may be given several times.")
    ] = None,
    word_column: Annotated[
        int | None, typer.Option(help="For a tagger: the word's column of a CoNLL file, from 0 [dim](0)[/].")
    ] = None,
    source_column: Annotated[
        str | None,
        typer.Option(help="For texts: what they are called where columns have names [dim](source)[/]."),
    ] = None,
) -> None:
    """Say what is wrong inside a network: dead units, stuck gates, lost gradients; and what its units respond to."""
    if form not in ("text", "json"):
        raise ArgumentError(f"--format: 'text' or 'json' is expected, came {form!r}")
    options = {
        "id": identity, "time": stamp, "target": target, "text": text, "ignore": tuple(ignore or ()),
        "source-column": source_column, "word-column": word_column,
    }  # fmt: skip
    readings = {kind: Reading(frozenset(names), _by(form, figures)) for kind, names in READS.items()}
    read_model(readings, Reading(frozenset(), _unknown), model, data, out, options)


READS = {
    "forecaster": ("id", "time", "target", "ignore"),
    "anomaly-detector": ("id", "time", "ignore"),
    "classifier": ("id", "time", "ignore"),
    "record-detector": (),
    "language-model": (),
    "tagger": ("word-column",),
    "text-classifier": ("text",),
    "translator": ("source-column",),
    "summarizer": ("source-column",),
}
"""Which options each kind of model has use for."""


def _by(form: str, figures: Path | None) -> Any:
    def run(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
        _inspect(kind, model, data, out, options, form, figures)

    return run


def _unknown(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    raise ArgumentError(
        f"model: a kind that can be inspected ({', '.join(READS)}) is expected, came {kind!r}; use "
        "gatewise.inspect.health on the module itself"
    )


def _inspect(
    kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any], form: str, figures: Path | None
) -> None:  # fmt: skip
    from gatewise.cli.inspect_subjects import subject_of
    from gatewise.inspect.inspection import inspect_model
    from gatewise.inspect.report import report_html
    from gatewise.report.environment import environment
    from gatewise.report.pictures import kept_pictures, write_pictures
    from gatewise.store import atomic_write
    from gatewise.store.files import make_folder

    begun = time.perf_counter()
    subject = subject_of(kind, model, data, options)
    say(
        f"{subject.data}; running the model once over it, and on {len(subject.examples)} of its sequences alone"
    )
    found = inspect_model(
        subject.model,
        subject.run,
        subject.examples,
        name=subject.name,
        data=subject.data,
        history=subject.history,
    )
    seconds = time.perf_counter() - begun
    numbers = {**found.to_dict(), "seconds": round(seconds, 3), "environment": environment()}
    # What is not finite is None by now: the text is JSON for every reader.
    content = json.dumps(numbers, allow_nan=False, ensure_ascii=False) + "\n"
    if form == "json":
        sys.stdout.buffer.write(content.encode())
    else:
        output.print(str(found), markup=False, soft_wrap=True)
    if out is None and figures is None:
        if form == "text":
            say("with --out FOLDER: a report with pictures, and all numbers")
        return
    with kept_pictures() as kept:
        page = report_html(found, folder=str(model), seconds=seconds)
    if out is not None:
        make_folder(out)
        atomic_write(out / "inspection.json", content.encode())
        atomic_write(out / "report.html", page.encode())
        say(f"report.html (open this) and inspection.json written to {out}")
    if figures is not None:
        say(f"{len(write_pictures(kept, figures))} pictures written to {figures}, each as PDF and PNG")
