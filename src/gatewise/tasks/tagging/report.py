"""report.html: what was fitted, how well it tags sentences it never saw, and where it fails."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import gatewise
from gatewise.data.text.tags import spans
from gatewise.report.environment import environment
from gatewise.report.page import definitions, page, section, table
from gatewise.report.pictures import picture
from gatewise.tasks.tagging import figures
from gatewise.tasks.tagging.card import TagNotes, card_text, model_words, training_words
from gatewise.tasks.tagging.evaluation import TagEvaluation, table_rows

if TYPE_CHECKING:
    from gatewise.tasks.tagging.tagger import SequenceTagger

__all__ = ["headline", "report_html"]

_MOST_KINDS = 60


def headline(evaluation: TagEvaluation) -> str:
    """The verdict in one short sentence."""
    own = evaluation.scores[evaluation.model]
    if not evaluation.beats_trivial:
        return "This model does not beat each word's most frequent tag"
    if own.f1 is None:
        return f"{own.tag_accuracy:.1%} of the tags are right"
    return f"Span F1 {own.f1:.1%}: precision {own.precision:.1%}, recall {own.recall:.1%}"


def report_html(tagger: SequenceTagger, notes: TagNotes, *, folder: str, seconds: float) -> str:
    """The report as one self-contained page.

    Args:
        tagger: fitted.
        notes: the data, and the test that is reported.
        folder: where the model lies, for the commands that are shown.
        seconds: how long everything took, the test included.
    """
    evaluation = notes.evaluation
    title = f"Tagger: {notes.data or 'report'}"
    rest = [
        section(
            "Training",
            picture(figures.plot_training(tagger.history_, tagger.best_epoch_), "training by epoch"),
            note=f"Held back to stop early: {tagger.validation_}. The scores are not computed from these.",
        ),
        section("Settings and environment", definitions(_settings(tagger, seconds))),
        section("The model's card", f"<pre>{escape(card_text(tagger, notes))}</pre>"),
        section("Use it", f"<pre>{escape(_use(folder))}</pre>"),
    ]
    footer = f"Made by Gatewise {gatewise.__version__}."
    if evaluation is None:
        return page(title, "<h1>No sentences were held out</h1>", rest, footer)
    unknown = ", ".join(evaluation.unknown)
    missed = f" Kinds that training never showed count as missed: {unknown}." if unknown else ""
    sections = [
        section(
            "Scores on sentences the model never saw",
            table(table_rows(evaluation), own=0),
            note=f"{evaluation.sentences:,} sentences, {evaluation.words:,} words ({notes.tested_on}), the same for "
            f"all methods. Spans count as conlleval counts them: first word, last word and kind must be right.{missed}",
        ),
        section(
            "Kinds",
            '<div class="pair">',
            picture(figures.plot_by_kind(evaluation), "F1 by kind"),
            picture(figures.plot_kinds(evaluation), "confusion of the kinds"),
            "</div>",
            _kind_table(evaluation),
        ),
        section(
            "Sentences with a mistake",
            "".join(_example(*one, spanned=tagger.fitted_.spanned) for one in evaluation.examples)
            or "<p>There is none.</p>",
            note="Taken evenly from all over the test. Above: what is right; below: what the model says.",
        ),
        *rest,
    ]
    footer += " Every score and example is computed from the held-out sentences."
    return page(title, _header(tagger, notes, evaluation), sections, footer)


def _header(tagger: SequenceTagger, notes: TagNotes, evaluation: TagEvaluation) -> str:
    own = evaluation.scores[evaluation.model]
    mark = "good" if evaluation.beats_trivial else "bad"
    named = [
        (own.f1, "span F1", mark), (own.tag_accuracy, "tags right", mark if own.f1 is None else ""),
        (own.sentence_accuracy, "sentences right", ""), (own.intent_accuracy, "intents right", ""),
        (own.whole_accuracy, "tags and intent right", ""),
    ]  # fmt: skip
    tiles = [(f"{value:.1%}", what, kind) for value, what, kind in named if value is not None]
    tiles.insert(1, (f"{evaluation.gain:+.1%}".replace("-", "−"), "against the most frequent tag", mark))
    boxes = "".join(
        f'<div class="tile"><b class="{kind}">{big}</b><span>{escape(small)}</span></div>'
        for big, small, kind in tiles
    )
    eyebrow = f"{notes.data or 'Tagger'} · cell {tagger.fitted_.network.plan.program.name}"
    return (
        f'<p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(headline(evaluation))}</h1>'
        f'<p class="lede">{escape(evaluation.verdict)}</p><div class="tiles">{boxes}</div>'
    )


def _kind_table(evaluation: TagEvaluation) -> str:
    rows = [["kind", "precision", "recall", "F1", "came", "said"]]
    kinds = sorted(evaluation.by_kind.items(), key=lambda item: -item[1]["came"])
    for name, row in kinds[:_MOST_KINDS]:
        shares = [f"{row[key]:.3f}" for key in ("precision", "recall", "f1")]
        rows.append([name, *shares, f"{row['came']:,.0f}", f"{row['found']:,.0f}"])
    return table(rows)


def _example(words: list[str], right: list[str], said: list[str], *, spanned: bool) -> str:
    """A sentence twice: with what is right, and with what was said; what differs stands out."""
    lines = []
    for own, other in ((right, said), (said, right)):
        lines.append(_marked(words, own, other) if spanned else _tagged(words, own, other))
    return f'<p style="line-height:2.1">{lines[0]}<br>{lines[1]}</p>'


def _marked(words: list[str], own: list[str], other: list[str]) -> str:
    theirs = set(spans(other))
    found, at = [], 0
    for span in spans(own):
        found += [escape(word) for word in words[at : span.begin]]
        colour = "#dcefe4" if span in theirs else "#f6dcd4"
        text = escape(" ".join(words[span.begin : span.end]))
        found.append(
            f'<span style="background:{colour};border-radius:5px;padding:2px 6px">{text} '
            f'<small class="{"good" if span in theirs else "bad"}">{escape(span.kind)}</small></span>'
        )
        at = span.end
    return " ".join([*found, *(escape(word) for word in words[at:])])


def _tagged(words: list[str], own: list[str], other: list[str]) -> str:
    return " ".join(
        f'{escape(word)} <small class="{"good" if tag == against else "bad"}">{escape(tag)}</small>'
        for word, tag, against in zip(words, own, other, strict=True)
    )


def _settings(tagger: SequenceTagger, seconds: float) -> list[tuple[str, str]]:
    given = (
        "dropout",
        "recurrent_dropout",
        "unknown_rate",
        "min_count",
        "weight_decay",
        "batch_size",
        "patience",
    )
    parameters = tagger.get_params()
    return [
        ("Network", model_words(tagger)),
        ("Training", f"{training_words(tagger)}; learning rate {tagger.learning_rate:g}, cosine"),
        ("Tags", f"scheme {tagger.scheme_}, told apart as {tagger.fitted_.coding}"),
        ("Vectors", "" if tagger.vectors_ is None else str(tagger.vectors_)),
        *((name.replace("_", " ").capitalize(), str(parameters[name])) for name in given),
        ("Seed", "" if tagger.random_state is None else str(tagger.random_state)),
        ("Time", f"{tagger.fit_seconds_:.0f} s to fit, {seconds:.0f} s with data and test"),
        ("Environment", ", ".join(f"{name} {value}" for name, value in environment().items())),
    ]


def _use(folder: str) -> str:
    return (
        f"gatewise predict {folder} FILE --out tagged.conll\n"
        f"gatewise evaluate {folder} FILE\n\n"
        "from gatewise import SequenceTagger\n"
        f'model = SequenceTagger.load("{folder}")\n'
        'model.predict([["a", "list", "of", "words"]])'
    )
