"""A fitted detector as a model folder: the classifier's parts, and how alarms are raised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gatewise.store import load_model, save_model
from gatewise.tasks.base import Estimator
from gatewise.tasks.classify import SequenceClassifier
from gatewise.tasks.classify.card import ClassNotes, card_text
from gatewise.tasks.classify.persistence import restore_classifier, stored_parts
from gatewise.tasks.stored import restoring

if TYPE_CHECKING:
    from gatewise.tasks.recipes.detector import RecordDetector

__all__ = ["KIND", "load_detector", "save_detector"]

KIND = "record-detector"
_NOT_STORED = ("classifier", "random_state")
Loaded = TypeVar("Loaded", bound=Estimator)


def save_detector(detector: RecordDetector, path: Path) -> None:
    """Save a fitted detector into a folder."""
    config, tensors = stored_parts(detector.classifier_)
    names = [name for name in detector.get_params(deep=False) if name not in _NOT_STORED]
    parameters = {name: getattr(detector, name) for name in names}
    parameters["ignore_columns"] = list(parameters["ignore_columns"])
    own = {
        "parameters": parameters,
        "threshold": detector.threshold_,
        "kinds": list(detector.kinds_),
        "bad_share": detector.bad_share_,
        "columns": [list(one) for one in detector.columns_],
    }
    rule = (
        "where it saves more than it costs"
        if detector.threshold_ is None
        else f"above {detector.threshold_:.4f}"
    )
    notes = ClassNotes(
        data=f"records{'' if detector.entity_column is None else f' by {detector.entity_column}'}, read in stretches "
        f"of at most {detector.window}",
        target=f"0 {detector.usual}, 1 any other; an alarm is raised {rule}",
    )
    card = card_text(detector.classifier_, notes).replace("SequenceClassifier", "RecordDetector")
    card = card.replace("from gatewise import", "from gatewise.tasks.recipes import")
    save_model(path, kind=KIND, config={"classifier": config, "detector": own}, tensors=tensors, card=card)


def load_detector(cls: type[Loaded], path: Path) -> Loaded:
    """Load a detector from a folder.

    Raises:
        StoreError: the folder is no detector, or its content does not fit together.
    """
    stored = load_model(path, kind=KIND)
    with restoring(path, "a detector"):
        own = stored.config["detector"]
        classifier = restore_classifier(
            SequenceClassifier, stored.config["classifier"], dict(stored.tensors), path
        )
        parameters = {**own["parameters"], "ignore_columns": tuple(own["parameters"]["ignore_columns"])}
        detector = cls(**parameters)
        threshold = own["threshold"]
        detector.threshold_ = None if threshold is None else float(threshold)
        detector.kinds_ = tuple(own["kinds"])
        detector.bad_share_ = float(own["bad_share"])
        detector.columns_ = (tuple(own["columns"][0]), tuple(own["columns"][1]))
    detector.classifier_ = classifier
    return detector
