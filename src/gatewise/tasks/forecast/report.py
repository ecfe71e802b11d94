"""report.html: what was fitted, how well it does on rows it never saw, and where it fails."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

import gatewise
from gatewise.report.counting import counted
from gatewise.report.environment import environment
from gatewise.report.learning_curve import plot_training
from gatewise.report.page import definitions, page, section, table
from gatewise.report.pictures import picture
from gatewise.tasks.forecast import figures
from gatewise.tasks.forecast.card import CardNotes, table_rows
from gatewise.tasks.forecast.evaluation import NAIVE, SEASONAL, Evaluation
from gatewise.tasks.forecast.selection import window_errors

if TYPE_CHECKING:
    from gatewise.tasks.forecast.forecaster import Forecaster

__all__ = ["headline", "report_html", "short_label"]


def headline(evaluation: Evaluation) -> str:
    """The verdict in one short sentence."""
    mae = {name: errors.mae for name, errors in evaluation.errors.items()}
    better = min((NAIVE, SEASONAL), key=lambda name: mae[name])
    if not evaluation.beats_trivial:
        return f"This model does not beat the trivial forecast ({better})"
    return f"{1 - mae[evaluation.model] / mae[better]:.0%} less error than the better trivial forecast ({better})"


def report_html(forecaster: Forecaster, notes: CardNotes, *, folder: str, seconds: float) -> str:
    """The report as one self-contained page.

    Args:
        forecaster: fitted.
        notes: the data, and the back-test that is reported.
        folder: where the model lies, for the commands that are shown.
        seconds: how long everything took, the evaluation included.
    """
    evaluation = notes.evaluation
    if evaluation is None:
        return page("Forecast", "<h1>No rows were held out</h1>", [_data_section(forecaster, notes)], "")
    step = forecaster.fitted_.frequency.name
    sections = [
        _error_section(evaluation),
        section(
            "Forecasts against what came",
            picture(
                figures.plot_chain(evaluation, unit=short_label(notes.target)),
                "forecasts in a row against what came",
            ),
            note="The stretch is the one with the median error among all stretches of this length, not the best one.",
        ),
        section(
            "One by one, chosen by rule",
            picture(
                figures.plot_windows(evaluation, unit=short_label(notes.target)),
                "four forecasts, from good to worst",
            ),
            note="Picked by the rank of their error among all forecasts of the held-out span. The blue band should "
            "hold the black line as often as its label says.",
        ),
        section(
            "Where the errors are",
            '<div class="pair">',
            picture(figures.plot_by_horizon(evaluation, step=step), "mean absolute error by horizon"),
            picture(figures.plot_by_time(evaluation), "mean absolute error through the held-out span"),
            "</div>",
        ),
        section(
            "Quantiles and training",
            '<div class="pair">',
            picture(figures.plot_reliability(evaluation), "share of values at or below each quantile"),
            picture(
                plot_training(forecaster.history_, forecaster.best_epoch_, "Pinball loss during training"),
                "training and validation loss",
            ),
            "</div>",
            note=f"Quantiles were calibrated on the validation rows ({forecaster.validation_}), never on the rows that "
            "are reported here.",
        ),
        _data_section(forecaster, notes),
        _settings_section(forecaster, seconds),
        _use_section(forecaster, folder),
    ]
    footer = f"Made by Gatewise {gatewise.__version__}. Every number and picture is computed from the held-out rows."
    return page(
        f"Forecast: {notes.data or 'report'}", _header(forecaster, notes, evaluation), sections, footer
    )


def _header(forecaster: Forecaster, notes: CardNotes, evaluation: Evaluation) -> str:
    plan = forecaster.fitted_.network.plan
    own = evaluation.errors[evaluation.model]
    better = min((NAIVE, SEASONAL), key=lambda name: evaluation.errors[name].mae)
    gain = 1 - own.mae / evaluation.errors[better].mae
    tiles = [
        (f"{own.mae:.3g}", f"mean absolute error{', ' + unit if (unit := _unit(notes.target)) else ''}", ""),
        (
            f"{-gain:+.1%}".replace("-", "−"),
            f"against {better}",
            "good" if evaluation.beats_trivial else "bad",
        ),
        *(
            (
                f"{share:.1%}",
                f"of values inside the {nominal:.0%} interval",
                "good" if abs(share - nominal) <= 0.05 else "bad",
            )
            for nominal, share in list(evaluation.intervals.items())[:1]
        ),
        (f"{forecaster.fit_seconds_:.0f} s", "to fit", ""),
    ]
    boxes = "".join(
        f'<div class="tile"><b class="{mark}">{big}</b><span>{escape(small)}</span></div>'
        for big, small, mark in tiles
    )
    eyebrow = f"{notes.data or 'Forecast'} · {plan.horizon} steps ahead · cell {plan.program.name}"
    return (
        f'<p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(headline(evaluation))}</h1>'
        f'<p class="lede">{escape(evaluation.verdict)}</p><div class="tiles">{boxes}</div>'
    )


def _error_section(evaluation: Evaluation) -> str:
    better = {
        name: np.nanmean(
            window_errors(evaluation.back_test, "model") < window_errors(evaluation.back_test, name)
        )
        for name in (NAIVE, SEASONAL)
    }
    wins = "; ".join(f"better than {name} in {share:.0%} of the forecasts" for name, share in better.items())
    return section(
        "Errors on rows the model never saw",
        table(table_rows(evaluation), own=0),
        f'<p class="note">The model is {escape(wins)}.</p>',
        note=f"{counted(evaluation.windows, 'forecast')} of {evaluation.back_test.actual.shape[1]} steps each, "
        f"{evaluation.span[0]} to {evaluation.span[1]}, one from every "
        f"{'row' if evaluation.every == 1 else f'{evaluation.every} rows'}; {evaluation.points:,} observed values, the "
        "same for all methods. MASE is the MAE in units of the seasonal naive method's error on the training rows.",
    )


def _data_section(forecaster: Forecaster, notes: CardNotes) -> str:
    fitted = forecaster.fitted_
    columns = fitted.encoder.covariates.described
    pairs = [
        ("Data", notes.data),
        ("Target", notes.target),
        ("Origin", notes.origin),
        ("Licence", notes.licence),
        ("Series", f"{len(fitted.context):,}; one row per {fitted.frequency.name}"),
        ("Fitted to", notes.trained_on),
        ("Held back within these", forecaster.validation_),
        ("Last row fitted", fitted.context.show(fitted.trained_until.max())),
        ("Past covariates", ", ".join(columns["past"]) or "none"),
        ("Known for the future", ", ".join([*fitted.encoder.calendar, *columns["future"]]) or "nothing"),
        ("Static covariates", ", ".join(columns["static"]) or "none"),
    ]
    return section("Data", definitions(pairs))


def _settings_section(forecaster: Forecaster, seconds: float) -> str:
    fitted = forecaster.fitted_
    plan, log = fitted.network.plan, fitted.scaler.log
    count = sum(parameter.numel() for parameter in fitted.network.parameters())
    pairs = [
        ("Cell", f"{plan.program.name}, {counted(plan.num_layers, 'layer')} "
 f"of {plan.hidden_size} units; {count:,} parameters"),
        (
            "Lookback, horizon",
            f"{fitted.encoder.lookback} rows, {plan.horizon} steps; season of {fitted.encoder.season_length}",
        ),
        ("Quantiles", ", ".join(f"{level:g}" for level in fitted.levels)),
        ("Scaling", "standardised after a logarithm" if log else fitted.scaling.replace("auto", "standard")),
        ("Calibration factors", ", ".join(f"{factor:.3f}" for factor in fitted.calibration)),
        ("Training", f"kept epoch {forecaster.best_epoch_} of {len(forecaster.history_)} ({forecaster.stopped_}); "
                     f"learning rate {forecaster.learning_rate:g}, cosine; averaged weights"),
        ("Seed", "" if forecaster.random_state is None else str(forecaster.random_state)),
        ("Time", f"{forecaster.fit_seconds_:.0f} s to fit ({forecaster.windows_per_second_:,.0f} windows a second), "
                 f"{seconds:.0f} s with data and evaluation"),
        ("Environment", ", ".join(f"{name} {value}" for name, value in environment().items())),
    ]  # fmt: skip
    return section("Settings and environment", definitions(pairs))


def _use_section(forecaster: Forecaster, folder: str) -> str:
    text = (
        f"gatewise predict {folder} DATA --out forecast.csv\n"
        f"gatewise evaluate {folder} DATA\n\n"
        "from gatewise import Forecaster\n"
        f'model = Forecaster.load("{folder}")\n'
        "forecast = model.predict(table)   # unique_id, ds, y_hat, "
        + ", ".join(f"q{level:g}" for level in forecaster.fitted_.levels)
    )
    return section("Use it", f"<pre>{escape(text)}</pre>")


def _unit(target: str) -> str:
    return target.rsplit(", ", 1)[1] if ", " in target else ""


def short_label(target: str) -> str:
    """The unit, where the target names one after its last comma; otherwise the target."""
    return _unit(target) or target
