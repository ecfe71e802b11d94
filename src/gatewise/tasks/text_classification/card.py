"""card.md: what a text classifier is, what it was made from, and how well it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewise.report.counting import counted
from gatewise.tasks.classify.evaluation import ClassEvaluation, table_rows
from gatewise.tasks.winning import gain_words, is_above

if TYPE_CHECKING:
    from gatewise.tasks.text_classification.classifier import TextClassifier

__all__ = ["TextNotes", "against_words", "card_text", "model_words", "training_words"]


@dataclass(frozen=True)
class TextNotes:
    """What only the one who fits knows.

    Args:
        data: what the data are, in a sentence.
        trained_on: which texts the model was fitted to, in words.
        tested_on: which gave the test scores, in words.
        evaluation: the test on texts that it was not fitted to.
    """

    data: str = ""
    trained_on: str = ""
    tested_on: str = ""
    evaluation: ClassEvaluation | None = None


def card_text(classifier: TextClassifier, notes: TextNotes) -> str:
    """The card as Markdown."""
    fitted = classifier.fitted_
    names = ", ".join(fitted.classes[:12]) + (", ..." if len(fitted.classes) > 12 else "")
    data = [("What", notes.data), ("Fitted to", notes.trained_on), ("Held back", classifier.validation_),
            ("Vectors", "" if classifier.vectors_ is None else str(classifier.vectors_))]  # fmt: skip
    lines = [
        f"# Classifier of texts: {len(fitted.classes)} classes, cell {fitted.network.plan.program.name}", "",
        f"Says which of {len(fitted.classes)} classes a text is of ({names}), with calibrated probabilities, and which "
        "words say so. Made with Gatewise.", "",
        "## Use", "",
        "    from gatewise import TextClassifier",
        '    model = TextClassifier.load("this folder")',
        '    probabilities = model.predict_proba(["a text"])', "",
        "## Data", "",
        *(f"- {label}: {text}" for label, text in data if text), "",
    ]  # fmt: skip
    if notes.evaluation is not None:
        header, *rows = table_rows(notes.evaluation)
        lines += [
            "## Test scores", "", notes.evaluation.verdict, against_words(notes.evaluation), "",
            "| " + " | ".join(header) + " |", "| --- " * len(header) + "|",
            *("| " + " | ".join(row) + " |" for row in rows), "",
            f"{notes.evaluation.labels:,} texts: {notes.tested_on}.", "",
        ]  # fmt: skip
    lines += [
        "## Model", "", f"- {model_words(classifier)}", f"- {training_words(classifier)}",
        f"- Probabilities calibrated on what was held back: temperature {fitted.temperature:.3f}", "",
        "## Limits", "",
        "- It knows the classes above and no others: a text of none of them still gets one of them.",
        f"- Of texts with more than {fitted.max_length} words the middle is not read.",
        "- It was fitted to one kind of text; on another kind, evaluate before it is trusted.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def against_words(evaluation: ClassEvaluation) -> str:
    """Whether the network beats the linear classifiers, in a sentence; empty where there are none."""
    own, _, *others = evaluation.scores
    if not others:
        return ""
    best = max(others, key=lambda name: evaluation.scores[name].accuracy)
    a, b = evaluation.scores[own].accuracy, evaluation.scores[best].accuracy
    gain, error = evaluation.gains[best]
    verb = "is above" if is_above(gain, error) else "is below" if is_above(-gain, error) else "is level with"
    figures = f"{a:.1%}{gain_words(gain, error)}"
    return f"Of the linear classifiers {best} is best ({b:.1%}); the network {verb} it: {figures}."


def model_words(classifier: TextClassifier) -> str:
    """The network in a sentence."""
    plan = classifier.fitted_.network.plan
    count = sum(parameter.numel() for parameter in classifier.fitted_.network.parameters())
    both = " in both directions" if plan.bidirectional else ""
    return (
        f"{count:,} parameters; {plan.words:,} words, {counted(plan.num_layers, 'layer')} "
        f"of {plan.hidden_size} units{both}, "
        f"cell {plan.program.name}; {plan.pooling} pooling"
    )


def training_words(classifier: TextClassifier) -> str:
    """How training went, in a sentence."""
    return (
        f"Kept from epoch {classifier.best_epoch_} of {len(classifier.history_)} ({classifier.stopped_}); fit time "
        f"{classifier.fit_seconds_:.0f} s"
    )
