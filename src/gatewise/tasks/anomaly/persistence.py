"""A fitted detector as a model folder: JSON for what was learned of the data, safetensors for every array."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gatewise.data import Frequency
from gatewise.errors import StoreError
from gatewise.store import apply_tensors, load_model, save_model
from gatewise.tasks.anomaly.card import CardNotes, card_text
from gatewise.tasks.anomaly.distances import ErrorGaussian
from gatewise.tasks.anomaly.fitted import Fitted, Judging
from gatewise.tasks.anomaly.network import NetworkPlan, build_network
from gatewise.tasks.anomaly.scaling import Scaler
from gatewise.tasks.anomaly.thresholds import threshold_from_state
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

if TYPE_CHECKING:
    from gatewise.tasks.anomaly.detector import AnomalyDetector

__all__ = ["KIND", "load_detector", "save_detector"]

KIND = "anomaly-detector"
Loaded = TypeVar("Loaded", bound=Estimator)


def save_detector(detector: AnomalyDetector, path: Path, notes: CardNotes | None = None) -> None:
    """Save a fitted detector into a folder.

    Args:
        detector: fitted.
        path: the folder.
        notes: what the card says beside the settings: data, licence, results.
    """
    fitted = detector.fitted_
    config: dict[str, Any] = {
        "parameters": stored_parameters(detector),
        "network": stored_plan(fitted.plan),
        "span": fitted.scaler.span,
        "mask": fitted.mask,
        "level": fitted.level,
        "judging": {
            "window": fitted.judging.window,
            "short": fitted.judging.short,
            "quiet": fitted.judging.quiet,
        },
        "threshold": fitted.threshold.state(),
        "columns": list(fitted.columns),
        "frequency": None if fitted.frequency is None else asdict(fitted.frequency),
        "kind": fitted.kind,
        "from_array": fitted.from_array,
        "time_name": fitted.time_name,
        "found": stored_found(detector, "offset_"),
    }
    tensors = {f"network.{name}": value for name, value in stored_weights(fitted.network).items()}
    arrays = {
        "scaler.level": fitted.scaler.level,
        "scaler.spread": fitted.scaler.spread,
        "judging.history": fitted.judging.history,
    }
    if fitted.gaussian is not None:
        arrays |= {"gaussian.mean": fitted.gaussian.mean, "gaussian.precision": fitted.gaussian.precision}
    tensors |= {name: torch.from_numpy(np.array(values, order="C")) for name, values in arrays.items()}
    save_model(
        path, kind=KIND, config=config, tensors=tensors, card=card_text(detector, notes or CardNotes())
    )


def load_detector(cls: type[Loaded], path: Path) -> Loaded:
    """Load a detector from a folder.

    Raises:
        StoreError: the folder is no detector, or its content does not fit together.
    """
    stored = load_model(path, kind=KIND)
    with restoring(path, "a detector"):
        return _restored(cls, stored.config, dict(stored.tensors))


def _restored(cls: type[Loaded], config: dict[str, Any], tensors: dict[str, Tensor]) -> Loaded:
    plan = restored_plan(config["network"])
    plan["levels"] = tuple(plan["levels"])
    built = NetworkPlan(**plan)
    with torch.random.fork_rng(devices=[]):
        network = build_network(built)
    own = {
        name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")
    }
    apply_tensors(network, own, source="model.safetensors")
    arrays = {name: tensors[name].numpy() for name in tensors if not name.startswith("network.")}
    columns = tuple(config["columns"])
    scaler = Scaler(arrays["scaler.level"], arrays["scaler.spread"], config["span"])
    if scaler.level.shape != (len(columns),) or built.channels != len(columns):
        raise StoreError("the channels of config.json and model.safetensors differ")
    gaussian = None
    if built.method != "quantile":
        gaussian = ErrorGaussian(arrays["gaussian.mean"], arrays["gaussian.precision"])
    judging = config["judging"]
    fitted = Fitted(
        network=network.eval(), plan=built, scaler=scaler, mask=bool(config["mask"]), gaussian=gaussian,
        level=bool(config.get("level", False)),
        judging=Judging(judging["window"], judging["short"], arrays["judging.history"], judging["quiet"]),
        threshold=threshold_from_state(config["threshold"]), columns=columns,
        frequency=None if config["frequency"] is None else Frequency(**config["frequency"]),
        kind=config["kind"], from_array=config["from_array"], time_name=config["time_name"],
    )  # fmt: skip
    parameters = restored_parameters(config, built.program)
    for name in ("quantiles", "likelihood"):
        parameters[name] = tuple(parameters[name]) if isinstance(parameters[name], list) else parameters[name]
    detector = cls(**parameters)
    give_found(detector, config, "offset_")
    detector.fitted_ = fitted
    detector.n_features_in_ = len(columns)
    detector._own_stream = None
    return detector
