"""What `gatewise fit classify` does, and what `predict` and `evaluate` do with its model folders."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from gatewise.cli.console import output, say
from gatewise.cli.run_folder import RunFolder
from gatewise.data import read_table, write_table
from gatewise.data.files import csv_bytes
from gatewise.errors import DataError, GatewiseError
from gatewise.store import atomic_write
from gatewise.tasks import SequenceClassifier
from gatewise.tasks.classify import ClassEvaluation, figures
from gatewise.tasks.classify.card import ClassNotes
from gatewise.tasks.classify.persistence import save_classifier
from gatewise.tasks.classify.report import report_html
from gatewise.tasks.classify.splits import hold_out
from gatewise.tasks.environment import environment
from gatewise.tasks.page import picture_png

__all__ = ["ClassifyColumns", "evaluate_classifier", "fit_classify", "predict_classes"]


@dataclass(frozen=True)
class ClassifyColumns:
    """Which columns of a file are what; None: unique_id, ds, label."""

    identity: str | None = None
    time: str | None = None
    label: str | None = None
    group: str | None = None
    ignore: tuple[str, ...] = ()

    def parameters(self) -> dict[str, Any]:
        """As parameters of a `SequenceClassifier`."""
        given = {"id_column": self.identity, "time_column": self.time, "label_column": self.label}
        return {name: value for name, value in given.items() if value is not None}


def fit_classify(
    data: str,
    out: Path,
    columns: ClassifyColumns,
    parameters: dict[str, Any],
    *,
    test: str | None,
    test_share: float,
    overwrite: bool,
) -> bool:
    """Fit, test and write; whether Ctrl-C ended the training early.

    Args:
        data: a file's path.
        out: the folder to write.
        columns: which columns of the file are what.
        parameters: of the `SequenceClassifier`.
        test: a file with the sequences to test on; None: a share of those in `data`.
        test_share: which share, above 0 and below 1.
        overwrite: whether to replace what is in the folder.
    """
    begun = time.perf_counter()
    classifier = SequenceClassifier(**parameters, **columns.parameters())
    table = _read(data, columns)
    settings = {
        "data": data, "test": test, "test_share": test_share, "columns": dataclasses.asdict(columns),
        **_described(classifier),
    }  # fmt: skip
    if test is None:
        kept, held = _split(table, classifier, columns.group, test_share)
        words = f"{_count(held, classifier):,} sequences that were drawn before fitting"
        words += f", whole {columns.group} each" if columns.group else ""
    else:
        kept, held = table, _read(test, columns)
        words = f"the {_count(held, classifier):,} sequences of {Path(test).name}"
    run = RunFolder(out, json.loads(json.dumps(settings)))
    run.open(overwrite=overwrite)
    classifier.set_params(checkpoint_folder=run.checkpoints)
    say(f"{Path(data).name}; fitted to {_count(kept, classifier):,} sequences, tested on {words}")
    try:
        classifier.fit(kept, groups=columns.group)
    except GatewiseError:
        run.abandon()
        raise
    notes = ClassNotes(
        data=f"{Path(data).name}, {table.num_rows:,} rows", target=f"column {classifier.label_column}",
        trained_on=f"{_count(kept, classifier):,} sequences; those that gave the test scores are not among them",
        tested_on=words,
    )  # fmt: skip
    interrupted = classifier.stopped_ == "interrupted"
    _finish(classifier, held, notes, columns.group, out, begun)
    if interrupted:
        say("stopped by Ctrl-C; the best model so far is saved. The same command goes on with the training.")
    else:
        run.close()
    return interrupted


def predict_classes(model: Path, data: str, out: Path | None, columns: ClassifyColumns) -> None:
    """Write a table of decisions and probabilities, as CSV to standard output where no file is named."""
    classifier = _loaded(model, columns)
    table = classifier.predict_table(_known_columns(_read(data, columns), classifier))
    if out is None:
        sys.stdout.buffer.write(csv_bytes(table))
        return
    write_table(table, out)
    say(f"{table.num_rows:,} rows written to {out}")


def evaluate_classifier(model: Path, data: str, out: Path | None, columns: ClassifyColumns) -> None:
    """Compare with the labels in a file, and print what came out."""
    classifier = _loaded(model, columns)
    table = _read(data, columns)
    keep = (columns.group,) if columns.group else ()
    evaluation = classifier.evaluate(
        _known_columns(table, classifier, (classifier.label_column, *keep)), groups=columns.group
    )
    print_scores(evaluation)
    if out is not None:
        atomic_write(out, (json.dumps(evaluation.to_dict(), indent=2) + "\n").encode())
        say(f"numbers written to {out}")


def print_scores(evaluation: ClassEvaluation) -> None:
    """The table of scores and the verdict."""
    *lines, verdict = str(evaluation).splitlines()
    output.print(f"{evaluation.labels:,} labels of {evaluation.sequences:,} sequences", soft_wrap=True)
    for index, line in enumerate(lines):
        output.print(line, markup=False, soft_wrap=True, style="bold" if index == 1 else "")
    output.print(
        verdict, markup=False, style="green" if evaluation.beats_trivial else "yellow", soft_wrap=True
    )


def _finish(
    classifier: SequenceClassifier, held: Any, notes: ClassNotes, group: str | None, out: Path, begun: float
) -> None:
    """Test, and write model, report and numbers."""
    evaluation = classifier.evaluate(held, groups=group)
    notes = dataclasses.replace(notes, evaluation=evaluation)
    save_classifier(classifier, out, notes)
    seconds = time.perf_counter() - begun
    numbers = {
        **evaluation.to_dict(),
        "fit_seconds": round(classifier.fit_seconds_, 3),
        "seconds": round(seconds, 3),
        "epochs": len(classifier.history_),
        "best_epoch": classifier.best_epoch_,
        "stopped": classifier.stopped_,
        "temperature": classifier.temperature_,
        "environment": environment(),
    }
    atomic_write(out / "metrics.json", (json.dumps(numbers, indent=2) + "\n").encode())
    page = report_html(classifier, notes, folder=str(out), seconds=seconds)
    atomic_write(out / "report.html", page.encode())
    atomic_write(out / "confusion.png", picture_png(figures.plot_confusion(evaluation)))
    print_scores(evaluation)
    output.print(f"\nWritten to {out} in {time.perf_counter() - begun:.0f} s:", soft_wrap=True)
    for name, what in (
        ("report.html", "open this"),
        ("confusion.png", "what is taken for what"),
        ("config.json, model.safetensors", "the model"),
        ("card.md", "what the model is"),
        ("metrics.json", "the numbers above"),
        ("checkpoints", "the training's last state"),
    ):
        output.print(f"  {name:32} {what}", soft_wrap=True)


def _read(data: str, columns: ClassifyColumns) -> Any:
    table = read_table(data)
    unknown = [name for name in columns.ignore if name not in table.column_names]
    if unknown:
        raise DataError(
            f"--ignore: {data!r} has no column {unknown[0]!r}; it has: {', '.join(table.column_names)}"
        )
    return table.drop_columns(list(columns.ignore)) if columns.ignore else table


def _split(table: Any, classifier: SequenceClassifier, group: str | None, share: float) -> tuple[Any, Any]:
    """Rows to fit to and rows to test on: whole sequences, whole groups, the classes' shares alike."""
    frame: Any = nw.from_native(table, eager_only=True)
    for option, name in (
        ("--id", classifier.id_column),
        ("--label", classifier.label_column),
        ("--group", group),
    ):
        if name is not None and name not in frame.columns:
            raise DataError(
                f"{option}: the file has no column {name!r}; it has: {', '.join(frame.columns)}. Say which column it "
                f"is with {option}"
            )
    names = np.array([str(one) for one in frame.get_column(classifier.id_column).to_list()])
    places, first, owner = np.unique(names, return_index=True, return_inverse=True)
    labels = np.array([str(one) for one in frame.get_column(classifier.label_column).to_list()])[first]
    codes = np.unique(labels, return_inverse=True)[1].astype(np.int64).reshape(-1)
    groups = (
        None if group is None else np.array([str(one) for one in frame.get_column(group).to_list()])[first]
    )
    held = hold_out(codes, groups, share, seed=0)[1]
    tested = np.isin(owner.reshape(-1), held)
    if len(held) == len(places):
        raise DataError("--test-share: no sequence is left to fit to; give a smaller share")
    return table.filter(~tested), table.filter(tested)


def _count(table: Any, classifier: SequenceClassifier) -> int:
    return len(set(table.column(classifier.id_column).to_pylist()))


def _loaded(model: Path, columns: ClassifyColumns) -> SequenceClassifier:
    return SequenceClassifier.load(model).set_params(**columns.parameters())


def _known_columns(table: Any, classifier: SequenceClassifier, extra: tuple[str, ...] = ()) -> Any:
    """The columns that the model reads: others (a group, a remark) are nobody's business here."""
    encoder = classifier.fitted_.encoder
    names = {classifier.id_column, classifier.time_column, *encoder.channels, *encoder.categories, *extra}
    return table.select([name for name in table.column_names if name in names])


def _described(classifier: SequenceClassifier) -> dict[str, Any]:
    """The parameters as JSON, without those that only say where and how long."""
    parameters = classifier.get_params()
    for name in ("checkpoint_folder", "progress", "max_time", "device"):
        parameters.pop(name)
    return parameters
