"""`gatewise evaluate`: a model folder against data that it was not fitted to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.console import print_evaluation, say

__all__ = ["EXAMPLES", "evaluate"]

EXAMPLES = """\
[bold]Examples[/]

gatewise evaluate runs/first beijing-air

gatewise evaluate runs/sales newer.csv --id shop --time day --target sold --start 2024-06-01 --out metrics.json

gatewise evaluate runs/machine newer.csv --labels spans.json

gatewise evaluate runs/en-de test.en --targets test.de

gatewise evaluate runs/novel newer.txt
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
    label: Annotated[str | None, typer.Option(help="Column with the class, for a classifier.")] = None,
    group: Annotated[
        str | None, typer.Option(help="Column of the independent units, for a classifier's standard errors.")
    ] = None,
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
) -> None:
    """Compare with what came, beside the trivial methods: forecasts, classes, a detector's alarms, or a text."""
    from gatewise.cli.kinds import ANOMALY, CLASSIFIER, LANGUAGE, TEXT_PAIRS, kind_of, refuse_options

    kind = kind_of(model)
    if kind in TEXT_PAIRS:
        from gatewise.cli.text_models import evaluate_texts

        refuse_options(kind, start=start, every=every, target=target, label=label, group=group, labels=labels,
                       id=identity, time=stamp, ignore=ignore)  # fmt: skip
        evaluate_texts(
            kind, model, data, targets, out, (source_column or "source", target_column or "target")
        )
        return
    refuse_options(kind, targets=targets, **{"source-column": source_column, "target-column": target_column})
    if kind == LANGUAGE:
        from gatewise.cli.language_commands import evaluate_language_model

        refuse_options(
            kind, start=start, every=every, id=identity, time=stamp, target=target, label=label, group=group,
            ignore=ignore or None, labels=labels,
        )  # fmt: skip
        evaluate_language_model(model, data, out)
        return
    if kind == CLASSIFIER:
        from gatewise.cli.fit_classify import ClassifyColumns, evaluate_classifier

        refuse_options(kind, every=every, target=target, labels=labels)
        columns = ClassifyColumns(identity, stamp, label, group, tuple(ignore or ()))
        evaluate_classifier(model, data, out, columns)
        return
    if kind == ANOMALY:
        from gatewise.cli.anomaly_commands import evaluate_detector

        refuse_options(kind, every=every, target=target, label=label, group=group)
        evaluate_detector(model, data, labels, start, out, identity, stamp, tuple(ignore or ()))
        return
    refuse_options(kind, labels=labels, label=label, group=group)
    from gatewise.cli.source import Columns, open_source
    from gatewise.store import atomic_write
    from gatewise.tasks import Forecaster

    forecaster = Forecaster.load(model)
    source = open_source(data, Columns(identity, stamp, target, tuple(ignore or ())))
    begin = (
        int(start)
        if start is not None and forecaster.fitted_.kind == "integer" and start.isdigit()
        else start
    )
    evaluation = forecaster.evaluate(source.table, start=begin, every=every)
    print_evaluation(evaluation)
    if out is not None:
        atomic_write(out, (json.dumps(evaluation.to_dict(), indent=2) + "\n").encode())
        say(f"numbers written to {out}")
