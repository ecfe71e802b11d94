"""report.html of a record detector: what it finds, what that costs, which kinds it misses."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import gatewise
from gatewise.report.environment import environment
from gatewise.report.page import definitions, page, section, table
from gatewise.report.pictures import picture
from gatewise.tasks.classify.card import input_words, model_words, training_words
from gatewise.tasks.classify.figures import plot_training
from gatewise.tasks.recipes import figures
from gatewise.tasks.recipes.card import RecordNotes, card_text, kind_words, reading_words, rule_words
from gatewise.tasks.recipes.evaluation import ALWAYS, NEVER, RecordEvaluation

if TYPE_CHECKING:
    from gatewise.tasks.recipes.detector import RecordDetector

__all__ = ["headline", "report_html"]


def headline(evaluation: RecordEvaluation) -> str:
    """The verdict in one short sentence."""
    own = evaluation.scores[evaluation.model]
    if not evaluation.worth_it:
        return "These alarms are not worth what they cost"
    if own.recall is None or own.false_alarm_rate is None:
        return "These alarms are worth what they cost"
    return (
        f"{own.recall:.0%} of the bad records found, {own.false_alarm_rate:.2%} of the harmless ones alarmed"
    )


def report_html(detector: RecordDetector, notes: RecordNotes, *, folder: str, seconds: float) -> str:
    """The report as one self-contained page.

    Args:
        detector: fitted.
        notes: the data, and the test that is reported.
        folder: where the model lies, for the commands that are shown.
        seconds: how long everything took, the test included.
    """
    classifier = detector.classifier_
    rest = [
        section(
            "Training",
            picture(plot_training(classifier.history_, classifier.best_epoch_), "loss and accuracy by epoch"),
            note="Held back to stop early, to calibrate and for the threshold, and not part of the test: "
            f"{classifier.validation_}.",
        ),
        _data_section(detector, notes),
        _settings_section(detector, seconds),
        section("The detector's card", f"<pre>{escape(card_text(detector, notes))}</pre>"),
        _use_section(detector, folder),
    ]
    title = f"Record detector: {notes.data or 'report'}"
    footer = f"Made by Gatewise {gatewise.__version__}."
    if notes.evaluation is None:
        return page(title, "<h1>No records were held out</h1>", rest, footer)
    evaluation = notes.evaluation
    sections = [_scores_section(evaluation, notes), *_pictures(evaluation), *rest]
    footer += " Every number and picture is computed from the held-out records, but for those on training."
    return page(title, _header(detector, notes, evaluation), sections, footer)


def _pictures(evaluation: RecordEvaluation) -> list[str]:
    if evaluation.bad in (0, evaluation.records):
        what = "no bad" if evaluation.bad == 0 else "no harmless"
        return [section("Curves", note=f"There is {what} record in the test: nothing can be drawn.")]
    return [
        section(
            "Alarms and what they cost",
            '<div class="pair">',
            picture(figures.plot_precision_recall(evaluation), "precision against recall"),
            picture(figures.plot_costs(evaluation), "cost against the threshold"),
            "</div>",
            note=f"An alarm costs {evaluation.alarm_cost:g} to look into; a bad record that raises none costs its "
            f"loss, {evaluation.loss[evaluation.truth].mean():,.2f} on average.",
        ),
        section(
            "Kinds",
            picture(figures.plot_kinds(evaluation), "recall of each kind of bad record"),
            _kind_table(evaluation),
            note="Lines are two standard errors of a share of so many records.",
        ),
        section(
            "Scores", picture(figures.plot_scores(evaluation), "probabilities of harmless and of bad records")
        ),
    ]


def _header(detector: RecordDetector, notes: RecordNotes, evaluation: RecordEvaluation) -> str:
    own = evaluation.scores[evaluation.model]
    trivial = min(evaluation.scores[name].cost for name in (NEVER, ALWAYS))
    unseen = evaluation.recall_of(known=False)
    mark = "good" if own.cost < trivial else "bad"
    tiles = [
        ("–" if own.recall is None else f"{own.recall:.1%}", "of the bad records found", ""),
        *([(f"{unseen:.1%}", "of kinds never shown in training", "")] if unseen is not None else []),
        (
            "–" if own.false_alarm_rate is None else f"{own.false_alarm_rate:.2%}",
            "of the harmless ones alarmed",
            "",
        ),
        ("–" if own.precision is None else f"{own.precision:.1%}", "of the alarms right", ""),
        (f"{own.cost:,.0f}", f"cost; {trivial:,.0f} without a model", mark),
    ]
    boxes = "".join(
        f'<div class="tile"><b class="{kind}">{big}</b><span>{escape(small)}</span></div>'
        for big, small, kind in tiles
    )
    plan = detector.classifier_.fitted_.network.plan
    eyebrow = f"{notes.data or 'Record detector'} · cell {plan.program.name}"
    return (
        f'<p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(headline(evaluation))}</h1>'
        f'<p class="lede">{escape(evaluation.verdict)}</p><div class="tiles">{boxes}</div>'
    )


def _scores_section(evaluation: RecordEvaluation, notes: RecordNotes) -> str:
    return section(
        "Scores on records the detector never saw",
        table(evaluation.table_rows(), own=0),
        note=f"{evaluation.records:,} records, {evaluation.bad:,} of them bad"
        + (f" ({notes.tested_on})" if notes.tested_on else "")
        + ". False alarms: share of the harmless records that raised one. AUC and average precision are of the "
        "ranking, whatever the threshold.",
    )


def _kind_table(evaluation: RecordEvaluation) -> str:
    rows = [["kind", "found", "records", "in training"]]
    for name, row in sorted(evaluation.by_kind.items(), key=lambda one: -one[1]["count"]):
        rows.append([name, f"{row['recall']:.1%}", f"{row['count']:,}", "yes" if row["known"] else "never"])
    return table(rows)


def _data_section(detector: RecordDetector, notes: RecordNotes) -> str:
    return section(
        "Data",
        definitions(
            [
                ("Data", notes.data),
                ("Records", reading_words(detector)),
                ("Bad ones in training", kind_words(detector)),
                ("Fitted to", notes.trained_on),
                ("Tested on", notes.tested_on),
                ("Inputs", input_words(detector.classifier_)),
            ]
        ),
    )


def _settings_section(detector: RecordDetector, seconds: float) -> str:
    classifier = detector.classifier_
    own = {name: value for name, value in detector.get_params(deep=False).items() if name != "classifier"}
    below = ("scaling", "dropout", "weight_decay", "batch_size", "patience", "class_weight")
    pairs = [
        ("Alarms", rule_words(detector)),
        *(("Scores", one) for one in detector.describe()),
        ("Network", model_words(classifier)),
        ("Training", f"{training_words(classifier)}; learning rate {classifier.learning_rate:g}, cosine"),
        *((name.replace("_", " ").capitalize(), str(getattr(classifier, name))) for name in below),
        *((name.replace("_", " ").capitalize(), str(value)) for name, value in sorted(own.items())),
        ("Time", f"{classifier.fit_seconds_:.0f} s to fit the network, {seconds:.0f} s in all"),
        ("Environment", ", ".join(f"{name} {value}" for name, value in environment().items())),
    ]
    return section("Settings and environment", definitions(pairs))


def _use_section(detector: RecordDetector, folder: str) -> str:
    record = (
        "record"
        + (", entity=..." if detector.entity_column else "")
        + (", time=..." if detector.time_column else "")
    )
    text = (
        f"gatewise predict {folder} DATA --out alarms.csv\n"
        f"gatewise evaluate {folder} DATA\n\n"
        "from gatewise.tasks.recipes import RecordDetector\n"
        f'detector = RecordDetector.load("{folder}")\n'
        "detector.predict(table)\n"
        f"detector.stream().push({record})   # one record at a time"
    )
    return section("Use it", f"<pre>{escape(text)}</pre>")
