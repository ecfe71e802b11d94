"""What tells one run from another, so that no run resumes from another's checkpoint."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from torch import Tensor, nn

from gatewise.errors import StoreError
from gatewise.store.weights import pack_tensors
from gatewise.train.config import TrainConfig
from gatewise.train.protocols import BatchSource, Objective

__all__ = ["check_same_run", "fingerprint"]

# These change when a run ends or where it computes, not what it computes.
_FREE = {"max_time", "checkpoint_folder", "checkpoint_every_seconds", "checkpoint_every_steps", "device"}


def fingerprint(
    model: nn.Module, objective: Objective, batches: BatchSource, config: TrainConfig, precision: str
) -> dict[str, Any]:
    """Describe a run by what its numbers depend on.

    Args:
        model: its tensors' names, shapes and dtypes count, not their values: a checkpoint replaces them.
        objective: its `fingerprint()`, or its class.
        batches: its `fingerprint()`, or a digest of the first batch; and the steps per epoch.
        config: all but what only says where and how long.
        precision: the one that "auto" stands for here.

    Returns:
        Plain JSON.
    """
    values = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in _FREE
    }
    values["precision"] = precision
    tensors = {
        name: f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
        for name, value in model.state_dict().items()
        if isinstance(value, Tensor)
    }
    data = {"steps_per_epoch": batches.steps_per_epoch(), "source": _source(batches)}
    tell = getattr(objective, "fingerprint", None)
    return {
        "config": values,
        "model": tensors,
        "data": data,
        "objective": {"objective": str(tell()) if callable(tell) else type(objective).__qualname__},
    }


def check_same_run(stored: Any, current: dict[str, Any], source: str) -> None:
    """Refuse a checkpoint of another run.

    Args:
        stored: the checkpoint's fingerprint.
        current: this run's.
        source: the checkpoint, for the message.

    Raises:
        StoreError: they differ; it names what, the stored value and the present one.
    """
    differences = []
    for part, values in current.items():
        before = stored.get(part) if isinstance(stored, dict) else None
        before = before if isinstance(before, dict) else {}
        for key in [*values, *(key for key in before if key not in values)]:
            if before.get(key) != values.get(key):
                label = key if part == "config" else f"{part}: {key}"
                differences.append(f"{label} ({before.get(key)} there, {values.get(key)} here)")
    if differences:
        more = f" and {len(differences) - 6} more" if len(differences) > 6 else ""
        raise StoreError(
            f"{source} belongs to another run: {'; '.join(differences[:6])}{more}. Resume with what it was "
            "started with, or choose another checkpoint_folder (or remove this one) to train afresh"
        )


def _source(batches: BatchSource) -> str:
    tell = getattr(batches, "fingerprint", None)
    if callable(tell):
        return str(tell())
    return hashlib.sha256(pack_tensors(dict(batches.batch(0, 0)))).hexdigest()[:16]
