"""The shared library: finding it, its C interface, and the OpenMP runtime that torch has loaded."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from gatewise.engines.native.words import ABI

__all__ = ["Call", "Library", "loaded", "reason_absent", "threads"]

KERNELS = {0: "portable", 1: "avx2", 2: "avx512"}
_NAMES = {"win32": "gatewise_native.dll", "darwin": "libgatewise_native.dylib"}


class Call(ctypes.Structure):
    """``gatewise_call``; buffers and weights are arrays of 64-bit numbers, four and three for each."""

    _fields_ = (
        ("buffers", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("steps", ctypes.c_int64),
        ("rows", ctypes.c_int64),
        ("start", ctypes.c_int64),
        ("seed", ctypes.c_uint64),
        ("stream", ctypes.c_int64),
        ("reverse", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("parallel", ctypes.c_void_p),
        ("prepared", ctypes.c_void_p),
        ("prepared_size", ctypes.c_int64),
    )


@dataclass(frozen=True)
class Library:
    """The loaded library.

    Attributes:
        path: Where it lies.
        handle: Its functions.
        parallel: Address of the function that runs a team of torch's OpenMP threads; None where there is none.
    """

    path: Path
    handle: Any
    parallel: int | None

    @property
    def kernel(self) -> str:
        """The kernel in use, the best that this processor runs: "avx512", "avx2" or "portable"."""
        return KERNELS[self.handle.gatewise_kernel_in_use()]

    def choose_kernel(self, name: str) -> None:
        """Takes another kernel, for tests and measurements."""
        number = {text: number for number, text in KERNELS.items()}[name]
        self.check(self.handle.gatewise_choose_kernel(number))

    def check(self, code: int) -> None:
        """Raises what an error code stands for."""
        if code == 1:
            raise MemoryError(
                "native engine: not enough memory for this call; use smaller batches or fewer steps"
            )
        if code:
            raise RuntimeError(f"native engine: {self.handle.gatewise_error_text(code).decode()}")


_forked = False


def _after_fork() -> None:
    """A forked child computes with one thread: the parent's pool is not there, and whoever waits for it hangs.

    That holds for torch's own products and sums around the kernel, and in every backward pass, as well.
    """
    global _forked
    _forked = True
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def threads() -> int:
    """How many threads a call may use; one in a forked child, where torch's own pool would hang."""
    return 1 if _forked else torch.get_num_threads()


def _places() -> Iterator[Path]:
    """Beside this file, or where an editable install has put it."""
    name = _NAMES.get(sys.platform, "libgatewise_native.so")
    yield Path(__file__).with_name(name)
    try:
        files = metadata.files("gatewise") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == name:
            yield Path(str(file.locate()))


@lru_cache(maxsize=1)
def _load() -> tuple[Library | None, str | None]:
    path = next((place for place in _places() if place.is_file()), None)
    if path is None:
        return None, (
            "the native library is not installed: no C++ compiler was found when Gatewise was installed; "
            "install one (g++ or clang++) and reinstall Gatewise"
        )
    try:
        handle = ctypes.CDLL(str(path))
        version = handle.gatewise_abi()
    except (OSError, AttributeError) as error:
        return None, f"the native library {path.name} cannot be loaded: {error}"
    if version != ABI:
        return None, f"the native library is of version {version}, this Gatewise needs {ABI}; reinstall it"
    handle.gatewise_error_text.restype = ctypes.c_char_p
    handle.gatewise_openmp.restype = ctypes.c_void_p
    handle.gatewise_plan_make.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(ctypes.c_void_p)]
    handle.gatewise_plan_free.argtypes = [ctypes.c_void_p]
    handle.gatewise_run.argtypes = [ctypes.c_void_p, ctypes.POINTER(Call)]
    handle.gatewise_run_together.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32]
    handle.gatewise_prepared_size.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int64)]
    handle.gatewise_prepare.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int64,
    ]  # fmt: skip
    handle.gatewise_apply.argtypes = [ctypes.c_int, ctypes.c_int, *[ctypes.c_void_p] * 4, ctypes.c_int64]
    return Library(path, handle, _share_pool(handle)), None


def _share_pool(handle: Any) -> int | None:
    """Hands the library the OpenMP runtime of torch's own products: a second pool would fight it for the cores."""
    names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
    inside = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*"))
    for place in [*(str(path) for path in inside), None]:
        try:
            runtime = ctypes.CDLL(place)
            pointers = [ctypes.cast(getattr(runtime, name), ctypes.c_void_p) for name in names]
        except (OSError, AttributeError, TypeError):
            continue
        if handle.gatewise_use_openmp(*pointers) == 0:
            address: int | None = handle.gatewise_openmp()
            return address
    return None


def loaded() -> Library | None:
    """The library, or None where it is not there."""
    return _load()[0]


def reason_absent() -> str | None:
    """Why there is no library, or None."""
    return _load()[1]
