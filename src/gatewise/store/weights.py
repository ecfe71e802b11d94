"""Tensors to safetensors bytes and back, and into the module that expects them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from gatewise.errors import ArgumentError, ArgumentTypeError, StoreError
from gatewise.store.documents import parse_json

__all__ = ["apply_tensors", "pack_tensors", "unpack_tensors"]

_DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.bool,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64,
)  # fmt: skip
# The format's own limit on its header (safetensors' README).
_MOST_HEADER_BYTES = 100_000_000
_METADATA = "__metadata__"
# What the parser and torch raise on a file that lies about itself.
_HOSTILE = (
    safetensors.SafetensorError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    OverflowError,
    AssertionError,
)


def pack_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Write tensors in the safetensors format.

    Args:
        tensors: by name; any device, any strides, shared storage allowed (it is written for each name).
        metadata: text to put beside them.

    Returns:
        The whole file's content.

    Raises:
        ArgumentError: a name or dtype that the format cannot hold, or a tensor without dense storage.
        ArgumentTypeError: a name that is no string, or a value that is no tensor.

    Example:
        >>> data = pack_tensors({"weight": torch.ones(2)}, {"note": "ones"})
        >>> tensors, metadata = unpack_tensors(data, "ones.safetensors")
        >>> tensors["weight"], metadata
        (tensor([1., 1.]), {'note': 'ones'})
    """
    plain = {}
    for name, tensor in tensors.items():
        _check_storable(name, tensor)
        plain[name] = tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format)
    return safetensors.torch.save(plain, metadata=dict(metadata or {}))


def unpack_tensors(data: bytes, source: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what `pack_tensors` wrote.

    Args:
        data: the whole file's content.
        source: the file it came from, for the message.

    Returns:
        The tensors by name (on the CPU, memory of their own) and the metadata.

    Raises:
        StoreError: the file is torn or its header lies.
    """
    metadata = _metadata(data, source)
    try:
        tensors = safetensors.torch.load(data)
    except _HOSTILE as error:
        raise StoreError(
            f"{os.fspath(source)} is damaged: {str(error) or type(error).__name__}; restore the file or "
            "save it anew"
        ) from error
    # The library's tensors are views of byte arrays; a copy has torch's alignment.
    return {name: tensor.clone() for name, tensor in tensors.items()}, metadata


def apply_tensors(
    module: nn.Module, tensors: Mapping[str, Tensor], *, source: str | os.PathLike[str] = "tensors"
) -> None:
    """Load tensors into a module, all of them or none.

    Args:
        module: what expects them; its `state_dict` says their names, shapes and dtypes.
        tensors: by name, as `module.state_dict()` names them.
        source: where they came from, for the message.

    Raises:
        StoreError: names are missing or unexpected, or a shape or dtype differs; the module is unchanged.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> apply_tensors(layer, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)})
        >>> layer.weight.tolist()
        [[1.0, 1.0]]
        >>> apply_tensors(layer, {"weight": torch.ones(1, 3)})
        Traceback (most recent call last):
        ...
        gatewise.errors.StoreError: tensors does not fit the module Linear: missing: bias; wrong shape:
        weight ...
    """
    expected = {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}
    faults = []
    missing = [name for name in expected if name not in tensors]
    unexpected = [name for name in tensors if name not in expected]
    if missing:
        faults.append(f"missing: {_some(missing)}")
    if unexpected:
        faults.append(f"unexpected: {_some(unexpected)}")
    common = [(name, tensors[name], expected[name]) for name in expected if name in tensors]
    shapes = [
        f"{name} (expected {tuple(want.shape)}, came {tuple(came.shape)})"
        for name, came, want in common
        if came.shape != want.shape
    ]
    if shapes:
        faults.append(f"wrong shape: {_some(shapes)}")
    dtypes = [
        f"{name} (expected {want.dtype}, came {came.dtype})"
        for name, came, want in common
        if came.dtype != want.dtype
    ]
    if dtypes:
        faults.append(f"wrong dtype: {_some(dtypes)}")
    if faults:
        raise StoreError(
            f"{os.fspath(source)} does not fit the module {type(module).__name__}: {'; '.join(faults)}; "
            "build the module with the configuration that the tensors were saved with"
        )
    try:
        module.load_state_dict(dict(tensors), strict=False)
    except RuntimeError as error:
        raise StoreError(
            f"{os.fspath(source)} does not fit the module {type(module).__name__}: {error}"
        ) from error


def _check_storable(name: str, tensor: Tensor) -> None:
    if type(name) is not str:
        raise ArgumentTypeError(f"tensors: names must be strings, came {name!r}")
    if name == _METADATA or not name:
        raise ArgumentError(f"tensors: the name {name!r} cannot be stored; choose another")
    if not isinstance(tensor, Tensor):
        raise ArgumentTypeError(
            f"tensors[{name!r}]: a torch.Tensor is expected, came {type(tensor).__name__}"
        )
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise ArgumentError(
            f"tensors[{name!r}]: a dense tensor with values is expected, came {tensor.layout}"
        )
    if tensor.dtype not in _DTYPES:
        raise ArgumentError(
            f"tensors[{name!r}]: dtype {tensor.dtype} cannot be stored; convert it beforehand"
        )


def _metadata(data: bytes, source: str | os.PathLike[str]) -> dict[str, str]:
    """Read the header's text, strictly, before the library sees the file."""
    size = int.from_bytes(data[:8], "little") if len(data) >= 8 else -1
    if not 2 <= size <= min(_MOST_HEADER_BYTES, len(data) - 8):
        raise StoreError(
            f"{os.fspath(source)} is damaged: its header is cut short ({len(data):,} bytes in all); restore "
            "the file or save it anew"
        )
    metadata = parse_json(data[8 : 8 + size], source).get(_METADATA, {})
    if not isinstance(metadata, dict) or any(type(text) is not str for text in metadata.values()):
        raise StoreError(f"{os.fspath(source)} is damaged: its metadata is not text by name; save it anew")
    return metadata


def _some(names: Iterable[str]) -> str:
    """Name the first few of many."""
    listed = list(names)
    shown = ", ".join(listed[:8])
    return shown if len(listed) <= 8 else f"{shown} and {len(listed) - 8} more"
