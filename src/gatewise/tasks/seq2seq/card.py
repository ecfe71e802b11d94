"""card.md: what a translator or summarizer is, what it was made from, and how well it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewise.report.counting import counted
from gatewise.tasks.seq2seq.evaluation import TextEvaluation, table_rows

if TYPE_CHECKING:
    from gatewise.tasks.seq2seq.estimator import SequenceToSequence

__all__ = ["TextNotes", "card_text", "coder_words", "model_words", "training_words"]


@dataclass(frozen=True)
class TextNotes:
    """What only the one who fits knows.

    Args:
        data: what the texts are, in a sentence.
        origin, licence: of the data.
        trained_on: which pairs the model was fitted to, in words.
        tested_on: which gave the test scores, in words.
        evaluation: the test on pairs that it was not fitted to.
    """

    data: str = ""
    origin: str = ""
    licence: str = ""
    trained_on: str = ""
    tested_on: str = ""
    evaluation: TextEvaluation | None = None


def card_text(model: SequenceToSequence, notes: TextNotes) -> str:
    """The card as Markdown."""
    name, verb = type(model).__name__, "translate" if model.KIND == "translator" else "summarize"
    what = "translates texts" if model.KIND == "translator" else "says in a few words what a text says"
    lines = [
        f"# {name}: cell {model.fitted_.network.plan.program.name}",
        "",
        f"It {what}, learned from pairs of texts. Made with Gatewise.",
        "",
        "## Use",
        "",
        f"    from gatewise import {name}",
        f'    model = {name}.load("this folder")',
        f"    model.{verb}(text)",
        "",
        "## Data",
        "",
        *(f"- {label}: {text}" for label, text in _data_lines(model, notes) if text),
        "",
    ]
    if notes.evaluation is not None:
        lines += ["## Test scores", "", *_evaluation_lines(notes.evaluation, notes.tested_on), ""]
    lines += [
        "## Model",
        "",
        f"- {model_words(model)}",
        f"- {coder_words(model)}",
        f"- {training_words(model)}",
        "",
        "## Limits",
        "",
        "- It knows texts of the kind that it was fitted to; of others it says something all the same, and says it "
        "fluently.",
        "- Names, numbers and negations are what it gets wrong most easily: have what matters read by a person.",
        "",
    ]
    return "\n".join(lines)


def model_words(model: SequenceToSequence) -> str:
    """The network in a sentence."""
    plan = model.fitted_.network.plan
    count = sum(parameter.numel() for parameter in model.fitted_.network.parameters())
    fed = {"none": "", "input": ", input feeding", "context": ", fed with what it attends to"}[plan.feeding]
    extras = (", copies words of the source" if plan.copy else "") + (
        ", with coverage" if plan.coverage else ""
    )
    return (
        f"{count:,} parameters; encoder and decoder of {counted(plan.num_layers, 'layer')} "
        f"of {plan.hidden_size} units, cell "
        f"{plan.program.name}; {plan.attention} attention{fed}{extras}"
    )


def coder_words(model: SequenceToSequence) -> str:
    """The tokens in a sentence."""
    coder = model.fitted_.coder
    sizes = f"{len(coder.source.vocabulary):,}"
    sizes += " for both sides" if coder.shared else f" and {len(coder.target.vocabulary):,}"
    return (
        f"Tokens: {coder.source.kind}, {sizes}; at most {coder.max_source:,} of a source are read and "
        f"{coder.max_target:,} of a target said"
    )


def training_words(model: SequenceToSequence) -> str:
    """How training went, in a sentence."""
    return (
        f"Kept from epoch {model.best_epoch_} of {len(model.history_)} ({model.stopped_}); fit time "
        f"{model.fit_seconds_:.0f} s"
    )


def _data_lines(model: SequenceToSequence, notes: TextNotes) -> list[tuple[str, str]]:
    return [
        ("What", notes.data),
        ("Origin", notes.origin),
        ("Licence", notes.licence),
        ("Fitted to", notes.trained_on),
        ("Held back within these", model.validation_),
    ]


def _evaluation_lines(evaluation: TextEvaluation, tested_on: str) -> list[str]:
    header, *rows = table_rows(evaluation)
    return [
        evaluation.verdict,
        "",
        "| " + " | ".join(header) + " |",
        "| --- " * len(header) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        f"{evaluation.pairs:,} pairs" + (f": {tested_on}." if tested_on else "."),
        *(f"- {name}: {signature}" for name, signature in evaluation.signatures.items()),
    ]
