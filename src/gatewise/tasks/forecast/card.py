"""card.md: what a model is, what it was made from, and how well it did, for whoever finds the folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewise.report.counting import counted
from gatewise.tasks.forecast.ensemble import Ensemble
from gatewise.tasks.forecast.evaluation import Evaluation

if TYPE_CHECKING:
    from gatewise.tasks.forecast.forecaster import Forecaster

__all__ = ["CardNotes", "card_text", "table_rows"]


@dataclass(frozen=True)
class CardNotes:
    """What only the one who fits knows.

    Args:
        data: what the data are, in a sentence.
        origin, licence: of the data.
        target: what y is, with its unit.
        trained_on: which rows the model was fitted to, in words.
        evaluation: the back-test on rows that it was not fitted to.
    """

    data: str = ""
    origin: str = ""
    licence: str = ""
    target: str = ""
    trained_on: str = ""
    evaluation: Evaluation | None = None


def table_rows(evaluation: Evaluation) -> list[list[str]]:
    """Method, MAE, RMSE, MASE, sMAPE, OWA, CRPS and pinball loss as text, a header first."""
    rows = [["", "MAE", "RMSE", "MASE", "sMAPE %", "OWA", "CRPS", "pinball"]]
    for name, errors in evaluation.errors.items():
        rows.append(
            [
                name,
                f"{errors.mae:.4g}",
                f"{errors.rmse:.4g}",
                f"{errors.mase:.3f}",
                f"{errors.smape:.1f}",
                "" if errors.owa is None else f"{errors.owa:.3f}",
                "" if errors.crps is None else f"{errors.crps:.3g}",
                "" if errors.pinball is None else f"{errors.pinball:.3g}",
            ]
        )
    return rows


def card_text(forecaster: Forecaster, notes: CardNotes) -> str:
    """The card as Markdown."""
    fitted = forecaster.fitted_
    plan, context = fitted.network.plan, fitted.context
    levels = ", ".join(f"{level:g}" for level in fitted.levels)
    networks = len(fitted.network.members) if isinstance(fitted.network, Ensemble) else 1
    several = f"{networks} networks whose quantiles are averaged; " if networks > 1 else ""
    count = sum(parameter.numel() for parameter in fitted.network.parameters())
    lines = [
        f"# Forecaster: {plan.horizon} steps ahead, cell {plan.program.name}",
        "",
        f"Forecasts the next {plan.horizon} steps (one step: {fitted.frequency.name}) of a series from its last "
        f"{fitted.encoder.lookback} rows, with quantiles {levels}. Made with Gatewise.",
        "",
        "## Use",
        "",
        "    from gatewise import Forecaster",
        '    model = Forecaster.load("this folder")',
        "    forecast = model.predict(table)  # unique_id, ds, y and the covariates below",
        "",
        "## Data",
        "",
        *(f"- {label}: {text}" for label, text in _data_lines(forecaster, notes) if text),
        "",
    ]
    if notes.evaluation is not None:
        lines += ["## Test errors", "", *_evaluation_lines(notes.evaluation), ""]
    lines += [
        "## Model",
        "",
        f"- {several}{count:,} parameters; {counted(plan.num_layers, 'layer')} of {plan.hidden_size} units; "
        f"cell: {plan.program.name}",
        f"- Kept from epoch {forecaster.best_epoch_} of {len(forecaster.history_)} ({forecaster.stopped_}); fit time "
        f"{forecaster.fit_seconds_:.0f} s",
        f"- Quantiles calibrated on the validation rows; factors {', '.join(f'{f:.3f}' for f in fitted.calibration)}",
        "",
        "## Limits",
        "",
        "- It continues the past: what was never in the training rows (new rules, new sensors) it cannot foresee.",
        f"- {len(context)} series, last row {context.show(context.stamps.max())}; the further beyond, "
        "the less its errors above say. Evaluate again on recent rows.",
        "",
    ]
    return "\n".join(lines)


def _data_lines(forecaster: Forecaster, notes: CardNotes) -> list[tuple[str, str]]:
    encoder = forecaster.fitted_.encoder
    columns = encoder.covariates.described
    return [
        ("What", notes.data),
        ("Target", notes.target),
        ("Origin", notes.origin),
        ("Licence", notes.licence),
        ("Fitted to", notes.trained_on),
        ("Held back within these", forecaster.validation_),
        ("Past covariates", ", ".join(columns["past"]) or "none"),
        ("Known for the future", ", ".join([*encoder.calendar, *columns["future"]]) or "nothing"),
        ("Static covariates", ", ".join(columns["static"])),
    ]


def _evaluation_lines(evaluation: Evaluation) -> list[str]:
    header, *rows = table_rows(evaluation)
    shares = ", ".join(f"{share:.1%} at or below q{level:g}" for level, share in evaluation.coverage.items())
    return [
        evaluation.verdict,
        "",
        "| " + " | ".join(header) + " |",
        "| --- " * len(header) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        f"{counted(evaluation.windows, 'forecast')}, {evaluation.span[0]} to {evaluation.span[1]}, an origin every "
        f"{counted(evaluation.every, 'row')}, {evaluation.points:,} observed values; the same for all methods. "
        f"Coverage: {shares}.",
    ]
