"""report.html: what was fitted, how well it tells a text it never saw, and what it writes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import gatewise
from gatewise.report.environment import environment
from gatewise.report.page import definitions, page, section, table
from gatewise.report.pictures import picture
from gatewise.tasks.language import figures
from gatewise.tasks.language.card import TextNotes, card_text, model_words, training_words
from gatewise.tasks.language.evaluation import TextEvaluation, table_rows

if TYPE_CHECKING:
    from gatewise.tasks.language.model import LanguageModel

__all__ = ["headline", "report_html"]

_PARAMETERS = (
    "level", "dropout", "input_dropout", "hidden_dropout", "embedding_dropout", "weight_drop", "activation",
    "slowness", "optimizer", "learning_rate", "weight_decay", "gradient_clip", "batch_size", "window", "min_count",
    "mogrifier", "patience", "random_state",
)  # fmt: skip


def headline(evaluation: TextEvaluation) -> str:
    """The verdict in one short sentence."""
    own = evaluation.scores[evaluation.model]
    if not evaluation.beats_trivial:
        return "This model does not beat counting"
    return f"Perplexity {own.perplexity:.1f} on text it never saw, {own.bits_per_character:.2f} bits per character"


def report_html(
    model: LanguageModel, notes: TextNotes, *, samples: Sequence[tuple[str, str]], folder: str, seconds: float
) -> str:
    """The report as one self-contained page.

    Args:
        model: fitted.
        notes: the text, and the test that is reported.
        samples: what the model wrote: how, and the text.
        folder: where the model lies, for the commands that are shown.
        seconds: how long everything took, the test included.
    """
    evaluation = notes.evaluation
    rest = [
        section(
            "What the model writes",
            *(f"<p class='note'>{escape(how)}</p><pre>{escape(text)}</pre>" for how, text in samples),
            note="Drawn from the model with the seed 0, not chosen.",
        ),
        section(
            "Training",
            picture(figures.plot_training(model.history_, model.best_epoch_), "perplexity by epoch"),
            note=f"Held back to stop early: {model.validation_}. The test figures are not computed from it.",
        ),
        _data_section(model, notes),
        _settings_section(model, seconds),
        section("The model's card", f"<pre>{escape(card_text(model, notes))}</pre>"),
        _use_section(folder),
    ]
    title = f"Language model: {notes.data or 'report'}"
    footer = f"Made by Gatewise {gatewise.__version__}."
    if evaluation is None:
        return page(title, "<h1>No text was held out for a test</h1>", rest, footer)
    sections = [
        section(
            "How well it tells text it never saw",
            table(table_rows(evaluation), own=0),
            picture(figures.plot_scores(evaluation), "bits per character of the model and the baselines"),
            note=_score_note(evaluation, notes),
        ),
        section(
            "Where it fails",
            picture(figures.plot_surprises(evaluation.surprises), "the least expected tokens"),
            picture(figures.plot_by_count(evaluation), "perplexity by frequency in training"),
        ),
        *rest,
    ]  # fmt: skip
    return page(title, _header(model, notes, evaluation), sections, footer)


def _score_note(evaluation: TextEvaluation, notes: TextNotes) -> str:
    text = f"{evaluation.tokens:,} tokens" + (f" of {notes.tested_on}" if notes.tested_on else "")
    text += ", each given all of the text before it, line ends counted, the same for all rows."
    if evaluation.unknown:
        text += f" {evaluation.unknown:,} of them are not in the vocabulary: its sign for these is what is predicted."
    return text


def _header(model: LanguageModel, notes: TextNotes, evaluation: TextEvaluation) -> str:
    own = evaluation.scores[evaluation.model]
    others = [score for name, score in evaluation.scores.items() if not name.startswith(evaluation.model)]
    best = min(others, key=lambda score: score.nats)
    mark = "good" if evaluation.beats_trivial else "bad"
    tiles = [
        (f"{own.perplexity:.2f}", "perplexity", mark),
        (f"{own.bits_per_character:.3f}", "bits per character", mark),
        (f"{best.perplexity:.2f}", "perplexity of the best baseline", ""),
        (f"{len(model.vocabulary_):,}", "tokens in the vocabulary", ""),
    ]
    boxes = "".join(
        f'<div class="tile"><b class="{kind}">{big}</b><span>{escape(small)}</span></div>'
        for big, small, kind in tiles
    )
    plan = model.fitted_.network.plan
    eyebrow = f"{notes.data or 'Language model'} · {model.fitted_.tokenizer.kind}s · cell {plan.program.name}"
    return (
        f'<p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(headline(evaluation))}</h1>'
        f'<p class="lede">{escape(evaluation.verdict)}</p><div class="tiles">{boxes}</div>'
    )


def _data_section(model: LanguageModel, notes: TextNotes) -> str:
    vocabulary = model.vocabulary_
    common = sorted(zip(vocabulary.counts, vocabulary.tokens, strict=True), reverse=True)[:20]
    pairs = [
        ("Text", notes.data),
        ("Origin", notes.origin),
        ("Licence", notes.licence),
        ("Fitted to", notes.trained_on),
        ("Held back within these", model.validation_),
        ("Tested on", notes.tested_on),
        ("Most frequent tokens", ", ".join(f"{token!r} {count:,}" for count, token in common)),
    ]
    return section("Data", definitions(pairs))


def _settings_section(model: LanguageModel, seconds: float) -> str:
    parameters = model.get_params()
    pairs = [
        ("Network", model_words(model)),
        ("Training", training_words(model)),
        *(
            (name.replace("_", " ").capitalize(), str(parameters[name]))
            for name in _PARAMETERS
            if parameters[name] is not None
        ),
        ("Time", f"{model.fit_seconds_:.0f} s to fit, {seconds:.0f} s with data and test"),
        ("Environment", ", ".join(f"{name} {value}" for name, value in environment().items())),
    ]
    return section("Settings and environment", definitions(pairs))


def _use_section(folder: str) -> str:
    text = (
        f'gatewise generate {folder} --prompt "Once"\n'
        f"gatewise evaluate {folder} newer.txt\n\n"
        "from gatewise import LanguageModel\n"
        f'model = LanguageModel.load("{folder}")\n'
        'for piece in model.stream("Once"):\n'
        '    print(piece, end="", flush=True)'
    )
    return section("Use it", f"<pre>{escape(text)}</pre>")
