"""A fitted encoder-decoder as a model folder: JSON for what was learned of the texts, safetensors for the weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor

from gatewise.data.text import tokenizer_from_dict
from gatewise.errors import StoreError
from gatewise.store import apply_tensors, load_model, save_model
from gatewise.tasks.base import Estimator
from gatewise.tasks.seq2seq.card import TextNotes, card_text
from gatewise.tasks.seq2seq.encoding import SPECIALS, Coder
from gatewise.tasks.seq2seq.fitted import Fitted
from gatewise.tasks.seq2seq.network import Seq2SeqNetwork
from gatewise.tasks.seq2seq.plan import NetworkPlan
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
    from gatewise.tasks.seq2seq.estimator import SequenceToSequence

__all__ = ["load_pairs_model", "save_pairs_model"]

Loaded = TypeVar("Loaded", bound=Estimator)


def save_pairs_model(model: SequenceToSequence, path: Path, notes: TextNotes | None = None) -> None:
    """Save a fitted translator or summarizer into a folder.

    Args:
        model: fitted.
        path: the folder.
        notes: what the card says beside the settings: data, licence, test scores.
    """
    fitted = model.fitted_
    coder = fitted.coder
    config: dict[str, Any] = {
        "parameters": stored_parameters(model),
        "network": stored_plan(fitted.network.plan),
        "source": coder.source.to_dict(),
        "target": None if coder.shared else coder.target.to_dict(),
        "lengths": [coder.max_source, coder.max_target],
        "lexicon": fitted.lexicon,
        "target_words": fitted.target_words,
        "found": stored_found(model),
    }
    tensors = stored_weights(fitted.network)
    save_model(
        path, kind=model.KIND, config=config, tensors=tensors, card=card_text(model, notes or TextNotes())
    )


def load_pairs_model(cls: type[Loaded], path: Path) -> Loaded:
    """Load a translator or summarizer from a folder.

    Raises:
        StoreError: the folder holds something else, or its content does not fit together.
    """
    kind = str(cls.KIND)  # type: ignore[attr-defined]
    stored = load_model(path, kind=kind)
    with restoring(path, f"a {kind}"):
        return _restored(cls, stored.config, dict(stored.tensors))


def _restored(cls: type[Loaded], config: dict[str, Any], tensors: dict[str, Tensor]) -> Loaded:
    plan = NetworkPlan(**restored_plan(config["network"]))
    source = tokenizer_from_dict(config["source"])
    target = source if config["target"] is None else tokenizer_from_dict(config["target"])
    if plan.shared is not (config["target"] is None):
        raise StoreError("config.json is damaged: one vocabulary or two is not what the network has")
    for name, tokenizer, size in (("source", source, plan.source_size), ("target", target, plan.target_size)):
        vocabulary = tokenizer.vocabulary
        if len(vocabulary) != size or vocabulary.specials != SPECIALS:
            raise StoreError(
                f"the {name}'s vocabulary does not match the model: {size} tokens are expected, of which the first are "
                f"{', '.join(SPECIALS)}, came {len(vocabulary)}; save the model anew"
            )
    network = Seq2SeqNetwork(plan)
    apply_tensors(network, tensors, source="model.safetensors")
    network.eval()
    most_read, most_said = (int(one) for one in config["lengths"])
    lexicon = {str(word): str(other) for word, other in config["lexicon"].items()}
    coder = Coder(source, target, plan.copy, most_read, most_said)
    model = cls(**restored_parameters(config, plan.program))
    model.fitted_ = Fitted(network, coder, lexicon, float(config["target_words"]))
    give_found(model, config)
    return model
