"""card.md: what a classifier is, what it was made from, and how well it did, for whoever finds the folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewise.report.counting import counted
from gatewise.tasks.classify.evaluation import ClassEvaluation, table_rows

if TYPE_CHECKING:
    from gatewise.tasks.classify.classifier import SequenceClassifier

__all__ = ["ClassNotes", "card_text", "input_words", "model_words", "training_words"]


@dataclass(frozen=True)
class ClassNotes:
    """What only the one who fits knows.

    Args:
        data: what the data are, in a sentence.
        origin, licence: of the data.
        target: what the classes are.
        trained_on: which sequences the model was fitted to, in words.
        tested_on: which gave the test scores, in words.
        evaluation: the test on sequences that it was not fitted to.
    """

    data: str = ""
    origin: str = ""
    licence: str = ""
    target: str = ""
    trained_on: str = ""
    tested_on: str = ""
    evaluation: ClassEvaluation | None = None


def card_text(classifier: SequenceClassifier, notes: ClassNotes) -> str:
    """The card as Markdown."""
    fitted = classifier.fitted_
    plan = fitted.network.plan
    names = ", ".join(str(one) for one in fitted.classes[:12]) + (", ..." if len(fitted.classes) > 12 else "")
    what = "each step of a sequence" if plan.output == "step" else "a sequence"
    argument = "table" if fitted.form == "table" else "arrays"
    lines = [
        f"# Classifier of sequences: {len(fitted.classes)} classes, cell {plan.program.name}",
        "",
        f"Says of {what} which of {len(fitted.classes)} classes it is ({names}), with calibrated probabilities. Made "
        "with Gatewise.",
        "",
        "## Use",
        "",
        "    from gatewise import SequenceClassifier",
        '    model = SequenceClassifier.load("this folder")',
        f"    probabilities = model.predict_proba({argument})",
        "",
        "## Data",
        "",
        *(f"- {label}: {text}" for label, text in _data_lines(classifier, notes) if text),
        "",
    ]
    if notes.evaluation is not None:
        lines += ["## Test scores", "", *_evaluation_lines(notes.evaluation, notes.tested_on), ""]
    lines += [
        "## Model",
        "",
        f"- {model_words(classifier)}",
        f"- {training_words(classifier)}",
        f"- Probabilities calibrated on what was held back: temperature {fitted.temperature:.3f}",
        "",
        "## Limits",
        "",
        "- It knows the classes above and no others: a sequence of none of them still gets one of them.",
        "- Probabilities hold for data in which the classes come as often as in training; where they do not, evaluate "
        "again on recent sequences.",
        "",
    ]
    return "\n".join(lines)


def input_words(classifier: SequenceClassifier) -> str:
    """Which columns the model reads, and how missing values are told to it."""
    encoder = classifier.fitted_.encoder
    gaps = sum(encoder.gaps)
    parts = [f"{len(encoder.channels)} channels ({_few(encoder.channels)})"] if encoder.channels else []
    parts += [f"{name} ({len(known)} categories)" for name, known in encoder.categories.items()]
    if gaps:
        how = "read by the cell itself" if encoder.streams else "told as observed or not, and how long ago"
        parts.append(f"missing values in {gaps} channels, {how}")
    if encoder.intervals:
        parts.append("uneven steps, told by the time since the row before")
    return "; ".join(parts)


def model_words(classifier: SequenceClassifier) -> str:
    """The network in a sentence."""
    plan = classifier.fitted_.network.plan
    count = sum(parameter.numel() for parameter in classifier.fitted_.network.parameters())
    shape = {"recurrent": "", "cnn": "convolutions, then ", "fcn": "a convolutional branch beside "}[
        plan.architecture
    ]
    pooled = "one decision per step" if plan.output == "step" else f"{plan.pooling} pooling"
    both = " in both directions" if plan.bidirectional else ""
    return (
        f"{count:,} parameters; {shape}{counted(plan.num_layers, 'layer')} of {plan.hidden_size} units{both}, cell "
        f"{plan.program.name}; {pooled}"
    )


def training_words(classifier: SequenceClassifier) -> str:
    """How training went, in a sentence."""
    return (
        f"Kept from epoch {classifier.best_epoch_} of {len(classifier.history_)} ({classifier.stopped_}); fit time "
        f"{classifier.fit_seconds_:.0f} s"
    )


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def _data_lines(classifier: SequenceClassifier, notes: ClassNotes) -> list[tuple[str, str]]:
    return [
        ("What", notes.data),
        ("Classes", notes.target),
        ("Origin", notes.origin),
        ("Licence", notes.licence),
        ("Fitted to", notes.trained_on),
        ("Held back within these", classifier.validation_),
        ("Inputs", input_words(classifier)),
    ]


def _evaluation_lines(evaluation: ClassEvaluation, tested_on: str) -> list[str]:
    header, *rows = table_rows(evaluation)
    return [
        evaluation.verdict,
        "",
        "| " + " | ".join(header) + " |",
        "| --- " * len(header) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        f"{evaluation.labels:,} labels of {evaluation.sequences:,} sequences"
        + (f": {tested_on}." if tested_on else "."),
    ]
