"""report.html: what was fitted, how well it does on pairs it never saw, and what it says, good and bad."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import gatewise
from gatewise.report.environment import environment
from gatewise.report.learning_curve import plot_training
from gatewise.report.page import definitions, page, section, table
from gatewise.report.pictures import picture
from gatewise.tasks.seq2seq import figures
from gatewise.tasks.seq2seq.card import TextNotes, card_text, coder_words, model_words, training_words
from gatewise.tasks.seq2seq.evaluation import Example, TextEvaluation, table_rows
from gatewise.tasks.seq2seq.fitted import Said

if TYPE_CHECKING:
    from gatewise.tasks.seq2seq.estimator import SequenceToSequence

__all__ = ["headline", "report_html"]

# Of a long text a report shows so many characters.
_MOST_SIGNS = 600


def headline(evaluation: TextEvaluation) -> str:
    """The verdict in one short sentence."""
    own, other = (evaluation.scores[name][evaluation.main] for name in (evaluation.model, evaluation.trivial))
    if not evaluation.beats_trivial:
        return f"This model does not beat the trivial method: {evaluation.trivial}"
    return f"{evaluation.main} {own:.1f}, where the best trivial method gives {other:.1f}"


def report_html(
    model: SequenceToSequence, notes: TextNotes, shown: Sequence[Said], *, folder: str, seconds: float
) -> str:
    """The report as one self-contained page.

    Args:
        model: fitted.
        notes: the data, and the test that is reported.
        shown: targets with their attention, for the pictures.
        folder: where the model lies, for the commands that are shown.
        seconds: how long everything took, the test included.
    """
    evaluation = notes.evaluation
    rest = [
        section(
            "Training",
            picture(
                plot_training(
                    model.history_,
                    model.best_epoch_,
                    "Loss of a token during training",
                    trained="training, smoothed labels",
                    held="held back",
                ),
                "loss by epoch",
            ),
            note=f"Held back to stop early: {model.validation_}. The scores are not computed from these.",
        ),
        _settings_section(model, notes, seconds),
        section("The model's card", f"<pre>{escape(card_text(model, notes))}</pre>"),
        _use_section(model, folder),
    ]
    name = type(model).__name__
    title, footer = f"{name}: {notes.data or 'report'}", f"Made by Gatewise {gatewise.__version__}."
    if evaluation is None:
        return page(title, "<h1>No pairs were held out</h1>", rest, footer)
    sections = [
        section(
            "Scores on pairs the model never saw",
            table(table_rows(evaluation), own=0),
            definitions(list(evaluation.signatures.items())),
            note=f"{evaluation.pairs:,} pairs ({notes.tested_on}), the same for all methods; 0 to 100. What each "
            "number counts stands below the table, as the libraries that counted it say it.",
        ),
        _examples_section("What it says well", evaluation.best),
        _examples_section("What it says badly", evaluation.worst),
        section(
            "What it attends to",
            *(picture(figures.plot_attention(one), f"attention of: {one.text}") for one in shown),
            note="Each row is a token that was said, each column a token of the source; a row adds up to 1.",
        ),
        *rest,
    ]
    return page(title, _header(model, notes, evaluation), sections, footer)


def _header(model: SequenceToSequence, notes: TextNotes, evaluation: TextEvaluation) -> str:
    own = evaluation.scores[evaluation.model]
    mark = "good" if evaluation.beats_trivial else "bad"
    tiles = [(f"{value:.1f}", name, mark if name == evaluation.main else "") for name, value in own.items()]
    tiles.append((f"{evaluation.gain:+.1f}".replace("-", "−"), f"against: {evaluation.trivial}", mark))
    boxes = "".join(
        f'<div class="tile"><b class="{kind}">{big}</b><span>{escape(small)}</span></div>'
        for big, small, kind in tiles
    )
    eyebrow = f"{notes.data or type(model).__name__} · cell {model.fitted_.network.plan.program.name}"
    return (
        f'<p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(headline(evaluation))}</h1>'
        f'<p class="lede">{escape(evaluation.verdict)}</p><div class="tiles">{boxes}</div>'
    )


def _examples_section(title: str, examples: Sequence[Example]) -> str:
    parts = []
    for one in examples:
        told = [("Source", _short(one.source)), ("Expected", _short(one.expected))]
        parts.append(
            definitions([*told, ("Said", _short(one.said) or "(nothing)"), ("Score", f"{one.score:.1f}")])
        )
    return section(
        title,
        *parts,
        note="Chosen by their score (chrF, ROUGE-L) among the longer half of the expected targets.",
    )


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SIGNS else text[:_MOST_SIGNS] + " …"


def _settings_section(model: SequenceToSequence, notes: TextNotes, seconds: float) -> str:
    chosen = model.chosen()
    named = ("dropout", "label_smoothing", "batch_size", "learning_rate", "beam_size", "length_penalty",
             "coverage_penalty", "no_repeat_ngram", "coverage", "random_state")  # fmt: skip
    pairs = [
        ("Data", notes.data),
        ("Origin", notes.origin),
        ("Licence", notes.licence),
        ("Fitted to", notes.trained_on),
        ("Tested on", notes.tested_on),
        ("Network", model_words(model)),
        ("Tokens", coder_words(model)),
        ("Training", training_words(model)),
        *((name.replace("_", " ").capitalize(), str(chosen[name])) for name in named),
        ("Time", f"{model.fit_seconds_:.0f} s to fit, {seconds:.0f} s with data and test"),
        ("Environment", ", ".join(f"{name} {value}" for name, value in environment().items())),
    ]
    return section("Data, settings and environment", definitions(pairs))


def _use_section(model: SequenceToSequence, folder: str) -> str:
    name, verb = type(model).__name__, "translate" if model.KIND == "translator" else "summarize"
    text = (
        f"gatewise predict {folder} TEXTS --out said.txt\n"
        f"gatewise evaluate {folder} SOURCES --targets TARGETS\n\n"
        f"from gatewise import {name}\n"
        f'model = {name}.load("{folder}")\n'
        f"model.{verb}(text)"
    )
    return section("Use it", f"<pre>{escape(text)}</pre>")
