"""card.md: what a tagger is, what it was made from, and how well it did, for whoever finds the folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewise.report.counting import counted
from gatewise.tasks.tagging.evaluation import TagEvaluation, table_rows

if TYPE_CHECKING:
    from gatewise.tasks.tagging.tagger import SequenceTagger

__all__ = ["TagNotes", "card_text", "model_words", "training_words"]

_HEADS = {"crf": "a CRF over all tags together", "softmax": "each tag for itself"}
_CHARACTERS = {"cnn": "characters by a CNN", "lstm": "characters by an LSTM", "none": "no characters"}


@dataclass(frozen=True)
class TagNotes:
    """What only the one who fits knows.

    Args:
        data: what the data are, in a sentence.
        trained_on: which sentences the model was fitted to, in words.
        tested_on: which gave the test scores, in words.
        evaluation: the test on sentences that it was not fitted to.
    """

    data: str = ""
    trained_on: str = ""
    tested_on: str = ""
    evaluation: TagEvaluation | None = None


def card_text(tagger: SequenceTagger, notes: TagNotes) -> str:
    """The card as Markdown."""
    fitted = tagger.fitted_
    kinds = ", ".join(fitted.known[:12]) + (", ..." if len(fitted.known) > 12 else "")
    what = "spans" if fitted.spanned else "tags"
    intents = (
        f" Of the sentence it says which of {len(fitted.intents)} intents it has." if fitted.intents else ""
    )
    lines = [
        f"# Tagger: {len(fitted.known)} kinds of {what}, cell {fitted.network.plan.program.name}",
        "",
        f"Says of each word of a sentence what it is ({kinds}), in tags of the scheme {fitted.scheme}.{intents} Made "
        "with Gatewise.",
        "",
        "## Use",
        "",
        "    from gatewise import SequenceTagger",
        '    model = SequenceTagger.load("this folder")',
        '    tags = model.predict([["a", "list", "of", "words"]])',
        "",
        "## Data",
        "",
        *(f"- {label}: {text}" for label, text in _data_lines(tagger, notes) if text),
        "",
    ]
    if notes.evaluation is not None:
        header, *rows = table_rows(notes.evaluation)
        lines += [
            "## Test scores", "", notes.evaluation.verdict, "",
            "| " + " | ".join(header) + " |", "| --- " * len(header) + "|",
            *("| " + " | ".join(row) + " |" for row in rows), "",
            f"{notes.evaluation.sentences:,} sentences: {notes.tested_on}. F1 counts spans as conlleval does.", "",
        ]  # fmt: skip
    lines += [
        "## Model", "", f"- {model_words(tagger)}", f"- {training_words(tagger)}", "",
        "## Limits", "",
        "- It knows the kinds above and no others, and words as they were split in training: split others alike.",
        "- It was fitted to one kind of text; on another kind, evaluate before it is trusted.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def model_words(tagger: SequenceTagger) -> str:
    """The network in a sentence."""
    plan = tagger.fitted_.network.plan
    count = sum(parameter.numel() for parameter in tagger.fitted_.network.parameters())
    return (
        f"{count:,} parameters; {plan.words:,} words, {_CHARACTERS[plan.characters]}, "
        f"{counted(plan.num_layers, 'layer')} of {plan.hidden_size} units in both directions, "
        f"cell {plan.program.name}; {_HEADS[plan.head]}"
    )


def training_words(tagger: SequenceTagger) -> str:
    """How training went, in a sentence."""
    return (
        f"Kept from epoch {tagger.best_epoch_} of {len(tagger.history_)} ({tagger.stopped_}); fit time "
        f"{tagger.fit_seconds_:.0f} s"
    )


def _data_lines(tagger: SequenceTagger, notes: TagNotes) -> list[tuple[str, str]]:
    return [
        ("What", notes.data),
        ("Fitted to", notes.trained_on),
        ("Held back", tagger.validation_),
        ("Vectors", "" if tagger.vectors_ is None else str(tagger.vectors_)),
    ]
