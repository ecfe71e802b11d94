"""A fitted tagger as a model folder: JSON for what was learned of the data, safetensors for the weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gatewise.errors import StoreError
from gatewise.store import apply_tensors, load_model, save_model
from gatewise.tasks.base import Estimator
from gatewise.tasks.stored import (
    give_found,
    restored_parameters,
    restored_plan,
    restoring,
    stored_found,
    stored_parameters,
    stored_plan,
    stored_weights,
)
from gatewise.tasks.tagging.baselines import Baselines
from gatewise.tasks.tagging.card import TagNotes, card_text
from gatewise.tasks.tagging.encoding import WordEncoder
from gatewise.tasks.tagging.fitted import FittedTagger, constraints
from gatewise.tasks.tagging.network import TaggerNetwork, TaggerPlan
from gatewise.tasks.tagging.vectors import FoundVectors
from gatewise.tasks.text_classification.linear import LinearText

if TYPE_CHECKING:
    from gatewise.tasks.tagging.tagger import SequenceTagger

__all__ = ["KIND", "load_tagger", "save_tagger"]

KIND = "tagger"
_LINEAR = "baseline."
Loaded = TypeVar("Loaded", bound=Estimator)


def save_tagger(tagger: SequenceTagger, path: Path, notes: TagNotes | None = None) -> None:
    """Save a fitted tagger into a folder.

    Args:
        tagger: fitted.
        path: the folder.
        notes: what the card says beside the settings: data, licence, test scores.
    """
    config, tensors = _stored(tagger)
    save_model(path, kind=KIND, config=config, tensors=tensors, card=card_text(tagger, notes or TagNotes()))


def load_tagger(cls: type[Loaded], path: Path) -> Loaded:
    """Load a tagger from a folder.

    Raises:
        StoreError: the folder is no tagger, or its content does not fit together.
    """
    stored = load_model(path, kind=KIND)
    with restoring(path, "a tagger"):
        return _restored(cls, stored.config, dict(stored.tensors), path)


def _stored(tagger: SequenceTagger) -> tuple[dict[str, Any], dict[str, Tensor]]:
    fitted = tagger.fitted_
    linear, arrays = (None, {}) if fitted.baselines.linear is None else fitted.baselines.linear.parts()
    config: dict[str, Any] = {
        # Where vectors came from is the loading side's business.
        "parameters": stored_parameters(tagger, "vectors"),
        "network": stored_plan(fitted.network.plan),
        "encoder": fitted.encoder.to_dict(),
        "tags": list(fitted.tags),
        "scheme": fitted.scheme,
        "coding": fitted.coding,
        "intents": list(fitted.intents),
        "known": list(fitted.known),
        "baselines": {
            "words": fitted.baselines.words,
            "other": fitted.baselines.other,
            "shares": fitted.baselines.shares.tolist(),
            "linear": linear,
        },
        "vectors": None if tagger.vectors_ is None else tagger.vectors_.to_dict(),
        "found": stored_found(tagger),
    }
    return config, stored_weights(fitted.network) | {
        _LINEAR + name: torch.from_numpy(one.copy()) for name, one in arrays.items()
    }


def _restored(cls: type[Loaded], config: dict[str, Any], tensors: dict[str, Tensor], path: Path) -> Loaded:
    plan = TaggerPlan(**restored_plan(config["network"]))
    encoder = WordEncoder.from_dict(config["encoder"])
    _check_sizes(plan, encoder, config, path)
    network = TaggerNetwork(plan, constraints(config["tags"], config["coding"]))
    arrays = {name: tensors.pop(name).numpy() for name in list(tensors) if name.startswith(_LINEAR)}
    apply_tensors(network, tensors, source="model.safetensors")
    network.eval()
    stored = config["baselines"]
    linear = None
    if stored["linear"] is not None:
        linear = LinearText.from_parts(
            stored["linear"], {name.removeprefix(_LINEAR): one for name, one in arrays.items()}
        )
    intents = tuple(config["intents"])
    baselines = Baselines(
        dict(stored["words"]), stored["other"], intents, np.array(stored["shares"], dtype=np.float64), linear
    )
    fitted = FittedTagger(
        network, encoder, tuple(config["tags"]), config["scheme"], config["coding"], intents,
        tuple(config["known"]), baselines,
    )  # fmt: skip
    tagger = cls(**restored_parameters(config, plan.program))
    tagger.fitted_ = fitted
    tagger.classes_ = np.array(fitted.tags)
    tagger.intents_ = intents
    tagger.scheme_ = fitted.scheme
    vectors = config["vectors"]
    tagger.vectors_ = None
    if vectors is not None:
        tagger.vectors_ = FoundVectors(**{**vectors, "missing": tuple(vectors["missing"])})
    give_found(tagger, config)
    return tagger


def _check_sizes(plan: TaggerPlan, encoder: WordEncoder, config: dict[str, Any], path: Path) -> None:
    """Refuse vocabularies that are not the ones that the weights were learned with."""
    for what, found, expected in (
        ("words", len(encoder.words), plan.words),
        ("characters", len(encoder.characters), plan.signs),
        ("tags", len(config["tags"]), plan.tags),
        ("intents", len(config["intents"]), plan.intents),
    ):
        if found != expected:
            raise StoreError(
                f"{path}: the vocabulary does not match the model: it has {found} {what}, the network was made for "
                f"{expected}; the files are of different models, save the model anew"
            )
