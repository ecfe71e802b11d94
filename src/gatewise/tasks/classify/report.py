"""report.html: what was fitted, how well it does on sequences it never saw, and where it fails."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import gatewise
from gatewise.report.environment import environment
from gatewise.report.page import definitions, page, section, table
from gatewise.report.pictures import picture
from gatewise.tasks.classify import figures
from gatewise.tasks.classify.card import ClassNotes, card_text, input_words, model_words, training_words
from gatewise.tasks.classify.evaluation import MAJORITY, ClassEvaluation, table_rows

if TYPE_CHECKING:
    from gatewise.tasks.classify.classifier import SequenceClassifier

__all__ = ["headline", "report_html"]

_MOST_CLASSES = 40


def headline(evaluation: ClassEvaluation) -> str:
    """The verdict in one short sentence."""
    own, trivial = evaluation.scores[evaluation.model], evaluation.scores[MAJORITY]
    if not evaluation.beats_trivial:
        return "This model does not beat always saying the most frequent class"
    return f"{own.accuracy:.1%} right, where the most frequent class alone gives {trivial.accuracy:.1%}"


def report_html(classifier: SequenceClassifier, notes: ClassNotes, *, folder: str, seconds: float) -> str:
    """The report as one self-contained page.

    Args:
        classifier: fitted.
        notes: the data, and the test that is reported.
        folder: where the model lies, for the commands that are shown.
        seconds: how long everything took, the test included.
    """
    evaluation = notes.evaluation
    rest = [
        section(
            "Training",
            picture(
                figures.plot_training(classifier.history_, classifier.best_epoch_),
                "loss and accuracy by epoch",
            ),
            note=f"Held back to stop early and to calibrate: {classifier.validation_}. The scores are not computed "
            "from these.",
        ),
        _data_section(classifier, notes),
        _settings_section(classifier, seconds),
        section("The model's card", f"<pre>{escape(card_text(classifier, notes))}</pre>"),
        _use_section(classifier, folder),
    ]
    title = f"Classifier: {notes.data or 'report'}"
    footer = f"Made by Gatewise {gatewise.__version__}."
    if evaluation is None:
        return page(title, "<h1>No sequences were held out</h1>", rest, footer)
    sections = [
        _scores_section(evaluation, notes),
        section(
            "What is taken for what",
            picture(figures.plot_confusion(evaluation), "confusion of the classes"),
            _class_table(evaluation),
        ),
        section(
            "Probabilities",
            '<div class="pair">',
            picture(figures.plot_reliability(evaluation), "stated probability against how often it came so"),
            picture(figures.plot_precision_recall(evaluation), "precision against recall"),
            "</div>",
            note="Points are bins of equally many labels; bars are two standard errors of a share of so many. "
            f"Probabilities were calibrated on {classifier.validation_} (temperature "
            f"{classifier.temperature_:.3f}), never on the sequences that are reported here.",
        ),
        *rest,
    ]
    footer += " Every number and picture is computed from the held-out sequences, but for those on training."
    return page(title, _header(classifier, notes, evaluation), sections, footer)


def _header(classifier: SequenceClassifier, notes: ClassNotes, evaluation: ClassEvaluation) -> str:
    own = evaluation.scores[evaluation.model]
    mark = "good" if evaluation.beats_trivial else "bad"
    tiles = [
        (f"{own.accuracy:.1%}", "accuracy", mark),
        (f"{evaluation.gain:+.1%}".replace("-", "−"), f"against {MAJORITY}", mark),
        (f"{own.macro_f1:.3f}", "macro F1", ""),
        *([(f"{own.auc:.3f}", "AUC", "")] if own.auc is not None else []),
        (
            f"{own.calibration_error:.1%}",
            "calibration error",
            "good" if own.calibration_error < 0.05 else "bad",
        ),
    ]
    boxes = "".join(
        f'<div class="tile"><b class="{kind}">{big}</b><span>{escape(small)}</span></div>'
        for big, small, kind in tiles
    )
    plan = classifier.fitted_.network.plan
    eyebrow = f"{notes.data or 'Classifier'} · {plan.classes} classes · cell {plan.program.name}"
    return (
        f'<p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(headline(evaluation))}</h1>'
        f'<p class="lede">{escape(evaluation.verdict)}</p><div class="tiles">{boxes}</div>'
    )


def _scores_section(evaluation: ClassEvaluation, notes: ClassNotes) -> str:
    return section(
        "Scores on sequences the model never saw",
        table(table_rows(evaluation), own=0),
        note=f"{evaluation.labels:,} labels of {evaluation.sequences:,} sequences"
        + (f" ({notes.tested_on})" if notes.tested_on else "")
        + ", the same for all methods. The majority class is that of the training labels, its probabilities are their "
        "shares. Calibration error: mean distance between stated probability and the share that was right.",
    )


def _class_table(evaluation: ClassEvaluation) -> str:
    rows = [["class", "precision", "recall", "F1", "labels"]]
    for name, row in list(evaluation.by_class.items())[:_MOST_CLASSES]:
        rows.append(
            [
                name,
                f"{row['precision']:.3f}",
                f"{row['recall']:.3f}",
                f"{row['f1']:.3f}",
                f"{row['count']:,.0f}",
            ]
        )
    return table(rows)


def _data_section(classifier: SequenceClassifier, notes: ClassNotes) -> str:
    fitted = classifier.fitted_
    shares = ", ".join(
        f"{name} {share:.1%}"
        for name, share in list(zip(fitted.classes.tolist(), fitted.shares, strict=True))[:_MOST_CLASSES]
    )
    pairs = [
        ("Data", notes.data),
        ("Classes", notes.target),
        ("Shares in training", shares),
        ("Origin", notes.origin),
        ("Licence", notes.licence),
        ("Fitted to", notes.trained_on),
        ("Held back within these", classifier.validation_),
        ("Tested on", notes.tested_on),
        ("Inputs", input_words(classifier)),
    ]
    return section("Data", definitions(pairs))


def _settings_section(classifier: SequenceClassifier, seconds: float) -> str:
    encoder = classifier.fitted_.encoder
    logs = [name for name, log in zip(encoder.channels, encoder.log, strict=True) if log]
    given = {"scaling", "missing", "unseen", "class_weight", "dropout", "recurrent_dropout", "weight_decay",
             "batch_size", "validation_fraction", "patience"}  # fmt: skip
    parameters = classifier.get_params()
    pairs = [
        ("Network", model_words(classifier)),
        ("Training", f"{training_words(classifier)}; learning rate {classifier.learning_rate:g}, cosine"),
        ("Scaling", encoder.scaling + (f"; after a logarithm: {', '.join(logs[:12])}" if logs else "")),
        ("Temperature", f"{classifier.temperature_:.3f}"),
        *(
            (name.replace("_", " ").capitalize(), str(parameters[name]))
            for name in sorted(given - {"scaling"})
        ),
        ("Seed", "" if classifier.random_state is None else str(classifier.random_state)),
        ("Time", f"{classifier.fit_seconds_:.0f} s to fit, {seconds:.0f} s with data and test"),
        ("Environment", ", ".join(f"{name} {value}" for name, value in environment().items())),
    ]
    return section("Settings and environment", definitions(pairs))


def _use_section(classifier: SequenceClassifier, folder: str) -> str:
    text = (
        f"gatewise predict {folder} DATA --out predictions.csv\n"
        f"gatewise evaluate {folder} DATA\n\n"
        "from gatewise import SequenceClassifier\n"
        f'model = SequenceClassifier.load("{folder}")\n'
        "model.predict_table(table)"
    )
    if classifier.fitted_.network.plan.causal:
        text += "\nmodel.stream().push(row)   # one row at a time, probabilities after each"
    return section("Use it", f"<pre>{escape(text)}</pre>")
