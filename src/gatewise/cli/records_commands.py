"""`gatewise predict` and `gatewise evaluate` for the folder of a record detector."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa

from gatewise.cli.console import say
from gatewise.cli.fit_records import print_record_evaluation, read_records
from gatewise.cli.frame import write_numbers
from gatewise.data.files import csv_bytes, write_table
from gatewise.tasks.recipes import RecordDetector

__all__ = ["evaluate_records", "open_known", "predict_records"]


def open_known(model: Path, data: str) -> tuple[RecordDetector, pa.Table]:
    """A detector, and of a file the columns that it reads."""
    detector = RecordDetector.load(model)
    return detector, _known(read_records(data, ()), detector)


def predict_records(model: Path, data: str, out: Path | None) -> None:
    """Write a row for each record, in the order of the file: whose and when, its probability, whether it alarms."""
    detector, table = open_known(model, data)
    probabilities = detector.predict_proba(table)
    alarms = detector.alarms(table, probabilities)
    named = [name for name in (detector.entity_column, detector.time_column) if name is not None]
    found = pa.table(
        {
            "row": pa.array(range(table.num_rows), pa.int64()),
            **{name: table.column(name) for name in named},
            "probability": probabilities,
            "alarm": alarms,
        }
    )
    if out is None:
        sys.stdout.buffer.write(csv_bytes(found))
        return
    write_table(found, out)
    say(f"{found.num_rows:,} records, {int(alarms.sum()):,} of them alarms, written to {out}")


def evaluate_records(model: Path, data: str, label: str | None, out: Path | None) -> None:
    """Compare a detector's alarms with labels, beside never and always raising one."""
    detector = RecordDetector.load(model)
    if label is not None:
        detector.set_params(label_column=label)
    evaluation = detector.evaluate(_known(read_records(data, ()), detector, detector.label_column))
    print_record_evaluation(evaluation)
    write_numbers(evaluation, out)


def _known(table: pa.Table, detector: RecordDetector, *extra: str) -> pa.Table:
    """The columns that the detector reads, and no others; one that is missing it names itself."""
    channels, categories = detector.columns_
    loss = (detector.miss_cost,) if isinstance(detector.miss_cost, str) else ()
    wanted = {*channels, *categories, detector.entity_column, detector.time_column, *loss, *extra}
    return table.select([name for name in table.column_names if name in wanted])
