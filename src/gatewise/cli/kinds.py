"""What a model folder holds, so that one command serves models of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gatewise.errors import ArgumentError

__all__ = ["ANOMALY", "CLASSIFIER", "LANGUAGE", "TEXT_PAIRS", "kind_of", "refuse_options"]

ANOMALY, CLASSIFIER, LANGUAGE = "anomaly-detector", "classifier", "language-model"
# Models that say a text for a text.
TEXT_PAIRS = ("translator", "summarizer")


def kind_of(model: Path) -> str:
    """The kind of the model in a folder, as its config.json says.

    Raises:
        StoreError: it is no model folder, or damaged.
    """
    from gatewise.store import load_model

    return load_model(model).kind


def refuse_options(kind: str, **given: Any) -> None:
    """Refuse options that make no sense for this kind of model.

    Raises:
        ArgumentError: one was given; the message names it.
    """
    for name, value in given.items():
        if value is not None:
            raise ArgumentError(f"--{name}: a model of kind {kind} has no use for this option; leave it out")
