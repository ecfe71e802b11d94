"""A fitted tagger as a model folder: JSON for what was learned of the data, safetensors for the weights."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gatewise.errors import StoreError
from gatewise.spec import Program
from gatewise.store import apply_tensors, load_model, save_model
from gatewise.tasks.base import Estimator
from gatewise.tasks.stored import plain, restoring
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
# Where it runs, how it tells of it, and where vectors came from is the loading side's business.
_NOT_STORED = ("checkpoint_folder", "random_state", "cell", "device", "vectors")
_FOUND = ("history_", "best_epoch_", "stopped_", "fit_seconds_", "validation_")
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
    parameters = {name: value for name, value in tagger.get_params().items() if name not in _NOT_STORED}
    parameters["cell"] = tagger.cell if isinstance(tagger.cell, str) else None
    plan = fitted.network.plan
    own = {field.name: getattr(plan, field.name) for field in fields(plan)}
    linear, arrays = (None, {}) if fitted.baselines.linear is None else fitted.baselines.linear.parts()
    config: dict[str, Any] = {
        "parameters": plain(parameters),
        "network": plain(own | {"program": json.loads(plan.program.to_json())}),
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
        "found": plain({name: getattr(tagger, name) for name in _FOUND}),
    }
    state = fitted.network.state_dict()
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    return config, tensors | {_LINEAR + name: torch.from_numpy(one.copy()) for name, one in arrays.items()}


def _restored(cls: type[Loaded], config: dict[str, Any], tensors: dict[str, Tensor], path: Path) -> Loaded:
    own = dict(config["network"])
    program = Program.from_json(json.dumps(own.pop("program")))
    plan = TaggerPlan(program=program, **own)
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
    parameters = dict(config["parameters"])
    parameters["cell"] = parameters["cell"] or program
    tagger = cls(**parameters)
    tagger.fitted_ = fitted
    tagger.classes_ = np.array(fitted.tags)
    tagger.intents_ = intents
    tagger.scheme_ = fitted.scheme
    vectors = config["vectors"]
    tagger.vectors_ = None
    if vectors is not None:
        tagger.vectors_ = FoundVectors(**{**vectors, "missing": tuple(vectors["missing"])})
    for name in _FOUND:
        setattr(tagger, name, config["found"][name])
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
