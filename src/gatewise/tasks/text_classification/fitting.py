"""From texts, classes and settings to a fitted text classifier."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatewise import cells, train
from gatewise.data.text.tokens import WordTokenizer
from gatewise.data.text.vectors import WordVectors
from gatewise.data.text.vocabulary import Vocabulary
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.spec import Program
from gatewise.tasks.classify.calibration import fit_temperature
from gatewise.tasks.classify.splits import hold_out
from gatewise.tasks.language.fitted import Fitted
from gatewise.tasks.language.vectors import word_tokenizer
from gatewise.tasks.options import check_count, training_config
from gatewise.tasks.tagging.vectors import FoundVectors, put_vectors
from gatewise.tasks.text_classification.finetuning import FineTunedNetwork, FineTunedPlan, fit_in_stages
from gatewise.tasks.text_classification.fitted import Baseline, FittedText, cut
from gatewise.tasks.text_classification.linear import NB_SVM, TFIDF, LinearText
from gatewise.tasks.text_classification.network import POOLINGS, TextNetwork, TextPlan, TextReader
from gatewise.tasks.text_classification.training import EncodedTexts, TextObjective, TextSource, logits_of

__all__ = ["TextFit", "TextOptions", "TrainingTexts", "fit_from_language_model", "fit_text", "usual_rate"]

Whole = NDArray[np.int64]
_WARMUP_STEPS = 20
# From nothing; from a language model Howard & Ruder 2018, section 4.1.
_RATE, _FINE_TUNING_RATE = 2e-3, 1e-2
_COUNTS = ("word_size", "hidden_size", "num_layers", "min_count", "max_words", "max_length", "batch_size")
_SHARES = ("dropout", "recurrent_dropout", "word_dropout", "validation_fraction")


@dataclass(frozen=True)
class TextOptions:
    """The estimator's parameters, checked. Their meaning is `TextClassifier`'s."""

    program: Program
    word_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    pooling: str
    lowercase: bool
    min_count: int
    max_words: int
    max_length: int
    vector_words: int
    dropout: float
    recurrent_dropout: float
    word_dropout: float
    validation_fraction: float
    baselines: bool
    batch_size: int
    engine: str
    progress: bool
    train: train.TrainConfig

    @classmethod
    def from_estimator(cls, estimator: Any, seed: int) -> TextOptions:
        """Check the parameters of a `TextClassifier`.

        Raises:
            ArgumentError, ArgumentTypeError: naming the parameter.
        """
        for name in _COUNTS:
            check_count(name, getattr(estimator, name))
        check_count("vector_words", estimator.vector_words, 0)
        if estimator.pooling not in POOLINGS:
            raise ArgumentError(
                f"pooling: one of {', '.join(map(repr, POOLINGS))} is expected, came {estimator.pooling!r}"
            )
        for name in _SHARES:
            _check_share(name, getattr(estimator, name), above=name == "validation_fraction")
        flags = ("bidirectional", "lowercase", "baselines")
        for name in flags:
            if not isinstance(getattr(estimator, name), bool | np.bool_):
                raise ArgumentTypeError(
                    f"{name}: True or False is expected, came {getattr(estimator, name)!r}"
                )
        program = cells.get(estimator.cell)
        if len(program.inputs) > 1:
            raise ArgumentError(
                f"cell: a cell with one input is expected, {program.name!r} reads {len(program.inputs)}; choose another"
            )
        return cls(
            program=program,
            pooling=estimator.pooling,
            engine=estimator.engine,
            progress=bool(estimator.progress),
            **{name: int(getattr(estimator, name)) for name in (*_COUNTS, "vector_words")},
            **{name: float(getattr(estimator, name)) for name in _SHARES},
            **{name: bool(getattr(estimator, name)) for name in flags},
            train=training_config(
                estimator,
                seed,
                warmup_steps=_WARMUP_STEPS,
                weight_decay=estimator.weight_decay,
                learning_rate=usual_rate(fine_tuned=estimator.language_model is not None),
            ),
        )


def usual_rate(*, fine_tuned: bool) -> float:
    """The learning rate of a `TextClassifier` that was given none."""
    return _FINE_TUNING_RATE if fine_tuned else _RATE


@dataclass(frozen=True)
class TrainingTexts:
    """What a classifier is fitted to.

    Args:
        texts: all of them, those that are held back among them.
        codes: (texts,) the classes' numbers.
        classes: the classes, sorted.
        held: the texts that are held back, where the caller chose them; None: a share is drawn.
    """

    texts: list[str]
    codes: Whole
    classes: tuple[str, ...]
    held: Whole | None


@dataclass(frozen=True)
class TextFit:
    """A fitted model, and how the fit went."""

    fitted: FittedText
    history: train.History
    seconds: float
    validation: str
    vectors: FoundVectors | None


def fit_text(data: TrainingTexts, options: TextOptions, vectors: WordVectors | None) -> TextFit:
    """Fit to all texts but those that are held back to stop early and to calibrate.

    Raises:
        DataError: there is nothing to tell apart.
    """
    begun = time.perf_counter()
    if len(data.classes) < 2:
        raise DataError(
            f"y: at least 2 classes are needed to tell them apart, came 1 class: {data.classes[0]!r}"
        )
    kept, held, validation = _parts(data, options)
    tokenizer, words, training, vectors = _tokenizer(data, kept, options, vectors)
    encoded = EncodedTexts.of([tokenizer.vocabulary.encode(cut(one, options.max_length)) for one in words])
    plan = TextPlan(
        program=options.program, words=len(tokenizer.vocabulary), classes=len(data.classes),
        word_size=options.word_size, hidden_size=options.hidden_size, num_layers=options.num_layers,
        bidirectional=options.bidirectional, pooling=options.pooling, dropout=options.dropout,
        recurrent_dropout=options.recurrent_dropout, engine=options.engine,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.train.seed)
        network = TextNetwork(plan)
    found = None if vectors is None else _with_vectors(network, vectors, tokenizer, training)
    history = _trained(network, encoded, data, (kept, held), tokenizer, options)
    fitted = _fitted(network, encoded, tokenizer, words, data, (kept, held), options)
    return TextFit(fitted, history, time.perf_counter() - begun, validation, found)


def fit_from_language_model(data: TrainingTexts, options: TextOptions, language: Fitted) -> TextFit:
    """Fit a classifier that keeps the layers of a language model over words (ULMFiT).

    Raises:
        DataError: there is nothing to tell apart.
    """
    begun = time.perf_counter()
    kept, held, validation = _parts(data, options)
    tokenizer = word_tokenizer(language, "language_model: one")
    words = _split(tokenizer, data.texts)
    encoded = EncodedTexts.of([tokenizer.vocabulary.encode(cut(one, options.max_length)) for one in words])
    plan = FineTunedPlan(language.network.plan, len(data.classes), options.dropout)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.train.seed)
        network = FineTunedNetwork(plan)
    network.take(language.network)
    history = _trained(network, encoded, data, (kept, held), tokenizer, options)
    return TextFit(
        _fitted(network, encoded, tokenizer, words, data, (kept, held), options), history,
        time.perf_counter() - begun, validation, None,
    )  # fmt: skip


def _trained(
    network: TextReader,
    encoded: EncodedTexts,
    data: TrainingTexts,
    parts: tuple[Whole, Whole],
    tokenizer: WordTokenizer,
    options: TextOptions,
) -> train.History:
    """Train, in stages where the network comes from a language model; the network is in eval mode afterwards."""
    kept, held = parts
    unknown = tokenizer.vocabulary.unknown_id
    source = TextSource(
        encoded, data.codes, kept, options.batch_size, 0.0 if unknown is None else options.word_dropout,
        options.train.seed, unknown or 0,
    )  # fmt: skip
    objective = TextObjective(encoded, data.codes, held, network=f"{network.plan}")

    def progress() -> Any:
        return train.choose(silent=not options.progress)

    if isinstance(network, FineTunedNetwork):
        history = fit_in_stages(network, objective, source, options.train, progress)
    else:
        history = train.fit(network, objective, source, options.train, progress=progress())
    network.eval()
    return history


def _fitted(
    network: TextReader,
    encoded: EncodedTexts,
    tokenizer: WordTokenizer,
    words: list[list[str]],
    data: TrainingTexts,
    parts: tuple[Whole, Whole],
    options: TextOptions,
) -> FittedText:
    """What prediction needs: the network, its calibration, and what stands beside it."""
    kept, held = parts
    counts = np.bincount(data.codes[kept], minlength=len(data.classes))
    return FittedText(
        network, tokenizer, options.max_length, data.classes,
        fit_temperature(logits_of(network, encoded, held), data.codes[held]), counts / counts.sum(),
        _baselines(words, data, kept, held) if options.baselines else {},
    )  # fmt: skip


def _split(tokenizer: WordTokenizer, texts: list[str]) -> list[list[str]]:
    """The words of texts, none empty."""
    words = [tokenizer.tokens(text) for text in texts]
    empty = next((index for index, one in enumerate(words) if not one), None)
    if empty is not None:
        raise DataError(f"X[{empty}]: the text holds no word, came {texts[empty]!r:.60}; leave it out")
    return words


def _parts(data: TrainingTexts, options: TextOptions) -> tuple[Whole, Whole, str]:
    count = len(data.texts)
    if len(data.classes) < 2:
        raise DataError(
            f"y: at least 2 classes are needed to tell them apart, came 1 class: {data.classes[0]!r}"
        )
    if data.held is not None:
        words = f"{len(data.held):,} texts that were given as validation, for early stopping and calibration"
        return np.setdiff1d(np.arange(count), data.held), data.held, words
    kept, held = hold_out(data.codes, None, options.validation_fraction, options.train.seed)
    return kept, held, f"{len(held):,} of {count:,} texts, for early stopping and calibration"


def _tokenizer(
    data: TrainingTexts, kept: Whole, options: TextOptions, vectors: WordVectors | None
) -> tuple[WordTokenizer, list[list[str]], frozenset[str], WordVectors | None]:
    """How texts become words and numbers; the words of all texts; those that the training texts hold."""
    tokenizer = WordTokenizer(Vocabulary(()), rule="simple", lowercase=options.lowercase, line_end=None)
    words = _split(tokenizer, data.texts)
    counts = Counter(word for one in kept for word in words[one])
    known = [[word for word in words[one] if counts[word] >= options.min_count] for one in kept]
    if not any(known):
        raise DataError(
            f"min_count: no word comes {options.min_count} times; give more texts, or a smaller number"
        )
    vocabulary = Vocabulary.build(known, max_size=options.max_words + 2)
    training = frozenset(vocabulary.tokens[2:])
    if vectors is not None:
        vectors = vectors.by_form(str.lower if options.lowercase else str)
        further = [word for word in list(vectors.place)[: options.vector_words] if word not in training]
        vocabulary = Vocabulary(
            [*vocabulary.tokens, *further], [*vocabulary.counts, *[0] * len(further)], specials=2
        )
    tokenizer.vocabulary = vocabulary
    return tokenizer, words, training, vectors


def _with_vectors(
    network: TextNetwork, vectors: WordVectors, tokenizer: WordTokenizer, training: frozenset[str]
) -> FoundVectors:
    if vectors.size != network.plan.word_size:
        raise ArgumentError(
            f"word_size: the vectors' size is expected, which is {vectors.size}, came {network.plan.word_size}; say "
            f"word_size={vectors.size}"
        )
    return put_vectors(vectors, network.words, tokenizer.vocabulary, training)


def _baselines(words: list[list[str]], data: TrainingTexts, kept: Whole, held: Whole) -> dict[str, Baseline]:
    """Linear classifiers, fitted to what the network was fitted to and calibrated on what it was calibrated on."""
    codes = data.codes[kept]
    if len(np.unique(codes)) < len(data.classes):
        return {}
    found = {}
    for kind in (TFIDF, NB_SVM):
        model = LinearText.fit([words[one] for one in kept], codes, len(data.classes), kind=kind)
        logits = model.logits([words[one] for one in held])
        found[kind] = Baseline(model, fit_temperature(logits, data.codes[held]))
    return found


def _check_share(name: str, value: object, *, above: bool) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: a number is expected, came {value!r} ({type(value).__name__})")
    if not 0 <= value < 1 or (above and value == 0):
        least = "above 0" if above else "of at least 0"
        raise ArgumentError(f"{name}: a number {least} and below 1 is expected, came {value!r}")
