"""The language model's parameters, checked, with what each level takes where nothing was said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatewise import cells, train
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.spec import Program
from gatewise.tasks.options import check_count

__all__ = ["LEVELS", "Options"]

LEVELS = ("word", "subword", "character")
_CHOICES = {
    "level": LEVELS,
    "output": ("auto", "full", "adaptive"),
    "optimizer": ("adamw", "asgd"),
    "split": ("whitespace", "simple"),
    "unseen": ("auto", "unknown", "error"),
}
# What a level takes where nothing was said. Words need far more regularisation than characters, which come a hundred
# times as often each.
_BY_LEVEL: dict[str, dict[str, Any]] = {
    "word": {
        "tie_weights": True, "window": 35, "min_count": 2, "dropout": 0.4, "input_dropout": 0.3,
        "hidden_dropout": 0.2, "embedding_dropout": 0.05, "weight_drop": 0.2, "activation": 1.0, "slowness": 0.5,
    },
    "character": {
        "tie_weights": False, "window": 128, "min_count": 1, "dropout": 0.2, "input_dropout": 0.0,
        "hidden_dropout": 0.2, "embedding_dropout": 0.0, "weight_drop": 0.1, "activation": 0.0, "slowness": 0.0,
    },
}  # fmt: skip
_BY_LEVEL["subword"] = {**_BY_LEVEL["word"], "window": 50}
_RATES = ("dropout", "input_dropout", "hidden_dropout", "embedding_dropout", "weight_drop")
_WARMUP_STEPS = 50
_SUBWORDS = 4000
# From here on the adaptive softmax is taken by itself: below, one product with the tied embedding is better and quick.
_LARGE_VOCABULARY = 50_000


@dataclass(frozen=True)
class Options:
    """The estimator's parameters, checked. Their meaning is `LanguageModel`'s."""

    level: str
    program: Program
    hidden_size: int
    num_layers: int
    embedding_size: int
    tie_weights: bool
    output: str
    dropout: float
    input_dropout: float
    hidden_dropout: float
    embedding_dropout: float
    weight_drop: float
    activation: float
    slowness: float
    window: int
    variable_windows: bool
    batch_size: int
    plain_sgd: bool
    min_count: int
    vocabulary_size: int | None
    lowercase: bool
    split: str
    unseen: str
    validation_fraction: float
    engine: str
    progress: bool
    train: train.TrainConfig

    @classmethod
    def from_estimator(cls, estimator: Any, seed: int) -> Options:
        """Check the parameters of a `LanguageModel`.

        Raises:
            ArgumentError, ArgumentTypeError: naming the parameter.
        """
        for name, choices in _CHOICES.items():
            value = getattr(estimator, name)
            if not isinstance(value, str) or value not in choices:
                raise ArgumentError(
                    f"{name}: one of {', '.join(map(repr, choices))} is expected, came {value!r}"
                )
        usual = _BY_LEVEL[estimator.level]
        given = {
            name: value if (value := getattr(estimator, name)) is not None else usual[name] for name in usual
        }
        program = _program(estimator)
        if estimator.weight_drop is None and all(one.role != "recurrent" for one in program.tensors):
            given["weight_drop"] = 0.0  # the cell has nothing that could be dropped
        for name in ("hidden_size", "num_layers", "batch_size"):
            check_count(name, getattr(estimator, name))
        for name in ("window", "min_count"):
            check_count(name, given[name])
        for name in ("embedding_size", "vocabulary_size"):
            if getattr(estimator, name) is not None:
                check_count(name, getattr(estimator, name))
        for name in _RATES:
            _check_share(name, given[name])
        _check_share("validation_fraction", estimator.validation_fraction)
        if estimator.validation_fraction == 0:
            raise ArgumentError("validation_fraction: above 0 is expected, came 0; a part must be held back")
        for name in ("activation", "slowness"):
            _check_positive(name, given[name])
        for name in ("lowercase", "variable_windows", "progress"):
            if not isinstance(getattr(estimator, name), bool | np.bool_):
                raise ArgumentTypeError(
                    f"{name}: True or False is expected, came {getattr(estimator, name)!r}"
                )
        unseen = estimator.unseen
        if unseen == "auto":
            unseen = "unknown" if estimator.level == "word" else "error"
        if unseen == "error" and estimator.level != "subword" and estimator.vocabulary_size is not None:
            raise ArgumentError(
                "vocabulary_size: it leaves tokens out, which unseen='error' refuses; say unseen='unknown' too"
            )
        kept = ("level", "output", "split", "engine", "vocabulary_size")
        return cls(
            program=program,
            hidden_size=int(estimator.hidden_size),
            num_layers=int(estimator.num_layers),
            embedding_size=_embedding_size(estimator, bool(given["tie_weights"])),
            batch_size=int(estimator.batch_size),
            variable_windows=bool(estimator.variable_windows),
            plain_sgd=estimator.optimizer == "asgd",
            lowercase=bool(estimator.lowercase),
            unseen=unseen,
            validation_fraction=float(estimator.validation_fraction),
            progress=bool(estimator.progress),
            train=_training(estimator, seed),
            **{name: getattr(estimator, name) for name in kept},
            **given,
        )

    def clusters(self, tokens: int) -> bool:
        """Whether the output is an adaptive softmax."""
        return self.output == "adaptive" or (self.output == "auto" and tokens > _LARGE_VOCABULARY)

    @property
    def subwords(self) -> int:
        """The most tokens of a subword vocabulary."""
        return self.vocabulary_size or _SUBWORDS


def _program(estimator: Any) -> Program:
    """The cell's program; refuses one that reads more than one input."""
    check_count("mogrifier", estimator.mogrifier, 0)
    if estimator.mogrifier:
        if estimator.cell not in ("lstm", "lstm_mogrifier"):
            raise ArgumentError(
                f"mogrifier: only an LSTM can be gated in this way, came cell {estimator.cell!r}; leave one of them out"
            )
        return cells.get("lstm_mogrifier", rounds=int(estimator.mogrifier))
    program = cells.get(estimator.cell)
    if len(program.inputs) > 1:
        names = ", ".join(stream.name for stream in program.inputs)
        raise ArgumentError(
            f"cell: a language model feeds one input, but the cell {program.name!r} reads several ({names}); choose "
            "another cell"
        )
    return program


def _embedding_size(estimator: Any, tied: bool) -> int:
    if estimator.embedding_size is not None:
        return int(estimator.embedding_size)
    return int(estimator.hidden_size) if tied else min(int(estimator.hidden_size), 128)


def _training(estimator: Any, seed: int) -> train.TrainConfig:
    """How it is trained: AdamW with a cosine schedule and averaged weights, or NT-ASGD."""
    averaged = estimator.optimizer == "asgd"
    rate = estimator.learning_rate
    folder = estimator.checkpoint_folder
    return train.TrainConfig(
        max_epochs=estimator.max_epochs,
        learning_rate=(30.0 if averaged else 3e-3) if rate is None else rate,
        schedule="constant" if averaged else "cosine",
        warmup_steps=0 if averaged else _WARMUP_STEPS,
        weight_decay=estimator.weight_decay,
        optimizer="sgd" if averaged else "adamw",
        momentum=0.0 if averaged else 0.9,
        gradient_clip=estimator.gradient_clip,
        patience=estimator.patience,
        precision=estimator.precision,
        device=estimator.device,
        seed=seed,
        max_time=estimator.max_time,
        checkpoint_folder=None if folder is None else Path(folder),
        averaging="triggered" if averaged else "ema",
        ema_decay=0.995,
    )


def _check_share(name: str, value: Any) -> None:
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: a number is expected, came {value!r} ({type(value).__name__})")
    if not 0 <= value < 1:
        raise ArgumentError(f"{name}: at least 0 and below 1 is expected, came {value}")


def _check_positive(name: str, value: Any) -> None:
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: a number is expected, came {value!r} ({type(value).__name__})")
    if not 0 <= value < float("inf"):
        raise ArgumentError(f"{name}: a finite number of at least 0 is expected, came {value}")
