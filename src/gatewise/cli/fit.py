"""`gatewise fit`: from a table to a model folder with a report."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from gatewise.cli.console import output, print_evaluation, say
from gatewise.cli.run_folder import RunFolder
from gatewise.cli.source import Columns, Source, open_source
from gatewise.data import Panel, panel_from_frame
from gatewise.data.frequency import parse_stamp, show_stamp
from gatewise.errors import ArgumentError, DataError
from gatewise.store import atomic_write
from gatewise.tasks import Forecaster

__all__ = ["app"]

app = typer.Typer(help="Fit a model to data and write it into a folder, with a report.", no_args_is_help=True)

EXAMPLES = """\
[bold]Examples[/]

gatewise fit forecast beijing-air --horizon 24 --out runs/first

gatewise fit forecast sales.csv --id shop --time day --target sold --horizon 14 --out runs/sales

gatewise fit forecast load.parquet --cell gru --quantiles 0.05,0.5,0.95 --max-time 60 --out runs/load
"""
# Without a start, this last share of the longest series is held out.
_TEST_SHARE = 0.2


@app.callback()
def tasks() -> None:
    """Fit a model to data and write it into a folder, with a report."""


@app.command("forecast", epilog=EXAMPLES)
def forecast(
    data: Annotated[
        str, typer.Argument(help="A CSV or Parquet file, or the name of an example (beijing-air).")
    ],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    horizon: Annotated[int, typer.Option(help="Steps to forecast.")] = 24,
    identity: Annotated[
        str | None, typer.Option("--id", help="Column with the series' name [dim](unique_id)[/].")
    ] = None,
    stamp: Annotated[str | None, typer.Option("--time", help="Column with the stamp [dim](ds)[/].")] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Column to forecast [dim](y)[/]; all further columns are past covariates."),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column to leave out; may be given several times.")
    ] = None,
    missing: Annotated[
        str | None, typer.Option(help='What missing values mean: "error" or "mask" [dim](examples: mask)[/].')
    ] = None,
    test_start: Annotated[
        str | None,
        typer.Option(help="First held-out stamp [dim](the last fifth; examples have their own)[/]."),
    ] = None,
    cell: Annotated[str, typer.Option(help="The recurrent cell; `gatewise cells` lists them.")] = "lstm",
    hidden_size: Annotated[int, typer.Option(help="Units of a layer.")] = 64,
    num_layers: Annotated[int, typer.Option(help="Recurrent layers.")] = 1,
    quantiles: Annotated[str, typer.Option(help="Levels, separated by commas.")] = "0.1,0.5,0.9",
    lookback: Annotated[
        int | None, typer.Option(help="Rows that a forecast sees [dim](three seasons)[/].")
    ] = None,
    season_length: Annotated[
        int | None, typer.Option(help="Steps of a season [dim](from the frequency)[/].")
    ] = None,
    max_epochs: Annotated[int, typer.Option(help="The most passes over the data.")] = 30,
    max_time: Annotated[float | None, typer.Option(help="Seconds for training.")] = None,
    learning_rate: Annotated[float, typer.Option(help="The learning rate's peak.")] = 3e-3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in the folder.")] = False,
) -> None:
    """Fit a probabilistic forecaster, test it on rows it never saw, and write a model folder with a report.

    The model is fitted to all rows before the held-out span. An interrupted run goes on where it stopped when the
    same command is given again.
    """
    begun = time.perf_counter()
    source = open_source(data, Columns(identity, stamp, target, tuple(ignore or ())))
    rule = missing or ("mask" if source.is_example else "error")
    forecaster = Forecaster(
        horizon=horizon, lookback=lookback, cell=cell, hidden_size=hidden_size, num_layers=num_layers,
        quantiles=_levels(quantiles), missing=rule, season_length=season_length, learning_rate=learning_rate,
        max_epochs=max_epochs, max_time=max_time, random_state=seed, device=device,
    )  # fmt: skip
    panel = panel_from_frame(source.table, rule)  # type: ignore[arg-type]
    first = _first_held_out(panel, test_start or source.test_start, horizon)
    run = RunFolder(out, {"data": data, "test_start": first, **_described(forecaster)})
    run.open(overwrite=overwrite)
    forecaster.set_params(checkpoint_folder=run.checkpoints)
    before = show_stamp(first, panel.kind)
    say(
        f"{source.notes.data}; {len(panel)} series; fitted to the rows before {before}, tested on those from then on"
    )
    forecaster.fit(_rows_before(source.table, panel, first))
    interrupted = forecaster.stopped_ == "interrupted"
    notes = dataclasses.replace(
        source.notes,
        trained_on=f"all rows before {before}; the rows from then on only gave the test errors",
    )
    _finish(forecaster, source, notes, first, out, begun, interrupted=interrupted)
    if interrupted:
        say("stopped by Ctrl-C; the best model so far is saved. The same command goes on with the training.")
        raise typer.Exit(130)
    run.close()


def _finish(
    forecaster: Forecaster,
    source: Source,
    notes: Any,
    first: int,
    out: Path,
    begun: float,
    *,
    interrupted: bool,
) -> None:
    """Test, and write model, report and numbers."""
    from gatewise.tasks.forecast import figures
    from gatewise.tasks.forecast.page import picture_png
    from gatewise.tasks.forecast.persistence import save_forecaster
    from gatewise.tasks.forecast.report import environment, report_html, short_label

    stamp: Any = first if forecaster.fitted_.kind == "integer" else np.datetime64(first, "ns")
    evaluation = forecaster.evaluate(source.table, start=stamp)
    notes = dataclasses.replace(notes, evaluation=evaluation)
    save_forecaster(forecaster, out, notes)
    seconds = time.perf_counter() - begun
    numbers = {
        **evaluation.to_dict(),
        "fit_seconds": round(forecaster.fit_seconds_, 3),
        "seconds": round(seconds, 3),
        "epochs": len(forecaster.history_),
        "best_epoch": forecaster.best_epoch_,
        "stopped": forecaster.stopped_,
        "environment": environment(),
    }
    atomic_write(out / "metrics.json", (json.dumps(numbers, indent=2) + "\n").encode())
    page = report_html(forecaster, notes, folder=str(out), seconds=seconds)
    atomic_write(out / "report.html", page.encode())
    chain = figures.plot_chain(evaluation, unit=short_label(notes.target))
    atomic_write(out / "forecast.png", picture_png(chain))
    print_evaluation(evaluation)
    output.print(f"\nWritten to {out} in {time.perf_counter() - begun:.0f} s:", soft_wrap=True)
    for name, what in (
        ("report.html", "open this"),
        ("forecast.png", "a picture of the forecasts"),
        ("config.json, model.safetensors", "the model"),
        ("card.md", "what the model is"),
        ("metrics.json", "the numbers above"),
        ("checkpoints", "to go on from" if interrupted else "the training's last state"),
    ):
        output.print(f"  {name:32} {what}", soft_wrap=True)


def _described(forecaster: Forecaster) -> dict[str, Any]:
    """The parameters as JSON, without those that only say where and how long."""
    parameters = forecaster.get_params()
    for name in ("checkpoint_folder", "progress", "max_time", "device"):
        parameters.pop(name)
    return parameters | {"quantiles": list(parameters["quantiles"])}


def _levels(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ArgumentError(
            f"--quantiles: numbers separated by commas are expected (0.1,0.5,0.9), came {text!r}"
        ) from None


def _first_held_out(panel: Panel, given: str | None, horizon: int) -> int:
    """The first stamp that is held out."""
    if given is not None:
        first = parse_stamp(
            int(given) if panel.kind == "integer" and given.lstrip("-").isdigit() else given, panel.kind
        )
    else:
        longest = int(panel.lengths.argmax())
        end = int(panel.starts[longest + 1])
        held = max(horizon, int(panel.lengths[longest] * _TEST_SHARE))
        first = int(panel.stamps[max(end - held, int(panel.starts[longest]))])
    if not (panel.stamps < first).any() or not (panel.stamps >= first).any():
        raise DataError(
            f"--test-start: {show_stamp(first, panel.kind)} leaves no rows to fit to or none to test on; the rows go "
            f"from {show_stamp(panel.stamps.min(), panel.kind)} to {show_stamp(panel.stamps.max(), panel.kind)}"
        )
    return first


def _rows_before(table: Any, panel: Panel, first: int) -> Any:
    """The table's rows before a stamp; tables that were sorted or filled on the way are left as they came."""
    from gatewise.data.frames import open_frame, stamp_values

    stamps, _ = stamp_values(open_frame(table)[0])
    return table.filter(stamps < first)
