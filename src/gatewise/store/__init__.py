"""Files on disk: atomic writes and the model folder. JSON and safetensors only; nothing is ever unpickled."""

from __future__ import annotations

from gatewise.store.files import atomic_write
from gatewise.store.folder import FORMAT_VERSION, StoredModel, load_model, model_kind, save_model
from gatewise.store.weights import apply_tensors, pack_tensors, unpack_tensors

__all__ = [
    "FORMAT_VERSION",
    "StoredModel",
    "apply_tensors",
    "atomic_write",
    "load_model",
    "model_kind",
    "pack_tensors",
    "save_model",
    "unpack_tensors",
]
