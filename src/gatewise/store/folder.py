"""The model folder: config.json, model.safetensors and card.md, saved whole or not at all, loaded strictly.

The folder's state is what config.json says: it carries the digest of its own text and of the weights. A save
puts the new weights beside the old ones as `model.safetensors.next`, then replaces config.json (this is the
moment of the save), then renames the weights. A process that is killed anywhere in between leaves a folder
that loads as the old model or as the new one, never as a mixture. Other files in the folder are nobody's
business here.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gatewise.errors import ArgumentError, ArgumentTypeError, StoreError
from gatewise.store.documents import canonical_json, check_plain, digest, parse_json
from gatewise.store.files import (
    StagedFile,
    make_folder,
    read_file,
    remove_leftovers,
    store_error,
    sync_folder,
)
from gatewise.store.lock import folder_lock
from gatewise.store.weights import pack_tensors, unpack_tensors

__all__ = ["FORMAT_VERSION", "StoredModel", "load_model", "model_kind", "save_model"]

FORMAT_VERSION = 1
_FORMAT = "gatewise.model"
_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
_NEXT = "model.safetensors.next"
_CARD = "card.md"
_MOST_CONFIG_BYTES = 64 * 2**20
_MOST_ATTEMPTS = 20  # to read a folder that another process keeps saving to
_KIND = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_KEYS = {"format", "version", "kind", "library", "config", "weights", "sha256"}
_WEIGHTS_KEYS = {"bytes", "sha256"}


@dataclass(frozen=True)
class StoredModel:
    """A model as it lies in its folder.

    Attributes:
        kind: what saved it ("forecaster").
        version: the format's version.
        config: the configuration, plain JSON values.
        tensors: the weights by name, on the CPU.
        library: the version of Gatewise that saved it.
    """

    kind: str
    version: int
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    library: str


def save_model(
    path: str | os.PathLike[str],
    *,
    kind: str,
    config: dict[str, Any],
    tensors: Mapping[str, Tensor],
    card: str,
) -> None:
    """Save a model into a folder, made if need be; a model that is there is replaced in one step.

    Args:
        path: the folder. Its other files (a report, checkpoints) are left alone.
        kind: what the model is, lower case ("forecaster"); `load_model` can insist on it.
        config: plain JSON values under string keys; tuples come back as lists.
        tensors: the weights by name.
        card: the text of card.md, for people; loading does not read it.

    Raises:
        ArgumentError: `kind`, or a value in `config` or `tensors`, cannot be stored.
        ArgumentTypeError: `config` holds something that is not JSON, `tensors` something that is no tensor.
        StoreError: the folder cannot be written; a model that was there is still there, whole.

    Example:
        >>> import tempfile, torch
        >>> folder = tempfile.mkdtemp()
        >>> save_model(folder, kind="toy", config={"size": 2}, tensors={"w": torch.ones(2)}, card="# A toy")
        >>> load_model(folder).config
        {'size': 2}
    """
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise ArgumentError(f"kind: lower-case letters, digits and _.- are expected, came {kind!r}")
    if type(config) is not dict:
        raise ArgumentTypeError(f"config: a dict is expected, came {type(config).__name__}")
    check_plain(config, "config")
    weights = pack_tensors(tensors)
    document = {
        "format": _FORMAT,
        "version": FORMAT_VERSION,
        "kind": kind,
        "library": _library_version(),
        "config": config,
        "weights": {"bytes": len(weights), "sha256": digest(weights)},
    }
    document["sha256"] = digest(canonical_json(document))
    text = (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
    if len(text) > _MOST_CONFIG_BYTES:
        raise ArgumentError(
            f"config: {len(text):,} bytes as JSON, at most {_MOST_CONFIG_BYTES:,} can be stored"
        )
    folder = make_folder(path)
    with folder_lock(folder):
        _replace(folder, card.encode("utf-8", errors="replace"), text, weights)


def _replace(folder: Path, card: bytes, text: bytes, weights: bytes) -> None:
    """Write the three files; the caller holds the folder."""
    remove_leftovers(folder)
    _finish_earlier_save(folder)
    # All is written and flushed before anything old is touched: a full disk is found here.
    with (
        StagedFile(folder / _CARD, card) as card_file,
        StagedFile(folder / _CONFIG, text) as config_file,
        StagedFile(folder / _NEXT, weights) as weights_file,
    ):
        weights_file.commit()
        try:
            config_file.commit()
        except StoreError:
            if not config_file.committed:
                _remove(folder / _NEXT)
            raise
        _adopt_next(folder)
        card_file.commit()


def load_model(path: str | os.PathLike[str], *, kind: str | None = None) -> StoredModel:
    """Load a model folder, exactly as it was saved.

    Nothing in the folder is executed or unpickled: it is JSON and safetensors.

    Args:
        path: the folder.
        kind: what it must hold; None accepts every kind.

    Returns:
        The model's kind, configuration and weights.

    Raises:
        StoreError: the folder or a file is missing, torn, changed since it was saved, of another kind, or
            written by a newer Gatewise.
    """
    folder = Path(path)
    _check_folder(folder)
    for _ in range(_MOST_ATTEMPTS):
        before = _signature(folder)
        try:
            document = _read_document(folder, kind)
            tensors = _read_weights(folder, document["weights"])
        except StoreError:
            if _signature(folder) == before:
                raise
            continue  # another process saved between our reads
        return StoredModel(
            kind=document["kind"],
            version=document["version"],
            config=document["config"],
            tensors=tensors,
            library=document["library"],
        )
    raise StoreError(f"{folder} keeps changing while it is read; load it when the other process has saved it")


def model_kind(path: str | os.PathLike[str]) -> str:
    """What a model folder holds; its weights are not read.

    Args:
        path: the folder.

    Raises:
        StoreError: as `load_model`, as far as config.json tells.
    """
    folder = Path(path)
    _check_folder(folder)
    return str(_read_document(folder, None)["kind"])


def _signature(folder: Path) -> list[tuple[int, int, int] | None]:
    """Tell whether a save went on between two moments: what its renames would change."""
    found: list[tuple[int, int, int] | None] = []
    for name in (_CONFIG, _WEIGHTS, _NEXT):
        try:
            status = os.stat(folder / name)
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
        except OSError:
            found.append(None)
    return found


def _read_document(folder: Path, kind: str | None) -> dict[str, Any]:
    data = read_file(folder / _CONFIG, limit=_MOST_CONFIG_BYTES)
    return _check_document(parse_json(data, folder / _CONFIG), folder / _CONFIG, kind)


def _check_folder(folder: Path) -> None:
    try:
        if folder.is_dir():
            if not os.path.lexists(folder / _CONFIG):
                raise StoreError(f"{folder} is no model folder: it has no {_CONFIG}; check the path")
            return
        exists = os.path.lexists(folder)
    except OSError as error:
        raise store_error("read", folder, error) from error
    except ValueError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"cannot read {os.fspath(folder)!r}: {error}; check the path") from error
    if exists:
        raise StoreError(f"{folder} is not a folder; give the model's folder, not a file in it")
    raise StoreError(f"there is no model folder {folder}; check the path")


def _check_document(document: dict[str, Any], source: Path, kind: str | None) -> dict[str, Any]:
    """Check what config.json says of itself, the widest question first."""
    if document.get("format") != _FORMAT:
        raise StoreError(
            f"{source} is not a Gatewise model: its format is {document.get('format')!r}, expected "
            f"{_FORMAT!r}"
        )
    version = document.get("version")
    if type(version) is not int or version < 1:
        raise StoreError(
            f"{source} is damaged: its version is {version!r}; restore the file or save the model anew"
        )
    if version > FORMAT_VERSION:
        raise StoreError(
            f"{source} has format version {version}, written by Gatewise {document.get('library')!r}; this "
            f"one reads up to {FORMAT_VERSION}: upgrade (python -m pip install -U gatewise)"
        )
    _check_keys(document, _KEYS, source, "")
    weights = document["weights"]
    if not isinstance(weights, dict):
        raise StoreError(
            f"{source} is damaged: weights is no object; restore the file or save the model anew"
        )
    _check_keys(weights, _WEIGHTS_KEYS, source, "weights.")
    rest = {key: value for key, value in document.items() if key != "sha256"}
    if document["sha256"] != digest(canonical_json(rest)):
        raise StoreError(
            f"{source} was changed after it was saved, by hand or by damage; restore the file or save the "
            "model anew"
        )
    plain = (
        type(document["kind"]) is str
        and type(document["library"]) is str
        and type(document["config"]) is dict
    )
    if (
        not plain
        or type(weights["bytes"]) is not int
        or weights["bytes"] < 0
        or type(weights["sha256"]) is not str
    ):
        raise StoreError(f"{source} is damaged: a value has the wrong type; save the model anew")
    if kind is not None and document["kind"] != kind:
        raise StoreError(
            f"{source} holds a model of kind {document['kind']!r}, expected {kind!r}; load it with the "
            "class that saved it"
        )
    return document


def _check_keys(document: dict[str, Any], expected: set[str], source: Path, prefix: str) -> None:
    missing, unknown = sorted(expected - document.keys()), sorted(document.keys() - expected)
    if missing or unknown:
        faults = [f"{prefix}{name} is missing" for name in missing]
        faults += [f"{prefix}{name} is unknown" for name in unknown]
        raise StoreError(
            f"{source} is damaged: {', '.join(faults[:8])}; restore the file or save the model anew"
        )


def _read_weights(folder: Path, weights: dict[str, Any]) -> dict[str, Tensor]:
    """Read the weights that config.json names, wherever the last save left them."""
    faults = []
    for name in (_WEIGHTS, _NEXT):
        if name == _NEXT and not os.path.lexists(folder / name):
            continue
        try:
            data = read_file(folder / name, limit=weights["bytes"])
        except StoreError as error:
            faults.append(str(error))
            continue
        if len(data) == weights["bytes"] and digest(data) == weights["sha256"]:
            tensors, _ = unpack_tensors(data, folder / name)
            return tensors
        faults.append(
            f"{folder / name} is not the file that {_CONFIG} was saved with: it was "
            + ("cut short" if len(data) < weights["bytes"] else "changed")
            + "; restore it or save the model anew"
        )
    raise StoreError(faults[0])


def _finish_earlier_save(folder: Path) -> None:
    """If a save was killed after its config.json and before its last rename, do that rename now."""
    if not os.path.lexists(folder / _NEXT):
        return
    try:
        document = _read_document(folder, None)
        pending = digest(read_file(folder / _NEXT, limit=document["weights"]["bytes"]))
    except StoreError:
        return  # no whole model is there, or no pending weights of its own: the new save replaces it
    if pending == document["weights"]["sha256"]:
        _adopt_next(folder)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise store_error("remove", path, error) from error


def _adopt_next(folder: Path) -> None:
    try:
        os.replace(folder / _NEXT, folder / _WEIGHTS)
    except OSError as error:
        raise store_error("write", folder / _WEIGHTS, error) from error
    sync_folder(folder)


def _library_version() -> str:
    try:
        return importlib.metadata.version("gatewise")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
