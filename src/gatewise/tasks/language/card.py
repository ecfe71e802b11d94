"""card.md: what a language model is, what it was made from, and how well it did, for whoever finds the folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewise.report.counting import counted
from gatewise.tasks.language.evaluation import TextEvaluation, table_rows

if TYPE_CHECKING:
    from gatewise.tasks.language.model import LanguageModel

__all__ = ["TextNotes", "card_text", "model_words", "training_words"]


@dataclass(frozen=True)
class TextNotes:
    """What only the one who fits knows.

    Args:
        data: what the text is, in a sentence.
        origin, licence: of the text.
        trained_on: which part the model was fitted to, in words.
        tested_on: which part gave the test figures, in words.
        evaluation: the test on text that it was not fitted to.
    """

    data: str = ""
    origin: str = ""
    licence: str = ""
    trained_on: str = ""
    tested_on: str = ""
    evaluation: TextEvaluation | None = None


def card_text(model: LanguageModel, notes: TextNotes) -> str:
    """The card as Markdown."""
    fitted = model.fitted_
    plan = fitted.network.plan
    lines = [
        f"# Language model of {fitted.tokenizer.kind}s: {plan.tokens:,} tokens, cell {plan.program.name}",
        "",
        f"Tells how probable a text is, which {fitted.tokenizer.kind} comes next, and writes. Made with Gatewise.",
        "",
        "## Use",
        "",
        "    from gatewise import LanguageModel",
        '    model = LanguageModel.load("this folder")',
        '    model.generate("Once upon a time", max_tokens=100)',
        "    model.perplexity(text)",
        "",
        "## Data",
        "",
        *(f"- {label}: {text}" for label, text in _data_lines(model, notes) if text),
        "",
    ]
    if notes.evaluation is not None:
        lines += ["## Test figures", "", *_evaluation_lines(notes.evaluation, notes.tested_on), ""]
    lines += [
        "## Model",
        "",
        f"- {model_words(model)}",
        f"- {training_words(model)}",
        "",
        "## Limits",
        "",
        "- It writes what is probable after the text that it was fitted to. It knows no facts, and what it writes may "
        "be wrong, offensive, or a passage of the training text.",
        "- A perplexity holds for this vocabulary and this way of cutting a text into tokens; compare models of other "
        "vocabularies by bits per character.",
        "",
    ]
    return "\n".join(lines)


def model_words(model: LanguageModel) -> str:
    """The network in a sentence."""
    plan = model.fitted_.network.plan
    count = sum(parameter.numel() for parameter in model.fitted_.network.parameters())
    widths = ", ".join(str(plan.width(layer)) for layer in range(plan.num_layers))
    output = (
        "adaptive softmax" if plan.clusters else "output tied to the embedding" if plan.tied else "own output"
    )
    return (
        f"{count:,} parameters; embedding of {plan.embedding_size}, {counted(plan.num_layers, 'layer')} "
        f"of {widths} units, cell "
        f"{plan.program.name}; {output}"
    )


def training_words(model: LanguageModel) -> str:
    """How training went, in a sentence."""
    if model.best_epoch_ is None:
        return f"No epoch was finished ({model.stopped_}): the weights are as they were then"
    return (
        f"Kept from epoch {model.best_epoch_} of {len(model.history_)} ({model.stopped_}); fit time "
        f"{model.fit_seconds_:.0f} s"
    )


def _data_lines(model: LanguageModel, notes: TextNotes) -> list[tuple[str, str]]:
    vocabulary = model.vocabulary_
    return [
        ("What", notes.data),
        ("Origin", notes.origin),
        ("Licence", notes.licence),
        ("Fitted to", notes.trained_on),
        ("Held back within these", model.validation_),
        (
            "Vocabulary",
            f"{len(vocabulary):,} tokens, {sum(vocabulary.counts):,} in the text they were counted in",
        ),
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
        f"{evaluation.tokens:,} tokens" + (f" of {tested_on}." if tested_on else "."),
    ]
