"""From sequences, labels and settings to a fitted classifier."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from gatewise import cells, train
from gatewise.data.sequences import Sequences
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.spec import Program
from gatewise.tasks.classify.calibration import fit_temperature
from gatewise.tasks.classify.encoding import Encoded, fit_encoder
from gatewise.tasks.classify.ensemble import Ensemble
from gatewise.tasks.classify.fitted import Fitted
from gatewise.tasks.classify.network import ARCHITECTURES, NetworkPlan, check_cell
from gatewise.tasks.classify.pooling import pooling_names
from gatewise.tasks.classify.splits import hold_out
from gatewise.tasks.classify.training import ClassObjective, Labels, SequenceSource, logits_of, summaries_of
from gatewise.tasks.options import check_count, training_config

__all__ = ["FitResult", "Options", "TrainingSet", "fit_classifier"]

Whole = NDArray[np.int64]
_WARMUP_STEPS = 20
_CHOICES = {
    "output": ("sequence", "step"),
    "architecture": ARCHITECTURES,
    "missing": ("error", "mask"),
    "unseen": ("unknown", "error"),
    "scaling": ("auto", "standard", "rank", "instance", "none"),
}


@dataclass(frozen=True)
class Options:
    """The estimator's parameters, checked. Their meaning is `SequenceClassifier`'s."""

    program: Program
    output: str
    hidden_size: int
    num_layers: int
    bidirectional: bool
    architecture: str
    filters: int
    pooling: str
    summary: bool
    members: int
    input_dropout: float
    dropout: float
    recurrent_dropout: float
    missing: str
    unseen: str
    scaling: str
    class_weight: Any
    validation_fraction: float
    batch_size: int | None
    engine: str
    progress: bool
    train: train.TrainConfig

    @classmethod
    def from_estimator(cls, estimator: Any, seed: int) -> Options:
        """Check the parameters of a `SequenceClassifier`.

        Raises:
            ArgumentError, ArgumentTypeError: naming the parameter.
        """
        for name in ("hidden_size", "num_layers", "filters", "members"):
            check_count(name, getattr(estimator, name))
        if estimator.batch_size is not None:
            check_count("batch_size", estimator.batch_size)
        for name, choices in _CHOICES.items():
            value = getattr(estimator, name)
            if value not in choices:
                raise ArgumentError(
                    f"{name}: one of {', '.join(map(repr, choices))} is expected, came {value!r}"
                )
        for name in ("input_dropout", "dropout", "recurrent_dropout", "validation_fraction"):
            _check_share(name, getattr(estimator, name), above=name == "validation_fraction")
        for name in ("bidirectional", "summary"):
            if not isinstance(getattr(estimator, name), bool | np.bool_):
                raise ArgumentTypeError(
                    f"{name}: True or False is expected, came {getattr(estimator, name)!r}"
                )
        pooling_names(estimator.pooling)
        program = cells.get(estimator.cell)
        check_cell(program, num_layers=estimator.num_layers, architecture=estimator.architecture)
        config = training_config(
            estimator,
            seed,
            warmup_steps=_WARMUP_STEPS,
            weight_decay=estimator.weight_decay,
            averaging="ema" if estimator.architecture != "fcn" else None,
        )
        kept = ("output", "architecture", "pooling", "missing", "unseen", "scaling", "class_weight", "engine")
        return cls(
            program=program,
            hidden_size=int(estimator.hidden_size),
            num_layers=int(estimator.num_layers),
            bidirectional=bool(estimator.bidirectional),
            summary=bool(estimator.summary),
            members=int(estimator.members),
            filters=int(estimator.filters),
            input_dropout=float(estimator.input_dropout),
            dropout=float(estimator.dropout),
            recurrent_dropout=float(estimator.recurrent_dropout),
            validation_fraction=float(estimator.validation_fraction),
            batch_size=None if estimator.batch_size is None else int(estimator.batch_size),
            progress=bool(estimator.progress),
            train=config,
            **{name: getattr(estimator, name) for name in kept},
        )


@dataclass(frozen=True)
class TrainingSet:
    """What a classifier is fitted to.

    Args:
        sequences: all of them, those that are held back among them.
        codes: the labels' classes, one per sequence or one per row; -1 where there is none.
        classes: the classes.
        groups: what must not be torn apart when a part is held back, or None.
        held: the sequences that are held back, where the caller chose them; None: a share is drawn.
    """

    sequences: Sequences
    codes: Whole
    classes: NDArray[Any]
    groups: Any = None
    held: Whole | None = None


@dataclass(frozen=True)
class FitResult:
    """A fitted model, and how the fit went."""

    fitted: Fitted
    history: train.History
    seconds: float
    validation: str


def fit_classifier(data: TrainingSet, options: Options) -> FitResult:
    """Fit to all sequences but those that are held back to stop early and to calibrate.

    Raises:
        DataError: there is nothing to tell apart, or too little to hold anything back.
    """
    begun = time.perf_counter()
    if len(data.classes) < 2:
        raise DataError(
            f"y: at least 2 classes are needed to tell them apart, came 1 class: {data.classes[0]!r}"
        )
    labels = Labels(data.codes, options.output == "step")
    kept, held, validation = _parts(data, labels, options)
    sequences = data.sequences
    streams = len(options.program.inputs) > 1
    encoder = fit_encoder(
        sequences.take(kept), scaling=options.scaling, unseen=options.unseen, streams=streams,
        summary=options.summary, known=sequences,
    )  # fmt: skip
    encoded = encoder.encode(sequences)
    weights = _weights(options.class_weight, data.classes, labels.of(sequences, kept))
    plan = _plan(encoded, len(data.classes), options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.train.seed)
        network = Ensemble(plan, options.members)
    if plan.summary:
        network.standardise(summaries_of(network, encoded, kept))
    source = SequenceSource(encoded, labels, kept, options.batch_size, options.train.seed)
    objective = ClassObjective(encoded, labels, held, weights, network=f"{plan} {options.members}")
    progress = train.choose(silent=not options.progress)
    history = train.fit(network, objective, source, options.train, progress=progress)
    network.eval()
    counts = np.bincount(_counted(labels.of(sequences, kept)), minlength=len(data.classes))
    fitted = Fitted(
        network=network, encoder=encoder, classes=data.classes, weights=weights,
        temperature=_temperature(network, encoded, labels, held, weights),
        shares=counts / counts.sum(), form=sequences.form, categories=sequences.categories,
    )  # fmt: skip
    return FitResult(fitted, history, time.perf_counter() - begun, validation)


def _parts(data: TrainingSet, labels: Labels, options: Options) -> tuple[Whole, Whole, str]:
    """The sequences to learn from, those to hold back, and the latter in words."""
    sequences = data.sequences
    everything = np.arange(len(sequences))
    if data.held is not None:
        words = (
            f"{len(data.held):,} sequences that were given as validation, for early stopping and calibration"
        )
        return np.setdiff1d(everything, data.held), data.held, words
    strata = data.codes
    if labels.by_step:
        # A sequence of many labels is filed under its rarest: both parts should have it.
        counts = np.bincount(_counted(data.codes), minlength=len(data.classes))
        strata = np.array([_rarest(piece, counts) for piece in sequences.split(data.codes)], dtype=np.int64)
    kept, held = hold_out(strata, data.groups, options.validation_fraction, options.train.seed)
    whole = "" if data.groups is None else ", whole groups"
    words = f"{len(held):,} of {len(sequences):,} sequences{whole}, for early stopping and calibration"
    return kept, held, words


def _rarest(codes: Whole, counts: Whole) -> int:
    own = np.unique(_counted(codes))
    return -1 if not len(own) else int(own[counts[own].argmin()])


def _counted(codes: Whole) -> Whole:
    return codes[codes >= 0]


def _plan(encoded: Encoded, classes: int, options: Options) -> NetworkPlan:
    encoder = encoded.encoder
    return NetworkPlan(
        program=options.program, inputs=encoder.width,
        categories=tuple(len(known) + 1 for known in encoder.categories.values()), classes=classes,
        output=options.output, hidden_size=options.hidden_size, num_layers=options.num_layers,
        bidirectional=options.bidirectional, architecture=options.architecture, filters=options.filters,
        pooling=options.pooling, channels=len(encoder.channels), summary=options.summary,
        input_dropout=options.input_dropout, dropout=options.dropout, recurrent_dropout=options.recurrent_dropout,
        engine=options.engine,
    )  # fmt: skip


def _weights(class_weight: Any, classes: NDArray[Any], codes: Whole) -> NDArray[np.float64]:
    """One weight per class, by scikit-learn's rules; 1 where nothing was asked for."""
    own = _counted(codes)
    if class_weight is None or not len(own):
        return np.ones(len(classes))
    if isinstance(class_weight, str) and class_weight != "balanced":
        raise ArgumentError(
            f'class_weight: None, "balanced" or a mapping from class to weight is expected, came {class_weight!r}'
        )
    weights = np.ones(len(classes))
    there = np.unique(own)
    try:
        weights[there] = compute_class_weight(class_weight, classes=classes[there], y=classes[own])
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"class_weight: {error}") from error
    if not np.isfinite(weights).all() or (weights <= 0).any():
        raise ArgumentError(f"class_weight: finite numbers above 0 are expected, came {class_weight!r}")
    return weights


def _temperature(
    network: Ensemble, encoded: Encoded, labels: Labels, held: Whole, weights: NDArray[np.float64]
) -> float:
    """What the logits are divided by, learned on the sequences that are held back."""
    logits, _ = logits_of(network, encoded, held)
    codes = labels.of(encoded.sequences, held)
    there = codes >= 0
    return fit_temperature(logits[there] - np.log(weights), codes[there])


def _check_share(name: str, value: object, *, above: bool) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: a number is expected, came {value!r} ({type(value).__name__})")
    if not 0 <= value < 1 or (above and value == 0):
        least = "above 0" if above else "of at least 0"
        raise ArgumentError(f"{name}: a number {least} and below 1 is expected, came {value!r}")
