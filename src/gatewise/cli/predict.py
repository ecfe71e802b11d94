"""`gatewise predict`: forecasts, classes or scores from a model folder; its kind decides."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.console import say
from gatewise.errors import ArgumentError

__all__ = ["EXAMPLES", "predict"]

EXAMPLES = """\
[bold]Examples[/]

gatewise predict runs/first beijing-air --out forecast.csv

gatewise predict runs/sales sales.csv --id shop --time day --target sold --horizon 7

gatewise predict runs/shops shops.csv --future next_fortnight.csv

gatewise predict runs/activity newer.csv --out classes.csv

gatewise predict runs/machine machine.csv --out scores.csv

gatewise predict runs/en-de news.en --out news.de
"""


def predict(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    data: Annotated[
        str, typer.Argument(help="The series' history: a CSV or Parquet file, or an example's name.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="A .csv or .parquet file [dim](standard output, as CSV)[/].")
    ] = None,
    future: Annotated[
        str | None,
        typer.Option(
            help="A CSV or Parquet file with the columns that are known for the future, and their stamps."
        ),
    ] = None,
    horizon: Annotated[int | None, typer.Option(help="Steps, at most the fitted horizon.")] = None,
    identity: Annotated[
        str | None, typer.Option("--id", help="Column with the series' name [dim](unique_id)[/].")
    ] = None,
    stamp: Annotated[str | None, typer.Option("--time", help="Column with the stamp [dim](ds)[/].")] = None,
    target: Annotated[str | None, typer.Option(help="Column to forecast [dim](y)[/].")] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column to leave out; may be given several times.")
    ] = None,
    source_column: Annotated[
        str | None,
        typer.Option(help="For texts: what they are called where columns have names [dim](source)[/]."),
    ] = None,
    n_best: Annotated[
        int | None, typer.Option(help="For texts: how many for each, as JSON lines with their scores.")
    ] = None,
) -> None:
    """Forecast the steps after the last row of each series, say what each sequence is, or score every row.

    The kind of the model folder decides.
    """
    from gatewise.cli.kinds import ANOMALY, CLASSIFIER, LANGUAGE, TEXT_PAIRS, kind_of, refuse_options

    kind = kind_of(model)
    if kind in TEXT_PAIRS:
        from gatewise.cli.text_models import predict_texts

        refuse_options(
            kind, horizon=horizon, target=target, future=future, id=identity, time=stamp, ignore=ignore
        )
        predict_texts(kind, model, data, out, column=source_column, n_best=n_best)
        return
    refuse_options(kind, **{"source-column": source_column, "n-best": n_best})
    if kind == LANGUAGE:
        raise ArgumentError(
            "predict: a language model writes and scores texts: use gatewise generate, or evaluate"
        )
    if kind == CLASSIFIER:
        from gatewise.cli.fit_classify import ClassifyColumns, predict_classes

        refuse_options(kind, horizon=horizon, target=target, future=future)
        predict_classes(model, data, out, ClassifyColumns(identity, stamp, ignore=tuple(ignore or ())))
        return
    if kind == ANOMALY:
        from gatewise.cli.anomaly_commands import predict_anomalies

        refuse_options(kind, horizon=horizon, target=target, future=future)
        predict_anomalies(model, data, out, identity, stamp, tuple(ignore or ()))
        return
    from gatewise.cli.source import Columns, open_future, open_source
    from gatewise.data.files import csv_bytes, write_table
    from gatewise.tasks import Forecaster

    forecaster = Forecaster.load(model)
    columns = Columns(identity, stamp, target, tuple(ignore or ()))
    known = None if future is None else open_future(future, columns)
    table = forecaster.predict(open_source(data, columns).table, horizon, known)
    if out is None:
        sys.stdout.buffer.write(csv_bytes(table))
        return
    write_table(table, out)
    say(f"{table.num_rows:,} rows written to {out}")
