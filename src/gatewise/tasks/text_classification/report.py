"""report.html: what was fitted, how well it does on texts it never saw, and which words decide."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

import gatewise
from gatewise.report.environment import environment
from gatewise.report.page import definitions, page, section, table
from gatewise.report.pictures import picture
from gatewise.tasks.classify import figures as class_figures
from gatewise.tasks.classify.evaluation import ClassEvaluation, table_rows
from gatewise.tasks.classify.report import headline
from gatewise.tasks.text_classification.card import (
    TextNotes,
    against_words,
    card_text,
    model_words,
    training_words,
)
from gatewise.tasks.text_classification.figures import attribution_html
from gatewise.tasks.text_classification.finetuning import FineTunedNetwork
from gatewise.tasks.text_classification.fitting import usual_rate

if TYPE_CHECKING:
    from gatewise.tasks.text_classification.classifier import TextClassifier

__all__ = ["report_html"]

_SHOWN = 4


def report_html(
    classifier: TextClassifier, notes: TextNotes, texts: Sequence[str], *, folder: str, seconds: float
) -> str:
    """The report as one self-contained page.

    Args:
        classifier: fitted.
        notes: the data, and the test that is reported.
        texts: of the test, from which examples are taken.
        folder: where the model lies, for the commands that are shown.
        seconds: how long everything took, the test included.
    """
    evaluation = notes.evaluation
    title = f"Text classifier: {notes.data or 'report'}"
    footer = f"Made by Gatewise {gatewise.__version__}."
    rest = [
        section(
            "Training",
            picture(
                class_figures.plot_training(classifier.history_, classifier.best_epoch_),
                "loss and accuracy by epoch",
            ),
            note=f"Held back: {classifier.validation_}. The scores are not computed from these.",
        ),
        section("Settings and environment", definitions(_settings(classifier, seconds))),
        section("The model's card", f"<pre>{escape(card_text(classifier, notes))}</pre>"),
        section("Use it", f"<pre>{escape(_use(folder))}</pre>"),
    ]
    if evaluation is None:
        return page(title, "<h1>No texts were held out</h1>", rest, footer)
    sections = [
        section(
            "Scores on texts the model never saw",
            table(table_rows(evaluation), own=0),
            f"<p>{escape(against_words(evaluation))}</p>",
            note=f"{evaluation.labels:,} texts ({notes.tested_on}), the same for all methods.",
        ),
        section("Which words decide", _examples(classifier, evaluation, texts), note=_NOTE),
        section(
            "What is taken for what, and how far probabilities can be trusted",
            '<div class="pair">',
            picture(class_figures.plot_confusion(evaluation), "confusion of the classes"),
            picture(
                class_figures.plot_reliability(evaluation), "stated probability against how often it came so"
            ),
            "</div>",
        ),
        *rest,
    ]
    footer += " Every score and example is computed from the held-out texts."
    return page(title, _header(classifier, notes, evaluation), sections, footer)


_NOTE = (
    "Integrated gradients: what each word adds to the log odds of the class that the model says, blue for it, red "
    "against it. The first texts are the surest ones that are right, the others the surest ones that are wrong."
)


def _header(classifier: TextClassifier, notes: TextNotes, evaluation: ClassEvaluation) -> str:
    own = evaluation.scores[evaluation.model]
    mark = "good" if evaluation.beats_trivial else "bad"
    tiles = [
        (f"{own.accuracy:.1%}", "accuracy", mark),
        (f"{evaluation.gain:+.1%}".replace("-", "−"), "against the majority class", mark),
        *(
            (f"{scores.accuracy:.1%}", name, "")
            for name, scores in list(evaluation.scores.items())[2:]
        ),
        (f"{own.calibration_error:.1%}", "calibration error", "good" if own.calibration_error < 0.05 else "bad"),
    ]  # fmt: skip
    boxes = "".join(
        f'<div class="tile"><b class="{kind}">{big}</b><span>{escape(small)}</span></div>'
        for big, small, kind in tiles
    )
    eyebrow = f"{notes.data or 'Text classifier'} · cell {classifier.fitted_.network.plan.program.name}"
    return (
        f'<p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(headline(evaluation))}</h1>'
        f'<p class="lede">{escape(evaluation.verdict)}</p><div class="tiles">{boxes}</div>'
    )


def _examples(classifier: TextClassifier, evaluation: ClassEvaluation, texts: Sequence[str]) -> str:
    sure = evaluation.probabilities.max(axis=1)
    right = evaluation.decided == evaluation.truth
    parts = []
    for chosen, kind in ((right, "good"), (~right, "bad")):
        places = np.flatnonzero(chosen)
        for place in places[np.argsort(-sure[places], kind="stable")][:_SHOWN]:
            came = evaluation.classes[evaluation.truth[place]]
            said = evaluation.classes[evaluation.decided[place]]
            found = classifier.attributions([texts[place]])[0]
            words = f"came: {came}; said: {said} ({sure[place]:.0%})"
            parts.append(f'<p><b class="{kind}">{escape(words)}</b></p>{attribution_html(found)}')
    return "".join(parts)


def _settings(classifier: TextClassifier, seconds: float) -> list[tuple[str, str]]:
    given = ("lowercase", "min_count", "max_length", "dropout", "recurrent_dropout", "word_dropout", "weight_decay",
             "batch_size", "patience")  # fmt: skip
    parameters = classifier.get_params()
    fine_tuned = isinstance(classifier.fitted_.network, FineTunedNetwork)
    rate = usual_rate(fine_tuned=fine_tuned) if classifier.learning_rate is None else classifier.learning_rate
    schedule = "up and down in each stage" if fine_tuned else "cosine"
    return [
        ("Network", model_words(classifier)),
        ("Training", f"{training_words(classifier)}; learning rate {rate:g}, {schedule}"),
        ("Temperature", f"{classifier.temperature_:.3f}"),
        ("Vectors", "" if classifier.vectors_ is None else str(classifier.vectors_)),
        *((name.replace("_", " ").capitalize(), str(parameters[name])) for name in given),
        ("Seed", "" if classifier.random_state is None else str(classifier.random_state)),
        ("Time", f"{classifier.fit_seconds_:.0f} s to fit, {seconds:.0f} s with data and test"),
        ("Environment", ", ".join(f"{name} {value}" for name, value in environment().items())),
    ]


def _use(folder: str) -> str:
    return (
        f"gatewise predict {folder} FILE --out classes.csv\n"
        f"gatewise evaluate {folder} FILE\n\n"
        "from gatewise import TextClassifier\n"
        f'model = TextClassifier.load("{folder}")\n'
        'model.predict_proba(["a text"])\n'
        'model.attributions(["a text"])   # what each word adds'
    )
