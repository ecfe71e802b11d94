"""`gatewise predict` and `gatewise evaluate` for a detector's folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gatewise.cli.anomaly_source import open_rows
from gatewise.cli.console import say
from gatewise.cli.fit_anomaly import print_anomaly_evaluation
from gatewise.cli.frame import write_numbers
from gatewise.data.files import csv_bytes, write_table
from gatewise.tasks import AnomalyDetector

__all__ = ["evaluate_detector", "predict_anomalies"]


def predict_anomalies(
    model: Path, data: str, out: Path | None, identity: str | None, time: str | None, ignore: tuple[str, ...]
) -> None:
    """Write a row for each row: stamp, score, threshold, alarm and what each channel contributed."""
    detector = AnomalyDetector.load(model)
    table = _rows(detector, data, identity, time, ignore, None).table
    found = detector.detect(table)
    if out is None:
        sys.stdout.buffer.write(csv_bytes(found))
        return
    write_table(found, out)
    alarms = int(sum(found.column("alarm").to_pylist()))
    say(f"{found.num_rows:,} rows, {alarms:,} of them alarms, written to {out}")


def evaluate_detector(
    model: Path,
    data: str,
    labels: str | None,
    start: str | None,
    out: Path | None,
    identity: str | None,
    time: str | None,
    ignore: tuple[str, ...],
) -> None:
    """Compare a detector's alarms with labels, beside the trivial detectors."""
    detector = AnomalyDetector.load(model)
    source = _rows(detector, data, identity, time, ignore, labels)
    begin: Any = start
    if start is not None and detector.fitted_.kind == "integer" and start.lstrip("-").isdigit():
        begin = int(start)
    evaluation = detector.evaluate(source.table, source.labels, start=begin)
    print_anomaly_evaluation(evaluation)
    write_numbers(evaluation, out)


def _rows(
    detector: AnomalyDetector,
    data: str,
    identity: str | None,
    time: str | None,
    ignore: tuple[str, ...],
    labels: str | None,
) -> Any:
    channels = ",".join(detector.fitted_.columns)
    return open_rows(data, identity=identity, time=time, channels=channels, ignore=ignore, labels=labels)
