"""`gatewise fit`: from a table to a model folder with a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gatewise.cli import fit_anomaly, fit_language, fit_records, fit_tag, fit_text, fit_texts
from gatewise.cli.contexts import given, no_type_check
from gatewise.cli.early import FitCommand
from gatewise.errors import ArgumentError

__all__ = ["app"]

app = typer.Typer(help="Fit a model to data and write it into a folder, with a report.", no_args_is_help=True)

EXAMPLES = """\
[bold]Examples[/]

gatewise fit forecast beijing-air --horizon 24 --out runs/first

gatewise fit forecast sales.csv --id shop --time day --target sold --horizon 14 --out runs/sales

gatewise fit forecast load.parquet --cell gru --quantiles 0.05,0.5,0.95 --max-time 60 --out runs/load

gatewise fit forecast sites.csv --horizon 48 --season-length 24,168 --many-series --out runs/sites

gatewise fit forecast shops.csv --future price --static region --categorical kind --cv 4 --out runs/shops
"""


app.command("anomaly", cls=FitCommand, epilog=fit_anomaly.EXAMPLES)(fit_anomaly.anomaly)
app.command("records", cls=FitCommand, epilog=fit_records.EXAMPLES)(fit_records.records)
app.command("lm", cls=FitCommand, epilog=fit_language.EXAMPLES)(fit_language.language)
app.command("tag", cls=FitCommand, epilog=fit_tag.EXAMPLES)(fit_tag.tag)
app.command("classify-text", cls=FitCommand, epilog=fit_text.EXAMPLES)(fit_text.classify_text)
app.command("translate", cls=FitCommand, epilog=fit_texts.TRANSLATE_EXAMPLES)(fit_texts.translate)
app.command("summarize", cls=FitCommand, epilog=fit_texts.SUMMARIZE_EXAMPLES)(fit_texts.summarize)


@app.callback()
def tasks() -> None:
    """Fit a model to data and write it into a folder, with a report."""


@app.command("forecast", cls=FitCommand, epilog=EXAMPLES)
@no_type_check
def forecast(
    context: typer.Context,
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
        typer.Option(
            help="Column to forecast [dim](y)[/]; columns that no option names are past covariates."
        ),
    ] = None,
    future: Annotated[
        list[str] | None,
        typer.Option(help="A column known for the future (price, holiday); may be given several times."),
    ] = None,
    static: Annotated[
        list[str] | None,
        typer.Option(help="A column with one value per series; may be given several times."),
    ] = None,
    categorical: Annotated[
        list[str] | None,
        typer.Option(help="A column whose numbers are categories [dim](text always is)[/]; also repeatedly."),
    ] = None,
    unseen: Annotated[
        str, typer.Option(help='A category that was not fitted: "error", or taken as "unknown".')
    ] = "error",
    freq: Annotated[
        str | None, typer.Option(help="The step: h, 15min, D, W, MS, ... [dim](from the stamps)[/].")
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
    cv: Annotated[
        int,
        typer.Option(help="Windows of a walk-forward cross-validation in the training rows, before the fit."),
    ] = 0,
    cv_step: Annotated[
        int | None, typer.Option(help="Steps between its cutoffs [dim](a horizon)[/].")
    ] = None,
    refit: Annotated[bool, typer.Option(help="Whether it fits at every cutoff or only at the first.")] = True,
    search: Annotated[
        int,
        typer.Option(
            help="Trials of a search for parameters in the training rows, before the fit (needs Optuna)."
        ),
    ] = 0,
    cell: Annotated[str, typer.Option(help="The recurrent cell; `gatewise cells` lists them.")] = "lstm",
    hidden_size: Annotated[int, typer.Option(help="Units of a layer.")] = 64,
    num_layers: Annotated[int, typer.Option(help="Recurrent layers.")] = 1,
    quantiles: Annotated[str, typer.Option(help="Levels, separated by commas.")] = "0.1,0.5,0.9",
    calibration: Annotated[
        str, typer.Option(help='Of the quantiles: "split", or "adaptive" where series drift.')
    ] = "split",
    lookback: Annotated[
        int | None, typer.Option(help="Rows that a forecast sees [dim](three seasons)[/].")
    ] = None,
    season_length: Annotated[
        str | None,
        typer.Option(help="Steps of a season; several separated by commas [dim](from the frequency)[/]."),
    ] = None,
    many_series: Annotated[
        bool,
        typer.Option(
            "--many-series",
            help="Settings for many positive series of different size; needs --season-length, as in 24,168.",
        ),
    ] = False,
    architecture: Annotated[str, typer.Option(help="direct, seq2seq, deepar or segrnn.")] = "direct",
    loss: Annotated[
        str, typer.Option(help="pinball, relative, owa, mse, mae or likelihood [dim](deepar: likelihood)[/].")
    ] = "auto",
    likelihood: Annotated[
        str, typer.Option(help="gaussian, student_t or negative_binomial [dim](from the target)[/].")
    ] = "auto",
    scaling: Annotated[str, typer.Option(help="auto, standard, log or none.")] = "auto",
    revin: Annotated[
        bool, typer.Option("--revin", help="Normalise each window by its own mean and deviation.")
    ] = False,
    members: Annotated[int, typer.Option(help="Networks whose quantiles are averaged.")] = 1,
    sampling: Annotated[
        str, typer.Option(help="Of series in training: uniform, or scale [dim](large ones more often)[/].")
    ] = "uniform",
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
    from gatewise.cli.before_fit import Before
    from gatewise.cli.fit_forecast import fit_forecast
    from gatewise.cli.source import Columns

    parameters = {
        "horizon": horizon, "lookback": lookback, "cell": cell, "hidden_size": hidden_size, "num_layers": num_layers,
        "season_length": None if season_length is None else _lengths(season_length),
        "architecture": architecture, "loss": loss, "likelihood": likelihood, "scaling": scaling, "revin": revin,
        "members": members, "sampling": sampling, "learning_rate": learning_rate, "max_epochs": max_epochs,
        "max_time": max_time, "random_state": seed, "device": device, "unseen": unseen,
        "calibration": calibration,
        "freq": int(freq) if freq is not None and freq.isdigit() else freq,
        "future_covariates": tuple(future or ()), "static_covariates": tuple(static or ()),
        "categorical": tuple(categorical or ()),
    }  # fmt: skip
    if many_series:
        parameters |= _for_many_series(given(context), horizon, parameters["season_length"])
    columns = Columns(identity, stamp, target, tuple(ignore or ()))
    interrupted = fit_forecast(
        data, out, columns, parameters | {"quantiles": _levels(quantiles)},
        missing=missing, test_start=test_start, overwrite=overwrite, before=Before(search, cv, cv_step, refit),
    )  # fmt: skip
    if interrupted:
        raise typer.Exit(130)


CLASSIFY_EXAMPLES = """\
[bold]Examples[/]

gatewise fit classify recordings.csv --id recording --time second --label activity --group person --out runs/activity

gatewise fit classify stays.parquet --id patient --time hour --label died --missing mask --cell gru_d --out runs/stays
"""


@app.command("classify", cls=FitCommand, epilog=CLASSIFY_EXAMPLES)
def classify(
    data: Annotated[str, typer.Argument(help="A CSV or Parquet file, one row per step of a sequence.")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    identity: Annotated[
        str | None, typer.Option("--id", help="Column with the sequence's name [dim](unique_id)[/].")
    ] = None,
    stamp: Annotated[
        str | None,
        typer.Option("--time", help="Column with the time [dim](ds; without it, the rows' order)[/]."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="Column with the class [dim](label)[/]; all further columns are inputs."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Column of what must not be torn between fit and test (a person, a machine)."),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column to leave out; may be given several times.")
    ] = None,
    test: Annotated[str | None, typer.Option(help="A file with the sequences to test on.")] = None,
    test_share: Annotated[
        float, typer.Option(help="Share of the sequences to test on, without --test.")
    ] = 0.2,
    each_step: Annotated[
        bool, typer.Option("--each-step", help="A class for each step, not for each sequence.")
    ] = False,
    missing: Annotated[str, typer.Option(help='What missing values mean: "error" or "mask".')] = "error",
    unseen: Annotated[
        str, typer.Option(help='Categories not seen in training: "unknown" or "error".')
    ] = "unknown",
    scaling: Annotated[str, typer.Option(help="auto, standard, instance or none.")] = "auto",
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Weigh rare classes up, in training and in decisions.")
    ] = False,
    cell: Annotated[str, typer.Option(help="The recurrent cell; `gatewise cells` lists them.")] = "lstm",
    architecture: Annotated[str, typer.Option(help="recurrent, cnn or fcn.")] = "recurrent",
    pooling: Annotated[str, typer.Option(help="last, mean or attention.")] = "last",
    bidirectional: Annotated[bool, typer.Option("--bidirectional", help="Also read from the end.")] = False,
    hidden_size: Annotated[int, typer.Option(help="Units of a layer.")] = 64,
    num_layers: Annotated[int, typer.Option(help="Recurrent layers.")] = 1,
    dropout: Annotated[float, typer.Option(help="Dropout in training.")] = 0.1,
    max_epochs: Annotated[int, typer.Option(help="The most passes over the data.")] = 50,
    max_time: Annotated[float | None, typer.Option(help="Seconds for training.")] = None,
    learning_rate: Annotated[float, typer.Option(help="The learning rate's peak.")] = 3e-3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in the folder.")] = False,
) -> None:
    """Fit a classifier of sequences, test it on sequences it never saw, and write a model folder with a report.

    The sequences to test on are drawn before fitting, whole groups together. An interrupted run goes on where it
    stopped when the same command is given again.
    """
    if not 0 < test_share < 1:
        raise ArgumentError(f"--test-share: a number above 0 and below 1 is expected, came {test_share}")
    from gatewise.cli.fit_classify import ClassifyColumns, fit_classify

    parameters = {
        "output": "step" if each_step else "sequence", "missing": missing, "unseen": unseen, "scaling": scaling,
        "class_weight": "balanced" if balanced else None, "cell": cell, "architecture": architecture,
        "pooling": pooling, "bidirectional": bidirectional, "hidden_size": hidden_size, "num_layers": num_layers,
        "dropout": dropout, "max_epochs": max_epochs, "max_time": max_time, "learning_rate": learning_rate,
        "random_state": seed, "device": device,
    }  # fmt: skip
    columns = ClassifyColumns(identity, stamp, label, group, tuple(ignore or ()))
    interrupted = fit_classify(
        data, out, columns, parameters, test=test, test_share=test_share, overwrite=overwrite
    )
    if interrupted:
        raise typer.Exit(130)


def _for_many_series(said: set[str], horizon: int, season_length: Any) -> dict[str, Any]:
    """What --many-series sets, but for the options that are said beside it."""
    from gatewise.tasks.forecast.presets import many_series

    if season_length is None:
        raise ArgumentError(
            "--many-series: the seasons' lengths are needed beside it, such as --season-length 24,168 for hours"
        )
    kept = said - {"season_length"}
    return {name: value for name, value in many_series(horizon, season_length).items() if name not in kept}


def _lengths(text: str) -> int | tuple[int, ...]:
    try:
        lengths = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ArgumentError(
            f"--season-length: an integer, or several separated by commas (24,168), is expected, came {text!r}"
        ) from None
    return lengths[0] if len(lengths) == 1 else lengths


def _levels(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ArgumentError(
            f"--quantiles: numbers separated by commas are expected (0.1,0.5,0.9), came {text!r}"
        ) from None
