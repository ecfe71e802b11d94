"""A fitted classifier as a model folder: JSON for what was learned of the data, safetensors for the weights."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from torch import Tensor

from gatewise.errors import ArgumentTypeError, StoreError
from gatewise.store import apply_tensors, load_model, save_model
from gatewise.tasks.base import Estimator
from gatewise.tasks.classify.card import ClassNotes, card_text
from gatewise.tasks.classify.encoding import Encoder
from gatewise.tasks.classify.ensemble import Ensemble
from gatewise.tasks.classify.fitted import Fitted
from gatewise.tasks.classify.network import NetworkPlan
from gatewise.tasks.stored import (
    give_found,
    plain,
    restored_parameters,
    restored_plan,
    restoring,
    stored_found,
    stored_parameters,
    stored_plan,
    stored_weights,
)

if TYPE_CHECKING:
    from gatewise.tasks.classify.classifier import SequenceClassifier

__all__ = ["KIND", "load_classifier", "restore_classifier", "save_classifier", "stored_parts"]

KIND = "classifier"
_TUPLES = ("channels", "log", "centre", "spread", "gaps")
Loaded = TypeVar("Loaded", bound=Estimator)


def save_classifier(classifier: SequenceClassifier, path: Path, notes: ClassNotes | None = None) -> None:
    """Save a fitted classifier into a folder.

    Args:
        classifier: fitted.
        path: the folder.
        notes: what the card says beside the settings: data, licence, test scores.
    """
    config, tensors = stored_parts(classifier)
    save_model(
        path, kind=KIND, config=config, tensors=tensors, card=card_text(classifier, notes or ClassNotes())
    )


def load_classifier(cls: type[Loaded], path: Path) -> Loaded:
    """Load a classifier from a folder.

    Raises:
        StoreError: the folder is no classifier, or its content does not fit together.
    """
    stored = load_model(path, kind=KIND)
    return restore_classifier(cls, stored.config, dict(stored.tensors), path)


def restore_classifier(
    cls: type[Loaded], config: dict[str, Any], tensors: dict[str, Tensor], path: Path
) -> Loaded:
    """A classifier from what `stored_parts` gave.

    Raises:
        StoreError: the parts do not fit together.
    """
    with restoring(path, "a classifier"):
        return _restored(cls, config, tensors)


def stored_parts(classifier: SequenceClassifier) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What of a fitted classifier goes into config.json and model.safetensors."""
    fitted = classifier.fitted_
    config: dict[str, Any] = {
        "parameters": stored_parameters(classifier, "class_weight"),
        "class_weight": _weight_config(classifier.class_weight),
        "members": len(fitted.network.members),
        "network": stored_plan(fitted.network.plan),
        "encoder": plain(asdict(fitted.encoder), exact="encoder"),
        "classes": _classes_config(fitted.classes),
        "weights": fitted.weights.tolist(),
        "temperature": fitted.temperature,
        "shares": fitted.shares.tolist(),
        "form": fitted.form,
        "categories": list(fitted.categories),
        "aside": list(classifier.aside_),
        "columns_in": getattr(classifier, "n_features_in_", None),
        "found": stored_found(classifier),
    }
    return config, stored_weights(fitted.network)


def _restored(cls: type[Loaded], config: dict[str, Any], tensors: dict[str, Tensor]) -> Loaded:
    plan = restored_plan(config["network"])
    plan["categories"] = tuple(plan["categories"])
    network = Ensemble(NetworkPlan(**plan), int(config["members"]))
    apply_tensors(network, tensors, source="model.safetensors")
    network.eval()
    encoder = dict(config["encoder"])
    encoder |= {name: tuple(encoder[name]) for name in _TUPLES}
    encoder["knots"] = tuple(tuple(one) for one in encoder["knots"])
    encoder["categories"] = {name: tuple(known) for name, known in encoder["categories"].items()}
    classes = np.array(config["classes"]["names"], dtype=config["classes"]["dtype"])
    fitted = Fitted(
        network=network, encoder=Encoder(**encoder), classes=classes,
        weights=np.array(config["weights"], dtype=np.float64), temperature=float(config["temperature"]),
        shares=np.array(config["shares"], dtype=np.float64), form=config["form"],
        categories=tuple(config["categories"]),
    )  # fmt: skip
    if not len(classes) == plan["classes"] == len(fitted.weights) == len(fitted.shares):
        raise StoreError("config.json is damaged: the classes' numbers do not fit; save the model anew")
    parameters = restored_parameters(config, plan["program"])
    parameters["class_weight"] = _weight(config["class_weight"])
    classifier = cls(**parameters)
    classifier.fitted_ = fitted
    classifier.classes_ = classes
    classifier.temperature_ = fitted.temperature
    classifier.aside_ = tuple(config["aside"])
    give_found(classifier, config)
    if config["columns_in"] is not None:
        classifier.n_features_in_ = int(config["columns_in"])
    return classifier


def _classes_config(classes: Any) -> dict[str, Any]:
    kind = classes.dtype.kind
    if kind not in "UifbO":
        raise ArgumentTypeError(
            f"y: classes of type {classes.dtype} cannot be stored; use text, whole numbers or truth values"
        )
    names = classes.tolist()
    return {"dtype": "object" if kind == "O" else classes.dtype.str, "names": names}


def _weight_config(class_weight: Any) -> Any:
    """A mapping's keys may be numbers, which JSON's cannot: pairs."""
    if class_weight is None or isinstance(class_weight, str):
        return class_weight
    return [[plain(key), float(value)] for key, value in dict(class_weight).items()]


def _weight(stored: Any) -> Any:
    return dict(stored) if isinstance(stored, list) else stored
