"""What `gatewise fit forecast` does: data, fit, test, and what is written."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.cli.before_fit import Before
from gatewise.cli.console import print_evaluation, say
from gatewise.cli.frame import described, print_written, training_numbers, write_metrics
from gatewise.cli.run_folder import RunFolder
from gatewise.cli.source import Columns, Source, open_source
from gatewise.data import Panel, panel_from_frame
from gatewise.data.frames import open_frame, stamp_values
from gatewise.data.frequency import parse_frequency, parse_stamp
from gatewise.errors import DataError
from gatewise.report.pictures import picture_png
from gatewise.store import atomic_write
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast import figures
from gatewise.tasks.forecast.persistence import save_forecaster
from gatewise.tasks.forecast.report import report_html, short_label

__all__ = ["fit_forecast"]

# Without a start, this last share of the longest series is held out.
_TEST_SHARE = 0.2


def fit_forecast(
    data: str,
    out: Path,
    columns: Columns,
    parameters: dict[str, Any],
    *,
    missing: str | None,
    test_start: str | None,
    overwrite: bool,
    before: Before,
) -> bool:
    """Fit, test and write; whether Ctrl-C ended the training early.

    Args:
        data: an example's name or a file's path.
        out: the folder to write.
        columns: which columns of a file are what.
        parameters: of the `Forecaster`.
        missing: "error" or "mask"; None: "mask" for examples.
        test_start: the first held-out stamp; None: the example's, or the last fifth.
        overwrite: whether to replace what is in the folder.
        before: what is done in the training rows before the fit.
    """
    begun = time.perf_counter()
    source = open_source(data, columns)
    rule = missing or ("mask" if source.is_example else "error")
    forecaster = Forecaster(missing=rule, **parameters)
    step = None if forecaster.freq is None else parse_frequency(forecaster.freq)
    panel = panel_from_frame(source.table, rule, step, forecaster.categorical)  # type: ignore[arg-type]
    first = _first_held_out(panel, test_start or source.test_start, forecaster.horizon)
    settings = {"data": data, "test_start": first, **before.settings, **described(forecaster)}
    run = RunFolder(out, settings, columns.options())
    run.open(overwrite=overwrite)
    start = panel.show(first)
    say(
        f"{source.notes.data}; {len(panel)} series; fitted to the rows before {start}, tested on those from then on"
    )
    with run.training():
        rows = _rows_before(source.table, first)
        before.run(forecaster, rows, out, run.checkpoints)
        forecaster.set_params(checkpoint_folder=run.checkpoints)
        forecaster.fit(rows)
    notes = dataclasses.replace(
        source.notes,
        trained_on=f"all rows before {start}; the rows from then on only gave the test errors",
    )
    _finish(forecaster, source, notes, first, out, begun)
    return run.end(forecaster.stopped_)


def _finish(
    forecaster: Forecaster,
    source: Source,
    notes: Any,
    first: int,
    out: Path,
    begun: float,
) -> None:
    """Test, and write model, report and numbers."""
    stamp: Any = first if forecaster.fitted_.kind == "integer" else f"{np.datetime64(first, 'ns')}Z"
    evaluation = forecaster.evaluate(source.table, start=stamp)
    notes = dataclasses.replace(notes, evaluation=evaluation)
    save_forecaster(forecaster, out, notes)
    seconds = time.perf_counter() - begun
    write_metrics(out, evaluation, seconds, **training_numbers(forecaster))
    page = report_html(forecaster, notes, folder=str(out), seconds=seconds)
    atomic_write(out / "report.html", page.encode())
    chain = figures.plot_chain(evaluation, unit=short_label(notes.target))
    atomic_write(out / "forecast.png", picture_png(chain))
    print_evaluation(evaluation)
    interrupted = forecaster.stopped_ == "interrupted"
    checkpoints = "to go on from" if interrupted else "the training's last state"
    print_written(out, begun, ("forecast.png", "a picture of the forecasts"), checkpoints=checkpoints)


def _first_held_out(panel: Panel, given: str | None, horizon: int) -> int:
    """The first stamp that is held out."""
    if given is not None:
        first = parse_stamp(
            int(given) if panel.kind == "integer" and given.lstrip("-").isdigit() else given,
            panel.kind,
            panel.zone,
        )
    else:
        longest = int(panel.lengths.argmax())
        end = int(panel.starts[longest + 1])
        held = max(horizon, int(panel.lengths[longest] * _TEST_SHARE))
        first = int(panel.stamps[max(end - held, int(panel.starts[longest]))])
    if not (panel.stamps < first).any() or not (panel.stamps >= first).any():
        raise DataError(
            f"--test-start: {panel.show(first)} leaves no rows to fit to or none to test on; the rows go "
            f"from {panel.show(panel.stamps.min())} to {panel.show(panel.stamps.max())}"
        )
    later = np.add.reduceat(panel.stamps >= first, panel.starts[:-1])
    if later.max() < horizon:
        raise DataError(
            f"--test-start: from {panel.show(first)} on no series has more than {later.max()} rows, but a "
            f"horizon of {horizon} is to be tested; start earlier, or say a shorter --horizon"
        )
    return first


def _rows_before(table: Any, first: int) -> Any:
    """The table's rows before a stamp, as they came."""
    stamps, _ = stamp_values(open_frame(table)[0])
    return table.filter(stamps < first)
