"""Checkpoints: safetensors and JSON in one file whose name carries its digest; the last two are kept.

`step-000000000120-1f0e9d8c7b6a5948.safetensors` is whole if its sha256 begins with these digits. One that is
not (a disk that lied, a copy that was cut) is passed over for the one before, with a warning that names it.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

from torch import Tensor

from gatewise.errors import StoreError
from gatewise.store.documents import digest, parse_json
from gatewise.store.files import atomic_write, make_folder, read_file, remove_leftovers, store_error
from gatewise.store.weights import pack_tensors, unpack_tensors
from gatewise.train.fingerprint import check_same_run

__all__ = ["CheckpointFolder", "CheckpointWarning"]

_VERSION = 1
_KEPT = 2
_NAME = re.compile(r"step-(\d{12})-([0-9a-f]{16})\.safetensors")
_MOST_BYTES = 2**40


class CheckpointWarning(UserWarning):
    """A checkpoint is torn, or could not be written; the run goes on."""


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        folder: where they are; made at the first save.
        fingerprint: what tells this run from others.
    """

    def __init__(self, folder: Path, fingerprint: dict[str, Any]) -> None:
        self.folder = folder
        self._fingerprint = fingerprint
        self._torn: set[str] = set()

    def save(self, step: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Write a checkpoint, then remove all but the last two.

        Args:
            step: how many steps are done; the name sorts by it.
            tensors: all that is a tensor.
            state: the rest, plain JSON.

        Raises:
            StoreError: it cannot be written; the earlier ones are untouched.
        """
        document = {"format": "gatewise.checkpoint", "version": _VERSION, "fingerprint": self._fingerprint}
        text = json.dumps({**document, "state": state}, allow_nan=False)
        data = pack_tensors(tensors, {"gatewise": text})
        make_folder(self.folder)
        name = f"step-{step:012}-{digest(data)[:16]}.safetensors"
        atomic_write(self.folder / name, data)
        whole = [other for other in self._names() if other not in self._torn and _step(other) <= step]
        kept = [name, *(other for other in whole if other != name)][:_KEPT]
        for other in self._names():
            if other not in kept:  # older ones, and torn ones that load() passed over
                try:
                    os.unlink(self.folder / other)
                except OSError as error:
                    warnings.warn(
                        str(store_error("remove", self.folder / other, error)), CheckpointWarning, 2
                    )

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Read the newest checkpoint that is whole.

        Returns:
            Its tensors and state, or None if there is none at all.

        Raises:
            StoreError: there are some and none is whole, or it belongs to another run or a newer Gatewise.
        """
        remove_leftovers(self.folder)
        faults: list[str] = []
        for name in self._names():
            path = self.folder / name
            try:
                tensors, document = _read(path)
            except StoreError as error:
                faults.append(str(error))
                self._torn.add(name)
                continue
            for fault in faults:
                warnings.warn(f"{fault}; the one before it, {path}, is used", CheckpointWarning, 2)
            check_same_run(document["fingerprint"], self._fingerprint, str(path))
            return tensors, document["state"]
        if faults:
            raise StoreError(
                f"no checkpoint in {self.folder} is whole: {faults[0]}; restore one, or remove the folder "
                "to train afresh"
            )
        return None

    def _names(self) -> list[str]:
        """Return the checkpoints' names, the newest first."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise store_error("read the checkpoints in", self.folder, error) from error
        return sorted((name for name in names if _NAME.fullmatch(name)), reverse=True)


def _step(name: str) -> int:
    return int(name[5:17])


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    data = read_file(path, limit=_MOST_BYTES)
    if digest(data)[:16] != path.name[18:34]:
        raise StoreError(f"the checkpoint {path} is torn: its content is not what its name says")
    tensors, metadata = unpack_tensors(data, path)
    document = parse_json(metadata.get("gatewise", "").encode("utf-8"), path)
    if document.get("format") != "gatewise.checkpoint" or not isinstance(document.get("state"), dict):
        raise StoreError(f"{path} is no checkpoint of Gatewise's; remove it from the folder")
    version = document.get("version")
    if version != _VERSION:
        raise StoreError(
            f"the checkpoint {path} has version {version}, this Gatewise reads {_VERSION}: resume with the "
            "version that wrote it"
        )
    if document["state"].get("step") != _step(path.name):
        raise StoreError(f"the checkpoint {path} holds another step than its name says; remove it")
    return tensors, document
