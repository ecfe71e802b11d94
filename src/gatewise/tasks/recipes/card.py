"""card.md: what a record detector is, when it raises an alarm, and how well it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewise.report.counting import counted
from gatewise.tasks.classify.card import input_words, model_words, training_words
from gatewise.tasks.recipes.evaluation import RecordEvaluation

if TYPE_CHECKING:
    from gatewise.tasks.recipes.detector import RecordDetector

__all__ = ["RecordNotes", "card_text", "kind_words", "reading_words", "rule_words"]

_MOST_KINDS = 20


@dataclass(frozen=True)
class RecordNotes:
    """What only the one who fits knows.

    Args:
        data: what the data are, in a sentence.
        trained_on: which records the detector was fitted to, in words.
        tested_on: which gave the test scores, in words.
        evaluation: the test on records that it was not fitted to.
    """

    data: str = ""
    trained_on: str = ""
    tested_on: str = ""
    evaluation: RecordEvaluation | None = None


def card_text(detector: RecordDetector, notes: RecordNotes) -> str:
    """The card as Markdown."""
    classifier = detector.classifier_
    pairs = [
        ("What", notes.data),
        ("Records", reading_words(detector)),
        ("Bad ones", kind_words(detector)),
        ("Fitted to", notes.trained_on),
        ("Held back within these", classifier.validation_),
        ("Inputs", input_words(classifier)),
    ]
    lines = [
        f"# Detector of bad records, cell {classifier.fitted_.network.plan.program.name}",
        "",
        f"Says of each record how probably it is not {str(detector.usual)!r}, and raises alarms. Made with Gatewise.",
        "",
        "## Use",
        "",
        "    from gatewise.tasks.recipes import RecordDetector",
        '    detector = RecordDetector.load("this folder")',
        "    alarms = detector.predict(table)",
        "",
        "## Data",
        "",
        *(f"- {label}: {text}" for label, text in pairs if text),
        "",
        "## Alarms",
        "",
        f"- {rule_words(detector)}",
        "",
    ]
    if notes.evaluation is not None:
        lines += ["## Test scores", "", *_evaluation_lines(notes.evaluation, notes.tested_on), ""]
    lines += [
        "## Model",
        "",
        *(f"- {one}" for one in detector.describe()),
        f"- {model_words(classifier)}",
        f"- {training_words(classifier)}",
        "",
        "## Limits",
        "",
        "- What is rare in the test is known roughly only: look at the count beside each recall.",
        "- False alarms were held on harmless records like those that were fitted to. Where traffic or customers "
        "change there are more: evaluate again on recent records.",
        "- Kinds of bad records that nobody has labelled yet count as harmless in every number above.",
        "",
    ]
    return "\n".join(lines)


def reading_words(detector: RecordDetector) -> str:
    """How records are read, in a sentence."""
    if detector.entity_column is None:
        return "each stands alone"
    order = "in the order of the rows" if detector.time_column is None else f"by {detector.time_column}"
    return f"of each {detector.entity_column}, {order}, in stretches of at most {detector.window}"


def kind_words(detector: RecordDetector) -> str:
    """Which kinds of bad records were shown, and how often."""
    kinds = detector.kinds_
    named = ", ".join(kinds[:_MOST_KINDS]) + (", ..." if len(kinds) > _MOST_KINDS else "")
    return f"{detector.bad_share_:.2%} of those fitted to, {counted(len(kinds), 'kind')}: {named}"


def rule_words(detector: RecordDetector) -> str:
    """When an alarm is raised, in a sentence."""
    if detector.threshold_ is None:
        loss = (
            f"column {detector.miss_cost}"
            if isinstance(detector.miss_cost, str)
            else f"{detector.miss_cost:g}"
        )
        return (
            f"An alarm is raised where probability times loss ({loss}) is above what an alarm costs "
            f"({detector.alarm_cost:g})."
        )
    why = {
        "half": "one half",
        "f1": "the best F1 on the records held back",
        "balanced": "the best mean of recall, each kind counting alike, and share of quiet harmless records held back",
        "false_alarms": f"{detector.false_alarm_rate:.2%} of the harmless records held back lie above it",
    }[detector.rule]
    return f"An alarm is raised above a probability of {detector.threshold_:.4f}: {why}."


def _evaluation_lines(evaluation: RecordEvaluation, tested_on: str) -> list[str]:
    header, *rows = evaluation.table_rows()
    return [
        evaluation.verdict,
        "",
        "| " + " | ".join(header) + " |",
        "| --- " * len(header) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        f"{evaluation.records:,} records, {evaluation.bad:,} of them bad"
        + (f": {tested_on}." if tested_on else "."),
    ]
