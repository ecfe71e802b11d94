"""`gatewise predict`: forecasts, classes or scores from a model folder; its kind decides."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gatewise.cli.console import say
from gatewise.cli.kinds import Reading, read_model
from gatewise.errors import ArgumentError

__all__ = ["EXAMPLES", "predict"]

EXAMPLES = """\
[bold]Examples[/]

gatewise predict runs/first beijing-air --out forecast.csv

gatewise predict runs/sales sales.csv --id shop --time day --target sold --horizon 7

gatewise predict runs/shops shops.csv --future next_fortnight.csv

gatewise predict runs/activity newer.csv --out classes.csv

gatewise predict runs/machine machine.csv --out scores.csv

gatewise predict runs/payments june.csv --out alarms.csv

gatewise predict runs/names sentences.txt --out tagged.conll

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
    text: Annotated[str | None, typer.Option(help="Column with the text, for a text classifier.")] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column to leave out; may be given several times.")
    ] = None,
    source_column: Annotated[
        str | None,
        typer.Option(help="For texts: what they are called where columns have names [dim](source)[/]."),
    ] = None,
    word_column: Annotated[
        int | None, typer.Option(help="For a tagger: the word's column of a CoNLL file, from 0 [dim](0)[/].")
    ] = None,
    n_best: Annotated[
        int | None, typer.Option(help="For texts: how many for each, as JSON lines with their scores.")
    ] = None,
) -> None:
    """Forecast the steps after the last row of each series, say what each sequence is, or score every row or record.

    The kind of the model folder decides. Columns that are not named are those that `gatewise fit` was told.
    """
    options = {
        "future": future, "horizon": horizon, "id": identity, "time": stamp, "target": target, "text": text,
        "ignore": tuple(ignore or ()), "source-column": source_column, "word-column": word_column,
        "n-best": n_best,
    }  # fmt: skip
    read_model(READINGS, FORECASTS, model, data, out, options)


def _forecasts(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.source import Columns, open_future, open_source
    from gatewise.data.files import csv_bytes, write_table
    from gatewise.tasks import Forecaster

    forecaster = Forecaster.load(model)
    columns = Columns(options["id"], options["time"], options["target"], options["ignore"])
    future = options["future"]
    known = None if future is None else open_future(future, columns)
    table = forecaster.predict(open_source(data, columns).table, options["horizon"], known)
    if out is None:
        sys.stdout.buffer.write(csv_bytes(table))
        return
    write_table(table, out)
    say(f"{table.num_rows:,} rows written to {out}")


def _classes(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.fit_classify import ClassifyColumns, predict_classes

    predict_classes(
        model, data, out, ClassifyColumns(options["id"], options["time"], ignore=options["ignore"])
    )


def _records(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.records_commands import predict_records

    predict_records(model, data, out)


def _anomalies(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.anomaly_commands import predict_anomalies

    predict_anomalies(model, data, out, options["id"], options["time"], options["ignore"])


def _tags(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.fit_tag import predict_tags

    predict_tags(model, data, out, (options["word-column"] or 0, -1))


def _text_classes(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.fit_text import predict_texts

    predict_texts(model, data, out, options["text"])


def _texts(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.text_models import predict_texts

    predict_texts(kind, model, data, out, column=options["source-column"], n_best=options["n-best"])


def _no_texts(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    raise ArgumentError(
        "predict: a language model writes and scores texts: use gatewise generate, or evaluate"
    )


FORECASTS = Reading(frozenset({"future", "horizon", "id", "time", "target", "ignore"}), _forecasts)
READINGS = {
    "classifier": Reading(frozenset({"id", "time", "ignore"}), _classes),
    "record-detector": Reading(frozenset(), _records),
    "anomaly-detector": Reading(frozenset({"id", "time", "ignore"}), _anomalies),
    "tagger": Reading(frozenset({"word-column"}), _tags),
    "text-classifier": Reading(frozenset({"text"}), _text_classes),
    "translator": Reading(frozenset({"source-column", "n-best"}), _texts),
    "summarizer": Reading(frozenset({"source-column", "n-best"}), _texts),
    "language-model": Reading(frozenset(), _no_texts),
}
