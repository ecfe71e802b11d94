"""`gatewise fit records`: from a table of records with labels to a detector's folder with a report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatewise.cli.console import say
from gatewise.cli.frame import described, print_scores, print_written, write_metrics
from gatewise.errors import ArgumentError

if TYPE_CHECKING:
    import pyarrow as pa

    from gatewise.tasks.recipes import RecordDetector, RecordEvaluation

__all__ = ["EXAMPLES", "print_record_evaluation", "read_records", "records"]

EXAMPLES = """\
[bold]Examples[/]

gatewise fit records payments.csv --entity card --time time --miss-cost amount --alarm-cost 10 --out runs/payments

gatewise fit records connections.csv --held-back kinds --novelty --binned --rule false_alarms --out runs/net

gatewise fit records may.parquet --test june.parquet --entity host --label attack --usual none --out runs/hosts
"""


def records(
    data: Annotated[str, typer.Argument(help="A CSV or Parquet file, one row per record.")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    entity: Annotated[
        str | None,
        typer.Option(help="Column that says whose a record is: host, card [dim](each stands alone)[/]."),
    ] = None,
    stamp: Annotated[
        str | None, typer.Option("--time", help="Column with the time [dim](the rows' order)[/].")
    ] = None,
    label: Annotated[str, typer.Option(help="Column that says what a record was.")] = "label",
    usual: Annotated[
        str, typer.Option(help="The label of harmless records; any other is a kind of bad one.")
    ] = "normal",
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column to leave out; may be given several times.")
    ] = None,
    test: Annotated[str | None, typer.Option(help="A file with the records to test on.")] = None,
    test_share: Annotated[
        float, typer.Option(help="Share of the entities (or records) to test on, without --test.")
    ] = 0.2,
    window: Annotated[
        int | None, typer.Option(help="Records of an entity that are read together [dim](64; alone: 1)[/].")
    ] = None,
    rule: Annotated[
        str, typer.Option(help="When an alarm is raised: cost, false_alarms, f1, balanced or half.")
    ] = "cost",
    alarm_cost: Annotated[float, typer.Option(help="What looking into an alarm costs.")] = 1.0,
    miss_cost: Annotated[
        str, typer.Option(help="What a missed bad record costs: a number, or the column that says it.")
    ] = "10",
    false_alarm_rate: Annotated[
        float, typer.Option(help="Share of harmless records that may alarm, for --rule false_alarms.")
    ] = 0.01,
    held_back: Annotated[
        str, typer.Option(help='What is held back whole: "entities", or "kinds" to be ready for new ones.')
    ] = "entities",
    members: Annotated[
        int, typer.Option(help="Classifiers; with --held-back kinds each is spared other kinds.")
    ] = 1,
    novelty: Annotated[
        bool, typer.Option("--novelty", help="Also alarm where a record is unlike all harmless ones.")
    ] = False,
    binned: Annotated[
        bool, typer.Option("--binned", help="Also read the bin of each number: for columns of many scales.")
    ] = False,
    missing: Annotated[str, typer.Option(help='What missing values mean: "error" or "mask".')] = "error",
    cell: Annotated[str, typer.Option(help="The recurrent cell; `gatewise cells` lists them.")] = "lstm",
    hidden_size: Annotated[int, typer.Option(help="Units of a layer.")] = 64,
    num_layers: Annotated[int, typer.Option(help="Recurrent layers.")] = 1,
    dropout: Annotated[float, typer.Option(help="Dropout in training.")] = 0.2,
    max_epochs: Annotated[int, typer.Option(help="The most passes over the data.")] = 30,
    max_time: Annotated[float | None, typer.Option(help="Seconds for training.")] = None,
    learning_rate: Annotated[float, typer.Option(help="The learning rate's peak.")] = 3e-3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in the folder.")] = False,
) -> None:
    """Fit a detector of bad records (fraud, intrusions), test it on records it never saw, and write a report.

    The test's entities (or records) are drawn before fitting. An interrupted run goes on where it stopped when the same
    command is given again.
    """
    from gatewise.tasks import SequenceClassifier
    from gatewise.tasks.recipes import RecordDetector

    if not 0 < test_share < 1:
        raise ArgumentError(f"--test-share: a number above 0 and below 1 is expected, came {test_share}")
    classifier = SequenceClassifier(
        output="step", cell=cell, hidden_size=hidden_size, num_layers=num_layers, dropout=dropout, missing=missing,
        max_epochs=max_epochs, max_time=max_time, learning_rate=learning_rate, device=device,
        batch_size=256 if entity is None else None,
    )  # fmt: skip
    detector = RecordDetector(
        classifier, entity_column=entity, time_column=stamp, label_column=label, usual=usual,
        window=window if window is not None else 1 if entity is None else 64, rule=rule, alarm_cost=alarm_cost,
        miss_cost=_number_or_column(miss_cost), false_alarm_rate=false_alarm_rate, held_back=held_back,
        members=members, novelty=novelty, binned=binned,
        random_state=seed,
    )  # fmt: skip
    try:
        interrupted = _run(detector, data, out, test, test_share, tuple(ignore or ()), overwrite=overwrite)
    except KeyboardInterrupt:
        say("stopped by Ctrl-C before all parts were trained. The same command goes on with the training.")
        raise typer.Exit(130) from None
    if interrupted:
        raise typer.Exit(130)


def print_record_evaluation(evaluation: RecordEvaluation) -> None:
    """The table of measures and the verdict."""
    further = []
    unseen = evaluation.recall_of(known=False)
    if unseen is not None:
        known = evaluation.recall_of(known=True)
        words = "" if known is None else f", of the others {known:.1%}"
        further.append(f"Recall of kinds that training never showed: {unseen:.1%}{words}")
    head = f"{evaluation.records:,} records, {evaluation.bad:,} of them bad"
    print_scores(head, evaluation, good=evaluation.worth_it, further=further)


def read_records(data: str, ignore: tuple[str, ...]) -> pa.Table:
    """The table in a file, without the columns that are to be left out.

    Raises:
        DataError: there is no such file, or no such column.
    """
    from gatewise.cli.source import without
    from gatewise.data import read_table

    return without(read_table(data), ignore, data)


def _run(
    detector: RecordDetector, data: str, out: Path, test: str | None, share: float, ignore: tuple[str, ...],
    *, overwrite: bool,
) -> bool:  # fmt: skip
    """Fit, test and write; whether Ctrl-C ended the training early."""
    from gatewise.cli.run_folder import RunFolder
    from gatewise.tasks.recipes.card import RecordNotes

    begun = time.perf_counter()
    table = read_records(data, ignore)
    _check_columns(table, detector, data)
    if test is None:
        kept, held = _split(table, detector, share)
        whose = "records" if detector.entity_column is None else f"{detector.entity_column}s"
        words = f"{held.num_rows:,} records that were drawn before fitting, whole {whose}"
    else:
        kept, held = table, read_records(test, ignore)
        _check_columns(held, detector, test)
        words = f"the {held.num_rows:,} records of {Path(test).name}"
    settings = {
        "data": data,
        "test": test,
        "test_share": share,
        "ignore": list(ignore),
        **described(detector, deep=False),
        **described(detector.classifier),
    }
    settings.pop("classifier")  # its parameters stand in its place
    run = RunFolder(out, settings, {"ignore": ignore})
    run.open(overwrite=overwrite)
    detector.classifier.set_params(checkpoint_folder=run.checkpoints)
    say(f"{Path(data).name}; fitted to {kept.num_rows:,} records, tested on {words}")
    with run.training():
        detector.fit(kept)
    notes = RecordNotes(
        data=f"{Path(data).name}, {table.num_rows:,} records", tested_on=words,
        trained_on=f"{kept.num_rows:,} records; those that gave the test scores are not among them",
    )  # fmt: skip
    _finish(detector, held, notes, out, begun)
    return run.end(detector.stopped_)


def _finish(detector: RecordDetector, held: pa.Table, notes: Any, out: Path, begun: float) -> None:
    """Test, and write model, report and numbers."""
    from dataclasses import replace

    from gatewise.store import atomic_write
    from gatewise.tasks.recipes.persistence import save_detector
    from gatewise.tasks.recipes.report import report_html

    evaluation = detector.evaluate(held)
    notes = replace(notes, evaluation=evaluation)
    save_detector(detector, out, notes)
    seconds = time.perf_counter() - begun
    write_metrics(out, evaluation, seconds, stopped=detector.stopped_)
    atomic_write(out / "report.html", report_html(detector, notes, folder=str(out), seconds=seconds).encode())
    print_record_evaluation(evaluation)
    print_written(out, begun)


def _check_columns(table: pa.Table, detector: RecordDetector, data: str) -> None:
    from gatewise.errors import DataError

    named = {"--entity": detector.entity_column, "--time": detector.time_column, "--label": detector.label_column,
             "--miss-cost": detector.miss_cost if isinstance(detector.miss_cost, str) else None}  # fmt: skip
    for option, name in named.items():
        if name is not None and name not in table.column_names:
            raise DataError(
                f"{option}: {data!r} has no column {name!r}; it has: {', '.join(table.column_names)}. Say which column "
                f"it is with {option}"
            )


def _split(table: pa.Table, detector: RecordDetector, share: float) -> tuple[pa.Table, pa.Table]:
    """Records to fit to and records to test on: whole entities, the share of bad ones alike."""
    import numpy as np

    from gatewise.data.identity import identity_name, identity_names
    from gatewise.tasks.classify.splits import hold_out

    kinds = identity_names(table.column(detector.label_column).to_pylist())
    codes = (kinds != identity_name(detector.usual)).astype(np.int64)
    groups = None
    if detector.entity_column is not None:
        groups = identity_names(table.column(detector.entity_column).to_pylist())
    tested = np.isin(np.arange(table.num_rows), hold_out(codes, groups, share, seed=0)[1])
    return table.filter(~tested), table.filter(tested)


def _number_or_column(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
