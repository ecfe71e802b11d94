"""A fitted forecaster as a model folder: JSON for what was learned of the data, safetensors for every array."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import narwhals as nw
import numpy as np
import torch
from torch import Tensor

from gatewise.data import Frequency, Panel
from gatewise.data.frames import FrameKind
from gatewise.store import apply_tensors, load_model, save_model
from gatewise.tasks.base import Estimator
from gatewise.tasks.forecast.adaptive import Recent
from gatewise.tasks.forecast.card import CardNotes, card_text
from gatewise.tasks.forecast.covariates import CovariateEncoder, Roles
from gatewise.tasks.forecast.embedding import EmbeddingPlan
from gatewise.tasks.forecast.encoding import Encoder
from gatewise.tasks.forecast.ensemble import Ensemble, together
from gatewise.tasks.forecast.fitted import Fitted
from gatewise.tasks.forecast.network import ForecastNetwork, NetworkPlan
from gatewise.tasks.forecast.scaling import TargetScaler
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
    from gatewise.tasks.forecast.forecaster import Forecaster

__all__ = ["KIND", "load_forecaster", "save_forecaster"]

KIND = "forecaster"
_SCALES = ("unit", "centre", "spread", "size", "lowest", "highest")
Loaded = TypeVar("Loaded", bound=Estimator)


def save_forecaster(
    forecaster: Forecaster, path: Path, notes: CardNotes | None = None, *, card: str | None = None
) -> None:
    """Save a fitted forecaster into a folder.

    Args:
        forecaster: fitted.
        path: the folder.
        notes: what the card says beside the settings: data, licence, test errors.
        card: the card's text, where it is written already.
    """
    fitted = forecaster.fitted_
    plan = fitted.network.plan
    levels = {"quantiles": [float(level) for level in forecaster.quantiles]}
    config: dict[str, Any] = {
        "parameters": stored_parameters(forecaster) | levels,
        "network": stored_plan(plan, embedding=asdict(plan.embedding)),
        "members": len(fitted.network.members) if isinstance(fitted.network, Ensemble) else 1,
        "encoder": plain(asdict(fitted.encoder), exact="encoder"),
        "scaling": fitted.scaling,
        "log": fitted.scaler.log,
        "calibration": list(fitted.calibration),
        "frequency": asdict(fitted.frequency),
        "kind": fitted.kind,
        "from_array": fitted.from_array,
        "recent": asdict(fitted.recent),
        "context": _context_config(fitted.context),
        "found": stored_found(forecaster, "windows_per_second_"),
    }
    text = card_text(forecaster, notes or CardNotes()) if card is None else card
    save_model(path, kind=KIND, config=config, tensors=_tensors(fitted), card=text)


def load_forecaster(cls: type[Loaded], path: Path) -> Loaded:
    """Load a forecaster from a folder.

    Raises:
        StoreError: the folder is no forecaster, or its content does not fit together.
    """
    stored = load_model(path, kind=KIND)
    with restoring(path, "a forecaster"):
        return _restored(cls, stored.config, dict(stored.tensors))


def _restored(cls: type[Loaded], config: dict[str, Any], tensors: dict[str, Tensor]) -> Loaded:
    plan = restored_plan(config["network"])
    plan["levels"] = tuple(plan["levels"])
    plan["embedding"] = EmbeddingPlan(**_tuples(plan["embedding"]))
    whole = NetworkPlan(**plan)
    network = together([ForecastNetwork(whole) for _ in range(config.get("members", 1))])
    own = {
        name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")
    }
    apply_tensors(network, own, source="model.safetensors")
    network.eval()
    encoder = dict(config["encoder"])
    covariates = CovariateEncoder(
        numeric={name: tuple(how) for name, how in encoder["covariates"]["numeric"].items()},
        categories={name: tuple(known) for name, known in encoder["covariates"]["categories"].items()},
        roles=Roles(**_tuples(encoder["covariates"]["roles"])),
    )
    tuples = {name: tuple(encoder.get(name, ())) for name in ("calendar", "further_seasons")}
    encoder |= {"covariates": covariates, **tuples}
    frequency = Frequency(**config["frequency"])
    fitted = Fitted(
        network=network,
        encoder=Encoder(**encoder),
        scaler=TargetScaler(
            log=config["log"], **{name: tensors[f"scaler.{name}"].numpy() for name in _SCALES}
        ),
        scaling=config["scaling"],
        scales=tensors["scales"].numpy(),
        levels=plan["levels"],
        calibration=tuple(config["calibration"]),
        frequency=frequency,
        kind=config["kind"],
        context=_context(config["context"], tensors, covariates.categories, frequency, config["kind"]),
        from_array=config["from_array"],
        trained_until=_trained_until(tensors),
        recent=Recent(**config["recent"]),
    )
    forecaster = cls(**_tuples(restored_parameters(config, whole.program)))
    forecaster.fitted_ = fitted
    give_found(forecaster, config, "windows_per_second_")
    forecaster.lookback_ = fitted.encoder.lookback
    forecaster.season_length_ = fitted.encoder.season_length
    forecaster.frequency_ = frequency
    return forecaster


def _tensors(fitted: Fitted) -> dict[str, Tensor]:
    tensors = {f"network.{name}": value for name, value in stored_weights(fitted.network).items()}
    tensors |= {f"scaler.{name}": torch.from_numpy(getattr(fitted.scaler, name)) for name in _SCALES}
    tensors["scales"] = torch.from_numpy(fitted.scales)
    context = fitted.context
    tensors |= {
        "context.starts": torch.from_numpy(context.starts),
        "context.stamps": torch.from_numpy(context.stamps),
        "context.target": torch.from_numpy(context.target),
        "trained_until": torch.from_numpy(fitted.trained_until),
    }
    for name, values in context.covariates.items():
        if values.dtype == object:
            place = {
                category: code for code, category in enumerate(fitted.encoder.covariates.categories[name])
            }
            values = np.array([place.get(value, -1) for value in values], dtype=np.int64)
        tensors[f"context.covariates.{name}"] = torch.from_numpy(values)
    return {name: value.contiguous().clone() for name, value in tensors.items()}


def _trained_until(tensors: dict[str, Tensor]) -> Any:
    """The last stamps that were fitted; folders of before this was kept have the context's."""
    kept = tensors.get("trained_until")
    if kept is None:
        kept = tensors["context.stamps"][tensors["context.starts"][1:] - 1]
    return kept.numpy()


def _context_config(context: Panel) -> dict[str, Any]:
    frame: dict[str, Any] | None = None
    if context.frame is not None:
        time = context.frame.time
        dated = isinstance(time, nw.Datetime)
        frame = {
            "backend": context.frame.backend,
            "unit": time.time_unit if dated else None,
            "zone": time.time_zone if dated else None,
            "date": isinstance(time, nw.Date),
        }
    whole = all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in context.ids)
    return {"names": list(context.names), "integer_ids": bool(context.ids) and whole, "frame": frame}


def _context(
    config: dict[str, Any],
    tensors: dict[str, Tensor],
    categories: dict[str, tuple[str, ...]],
    frequency: Frequency,
    kind: Any,
) -> Panel:
    covariates: dict[str, Any] = {}
    for key, tensor in tensors.items():
        if key.startswith("context.covariates."):
            name = key.removeprefix("context.covariates.")
            known = categories.get(name)
            covariates[name] = (
                tensor.numpy()
                if known is None
                else np.array([known[code] if code >= 0 else None for code in tensor.tolist()], dtype=object)
            )
    frame = None
    if config["frame"] is not None:
        time: Any = nw.Date() if config["frame"]["date"] else None
        if config["frame"]["unit"] is not None:
            time = nw.Datetime(config["frame"]["unit"], config["frame"]["zone"])
        frame = FrameKind(config["frame"]["backend"], time)
    names = list(config["names"])
    return Panel(
        names=names,
        starts=tensors["context.starts"].numpy(),
        stamps=tensors["context.stamps"].numpy(),
        target=tensors["context.target"].numpy(),
        covariates=covariates,
        frequency=frequency,
        kind=kind,
        frame=frame,
        ids=[int(name) for name in names] if config["integer_ids"] else list(names),
    )


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that they were."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}
