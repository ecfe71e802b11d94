"""From texts and settings to a fitted language model."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatewise import train
from gatewise.data.text import (
    UNKNOWN,
    CharacterTokenizer,
    SubwordTokenizer,
    Tokenizer,
    Vocabulary,
    WordTokenizer,
)
from gatewise.errors import DataError
from gatewise.tasks.language.fitted import Fitted, start_of, texts_of
from gatewise.tasks.language.heads import cutoffs_of
from gatewise.tasks.language.network import LanguageNetwork, NetworkPlan
from gatewise.tasks.language.ngrams import NGramModel
from gatewise.tasks.language.options import Options
from gatewise.tasks.language.training import LanguageObjective, WindowSource
from gatewise.train.randomness import isolated

__all__ = ["FitResult", "fit_language_model", "make_tokenizer", "split_text"]

Whole = NDArray[np.int64]
_FEWEST_TOKENS = 20
_FEWEST_STEPS = 20  # of an epoch, where the text is long enough for them
_MOST_FOR_LONG_GRAMS = 10_000_000


@dataclass(frozen=True)
class FitResult:
    """A fitted model, and how the fit went.

    Args:
        fitted: the model.
        history: the epochs.
        seconds: how long it took.
        validation: what was held back, in words.
        ngrams: the baseline, fitted to the same training text.
    """

    fitted: Fitted
    history: train.History
    seconds: float
    validation: str
    ngrams: NGramModel


def fit_language_model(texts: Any, validation: Any, options: Options) -> FitResult:
    """Fit to texts, but for what is held back to stop early.

    Args:
        texts: a text or several.
        validation: the same to hold back, or None: the last part of `texts`.
        options: the parameters.

    Raises:
        DataError: there is too little text.
    """
    begun = time.perf_counter()
    if validation is None:
        training, held = split_text("".join(texts_of(texts)), options.validation_fraction)
        words = f"the last {len(held):,} characters of the text"
    else:
        training, held = "".join(texts_of(texts)), "".join(texts_of(validation))
        words = f"the validation text of {len(held):,} characters"
    tokenizer = make_tokenizer(training, held, options)
    start = start_of(tokenizer)
    ids, held_ids = (
        np.concatenate([[start], tokenizer.encode(text)]).astype(np.int64) for text in (training, held)
    )
    for name, found in (("training", ids), ("validation", held_ids)):
        if len(found) <= _FEWEST_TOKENS:
            raise DataError(
                f"the {name} text has {len(found) - 1} tokens, at least {_FEWEST_TOKENS} are needed; give more text"
            )
    network = _network(tokenizer, options)
    source = WindowSource(
        ids,
        batch_size=_streams(options.batch_size, len(ids), options.window),
        window=options.window,
        variable=options.variable_windows,
        scale_rate=options.plain_sgd and options.variable_windows,
        seed=options.train.seed,
    )
    objective = LanguageObjective(
        held_ids, activation=options.activation, slowness=options.slowness, about=_about(network.plan)
    )
    shown = train.choose() if options.progress else None
    history = train.fit(network, objective, source, _config(options.train, source), progress=shown)
    return FitResult(
        fitted=Fitted(network.eval(), tokenizer, start),
        history=history,
        seconds=time.perf_counter() - begun,
        validation=words,
        ngrams=NGramModel(ids, tokens=network.plan.tokens, order=_order(options.level, len(ids))),
    )


def split_text(text: str, share: float) -> tuple[str, str]:
    """A text in two: the last part begins on a new line, if there is one near, and has about the given share.

    Example:
        >>> split_text("one\\ntwo\\nthree\\nfour\\n", 0.3)
        ('one\\ntwo\\n', 'three\\nfour\\n')
    """
    cut = int(len(text) * (1 - share))
    line = text.rfind("\n", 0, cut) + 1
    if line == 0 or cut - line > max(2000, len(text) // 10):
        line = cut
    return text[:line], text[line:]


def make_tokenizer(training: str, held: str, options: Options) -> Tokenizer:
    """The tokenizer of a level; its vocabulary is that of the training text.

    Where something unseen is an error (`unseen="error"`), the held text's tokens are numbered too: they are never
    trained on.
    """
    if options.level == "subword":
        return SubwordTokenizer.train(
            [training],
            vocabulary_size=options.subwords,
            min_count=options.min_count,
            lowercase=options.lowercase,
        )
    strict = options.unseen == "error"
    texts = [training, held] if strict else [training]
    settings: dict[str, Any] = {
        "lowercase": options.lowercase,
        "max_size": options.vocabulary_size,
        "min_count": 1 if strict else options.min_count,
        "specials": () if strict else (UNKNOWN,),
    }
    made: CharacterTokenizer | WordTokenizer
    if options.level == "character":
        made = CharacterTokenizer.train(texts, **settings)
    else:
        made = WordTokenizer.train(texts, rule=options.split, **settings)
    if strict:
        tokens = made.vocabulary.tokens
        made.vocabulary = Vocabulary(
            tokens, np.bincount(made.encode(training), minlength=len(tokens)).tolist()
        )
    return made


def _network(tokenizer: Tokenizer, options: Options) -> LanguageNetwork:
    """The network with its first weights, from the run's seed; the process's generators stay as they were."""
    tokens = len(tokenizer.vocabulary)
    adaptive = options.clusters(tokens) and tokens > 2
    tied = options.tie_weights and not adaptive
    plan = NetworkPlan(
        program=options.program,
        tokens=tokens,
        tied=tied,
        embedding_scale=math.sqrt(options.embedding_size) if tied and not options.plain_sgd else 1.0,
        clusters=tuple(cutoffs_of(tokens)) if adaptive else (),
        **{
            name: getattr(options, name)
            for name in (
                "embedding_size", "hidden_size", "num_layers", "dropout", "input_dropout", "hidden_dropout",
                "embedding_dropout", "weight_drop", "engine",
            )
        },
    )  # fmt: skip
    order = np.argsort(-np.array(tokenizer.vocabulary.counts), kind="stable")
    with isolated(torch.device("cpu")):
        torch.manual_seed(options.train.seed)
        return LanguageNetwork(plan, order.tolist())


def _streams(batch_size: int, tokens: int, window: int) -> int:
    """So many streams that an epoch still has some steps; a short text has fewer."""
    return max(1, min(batch_size, (tokens - 1) // (_FEWEST_STEPS * window)))


def _order(level: str, tokens: int) -> int:
    """The baseline's longest n-gram; a very long text has so many that they would fill the memory."""
    if tokens > _MOST_FOR_LONG_GRAMS:
        return 3
    return 7 if level == "character" else 5


def _config(config: train.TrainConfig, source: WindowSource) -> train.TrainConfig:
    """The training's settings, with a warm-up that leaves most of a short run."""
    steps = config.max_epochs * source.steps_per_epoch()
    return replace(config, warmup_steps=min(config.warmup_steps, steps // 20))


def _about(plan: NetworkPlan) -> str:
    """The plan as text that tells it from others."""
    told = {field.name: getattr(plan, field.name) for field in fields(plan) if field.name != "program"}
    return f"{plan.program.to_json()} {told}"
