"""`gatewise evaluate`: a model folder against data that it was not fitted to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gatewise.cli.console import print_evaluation
from gatewise.cli.frame import write_numbers
from gatewise.cli.kinds import Reading, read_model

__all__ = ["EXAMPLES", "evaluate"]

EXAMPLES = """\
[bold]Examples[/]

gatewise evaluate runs/first beijing-air

gatewise evaluate runs/sales newer.csv --id shop --time day --target sold --start 2024-06-01 --out metrics.json

gatewise evaluate runs/machine newer.csv --labels spans.json

gatewise evaluate runs/payments june.csv

gatewise evaluate runs/names eng.testb

gatewise evaluate runs/novel newer.txt

gatewise evaluate runs/en-de test.en --targets test.de
"""


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    data: Annotated[
        str, typer.Argument(help="History and held-out rows: a CSV or Parquet file, or an example's name.")
    ],
    start: Annotated[
        str | None, typer.Option(help="First stamp to forecast [dim](the rows after those fitted)[/].")
    ] = None,
    every: Annotated[int | None, typer.Option(help="Rows from one forecast's origin to the next.")] = None,
    out: Annotated[Path | None, typer.Option(help="A JSON file for the numbers.")] = None,
    identity: Annotated[
        str | None, typer.Option("--id", help="Column with the series' name [dim](unique_id)[/].")
    ] = None,
    stamp: Annotated[str | None, typer.Option("--time", help="Column with the stamp [dim](ds)[/].")] = None,
    target: Annotated[str | None, typer.Option(help="Column to forecast [dim](y)[/].")] = None,
    label: Annotated[
        str | None, typer.Option(help="Column with the class or kind, for a classifier or record detector.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column of the independent units, for a classifier's standard errors.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column with the text, for a text classifier.")] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column to leave out; may be given several times.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="For a detector: a column of marks, or a file of spans (JSON, CSV).")
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="For texts: a file with what is expected for each line.")
    ] = None,
    source_column: Annotated[
        str | None,
        typer.Option(help="For texts: the sources' column, where columns have names [dim](source)[/]."),
    ] = None,
    target_column: Annotated[
        str | None, typer.Option(help="For texts: the targets' column [dim](target)[/].")
    ] = None,
    word_column: Annotated[
        int | None, typer.Option(help="For a tagger: the word's column of a CoNLL file, from 0 [dim](0)[/].")
    ] = None,
    tag_column: Annotated[
        int | None, typer.Option(help="For a tagger: the tag's column; -1 is the last [dim](-1)[/].")
    ] = None,
) -> None:
    """Compare with what came, beside the trivial methods: forecasts, classes, alarms, tags, or texts.

    The kind of the model folder decides. Columns that are not named are those that `gatewise fit` was told.
    """
    options = {
        "start": start, "every": every, "id": identity, "time": stamp, "target": target, "label": label, "group": group,
        "text": text, "ignore": tuple(ignore or ()), "labels": labels, "targets": targets,
        "source-column": source_column, "target-column": target_column, "word-column": word_column,
        "tag-column": tag_column,
    }  # fmt: skip
    read_model(READINGS, FORECASTS, model, data, out, options)


def _forecasts(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.source import Columns, open_source
    from gatewise.tasks import Forecaster

    forecaster = Forecaster.load(model)
    start = options["start"]
    source = open_source(data, Columns(options["id"], options["time"], options["target"], options["ignore"]))
    begin = (
        int(start)
        if start is not None and forecaster.fitted_.kind == "integer" and start.isdigit()
        else start
    )
    evaluation = forecaster.evaluate(source.table, start=begin, every=options["every"])
    print_evaluation(evaluation)
    write_numbers(evaluation, out)


def _classes(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.fit_classify import ClassifyColumns, evaluate_classifier

    columns = ClassifyColumns(
        options["id"], options["time"], options["label"], options["group"], options["ignore"]
    )
    evaluate_classifier(model, data, out, columns)


def _records(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.records_commands import evaluate_records

    evaluate_records(model, data, options["label"], out)


def _anomalies(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.anomaly_commands import evaluate_detector

    evaluate_detector(
        model,
        data,
        options["labels"],
        options["start"],
        out,
        options["id"],
        options["time"],
        options["ignore"],
    )


def _tags(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.fit_tag import evaluate_tagger

    word, tag = options["word-column"], options["tag-column"]
    evaluate_tagger(model, data, out, (0 if word is None else word, -1 if tag is None else tag))


def _text_classes(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.fit_text import evaluate_texts

    evaluate_texts(model, data, out, options["text"], options["label"])


def _texts(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.text_models import evaluate_texts

    columns = (options["source-column"] or "source", options["target-column"] or "target")
    evaluate_texts(kind, model, data, options["targets"], out, columns)


def _language(kind: str, model: Path, data: str, out: Path | None, options: dict[str, Any]) -> None:
    from gatewise.cli.language_commands import evaluate_language_model

    evaluate_language_model(model, data, out)


_PAIRS = Reading(frozenset({"targets", "source-column", "target-column"}), _texts)
FORECASTS = Reading(frozenset({"start", "every", "id", "time", "target", "ignore"}), _forecasts)
READINGS = {
    "classifier": Reading(frozenset({"id", "time", "label", "group", "ignore"}), _classes),
    "record-detector": Reading(frozenset({"label"}), _records),
    "anomaly-detector": Reading(frozenset({"start", "id", "time", "labels", "ignore"}), _anomalies),
    "tagger": Reading(frozenset({"word-column", "tag-column"}), _tags),
    "text-classifier": Reading(frozenset({"text", "label"}), _text_classes),
    "translator": _PAIRS,
    "summarizer": _PAIRS,
    "language-model": Reading(frozenset(), _language),
}
