"""What `gatewise fit classify` does, and what `predict` and `evaluate` do with its model folders."""

from __future__ import annotations

import dataclasses
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from gatewise.cli.console import say
from gatewise.cli.frame import (
    described,
    print_scores,
    print_written,
    training_numbers,
    write_metrics,
    write_numbers,
)
from gatewise.cli.run_folder import RunFolder
from gatewise.cli.source import without
from gatewise.data import read_table, write_table
from gatewise.data.files import csv_bytes
from gatewise.data.identity import identity_names
from gatewise.errors import DataError
from gatewise.report.pictures import picture_png
from gatewise.store import atomic_write
from gatewise.tasks import SequenceClassifier
from gatewise.tasks.classify import ClassEvaluation, figures
from gatewise.tasks.classify.card import ClassNotes
from gatewise.tasks.classify.persistence import save_classifier
from gatewise.tasks.classify.report import report_html
from gatewise.tasks.classify.splits import hold_out

__all__ = ["ClassifyColumns", "evaluate_classifier", "fit_classify", "open_known", "predict_classes"]


@dataclass(frozen=True)
class ClassifyColumns:
    """Which columns of a file are what; None: unique_id, ds, label."""

    identity: str | None = None
    time: str | None = None
    label: str | None = None
    group: str | None = None
    ignore: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """As options of the command line."""
        return {
            "id": self.identity, "time": self.time, "label": self.label, "group": self.group, "ignore": self.ignore,
        }  # fmt: skip

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
        **described(classifier),
    }  # fmt: skip
    if test is None:
        kept, held = _split(table, classifier, columns.group, test_share)
        words = f"{_count(held, classifier):,} sequences that were drawn before fitting"
        words += f", whole {columns.group} each" if columns.group else ""
    else:
        kept, held = table, _read(test, columns)
        words = f"the {_count(held, classifier):,} sequences of {Path(test).name}"
    run = RunFolder(out, settings, columns.options())
    run.open(overwrite=overwrite)
    classifier.set_params(checkpoint_folder=run.checkpoints)
    say(f"{Path(data).name}; fitted to {_count(kept, classifier):,} sequences, tested on {words}")
    with run.training():
        classifier.fit(kept, groups=columns.group)
    notes = ClassNotes(
        data=f"{Path(data).name}, {table.num_rows:,} rows", target=f"column {classifier.label_column}",
        trained_on=f"{_count(kept, classifier):,} sequences; those that gave the test scores are not among them",
        tested_on=words,
    )  # fmt: skip
    _finish(classifier, held, notes, columns.group, out, begun)
    return run.end(classifier.stopped_)


def open_known(model: Path, data: str, columns: ClassifyColumns) -> tuple[SequenceClassifier, Any]:
    """A model, and of a file the columns that it reads."""
    classifier = _loaded(model, columns)
    return classifier, _known_columns(_read(data, columns), classifier)


def predict_classes(model: Path, data: str, out: Path | None, columns: ClassifyColumns) -> None:
    """Write a table of decisions and probabilities, as CSV to standard output where no file is named."""
    classifier, known = open_known(model, data, columns)
    table = classifier.predict_table(known)
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
    print_classes(evaluation)
    write_numbers(evaluation, out)


def print_classes(evaluation: ClassEvaluation) -> None:
    """The table of scores and the verdict."""
    head = f"{evaluation.labels:,} labels of {evaluation.sequences:,} sequences"
    print_scores(head, evaluation, good=evaluation.beats_trivial)


def _finish(
    classifier: SequenceClassifier, held: Any, notes: ClassNotes, group: str | None, out: Path, begun: float
) -> None:
    """Test, and write model, report and numbers."""
    evaluation = classifier.evaluate(held, groups=group)
    notes = dataclasses.replace(notes, evaluation=evaluation)
    save_classifier(classifier, out, notes)
    seconds = time.perf_counter() - begun
    further = training_numbers(classifier) | {"temperature": classifier.temperature_}
    write_metrics(out, evaluation, seconds, **further)
    page = report_html(classifier, notes, folder=str(out), seconds=seconds)
    atomic_write(out / "report.html", page.encode())
    atomic_write(out / "confusion.png", picture_png(figures.plot_confusion(evaluation)))
    print_classes(evaluation)
    print_written(out, begun, ("confusion.png", "what is taken for what"))


def _read(data: str, columns: ClassifyColumns) -> Any:
    return without(read_table(data), columns.ignore, data)


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
    names = identity_names(frame.get_column(classifier.id_column).to_list())
    places, first, owner = np.unique(names, return_index=True, return_inverse=True)
    labels = identity_names(frame.get_column(classifier.label_column).to_list())[first]
    codes = np.unique(labels, return_inverse=True)[1].astype(np.int64).reshape(-1)
    groups = None if group is None else identity_names(frame.get_column(group).to_list())[first]
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
