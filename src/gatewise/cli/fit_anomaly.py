"""`gatewise fit anomaly`: from a table to a detector's folder with a report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatewise.cli.console import say
from gatewise.cli.frame import described, print_scores, print_written, training_numbers, write_metrics
from gatewise.report.counting import counted

if TYPE_CHECKING:
    from gatewise.cli.anomaly_source import AnomalySource
    from gatewise.tasks import AnomalyDetector
    from gatewise.tasks.anomaly import Evaluation

__all__ = ["EXAMPLES", "anomaly", "print_anomaly_evaluation"]

EXAMPLES = """\
[bold]Examples[/]

gatewise fit anomaly machine.csv --out runs/machine

gatewise fit anomaly speed_7578.csv --labels combined_windows.json --spacing rows --rescale 200 --out runs/speed

gatewise fit anomaly plant.parquet --id pump --time stamp --channels flow,heat --method reconstruction --out runs/plant
"""

# Without a start, this first share of the longest series is learned from.
_FIT_SHARE = 0.5


def anomaly(
    data: Annotated[str, typer.Argument(help="A CSV or Parquet file: stamps and a column per channel.")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    identity: Annotated[
        str | None, typer.Option("--id", help="Column with the series' name [dim](unique_id)[/].")
    ] = None,
    stamp: Annotated[
        str | None, typer.Option("--time", help="Column with the stamp [dim](ds, timestamp, time, date)[/].")
    ] = None,
    channels: Annotated[
        str | None, typer.Option(help="Columns to watch, separated by commas [dim](all)[/].")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column to leave out; may be given several times.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="A column of marks, or a file of spans (JSON, CSV): for threshold and test only."),
    ] = None,
    test_start: Annotated[
        str | None, typer.Option(help="First stamp that is not learned from [dim](the second half)[/].")
    ] = None,
    method: Annotated[str, typer.Option(help="forecast, reconstruction or quantile.")] = "forecast",
    cell: Annotated[str, typer.Option(help="The recurrent cell; `gatewise cells` lists them.")] = "lstm",
    hidden_size: Annotated[int, typer.Option(help="Units of a layer.")] = 32,
    num_layers: Annotated[int, typer.Option(help="Recurrent layers.")] = 1,
    horizon: Annotated[int, typer.Option(help="Steps ahead that are foretold (forecast).")] = 1,
    lookback: Annotated[int, typer.Option(help="Rows of a training stretch or window.")] = 64,
    rescale: Annotated[
        float | None, typer.Option(help="Rows over which level and spread are followed [dim](not at all)[/].")
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(help="Errors of fewer than so many spreads of their channel are no sign of anything."),
    ] = 1e-3,
    level: Annotated[
        bool,
        typer.Option("--level", help="Judge how far a value lies from its level together with its error."),
    ] = False,
    likelihood: Annotated[
        str | None, typer.Option(help="LONG,SHORT, or tail: score by how unlikely the errors are.")
    ] = None,
    quiet: Annotated[
        float,
        typer.Option(help="One alarm per event: rows of silence, or a share of the fitted rows; 0: off."),
    ] = 0,
    threshold: Annotated[str, typer.Option(help="spot, dspot, rate, labels, or a number.")] = "spot",
    false_alarm_rate: Annotated[float, typer.Option(help="Share of normal rows that may alarm.")] = 1e-3,
    missing: Annotated[str, typer.Option(help='What missing values mean: "error" or "mask".')] = "error",
    spacing: Annotated[
        str, typer.Option(help='"even": stamps at one step; "rows": each row is the next step.')
    ] = "even",
    max_epochs: Annotated[int, typer.Option(help="The most passes over the data.")] = 30,
    max_time: Annotated[float | None, typer.Option(help="Seconds for training.")] = None,
    learning_rate: Annotated[float, typer.Option(help="The learning rate's peak.")] = 5e-3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in the folder.")] = False,
) -> None:
    """Fit an anomaly detector, test it on rows it never saw, and write a model folder with a report.

    The detector is fitted to the rows before --test-start, which are taken to be normal for the most part. An
    interrupted run goes on where it stopped when the same command is given again.
    """
    from gatewise.cli.anomaly_source import open_rows
    from gatewise.tasks import AnomalyDetector

    begun = time.perf_counter()
    source = open_rows(
        data, identity=identity, time=stamp, channels=channels, ignore=tuple(ignore or ()), labels=labels
    )
    detector = AnomalyDetector(
        method=method, cell=cell, hidden_size=hidden_size, num_layers=num_layers, horizon=horizon, lookback=lookback,
        rescale=rescale, tolerance=tolerance, level=level, likelihood=_pair(likelihood),
        quiet=int(quiet) if quiet.is_integer() else quiet, threshold=_threshold(threshold),
        false_alarm_rate=false_alarm_rate, missing=missing, spacing=spacing, max_epochs=max_epochs, max_time=max_time,
        learning_rate=learning_rate, random_state=seed, device=device,
    )  # fmt: skip
    settings = {"data": data, "labels": labels, "channels": channels}
    # A file of labels is of these rows; a column is looked for in others too.
    marks = None if labels is None or Path(labels).is_file() else labels
    reading = {"id": identity, "time": stamp, "ignore": tuple(ignore or ()), "labels": marks}
    if _run(detector, source, out, settings, reading, test_start, begun, overwrite=overwrite):
        raise typer.Exit(130)


def print_anomaly_evaluation(evaluation: Evaluation) -> None:
    """The table of measures and the verdict."""
    labelled = "" if evaluation.labels is None else f", {evaluation.labelled} labelled events"
    head = f"{evaluation.rows:,} rows, {evaluation.span[0]} to {evaluation.span[1]}{labelled}"
    print_scores(head, evaluation, good=evaluation.beats_trivial)


def _run(
    detector: AnomalyDetector,
    source: AnomalySource,
    out: Path,
    settings: dict[str, Any],
    reading: dict[str, Any],
    test_start: str | None,
    begun: float,
    *,
    overwrite: bool,
) -> bool:
    """Fit, test and write; whether Ctrl-C ended the training early."""
    from gatewise.cli.run_folder import RunFolder
    from gatewise.tasks.anomaly.labels import read_labels
    from gatewise.tasks.anomaly.series import Reading, read_series

    series = read_series(source.table, Reading(detector.missing, detector.spacing))
    marks = None if source.labels is None else series.as_given(read_labels(source.labels, series))
    first = _first_held_out(series, test_start)
    stamps = series.as_given(series.stamps)
    run = RunFolder(out, {**settings, "test_start": first, **described(detector)}, reading)
    run.open(overwrite=overwrite)
    detector.set_params(checkpoint_folder=run.checkpoints)
    before = series.show(first)
    known = "" if marks is None else f", {int(marks.sum()):,} rows labelled"
    say(
        f"{source.name}: {series.rows:,} rows, {len(series)} series, {counted(len(series.columns), 'channel')}{known}; "
        "fitted to "
        f"the rows before {before}, tested on those from then on"
    )
    with run.training():
        fitted_rows = stamps < first
        detector.fit(source.table.filter(fitted_rows), None if marks is None else marks[fitted_rows])
    _finish(detector, source, marks, first, out, begun)
    return run.end(detector.stopped_)


def _finish(
    detector: AnomalyDetector, source: AnomalySource, marks: Any, first: int, out: Path, begun: float
) -> None:
    """Test, and write model, report and numbers."""
    import numpy as np

    from gatewise.store import atomic_write
    from gatewise.tasks.anomaly.card import CardNotes
    from gatewise.tasks.anomaly.persistence import save_detector
    from gatewise.tasks.anomaly.report import report_html

    kind = detector.fitted_.kind
    evaluation = detector.evaluate(
        source.table, marks, start=first if kind == "integer" else f"{np.datetime64(first, 'ns')}Z"
    )
    before = evaluation.judged.scored.series.show(first)
    notes = CardNotes(
        data=f"{source.name}, {source.table.num_rows:,} rows",
        trained_on=f"all rows before {before}; those from then on only gave the results",
        evaluation=evaluation,
    )
    save_detector(detector, out, notes)
    seconds = time.perf_counter() - begun
    write_metrics(out, evaluation, seconds, **training_numbers(detector))
    atomic_write(out / "report.html", report_html(detector, notes, folder=str(out), seconds=seconds).encode())
    print_anomaly_evaluation(evaluation)
    print_written(out, begun)


def _first_held_out(series: Any, given: str | None) -> int:
    """The first stamp that is not learned from."""
    from gatewise.data.frequency import parse_stamp
    from gatewise.errors import DataError

    if given is not None:
        whole = series.kind == "integer" and given.lstrip("-").isdigit()
        first = parse_stamp(int(given) if whole else given, series.kind, series.zone)
    else:
        rows = series.of(int(series.lengths.argmax()))
        first = int(series.stamps[rows][int((rows.stop - rows.start) * _FIT_SHARE)])
    if not (series.stamps < first).any() or not (series.stamps >= first).any():
        raise DataError(
            f"--test-start: {series.show(first)} leaves no rows to fit to or none to test on; the "
            "rows go from "
            f"{series.show(series.stamps.min())} to {series.show(series.stamps.max())}"
        )
    return first


def _pair(text: str | None) -> tuple[int, int] | str | None:
    from gatewise.errors import ArgumentError

    if text is None or text == "tail":
        return text
    try:
        long, short = (int(part) for part in text.split(","))
    except ValueError:
        raise ArgumentError(
            f"--likelihood: tail, or two numbers of rows (200,10) are expected, came {text!r}"
        ) from None
    return long, short


def _threshold(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text
