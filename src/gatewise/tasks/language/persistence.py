"""A fitted language model as a model folder: JSON for settings and vocabulary, safetensors for the weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from torch import Tensor

from gatewise.data.text import tokenizer_from_dict
from gatewise.errors import StoreError
from gatewise.store import apply_tensors, atomic_write, load_model, pack_tensors, save_model, unpack_tensors
from gatewise.store.documents import canonical_json, digest
from gatewise.store.files import read_file
from gatewise.tasks.base import Estimator
from gatewise.tasks.language.card import TextNotes, card_text
from gatewise.tasks.language.fitted import Fitted
from gatewise.tasks.language.network import LanguageNetwork, NetworkPlan
from gatewise.tasks.language.ngrams import NGramModel
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

if TYPE_CHECKING:
    from gatewise.tasks.language.model import LanguageModel

__all__ = ["KIND", "load_baseline", "load_language_model", "save_language_model"]

KIND = "language-model"
_TIED = ("head.weight", "embedding")
_BASELINE = "baseline.safetensors"
_MOST_BYTES = 2**34
Loaded = TypeVar("Loaded", bound=Estimator)


def save_language_model(model: LanguageModel, path: Path, notes: TextNotes | None = None) -> None:
    """Save a fitted language model into a folder.

    Args:
        model: fitted.
        path: the folder.
        notes: what the card says beside the settings: data, licence, test scores.
    """
    fitted = model.fitted_
    plan = fitted.network.plan
    config: dict[str, Any] = {
        "parameters": stored_parameters(model),
        "network": stored_plan(plan),
        "tokenizer": fitted.tokenizer.to_dict(),
        "start": fitted.start,
        "found": stored_found(model),
    }
    tensors = stored_weights(fitted.network)
    if plan.tied:
        tensors.pop(_TIED[0], None)
    save_model(path, kind=KIND, config=config, tensors=tensors, card=card_text(model, notes or TextNotes()))
    _save_baseline(model, path)


def load_language_model(cls: type[Loaded], path: Path) -> Loaded:
    """Load a language model from a folder.

    Raises:
        StoreError: the folder is no language model, or its content does not fit together.
    """
    stored = load_model(path, kind=KIND)
    with restoring(path, "a language model"):
        return _restored(cls, stored.config, dict(stored.tensors), path)


def load_baseline(path: Path, fitted: Fitted) -> NGramModel | None:
    """The n-grams that lie beside a model, None where there are none.

    Raises:
        StoreError: they are damaged, or belong to another model.
    """
    file = path / _BASELINE
    if not file.exists():
        return None
    tensors, about = unpack_tensors(read_file(file, limit=_MOST_BYTES), file)
    if about.get("vocabulary") != _vocabulary_digest(fitted):
        raise StoreError(f"{file} does not match the model beside it; remove it, or save the model anew")
    return NGramModel.from_tensors(tensors)


def _save_baseline(model: LanguageModel, path: Path) -> None:
    """Write the n-grams beside the model; one that belonged to an earlier model goes."""
    ngrams = model.baseline()
    if ngrams is None:
        (path / _BASELINE).unlink(missing_ok=True)
        return
    about = {"vocabulary": _vocabulary_digest(model.fitted_)}
    atomic_write(path / _BASELINE, pack_tensors(ngrams.to_tensors(), about))


def _vocabulary_digest(fitted: Fitted) -> str:
    return digest(canonical_json(fitted.tokenizer.vocabulary.to_dict()))


def _restored(cls: type[Loaded], config: dict[str, Any], tensors: dict[str, Tensor], path: Path) -> Loaded:
    tokenizer = tokenizer_from_dict(config["tokenizer"])
    stored = restored_plan(config["network"])
    plan = NetworkPlan(**{**stored, "clusters": tuple(stored["clusters"])})
    if plan.tokens != len(tokenizer.vocabulary):
        raise StoreError(
            f"{path} holds a vocabulary that does not match its model: the network knows {plan.tokens} tokens, the "
            f"vocabulary has {len(tokenizer.vocabulary)}; restore the files that were saved together, or save the "
            "model anew"
        )
    start = config["start"]
    if type(start) is not int or not 0 <= start < plan.tokens:
        raise StoreError(f"{path} is damaged: start is {start!r}, a token's number is expected")
    _check_sizes(plan, tensors, path)
    network = LanguageNetwork(plan)
    if plan.tied and _TIED[1] in tensors:
        tensors[_TIED[0]] = tensors[_TIED[1]]
    apply_tensors(network, tensors, source=path / "model.safetensors")
    if plan.clusters and not _is_order(network):
        raise StoreError(f"{path} is damaged: the adaptive softmax's order of tokens is none")
    model: Any = cls(**restored_parameters(config, plan.program))
    model.fitted_ = Fitted(network.eval(), tokenizer, start)
    model.vocabulary_ = tokenizer.vocabulary
    model._ngrams = path
    give_found(model, config)
    return model  # type: ignore[no-any-return]


def _check_sizes(plan: NetworkPlan, tensors: dict[str, Tensor], path: Path) -> None:
    """Refuse sizes that the weights do not have, before anything of that size is made."""
    expected = (plan.tokens, plan.embedding_size)
    found = tuple(tensors["embedding"].shape) if "embedding" in tensors else None
    layers = sum(1 for name in tensors if name.startswith("layers.") and name.endswith(".weight_ih_l0"))
    if found != expected or (layers and layers != plan.num_layers):
        raise StoreError(
            f"{path} does not fit together: the configuration says {expected} embedded tokens and {plan.num_layers} "
            f"layers, the weights have {found} and {layers}; restore the files that were saved together"
        )


def _is_order(network: Any) -> bool:
    """Whether the stored order of tokens is one, and its inverse belongs to it."""
    order, rank = network.head.order.numpy(), network.head.rank.numpy()
    count = len(order)
    if not np.array_equal(np.sort(order), np.arange(count)):
        return False
    return (
        bool(np.array_equal(order[rank], np.arange(count)))
        if rank.min() >= 0 and rank.max() < count
        else False
    )
