"""From records with their kinds to what a detector knows, and to the threshold of its alarms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewise import cells
from gatewise.data.records import Windows
from gatewise.data.sequences import Sequences
from gatewise.errors import DataError
from gatewise.tasks.classify import SequenceClassifier
from gatewise.tasks.options import training_config
from gatewise.tasks.recipes.holding import Part, by_entity, by_kind, held_by_all
from gatewise.tasks.recipes.novelty import Novelty, check_novelty_cell, fit_novelty
from gatewise.tasks.recipes.scoring import Member, Mixing, Scorer, binned, logits_of
from gatewise.tasks.recipes.thresholds import balanced_threshold, best_f1_threshold, false_alarm_threshold
from gatewise.tasks.recipes.tokens import FieldTokens

if TYPE_CHECKING:
    from gatewise.tasks.recipes.detector import RecordDetector

__all__ = ["FoundRecords", "RecordOptions", "describe", "fit_records"]

# So often a density goes through its records: its likelihood on held-back records is nearly flat by then.
_NOVELTY_EPOCHS, _NOVELTY_RATE = 10, 4e-3


@dataclass(frozen=True)
class RecordOptions:
    """The detector's parameters, checked. Their meaning is `RecordDetector`'s; `grouped`: records have entities."""

    classifier: SequenceClassifier
    seed: int
    grouped: bool
    held_back: str
    share: float
    members: int
    binned: bool
    novelty: bool
    rule: str
    false_alarm_rate: float
    label_column: str


@dataclass(frozen=True)
class FoundRecords:
    """What was learned, and from what: the kinds of bad records that some member saw, and their share."""

    scorer: Scorer
    kinds: tuple[str, ...]
    bad_share: float
    threshold: float | None


def fit_records(
    windows: Windows, kinds: NDArray[Any], bad: NDArray[np.bool_], options: RecordOptions
) -> FoundRecords:
    """Fit the density and the members, mix them, and choose the threshold.

    Args:
        windows: the stretches.
        kinds: (records,) what each is, as text.
        bad: (records,) which are bad.
        options: the detector's parameters.

    Raises:
        DataError: too little is left to learn from.
        KeyboardInterrupt: Ctrl-C ended one part's training before the others'; checkpoints keep what was done.
    """
    if options.novelty:
        check_novelty_cell(cells.get(options.classifier.cell))
    parts = _parts(windows, kinds, bad, options)
    learned = np.unique(
        np.concatenate([windows.record[windows.sequences.rows_of(part.kept)] for part in parts])
    )
    for part in parts:
        own = bad[windows.record[windows.sequences.rows_of(part.kept)]]
        if own.all() or not own.any():
            raise DataError(
                f"column {options.label_column!r}: only {'bad' if own.all() else 'harmless'} records are left to learn "
                "from when a part is held back; give more records, or a smaller validation_fraction"
            )
    novelty = _density(windows, bad, parts, options) if options.novelty else None
    labels = _labels(windows, bad)
    members = tuple(_member(windows, labels, part, number, options) for number, part in enumerate(parts))
    share = float(bad[learned].mean())
    scorer = Scorer(members, novelty, None)
    held = _held(windows, bad, parts, scorer)
    if novelty is not None:
        mixing = Mixing.fit(held.logits, held.novelty, bad[held.record], share)
        scorer = replace(scorer, mixing=mixing)
    return FoundRecords(
        scorer, tuple(sorted(set(kinds[learned][bad[learned]].tolist()))), share,
        _threshold(scorer, held, kinds, bad, options),
    )  # fmt: skip


def describe(detector: RecordDetector) -> list[str]:
    """How scores are made, in sentences."""
    scorer = detector.scorer_
    lines = []
    if len(scorer.members) > 1:
        spared = ", each spared another fold of the kinds" if detector.held_back == "kinds" else ""
        lines.append(f"{len(scorer.members)} classifiers{spared}; their mean logit counts")
    if scorer.members[0].bins is not None:
        lines.append("Each number is also read as the bin that it falls into")
    if scorer.novelty is not None:
        plan = scorer.novelty.network.plan
        lines.append(
            f"Beside them a density of the harmless records ({plan.hidden_size} units, cell {plan.program.name}, "
            "field by field); the rarer of the two verdicts among harmless records held back is taken"
        )
    return lines


def _parts(
    windows: Windows, kinds: NDArray[Any], bad: NDArray[np.bool_], options: RecordOptions
) -> list[Part]:
    if options.held_back == "entities":
        return by_entity(
            windows, bad, options.share, options.seed, grouped=options.grouped, members=options.members
        )
    return by_kind(windows, kinds, bad, options.share, options.seed, members=options.members)


def _model(options: RecordOptions, number: int, name: str) -> SequenceClassifier:
    """The classifier for one part of the training, with a seed and a folder of its own."""
    model: Any = options.classifier
    parts = options.members + options.novelty
    changes: dict[str, Any] = {}
    if model.random_state is None or parts > 1:
        changes["random_state"] = options.seed + number
    if parts > 1 and model.max_time is not None:
        changes["max_time"] = model.max_time / parts
    if parts > 1 and model.checkpoint_folder is not None:
        changes["checkpoint_folder"] = Path(model.checkpoint_folder) / name
    return SequenceClassifier(**{**model.get_params(), **changes})


def _member(
    windows: Windows, labels: list[NDArray[Any]], part: Part, number: int, options: RecordOptions
) -> Member:
    kept = windows.sequences.take(part.kept)
    bins = None
    if options.binned:
        nothing = np.empty((kept.rows, 0), dtype=object)
        bins = FieldTokens.fit(kept.values, nothing, kept.channels, ())
    model = _model(options, number, f"member-{number}")
    stopping = binned(windows.sequences.take(part.stopping), bins)
    pair = (stopping, [labels[one] for one in part.stopping])
    model.fit(binned(kept, bins), [labels[one] for one in part.kept], validation=pair)
    if model.stopped_ == "interrupted" and number + 1 < options.members:
        raise KeyboardInterrupt
    return Member(model, bins)


def _density(windows: Windows, bad: NDArray[np.bool_], parts: list[Part], options: RecordOptions) -> Novelty:
    """Fitted to the harmless records of all stretches but those that no member learns from."""
    common = held_by_all(parts)
    model = _model(options, 0, "novelty").set_params(
        max_epochs=_NOVELTY_EPOCHS if options.classifier.max_epochs > 1 else 1,
        learning_rate=_NOVELTY_RATE,
        patience=None,
    )
    config = training_config(model, options.seed, warmup_steps=20, weight_decay=1e-4)
    own = windows.own & ~bad[windows.record]
    apart = np.zeros(len(own), dtype=bool)
    apart[windows.sequences.rows_of(common)] = True
    if not (own & apart).any() or not (own & ~apart).any():
        raise DataError(
            "novelty: harmless records are needed, to learn from and to hold back; give more records"
        )
    found, history = fit_novelty(
        _rows(windows.sequences, own & ~apart), _rows(windows.sequences, own & apart), cells.get(model.cell), config,
        hidden_size=model.hidden_size, dropout=min(model.dropout, 0.1), progress=bool(model.progress),
        engine=model.engine,
    )  # fmt: skip
    if history.stopped == "interrupted":
        raise KeyboardInterrupt
    return found


def _rows(sequences: Sequences, chosen: NDArray[np.bool_]) -> Sequences:
    """Some rows, each a sequence by itself."""
    places = np.flatnonzero(chosen)
    return replace(
        sequences, values=sequences.values[places], texts=sequences.texts[places], times=np.zeros(len(places)),
        starts=np.arange(len(places) + 1), ids=list(range(len(places))), order=None,
    )  # fmt: skip


@dataclass(frozen=True)
class _Held:
    """Records that were held back: from all members, or bad ones from some, whose scores alone count then."""

    record: NDArray[np.int64]
    logits: NDArray[np.float64]
    novelty: NDArray[np.float64]


def _held(windows: Windows, bad: NDArray[np.bool_], parts: list[Part], scorer: Scorer) -> _Held:
    sequences = windows.sequences
    total, count = np.zeros(sequences.rows), np.zeros(sequences.rows)
    for member, part in zip(scorer.members, parts, strict=True):
        rows = sequences.rows_of(part.held)
        total[rows] += logits_of(member.probabilities(sequences.take(part.held)))
        count[rows] += 1
    # What a member that learned the harmless records of a stretch says of them is no measure of false alarms.
    chosen = windows.own & ((count == len(parts)) | ((count > 0) & bad[windows.record]))
    novelty = np.zeros(0)
    if scorer.novelty is not None:
        novelty = scorer.novelty.scores(_rows(sequences, chosen))
    return _Held(windows.record[chosen], total[chosen] / count[chosen], novelty)


def _threshold(
    scorer: Scorer, held: _Held, kinds: NDArray[Any], bad: NDArray[np.bool_], options: RecordOptions
) -> float | None:
    if options.rule in ("cost", "half"):
        return None if options.rule == "cost" else 0.5
    scores = scorer.mixed(held.logits, held.novelty if scorer.novelty is not None else None)
    truth = bad[held.record]
    if options.rule == "f1":
        return best_f1_threshold(scores, truth)
    if options.rule == "balanced":
        return balanced_threshold(scores, truth, kinds[held.record])
    return false_alarm_threshold(scores, truth, options.false_alarm_rate)


def _labels(windows: Windows, bad: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """0 or 1 for each of a stretch's own records; None for its past, which counts in another stretch."""
    flat = bad[windows.record].astype(int).astype(object)
    flat[~windows.own] = None
    return windows.sequences.split(flat)
