"""`gatewise fit`: from a table to a model folder with a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli import fit_anomaly
from gatewise.errors import ArgumentError

__all__ = ["app"]

app = typer.Typer(help="Fit a model to data and write it into a folder, with a report.", no_args_is_help=True)

EXAMPLES = """\
[bold]Examples[/]

gatewise fit forecast beijing-air --horizon 24 --out runs/first

gatewise fit forecast sales.csv --id shop --time day --target sold --horizon 14 --out runs/sales

gatewise fit forecast load.parquet --cell gru --quantiles 0.05,0.5,0.95 --max-time 60 --out runs/load
"""


app.command("anomaly", epilog=fit_anomaly.EXAMPLES)(fit_anomaly.anomaly)


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
    from gatewise.cli.fit_forecast import fit_forecast
    from gatewise.cli.source import Columns

    parameters = {
        "horizon": horizon, "lookback": lookback, "cell": cell, "hidden_size": hidden_size, "num_layers": num_layers,
        "season_length": season_length, "learning_rate": learning_rate, "max_epochs": max_epochs,
        "max_time": max_time, "random_state": seed, "device": device,
    }  # fmt: skip
    columns = Columns(identity, stamp, target, tuple(ignore or ()))
    interrupted = fit_forecast(
        data, out, columns, parameters | {"quantiles": _levels(quantiles)},
        missing=missing, test_start=test_start, overwrite=overwrite,
    )  # fmt: skip
    if interrupted:
        raise typer.Exit(130)


def _levels(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ArgumentError(
            f"--quantiles: numbers separated by commas are expected (0.1,0.5,0.9), came {text!r}"
        ) from None
