"""A fitted detector as a model folder: the classifier's parts, and how alarms are raised."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from torch import Tensor

from gatewise.errors import StoreError
from gatewise.store import load_model, save_model
from gatewise.tasks.base import Estimator
from gatewise.tasks.classify import SequenceClassifier
from gatewise.tasks.classify.persistence import restore_classifier, stored_parts
from gatewise.tasks.recipes.card import RecordNotes, card_text
from gatewise.tasks.recipes.novelty import Novelty, stored_tokens
from gatewise.tasks.recipes.scoring import Member, Mixing, Scorer
from gatewise.tasks.recipes.tokens import FieldTokens
from gatewise.tasks.stored import plain, restoring

if TYPE_CHECKING:
    from gatewise.tasks.recipes.detector import RecordDetector

__all__ = ["KIND", "load_detector", "save_detector"]

KIND = "record-detector"
_NOT_STORED = ("classifier", "random_state")
Loaded = TypeVar("Loaded", bound=Estimator)


def save_detector(detector: RecordDetector, path: Path, notes: RecordNotes | None = None) -> None:
    """Save a fitted detector into a folder.

    Args:
        detector: fitted.
        path: the folder.
        notes: what the card says beside the settings: data, test scores.
    """
    scorer = detector.scorer_
    names = [name for name in detector.get_params(deep=False) if name not in _NOT_STORED]
    parameters = {name: plain(getattr(detector, name), exact=name) for name in names}
    members, tensors = [], {}
    for number, member in enumerate(scorer.members):
        config, own = stored_parts(member.classifier)
        members.append({"classifier": config, "bins": None if member.bins is None else _edges(member.bins)})
        tensors |= {f"member.{number}.{name}": value for name, value in own.items()}
    novelty = None
    if scorer.novelty is not None:
        novelty, own = scorer.novelty.stored()
        tensors |= {f"novelty.{name}": value for name, value in own.items()}
    config = {
        "members": members,
        "novelty": novelty,
        "mixing": None if scorer.mixing is None else scorer.mixing.to_dict(),
        "detector": {
            "parameters": parameters,
            "threshold": detector.threshold_,
            "kinds": list(detector.kinds_),
            "bad_share": detector.bad_share_,
            "columns": [list(one) for one in detector.columns_],
        },
    }
    card = card_text(detector, notes or RecordNotes())
    save_model(path, kind=KIND, config=config, tensors=tensors, card=card)


def load_detector(cls: type[Loaded], path: Path) -> Loaded:
    """Load a detector from a folder.

    Raises:
        StoreError: the folder is no detector, or its content does not fit together.
    """
    stored = load_model(path, kind=KIND)
    with restoring(path, "a detector"):
        own = stored.config["detector"]
        members = tuple(
            Member(
                restore_classifier(
                    SequenceClassifier, one["classifier"], _named(stored.tensors, f"member.{number}."), path
                ),
                None if one["bins"] is None else stored_tokens({"channels": one["bins"], "categories": {}}),
            )
            for number, one in enumerate(stored.config["members"])
        )
        if not members:
            raise StoreError(f"{path}: config.json names no classifier; save the model anew")
        novelty, mixing = stored.config["novelty"], stored.config["mixing"]
        scorer = Scorer(
            members,
            None if novelty is None else Novelty.restored(novelty, _named(stored.tensors, "novelty.")),
            None if mixing is None else Mixing.from_dict(mixing),
        )
        parameters = {**own["parameters"], "ignore_columns": tuple(own["parameters"]["ignore_columns"])}
        detector = cls(**parameters)
        threshold = own["threshold"]
        detector.threshold_ = None if threshold is None else float(threshold)
        detector.kinds_ = tuple(own["kinds"])
        detector.bad_share_ = float(own["bad_share"])
        detector.columns_ = (tuple(own["columns"][0]), tuple(own["columns"][1]))
    detector.scorer_ = scorer
    detector.classifier_ = scorer.members[0].classifier
    detector.stopped_ = detector.classifier_.stopped_
    return detector


def _edges(bins: FieldTokens) -> dict[str, list[float]]:
    return {name: list(edges) for name, edges in bins.channels.items()}


def _named(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
