"""report.html of a detector: what it flags on rows it never saw, how right that is, and what it is made of."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

import gatewise
from gatewise.report.counting import counted
from gatewise.report.environment import environment
from gatewise.report.learning_curve import plot_training
from gatewise.report.page import definitions, page, section, table
from gatewise.report.pictures import picture
from gatewise.tasks.anomaly import figures
from gatewise.tasks.anomaly.card import METHOD_WORDS, CardNotes, threshold_words
from gatewise.tasks.anomaly.evaluation import Evaluation, table_rows

if TYPE_CHECKING:
    from gatewise.tasks.anomaly.detector import AnomalyDetector

__all__ = ["headline", "report_html"]

_MOST_SERIES, _MOST_SPANS = 3, 4
_AROUND = 60


def headline(evaluation: Evaluation) -> str:
    """The verdict in one short sentence."""
    model = evaluation.measures[evaluation.model]
    if evaluation.labels is None or model.event_f1 is None:
        runs = model.events
        return f"{runs:,} flagged span{'' if runs == 1 else 's'} in {evaluation.rows:,} rows"
    if not evaluation.beats_trivial:
        return "This network does not beat the trivial detector"
    return f"Event F1 {model.event_f1:.2f}, better than the trivial detectors"


def report_html(detector: AnomalyDetector, notes: CardNotes, *, folder: str, seconds: float) -> str:
    """The report as one self-contained page.

    Args:
        detector: fitted.
        notes: the data, and the evaluation that is reported.
        folder: where the model lies, for the commands that are shown.
        seconds: how long everything took.
    """
    evaluation = notes.evaluation
    if evaluation is None:
        body = [_data_section(detector, notes), _settings_section(detector, seconds)]
        return page("Anomalies", "<h1>No rows were held out</h1>", body, "")
    sections = [
        _result_section(evaluation),
        section(
            "Series, flagged spans and scores",
            *_series_pictures(evaluation),
            note="Red: flagged. Yellow: labelled. The score is held against the dashed threshold.",
        ),
        _span_section(evaluation),
        section(
            "Scores and training",
            '<div class="pair">',
            picture(figures.plot_scores(evaluation.judged, evaluation.within), "tail of the scores"),
            *(
                [picture(figures.plot_measures(evaluation), "event F1 and VUS-PR by method")]
                if evaluation.labelled
                else []
            ),
            picture(
                plot_training(detector.history_, detector.best_epoch_, _loss_words(detector.method)),
                "training and validation loss",
            ),
            "</div>",
        ),
        _data_section(detector, notes),
        _settings_section(detector, seconds),
        _use_section(folder),
    ]
    footer = f"Made by Gatewise {gatewise.__version__}. Every number and picture is computed from the held-out rows."
    return page(
        f"Anomalies: {notes.data or 'report'}", _header(detector, notes, evaluation), sections, footer
    )


def _header(detector: AnomalyDetector, notes: CardNotes, evaluation: Evaluation) -> str:
    own = evaluation.measures[evaluation.model]
    mark = "good" if evaluation.beats_trivial else "bad"
    tiles = [(f"{own.events:,}", "flagged spans", ""), (f"{own.alarm_rate:.2%}", "of rows alarm", "")]
    if own.event_f1 is not None and own.vus_pr is not None:
        tiles += [
            (f"{own.event_f1:.2f}", "event F1, un-adjusted", mark),
            (f"{own.vus_pr:.2f}", "VUS-PR", mark),
        ]
    elif evaluation.error:
        ratio = evaluation.error["model"] / max(evaluation.error["last value"], 1e-300)
        tiles.append(
            (f"{ratio - 1:+.0%}".replace("-", "−"), "error of the next row, against last value", mark)
        )
    tiles.append((f"{detector.fit_seconds_:.0f} s", "to fit", ""))
    boxes = "".join(
        f'<div class="tile"><b class="{mark}">{big}</b><span>{escape(small)}</span></div>'
        for big, small, mark in tiles
    )
    eyebrow = f"{notes.data or 'Anomalies'} · {detector.fitted_.plan.method} · cell {evaluation.model}"
    return (
        f'<p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(headline(evaluation))}</h1>'
        f'<p class="lede">{escape(evaluation.verdict)}</p><div class="tiles">{boxes}</div>'
    )


def _result_section(evaluation: Evaluation) -> str:
    note = (
        f"{evaluation.rows:,} rows, {evaluation.span[0]} to {evaluation.span[1]}, that the detector was not fitted to; "
        "each threshold was set by the same rule on the rows before."
    )
    if evaluation.labels is not None:
        note += (
            f" {evaluation.labelled} labelled events. Event F1 counts spans and adjusts nothing; the "
            "point-adjusted figure "
            "in parentheses is there because others show it, and flatters every method."
        )
    return section("Results on rows the detector never saw", table(table_rows(evaluation), own=0), note=note)


def _series_pictures(evaluation: Evaluation) -> list[str]:
    judged = evaluation.judged
    series = judged.scored.series
    alarms = np.add.reduceat(judged.alarms & evaluation.within, series.starts[:-1])
    shown = sorted(np.argsort(-alarms, kind="stable")[:_MOST_SERIES].tolist())
    pictures = []
    for index in shown:
        home = series.of(index)
        rows = np.flatnonzero(evaluation.within[home]) + home.start
        if not len(rows):
            continue
        figure = figures.plot_series(
            judged, evaluation.labels, index=index, rows=slice(int(rows[0]), int(rows[-1]) + 1)
        )
        name = series.names[index]
        if len(series) > 1:
            pictures.append(f'<p class="note">{escape(name)}</p>')
        pictures.append(picture(figure, f"series {name}: values, flagged spans, score"))
    return pictures


def _loss_words(method: str) -> str:
    return f"{'Pinball' if method == 'quantile' else 'Huber'} loss during training"


def _span_section(evaluation: Evaluation) -> str:
    judged = evaluation.judged
    series = judged.scored.series
    spans = figures.strangest_spans(judged, evaluation.within, _MOST_SPANS)
    parts = []
    for first, end in spans:
        owner = int(np.searchsorted(series.starts, first, side="right")) - 1
        words = f"{series.show(series.stamps[first])} to {series.show(series.stamps[end - 1])}"
        if len(series) > 1:
            words = f"{series.names[owner]}: {words}"
        parts.append(f'<p class="note">{escape(words)}</p>')
        parts.append(
            picture(figures.plot_closeup(judged, evaluation.labels, (first, end), around=_AROUND), words)
        )
    note = "The spans with the highest scores, and what the network expected there."
    if not (judged.alarms & evaluation.within).any():
        note = "Nothing was flagged; this is the strangest row all the same."
    return section("The strangest spans", *parts, note=note)


def _data_section(detector: AnomalyDetector, notes: CardNotes) -> str:
    fitted = detector.fitted_
    pairs = [
        ("Data", notes.data),
        ("Origin", notes.origin),
        ("Licence", notes.licence),
        ("Channels", ", ".join(fitted.columns)),
        (
            "Level and spread",
            "; ".join(
                f"{name}: {level:.4g} ± {spread:.4g}"
                for name, level, spread in zip(
                    fitted.columns, fitted.scaler.level, fitted.scaler.spread, strict=True
                )
            ),
        ),
        (
            "Step",
            "each row is one" if fitted.frequency is None else f"one row per {fitted.frequency.name}",
        ),
        ("Fitted to", notes.trained_on),
        ("Held back within these", detector.validation_),
    ]
    return section("Data", definitions(pairs))


def _settings_section(detector: AnomalyDetector, seconds: float) -> str:
    plan = detector.fitted_.plan
    count = sum(parameter.numel() for parameter in detector.fitted_.network.parameters())
    pairs = [
        ("Method", f"{plan.method}: {METHOD_WORDS[plan.method]}"),
        ("Cell", f"{plan.program.name}, {counted(plan.num_layers, 'layer')} "
 f"of {plan.hidden_size} units; {count:,} parameters"),
        ("Lookback, horizon", f"{detector.lookback} rows, {counted(plan.horizon, 'step')}"),
        ("Quantiles", ", ".join(f"{level:g}" for level in plan.levels)),
        ("Rescaling", "" if detector.rescale is None else f"follows the last {detector.rescale:g} rows"),
        ("Error likelihood", "" if detector.likelihood is None else "{1} rows among {0}".format(*detector.likelihood)),
        ("Threshold", threshold_words(detector)),
        ("Training", f"kept epoch {detector.best_epoch_} of {len(detector.history_)} ({detector.stopped_}); learning "
                     f"rate {detector.learning_rate:g}, cosine; averaged weights"),
        ("Seed", "" if detector.random_state is None else str(detector.random_state)),
        ("Time", f"{detector.fit_seconds_:.0f} s to fit, {seconds:.0f} s with data and evaluation"),
        ("Environment", ", ".join(f"{name} {value}" for name, value in environment().items())),
    ]  # fmt: skip
    return section("Settings and environment", definitions(pairs))


def _use_section(folder: str) -> str:
    text = (
        f"gatewise predict {folder} DATA --out scores.csv\n"
        f"gatewise evaluate {folder} DATA --labels LABELS\n"
        f"gatewise watch {folder} growing.csv      # or:  producer | gatewise watch {folder}\n\n"
        "from gatewise import AnomalyDetector\n"
        f'detector = AnomalyDetector.load("{folder}")\n'
        "table = detector.detect(rows)            # score, threshold, alarm, blame\n"
        "score = detector.partial_score(row)      # one row of a stream"
    )
    return section("Use it", f"<pre>{escape(text)}</pre>")
