"""One writer at a time in a folder: a lock that names its holder and ends with its process."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gatewise.errors import StoreError
from gatewise.store.files import store_error, writer_id

try:
    import fcntl
except ImportError:  # Windows has no flock: writers are not kept apart there
    fcntl = None  # type: ignore[assignment]

__all__ = ["folder_lock"]

_NAME = ".gatewise.lock"
_PAUSE = 0.01
"""Seconds between two tries."""


@contextmanager
def folder_lock(folder: Path, patience: float = 60.0) -> Iterator[None]:
    """Hold a folder against every other writer, threads of this process included.

    The kernel frees the lock of a process that dies, so a file that was left behind holds nobody up. Where the file
    system has no such locks, writers are not kept apart.

    Args:
        folder: it must exist.
        patience: seconds to wait for another holder.

    Raises:
        StoreError: another writer holds the folder for longer than that (it is named), or it may not be written.
    """
    if fcntl is None:
        yield
        return
    path = folder / _NAME
    end = time.monotonic() + patience
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise store_error("write", path, error) from error
        try:
            if _hold(descriptor, path):
                try:
                    yield
                finally:
                    with suppress(OSError):
                        os.unlink(path)
                return
            if time.monotonic() > end:
                holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace") or "another writer"
                raise StoreError(
                    f"cannot write {folder}: {holder} is writing to it; wait until it is done, or choose another folder"
                )
        finally:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # a forked child may have the descriptor too
            os.close(descriptor)
        time.sleep(_PAUSE)


def _hold(descriptor: int, path: Path) -> bool:
    """Take the lock if nobody has it, and write down who has it now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # this file system has no such locks
    try:
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return False  # its holder removed the file, and another writer has made a new one
    except FileNotFoundError:
        return False
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with suppress(OSError):  # a full disk is told by the writing itself
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} ({writer_id()}, since {now})".encode())
    return True
