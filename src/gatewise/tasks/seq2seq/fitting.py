"""From pairs of texts and settings to a fitted encoder-decoder."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatewise import cells, train
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.nn.attention import SCORES
from gatewise.spec import Program
from gatewise.tasks.options import check_count, training_config
from gatewise.tasks.seq2seq.baselines import learn_lexicon
from gatewise.tasks.seq2seq.encoding import TOKENS, Coder, fit_coder
from gatewise.tasks.seq2seq.fitted import Fitted
from gatewise.tasks.seq2seq.network import Seq2SeqNetwork
from gatewise.tasks.seq2seq.plan import FEEDINGS, NetworkPlan
from gatewise.tasks.seq2seq.training import PairObjective, Pairs, PairSource

__all__ = ["FitResult", "Options", "Texts", "fit_pairs"]

Whole = NDArray[np.int64]
_WARMUP_STEPS = 100
# ... and never more than one step in so many.
_WARMUP_SHARE = 10
# Averaged weights translate better than the last ones; memory of some thousand steps.
_EMA_DECAY = 0.999
_CHOICES = {"attention": SCORES, "feeding": FEEDINGS, "tokens": TOKENS}


@dataclass(frozen=True)
class Texts:
    """Sources and targets; the last `held` of them are those that were given as validation.

    Args:
        sources, targets: the texts.
        held: how many; None: a share is to be held back.
        lexicon: whether the baseline of translation is to be learned.
    """

    sources: Sequence[str]
    targets: Sequence[str]
    held: int | None
    lexicon: bool


@dataclass(frozen=True)
class Options:
    """The estimator's parameters, checked. Their meaning is `Translator`'s."""

    program: Program
    hidden_size: int
    embedding_size: int
    num_layers: int
    attention: str
    feeding: str
    tokens: str
    vocabulary_size: int
    min_count: int
    lowercase: bool
    shared: bool
    copy: bool
    coverage: float
    dropout: float
    label_smoothing: float
    max_source_length: int
    max_target_length: int
    validation_fraction: float
    batch_size: int
    engine: str
    progress: bool
    train: train.TrainConfig

    @classmethod
    def from_estimator(cls, estimator: Any, seed: int) -> Options:
        """Check the parameters of a `Translator` or `Summarizer`.

        Raises:
            ArgumentError, ArgumentTypeError: naming the parameter.
        """
        chosen = estimator.chosen()
        for name in ("hidden_size", "num_layers", "vocabulary_size", "min_count", "batch_size", "max_source_length",
                     "max_target_length"):  # fmt: skip
            check_count(name, chosen[name])
        if chosen["embedding_size"] is not None:
            check_count("embedding_size", chosen["embedding_size"])
        for name, choices in _CHOICES.items():
            if chosen[name] not in choices:
                raise ArgumentError(
                    f"{name}: one of {', '.join(map(repr, choices))} is expected, came {chosen[name]!r}"
                )
        for name in ("lowercase", "shared_vocabulary", "copy"):
            if not isinstance(chosen[name], bool | np.bool_):
                raise ArgumentTypeError(f"{name}: True or False is expected, came {chosen[name]!r}")
        for name, most in (
            ("dropout", 1),
            ("label_smoothing", 1),
            ("validation_fraction", 1),
            ("coverage", np.inf),
        ):
            _check_share(name, chosen[name], most, above=name == "validation_fraction")
        if chosen["copy"] and chosen["tokens"] == "subword" and not chosen["shared_vocabulary"]:
            raise ArgumentError(
                "shared_vocabulary: True is expected where subwords are copied, came False; set it, or tokens='word'"
            )
        config = training_config(
            estimator, seed, warmup_steps=_WARMUP_STEPS, weight_decay=estimator.weight_decay
        )
        kept = ("num_layers", "attention", "feeding", "tokens", "vocabulary_size", "min_count", "lowercase", "copy",
                "coverage", "dropout", "label_smoothing", "max_source_length", "max_target_length",
                "validation_fraction", "batch_size", "hidden_size")  # fmt: skip
        return cls(
            program=cells.get(estimator.cell),
            embedding_size=chosen["embedding_size"] or chosen["hidden_size"],
            shared=bool(chosen["shared_vocabulary"]),
            engine=estimator.engine,
            progress=bool(estimator.progress),
            train=dataclasses.replace(config, ema_decay=_EMA_DECAY),
            **{name: chosen[name] for name in kept},
        )

    def plan(self, coder: Coder) -> NetworkPlan:
        """The network's sizes."""
        return NetworkPlan(
            program=self.program, source_size=len(coder.source.vocabulary), target_size=len(coder.target.vocabulary),
            shared=self.shared, tied=True, embedding_size=self.embedding_size, hidden_size=self.hidden_size,
            num_layers=self.num_layers, attention=self.attention, feeding=self.feeding, copy=self.copy,
            coverage=self.coverage > 0, dropout=self.dropout, engine=self.engine,
        )  # fmt: skip


@dataclass(frozen=True)
class FitResult:
    """What `fit` gives: the model, how training went, its seconds, and what was held back, in words."""

    fitted: Fitted
    history: train.History
    seconds: float
    validation: str


def fit_pairs(texts: Texts, options: Options) -> FitResult:
    """Fit a network to pairs of texts.

    Raises:
        ArgumentError, ArgumentTypeError: a setting cannot be used.
        DataError: there are too few pairs.
    """
    begun = time.perf_counter()
    kept, held, validation = _parts(texts, options)
    own_sources, own_targets = ([side[one] for one in kept] for side in (texts.sources, texts.targets))
    coder = fit_coder(
        own_sources, own_targets, tokens=options.tokens, vocabulary_size=options.vocabulary_size,
        min_count=options.min_count, lowercase=options.lowercase, shared=options.shared, copy=options.copy,
        max_source=options.max_source_length, max_target=options.max_target_length,
    )  # fmt: skip
    pairs = Pairs.encode(coder, texts.sources, texts.targets)
    plan = options.plan(coder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.train.seed)
        network = Seq2SeqNetwork(plan)
    source = PairSource(pairs, kept, options.batch_size, options.train.seed)
    config = options.train
    most = config.max_epochs * source.steps_per_epoch() // _WARMUP_SHARE
    config = dataclasses.replace(config, warmup_steps=min(config.warmup_steps, most))
    objective = PairObjective(pairs, held, options.label_smoothing, options.coverage, network=f"{plan}")
    progress = train.choose(silent=not options.progress)
    history = train.fit(network, objective, source, config, progress=progress)
    network.eval()
    fitted = Fitted(
        network=network, coder=coder, lexicon=learn_lexicon(own_sources, own_targets) if texts.lexicon else {},
        target_words=float(np.mean([len(text.split()) for text in own_targets])),
    )  # fmt: skip
    return FitResult(fitted, history, time.perf_counter() - begun, validation)


def _parts(texts: Texts, options: Options) -> tuple[Whole, Whole, str]:
    """Pairs to learn from, those to hold back, and the latter in words."""
    count = len(texts.sources)
    if texts.held is not None:
        words = f"{texts.held:,} pairs that were given as validation, for early stopping"
        return np.arange(count - texts.held), np.arange(count - texts.held, count), words
    if count < 2:
        raise DataError(
            f"X: at least 2 pairs are expected, one to learn from and one to hold back, came {count}"
        )
    # Pairs with the same source stay together, so that nothing that was learned is validated on.
    names = np.unique(np.array(texts.sources, dtype=object).astype(str), return_inverse=True)[1].reshape(-1)
    order = np.random.default_rng(options.train.seed).permutation(int(names.max()) + 1)
    wanted = max(1, round(options.validation_fraction * len(order)))
    chosen = np.isin(names, order[: min(wanted, len(order) - 1)])
    if not chosen.any():
        raise DataError("X: all sources are alike, so that none can be held back; give validation=")
    kept, held = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    return kept, held, f"{len(held):,} of {count:,} pairs, drawn at random, for early stopping"


def _check_share(name: str, value: object, most: float, *, above: bool) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: a number is expected, came {value!r} ({type(value).__name__})")
    if not 0 <= value < most or (above and value == 0):
        least = "above 0" if above else "of at least 0"
        limit = "" if most == np.inf else f" and below {most}"
        raise ArgumentError(f"{name}: a finite number {least}{limit} is expected, came {value!r}")
