"""Files that are whole or not there: staged writes, bounded reads, errors that say what to do.

A write goes to a temporary file in the same folder, is flushed to the disk (fsync), takes the target's place
in one step (`os.replace`), and the folder's entry is flushed too. Whatever goes wrong before the replacement
leaves the old file as it was and removes the temporary one.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import socket
import stat
from pathlib import Path
from typing import Self

from gatewise.errors import StoreError

__all__ = [
    "StagedFile",
    "atomic_write",
    "make_folder",
    "read_file",
    "remove_leftovers",
    "store_error",
    "writer_id",
]

_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space or choose a path on another disk",
    errno.EDQUOT: "the disk quota is used up: free some space or choose a path on another disk",
    errno.EACCES: "permission denied: change the permissions of the file and folder or choose another path",
    errno.EPERM: "not permitted: change the permissions of the file and its folder or choose another path",
    errno.EROFS: "the file system is read-only: choose a path on another one",
    errno.ENOENT: "no such file or folder: check the path",
    errno.ENOTDIR: "a part of the path is a file where a folder is expected: check the path",
    errno.EISDIR: "a folder is in the place of the file: remove it or choose another path",
    errno.ENOTEMPTY: "a folder is in the place of the file: remove it or choose another path",
    errno.EEXIST: "something with this name exists already: remove it or choose another path",
    errno.ELOOP: "symbolic links that lead in a circle: remove the link or choose another path",
    errno.ENAMETOOLONG: "the name is too long for the file system: choose a shorter path",
    errno.EFBIG: "the file is too large for the file system or the limit set for this process",
    errno.EIO: "the device failed to read or write: check the disk",
}
# What fsync answers where a file system has no way to flush a folder.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


def store_error(action: str, path: str | os.PathLike[str], error: OSError) -> StoreError:
    """Turn an operating system's error into one that names the path and says what to do.

    Args:
        action: what was tried, a verb ("write", "read").
        path: the file or folder that it was tried on.
        error: what the operating system answered.

    Returns:
        The error to raise, with `error` as its cause to be set by `raise ... from error`.
    """
    advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
    return StoreError(f"cannot {action} {os.fspath(path)}: {advice}")


class StagedFile:
    """A file that is written and flushed beside its target, and waits to take the target's place.

    Staging several files before the first of them is put in place means that a full disk is found while every
    old file is still as it was.

    Args:
        path: the target.
        data: its whole content.

    Attributes:
        committed: whether the target has been replaced.

    Raises:
        StoreError: the file cannot be written; nothing is left behind and the old file is untouched.

    Example:
        >>> import tempfile, pathlib
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> staged = StagedFile(folder / "note.txt", b"whole")
        >>> (folder / "note.txt").exists()
        False
        >>> staged.commit()
        >>> (folder / "note.txt").read_bytes()
        b'whole'
    """

    def __init__(self, path: str | os.PathLike[str], data: bytes) -> None:
        self.path = Path(path)
        self.committed = False
        name = f".{self.path.name}.{writer_id()}-{secrets.token_hex(4)}.tmp"
        self._temporary: Path | None = self.path.with_name(name) if self.path.name else None
        if self._temporary is None:
            raise StoreError(
                f"cannot write {os.fspath(path)!r}: it names no file; give a path that ends in a name"
            )
        try:
            _write_new(self._temporary, data)
        except BaseException as error:
            self.discard()
            if isinstance(error, OSError):
                raise _write_error(self.path, len(data), error) from error
            if isinstance(error, ValueError):
                raise StoreError(f"cannot write {os.fspath(path)!r}: {error}; choose another path") from error
            raise

    def commit(self) -> None:
        """Put the file in its target's place and flush the folder.

        Raises:
            StoreError: the target cannot be replaced (a folder is in its place, say); it is untouched.
        """
        if self._temporary is None:
            return
        try:
            os.replace(self._temporary, self.path)
        except BaseException as error:
            self.discard()
            if isinstance(error, OSError):
                raise store_error("write", self.path, error) from error
            raise
        self._temporary, self.committed = None, True
        sync_folder(self.path.parent)

    def discard(self) -> None:
        """Remove the temporary file, if it is still there; the target stays as it is."""
        if self._temporary is not None:
            temporary, self._temporary = self._temporary, None
            try:
                temporary.unlink(missing_ok=True)
            except (OSError, ValueError):
                return  # what cannot be removed is taken away by a later call of remove_leftovers

    def __enter__(self) -> Self:
        """Return the staged file, to be discarded at the end unless it was committed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Discard what was not committed."""
        self.discard()


def atomic_write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that at every moment, a crash included, its old or its new content is there whole.

    Args:
        path: the file to write; its folder must exist.
        data: its whole content.

    Raises:
        StoreError: the disk is full, the folder is missing or may not be written, ...; the old file is
            untouched.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "metrics.json"
        >>> atomic_write(path, b"{}")
        >>> path.read_bytes()
        b'{}'
    """
    StagedFile(path, data).commit()


def read_file(path: str | os.PathLike[str], *, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Never waits on a pipe and never reads an endless device: what is not a regular file is refused.

    Args:
        path: the file.
        limit: the most bytes that it may have.

    Returns:
        Its whole content.

    Raises:
        StoreError: it is missing, unreadable, larger than `limit`, or not a regular file.
    """
    try:
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        flags = (
            os.O_RDONLY
            | getattr(os, "O_NONBLOCK", 0)
            | getattr(os, "O_CLOEXEC", 0)
            | getattr(os, "O_BINARY", 0)
        )
        with os.fdopen(os.open(path, flags), "rb", closefd=True) as file:
            return _read_regular(file, path, limit)
    except OSError as error:
        raise store_error("read", path, error) from error
    except ValueError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"cannot read {os.fspath(path)!r}: {error}; check the path") from error


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder and those above it, unless it exists.

    Args:
        path: the folder.

    Returns:
        Its path.

    Raises:
        StoreError: a file is in its place, or it may not be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == errno.EEXIST:
            raise StoreError(
                f"cannot make the folder {folder}: a file is in its place; remove it or choose another path"
            ) from error
        raise store_error("make the folder", folder, error) from error
    except ValueError as error:
        raise StoreError(
            f"cannot make the folder {os.fspath(path)!r}: {error}; choose another path"
        ) from error
    return folder


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files of writers on this machine that were killed while they wrote.

    Args:
        folder: where to look; a folder that is missing or may not be changed is left alone.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if not (name.startswith(".") and name.endswith(".tmp")):
            continue
        writer = name[:-4].rpartition("-")[0].rpartition(".")[2]
        machine, _, process = writer.rpartition("-")
        if machine == _machine() and process.isdigit() and not _is_running(int(process)):
            try:
                os.unlink(os.path.join(folder, name))
            except OSError:
                continue


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Flush a folder's entries to the disk, where the file system can."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise store_error("flush", folder, error) from error


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, through to the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_error(path: Path, size: int, error: OSError) -> StoreError:
    """Say how much room was needed, where that is what went wrong."""
    if error.errno == errno.ENOSPC:
        try:
            free = f", {shutil.disk_usage(path.parent).free:,} are free"
        except OSError:
            free = ""
        return StoreError(
            f"cannot write {path}: the disk is full ({size:,} bytes are needed{free}): free some space or "
            "choose a path on another disk; what was there before is untouched"
        )
    return store_error("write", path, error)


def _read_regular(file: object, path: str | os.PathLike[str], limit: int) -> bytes:
    """Read an open file if it is a regular one of at most `limit` bytes."""
    status = os.fstat(file.fileno())  # type: ignore[attr-defined]
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder")
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(
            f"cannot read {os.fspath(path)}: it is a device or a pipe; a regular file is expected"
        )
    size = status.st_size
    try:
        data: bytes = file.read(size + 1) if size <= limit else b""  # type: ignore[attr-defined]
    except MemoryError as error:
        raise StoreError(
            f"cannot read {os.fspath(path)}: its {size:,} bytes do not fit into memory"
        ) from error
    if size > limit or len(data) > limit:
        raise StoreError(
            f"cannot read {os.fspath(path)}: at most {limit:,} bytes are expected, the file has "
            f"{size:,}; it is damaged or no file of Gatewise's"
        )
    return data


def _machine() -> str:
    """Name this machine in a way that fits into a file name."""
    return "".join(letter if letter.isalnum() else "_" for letter in socket.gethostname())[:32] or "host"


def writer_id() -> str:
    """Name this process among all that may write to the same folder."""
    return f"{_machine()}-{os.getpid()}"


def _is_running(process: int) -> bool:
    """Tell whether a process of this machine is alive."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
