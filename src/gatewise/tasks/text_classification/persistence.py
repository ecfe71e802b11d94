"""A fitted text classifier as a model folder: JSON for what was learned of the texts, safetensors for the weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gatewise.data.text.tokens import WordTokenizer, tokenizer_from_dict
from gatewise.errors import StoreError
from gatewise.store import apply_tensors, load_model, save_model
from gatewise.tasks.base import Estimator
from gatewise.tasks.language.network import NetworkPlan as LanguagePlan
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
from gatewise.tasks.tagging.vectors import FoundVectors
from gatewise.tasks.text_classification.card import TextNotes, card_text
from gatewise.tasks.text_classification.finetuning import FineTunedNetwork, FineTunedPlan
from gatewise.tasks.text_classification.fitted import Baseline, FittedText
from gatewise.tasks.text_classification.linear import LinearText
from gatewise.tasks.text_classification.network import TextNetwork, TextPlan

if TYPE_CHECKING:
    from gatewise.tasks.text_classification.classifier import TextClassifier

__all__ = ["KIND", "load_text", "save_text"]

KIND = "text-classifier"
Loaded = TypeVar("Loaded", bound=Estimator)


def save_text(classifier: TextClassifier, path: Path, notes: TextNotes | None = None) -> None:
    """Save a fitted classifier into a folder.

    Args:
        classifier: fitted.
        path: the folder.
        notes: what the card says beside the settings: data, test scores.
    """
    config, tensors = _stored(classifier)
    card = card_text(classifier, notes or TextNotes())
    save_model(path, kind=KIND, config=config, tensors=tensors, card=card)


def load_text(cls: type[Loaded], path: Path) -> Loaded:
    """Load a classifier from a folder.

    Raises:
        StoreError: the folder is no text classifier, or its content does not fit together.
    """
    stored = load_model(path, kind=KIND)
    with restoring(path, "a text classifier"):
        return _restored(cls, stored.config, dict(stored.tensors), path)


def _stored(classifier: TextClassifier) -> tuple[dict[str, Any], dict[str, Tensor]]:
    fitted = classifier.fitted_
    tensors = stored_weights(fitted.network)
    baselines = []
    for number, (name, baseline) in enumerate(fitted.baselines.items()):
        config, arrays = baseline.model.parts()
        baselines.append({"name": name, "temperature": baseline.temperature, "model": config})
        tensors |= {f"baseline{number}.{key}": torch.from_numpy(one.copy()) for key, one in arrays.items()}
    return {
        "parameters": stored_parameters(classifier, "vectors", "language_model"),
        "network": _plan_config(fitted.network.plan),
        "tokenizer": fitted.tokenizer.to_dict(),
        "max_length": fitted.max_length,
        "classes": classifier.classes_.tolist(),
        "temperature": fitted.temperature,
        "shares": fitted.shares.tolist(),
        "baselines": baselines,
        "vectors": None if classifier.vectors_ is None else classifier.vectors_.to_dict(),
        "found": stored_found(classifier),
    }, tensors


def _plan_config(plan: TextPlan | FineTunedPlan) -> dict[str, Any]:
    """A network's sizes as JSON; a language model's by themselves."""
    if isinstance(plan, FineTunedPlan):
        return {"language": stored_plan(plan.language), "classes": plan.classes, "dropout": plan.dropout}
    return stored_plan(plan)


def _plan(stored: dict[str, Any]) -> TextPlan | FineTunedPlan:
    own = restored_plan(stored.get("language", stored))
    if "language" not in stored:
        return TextPlan(**own)
    language = LanguagePlan(**{**own, "clusters": tuple(own["clusters"])})
    return FineTunedPlan(language, int(stored["classes"]), float(stored["dropout"]))


def _restored(cls: type[Loaded], config: dict[str, Any], tensors: dict[str, Tensor], path: Path) -> Loaded:
    plan = _plan(config["network"])
    tokenizer = tokenizer_from_dict(config["tokenizer"])
    classes = np.array(config["classes"])
    if not isinstance(tokenizer, WordTokenizer):
        raise StoreError(f"{path}: a tokenizer of words is expected; save the model anew")
    if len(tokenizer.vocabulary) != plan.words:
        raise StoreError(
            f"{path}: the vocabulary does not match the model: it has {len(tokenizer.vocabulary)} words, the "
            f"network was made for {plan.words}; the files are of different models, save the model anew"
        )
    if not len(classes) == plan.classes == len(config["shares"]):
        raise StoreError(f"{path}: the classes' numbers do not fit; save the model anew")
    baselines = {}
    for number, stored in enumerate(config["baselines"]):
        start = f"baseline{number}."
        names = [name for name in tensors if name.startswith(start)]
        arrays = {name.removeprefix(start): tensors.pop(name).numpy() for name in names}
        model = LinearText.from_parts(stored["model"], arrays)
        baselines[stored["name"]] = Baseline(model, float(stored["temperature"]))
    network = FineTunedNetwork(plan) if isinstance(plan, FineTunedPlan) else TextNetwork(plan)
    apply_tensors(network, tensors, source="model.safetensors")
    network.eval()
    classifier = cls(**restored_parameters(config, plan.program))
    classifier.fitted_ = FittedText(
        network, tokenizer, int(config["max_length"]), tuple(map(str, config["classes"])),
        float(config["temperature"]), np.array(config["shares"], dtype=np.float64), baselines,
    )  # fmt: skip
    classifier.classes_ = classes
    classifier.temperature_ = classifier.fitted_.temperature
    vectors = config["vectors"]
    classifier.vectors_ = None
    if vectors is not None:
        classifier.vectors_ = FoundVectors(**{**vectors, "missing": tuple(vectors["missing"])})
    give_found(classifier, config)
    return classifier
