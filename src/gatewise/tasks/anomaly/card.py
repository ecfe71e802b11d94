"""card.md: what a detector is, what it was made from, and how well it did, for whoever finds the folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewise.report.counting import counted
from gatewise.tasks.anomaly.evaluation import Evaluation, table_rows

if TYPE_CHECKING:
    from gatewise.tasks.anomaly.detector import AnomalyDetector

__all__ = ["CardNotes", "card_text", "threshold_words"]

METHOD_WORDS = {
    "forecast": "the next rows are foretold, and errors are held against their Gaussian (Malhotra et al. 2015)",
    "reconstruction": "the last rows are repeated through an encoder's last state (Malhotra et al. 2016)",
    "quantile": "a band for the next row is foretold, and the score is how far outside it a value lies",
}


@dataclass(frozen=True)
class CardNotes:
    """What only the one who fits knows.

    Args:
        data: what the data are, in a sentence.
        origin, licence: of the data.
        trained_on: which rows the detector was fitted to, in words.
        evaluation: on rows that it was not fitted to.
    """

    data: str = ""
    origin: str = ""
    licence: str = ""
    trained_on: str = ""
    evaluation: Evaluation | None = None


def threshold_words(detector: AnomalyDetector) -> str:
    """How the threshold was set, and where it stands."""
    value = f"{detector.fitted_.threshold.value:.4g}"
    rate = f"{detector.false_alarm_rate:g}"
    words = {
        "spot": f"SPOT at a false-alarm rate of {rate}; it starts at {value} and learns on (Siffer et al. 2017)",
        "dspot": f"DSPOT at a false-alarm rate of {rate} over the mean of {detector.drift_depth} rows; it "
        f"starts at {value}",
        "rate": f"the held-out scores' quantile for a false-alarm rate of {rate}: {value}",
        "labels": f"the best event F1 on the labels that were given to fit: {value}",
    }
    return words[detector.threshold] if isinstance(detector.threshold, str) else f"given: {value}"


def card_text(detector: AnomalyDetector, notes: CardNotes) -> str:
    """The card as Markdown."""
    fitted = detector.fitted_
    plan = fitted.plan
    count = sum(parameter.numel() for parameter in fitted.network.parameters())
    step = "each row is a step" if fitted.frequency is None else f"one row per {fitted.frequency.name}"
    data = [
        ("What", notes.data),
        ("Origin", notes.origin),
        ("Licence", notes.licence),
        ("Channels", ", ".join(fitted.columns)),
        ("Step", step),
        ("Fitted to", notes.trained_on),
        ("Held back within these", detector.validation_),
    ]
    lines = [
        f"# Anomaly detector: {plan.method}, cell {plan.program.name}",
        "",
        f"Scores every row of a series from itself and the rows before it: {METHOD_WORDS[plan.method]}. Made with "
        "Gatewise.",
        "",
        "## Use",
        "",
        "    from gatewise import AnomalyDetector",
        '    detector = AnomalyDetector.load("this folder")',
        "    table = detector.detect(rows)  # score, threshold, alarm, blame for each row",
        "",
        "    gatewise watch THIS-FOLDER rows.csv",
        "",
        "## Data",
        "",
        *(f"- {label}: {text}" for label, text in data if text),
        "",
    ]
    if notes.evaluation is not None:
        lines += ["## Results", "", *_evaluation_lines(notes.evaluation), ""]
    lines += [
        "## Model",
        "",
        f"- {count:,} parameters; {counted(plan.num_layers, 'layer')} "
        f"of {plan.hidden_size} units; cell: {plan.program.name}",
        f"- Kept from epoch {detector.best_epoch_} of {len(detector.history_)} ({detector.stopped_}); fit time "
        f"{detector.fit_seconds_:.0f} s",
        f"- Threshold: {threshold_words(detector)}",
        "",
        "## Limits",
        "",
        "- Strange means unlike the rows that were fitted. It does not mean harmful, and harm may look usual.",
        "- Rows that were fitted are taken to be normal: anomalies among them teach it that they are.",
        "- A lasting change of level or rhythm alarms until the detector is fitted anew, unless `rescale` follows it.",
        "",
    ]
    return "\n".join(lines)


def _evaluation_lines(evaluation: Evaluation) -> list[str]:
    header, *rows = table_rows(evaluation)
    return [
        evaluation.verdict,
        "",
        "| " + " | ".join(header) + " |",
        "| --- " * len(header) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        f"{evaluation.rows:,} rows of {evaluation.series} series, {evaluation.span[0]} to {evaluation.span[1]}"
        + ("" if evaluation.labels is None else f"; {evaluation.labelled} labelled events")
        + ". The same rows for all methods; each threshold by the same rule, on rows before these.",
    ]
