"""`gatewise watch`: rows in, alarms out, as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.console import say

__all__ = ["EXAMPLES", "watch"]

EXAMPLES = """\
[bold]Examples[/]

producer | gatewise watch runs/machine

gatewise watch runs/machine growing.csv --state machine.state

gatewise watch runs/machine rows.csv --once --json > alarms.jsonl
"""


def watch(
    model: Annotated[Path, typer.Argument(help="A detector's folder.")],
    file: Annotated[
        Path | None,
        typer.Argument(help="A CSV file that may grow; - is standard input [dim](standard input)[/]."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="A file that keeps where the stream stands; the same command goes on from it."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End at the file's end instead of waiting for more.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Print every row, not alarms alone.")] = False,
    identity: Annotated[
        str | None, typer.Option("--id", help="Column with the series' name [dim](unique_id)[/].")
    ] = None,
    stamp: Annotated[
        str | None, typer.Option("--time", help="Column with the stamp [dim](ds, timestamp, time, date)[/].")
    ] = None,
) -> None:
    """Score rows as they come, and print each alarm at once: stamp, score, threshold, and the channels to blame.

    Rows are CSV: a line with the columns' names first, or bare values in the order of the channels, the stamp before
    them if there is one. Ctrl-C ends after the rows that have come; with --state, nothing is lost or told twice.
    """
    from gatewise.cli.reading import with_kept
    from gatewise.cli.watching import Watch
    from gatewise.errors import ArgumentError
    from gatewise.store import model_kind
    from gatewise.tasks import AnomalyDetector

    kind = model_kind(model)
    if kind != "anomaly-detector":
        raise ArgumentError(
            f"{model}: a detector's folder is expected (kind anomaly-detector), this one holds kind {kind}"
        )
    columns = with_kept(model, {"id": identity, "time": stamp}, frozenset({"id", "time"}))
    running = Watch(
        AnomalyDetector.load(model),
        model,
        state,
        as_json=as_json,
        every=every,
        identity=columns["id"],
        stamp=columns["time"],
    )
    interrupted = running.run(None if str(file) == "-" else file, once=once)
    refused = f", {running.refused:,} lines left out" if running.refused else ""
    say(f"{running.rows:,} rows, {running.alarms:,} alarms{refused}")
    if interrupted:
        raise typer.Exit(130)
