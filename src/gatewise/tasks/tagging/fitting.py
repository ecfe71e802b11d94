"""From sentences, tags and settings to a fitted tagger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatewise import cells, train
from gatewise.data.text.tags import SCHEMES, convert_tags, find_scheme
from gatewise.data.text.vectors import WordVectors
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.spec import Program
from gatewise.tasks.options import check_count, training_config
from gatewise.tasks.tagging.baselines import fit_baselines
from gatewise.tasks.tagging.encoding import WordEncoder, fit_encoder, form_of
from gatewise.tasks.tagging.fitted import FittedTagger, constraints, inner_tags, kind_of_tag
from gatewise.tasks.tagging.network import CHARACTERS, HEADS, TaggerNetwork, TaggerPlan
from gatewise.tasks.tagging.training import TagObjective, TagSource, Targets
from gatewise.tasks.tagging.vectors import FoundVectors, put_vectors

__all__ = ["FitResult", "TaggerOptions", "TrainingSentences", "fit_tagger"]

Whole = NDArray[np.int64]
_WARMUP_STEPS = 20
_CHOICES = {
    "characters": CHARACTERS,
    "head": HEADS,
    "scheme": ("auto", "none", *SCHEMES),
    "coding": ("bio", "bioes"),
}
_COUNTS = ("word_size", "character_size", "hidden_size", "num_layers", "min_count", "batch_size")
_SHARES = ("dropout", "recurrent_dropout", "unknown_rate", "validation_fraction")


@dataclass(frozen=True)
class TaggerOptions:
    """The estimator's parameters, checked. Their meaning is `SequenceTagger`'s."""

    program: Program
    word_size: int
    characters: str
    character_size: int
    hidden_size: int
    num_layers: int
    head: str
    scheme: str
    coding: str
    normalise: bool
    min_count: int
    unknown_rate: float
    vector_words: int
    dropout: float
    recurrent_dropout: float
    validation_fraction: float
    batch_size: int
    engine: str
    progress: bool
    train: train.TrainConfig

    @classmethod
    def from_estimator(cls, estimator: Any, seed: int) -> TaggerOptions:
        """Check the parameters of a `SequenceTagger`.

        Raises:
            ArgumentError, ArgumentTypeError: naming the parameter.
        """
        for name in _COUNTS:
            check_count(name, getattr(estimator, name))
        check_count("vector_words", estimator.vector_words, 0)
        if estimator.characters == "lstm" and estimator.character_size % 2:
            raise ArgumentError(
                f'character_size: an even number is expected with characters="lstm", came {estimator.character_size}'
            )
        for name, choices in _CHOICES.items():
            if getattr(estimator, name) not in choices:
                raise ArgumentError(
                    f"{name}: one of {', '.join(map(repr, choices))} is expected, came {getattr(estimator, name)!r}"
                )
        for name in _SHARES:
            _check_share(name, getattr(estimator, name), above=name == "validation_fraction")
        if not isinstance(estimator.normalise, bool | np.bool_):
            raise ArgumentTypeError(f"normalise: True or False is expected, came {estimator.normalise!r}")
        program = cells.get(estimator.cell)
        if len(program.inputs) > 1:
            raise ArgumentError(
                f"cell: a cell with one input is expected, {program.name!r} reads {len(program.inputs)}; choose another"
            )
        return cls(
            program=program,
            **{name: int(getattr(estimator, name)) for name in (*_COUNTS, "vector_words")},
            **{name: float(getattr(estimator, name)) for name in _SHARES},
            **{name: getattr(estimator, name) for name in (*_CHOICES, "engine")},
            normalise=bool(estimator.normalise),
            progress=bool(estimator.progress),
            train=training_config(
                estimator, seed, warmup_steps=_WARMUP_STEPS, weight_decay=estimator.weight_decay
            ),
        )


@dataclass(frozen=True)
class TrainingSentences:
    """What a tagger is fitted to.

    Args:
        tokens: the words of all sentences, those that are held back among them.
        tags: one for each word, None where it is not known.
        intents: one for each sentence, or None.
        held: the sentences that are held back, where the caller chose them; None: a share is drawn.
        where: each sentence's place, for messages.
    """

    tokens: list[list[str]]
    tags: list[list[str | None]]
    intents: list[str] | None
    held: Whole | None
    where: Sequence[str]


@dataclass(frozen=True)
class FitResult:
    """A fitted model, and how the fit went."""

    fitted: FittedTagger
    history: train.History
    seconds: float
    validation: str
    vectors: FoundVectors | None


def fit_tagger(data: TrainingSentences, options: TaggerOptions, vectors: WordVectors | None) -> FitResult:
    """Fit to all sentences but those that are held back to stop early.

    Raises:
        DataError: tags are not valid in their scheme, or there is nothing to tell apart.
    """
    begun = time.perf_counter()
    kept, held, validation = _parts(data, options)
    scheme = _scheme(data, options.scheme)
    coding = "none" if scheme == "none" else options.coding
    coded = _coded(data, scheme, coding)
    seen = [tag for one in kept for tag in coded[one] if tag is not None]
    tags = inner_tags(seen, coding)
    if len(tags) < 2:
        raise DataError(
            f"y: at least 2 different tags are needed, came {sorted(set(seen))}; there is nothing to learn"
        )
    intents = () if data.intents is None else tuple(sorted({data.intents[one] for one in kept}))
    encoder, once, vectors = _encoder(data, kept, options, vectors)
    encoded = encoder.encode(data.tokens)
    place = {tag: index for index, tag in enumerate(tags)}
    intent_place = {intent: index for index, intent in enumerate(intents)}
    targets = Targets(
        np.array([place.get(tag, -1) for one in coded for tag in one], dtype=np.int64),
        None if data.intents is None
        else np.array([intent_place.get(one, -1) for one in data.intents], dtype=np.int64),
    )  # fmt: skip
    partial = any(tag is None for one in kept for tag in coded[one])
    plan = TaggerPlan(
        program=options.program, words=len(encoder.words), signs=len(encoder.characters), tags=len(tags),
        intents=len(intents), word_size=options.word_size, characters=options.characters,
        character_size=options.character_size, hidden_size=options.hidden_size, num_layers=options.num_layers,
        dropout=options.dropout, recurrent_dropout=options.recurrent_dropout, head=options.head, engine=options.engine,
    )  # fmt: skip
    training = frozenset(encoder.form(word) for one in kept for word in data.tokens[one])
    network, found = _network(plan, tags, coding, encoder, vectors, training, options)
    source = TagSource(
        encoded, targets, kept, once, options.unknown_rate, options.batch_size, options.train.seed
    )
    objective = TagObjective(
        encoded, held, [coded[one] for one in held],
        None if data.intents is None else [data.intents[one] for one in held],
        tags, intents, spans=coding != "none", partial=partial, network=f"{plan}",
    )  # fmt: skip
    history = train.fit(
        network, objective, source, options.train, progress=train.choose(silent=not options.progress)
    )
    network.eval()
    baselines = fit_baselines(
        [data.tokens[one] for one in kept], [data.tags[one] for one in kept],
        None if data.intents is None else [data.intents[one] for one in kept], names=intents,
    )  # fmt: skip
    known = tuple(sorted({kind_of_tag(tag) for tag in seen} - {""} if coding != "none" else set(seen)))
    fitted = FittedTagger(network, encoder, tags, scheme, coding, intents, known, baselines)
    return FitResult(fitted, history, time.perf_counter() - begun, validation, found)


def _encoder(
    data: TrainingSentences, kept: Whole, options: TaggerOptions, vectors: WordVectors | None
) -> tuple[WordEncoder, NDArray[np.bool_], WordVectors | None]:
    sentences = [data.tokens[one] for one in kept]
    further: list[str] = []
    if vectors is not None:
        vectors = vectors.by_form(lambda word: form_of(word, options.normalise))
        further = list(vectors.place)[: options.vector_words]
    encoder, once = fit_encoder(
        sentences, normalise=options.normalise, min_count=options.min_count, further=further
    )
    return encoder, once, vectors


def _network(
    plan: TaggerPlan,
    tags: tuple[str, ...],
    coding: str,
    encoder: WordEncoder,
    vectors: WordVectors | None,
    training: frozenset[str],
    options: TaggerOptions,
) -> tuple[TaggerNetwork, FoundVectors | None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.train.seed)
        network = TaggerNetwork(plan, constraints(tags, coding))
    if vectors is None:
        return network, None
    if vectors.size != plan.word_size:
        raise ArgumentError(
            f"word_size: the vectors' size is expected, which is {vectors.size}, came {plan.word_size}; say "
            f"word_size={vectors.size}"
        )
    return network, put_vectors(vectors, network.words, encoder.words, training)


def _parts(data: TrainingSentences, options: TaggerOptions) -> tuple[Whole, Whole, str]:
    """The sentences to learn from, those to hold back, and the latter in words."""
    count = len(data.tokens)
    if data.held is not None:
        words = f"{len(data.held):,} sentences that were given as validation, for early stopping"
        return np.setdiff1d(np.arange(count), data.held), data.held, words
    if count < 2:
        raise DataError(
            f"X: at least 2 sentences are needed, one to learn from and one to stop by, came {count}"
        )
    # Where not all tags are known, F1 is not either.
    whole = np.array([index for index, own in enumerate(data.tags) if None not in own], dtype=np.int64)
    if not len(whole):
        raise DataError("y: at least one sentence whose tags are all known is needed to stop by, came none")
    share = min(max(round(count * options.validation_fraction), 1), count - 1, len(whole))
    held = np.sort(np.random.default_rng(options.train.seed).permutation(whole)[:share])
    kept = np.setdiff1d(np.arange(count), held)
    return kept, held, f"{len(held):,} of {count:,} sentences, for early stopping"


def _scheme(data: TrainingSentences, asked: str) -> str:
    """The scheme of the user's tags, found or checked."""
    if asked == "none":
        return asked
    whole = [one for one in data.tags if None not in one]
    if asked != "auto":
        return asked
    found = find_scheme(whole)  # type: ignore[arg-type]
    if found is not None:
        return found
    seen = {tag for one in whole for tag in one}
    if not any(tag == "O" or tag[:2] in ("B-", "I-") for tag in seen if tag is not None):
        return "none"
    raise DataError(
        "y: the tags are valid in none of bio, bioes and iob1; name the scheme that they should be in (scheme="
        '"bio") to be told which sentence breaks it, or say scheme="none" for tags that mark no spans'
    )


def _coded(data: TrainingSentences, scheme: str, coding: str) -> list[list[str | None]]:
    """Tags as the network has them; a sentence with unknown ones is taken as it is."""
    if scheme == "none":
        return [list(one) for one in data.tags]
    found: list[list[str | None]] = []
    for index, own in enumerate(data.tags):
        if None not in own:
            found.append([*convert_tags([str(tag) for tag in own], scheme, coding, data.where[index])])
        elif scheme == coding:
            found.append(list(own))
        else:
            raise DataError(
                f"{data.where[index]}: tags that are not known (None) can be learned from in {coding} only, the tags "
                f"are in {scheme}; convert them, or choose coding={scheme!r}"
            )
    return found


def _check_share(name: str, value: object, *, above: bool) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: a number is expected, came {value!r} ({type(value).__name__})")
    if not 0 <= value < 1 or (above and value == 0):
        least = "above 0" if above else "of at least 0"
        raise ArgumentError(f"{name}: a number {least} and below 1 is expected, came {value!r}")
