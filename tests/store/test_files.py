"""Files are whole or not there, whatever fails and wherever the process is killed."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys

import pytest

from gatewise.errors import StoreError
from gatewise.store import atomic_write
from gatewise.store.files import StagedFile, make_folder, read_file, remove_leftovers, store_error


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "note"
    atomic_write(path, b"one")
    atomic_write(str(path), b"two" * 1000)
    assert path.read_bytes() == b"two" * 1000
    assert os.listdir(tmp_path) == ["note"]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    before = os.umask(0o022)
    try:
        atomic_write(tmp_path / "note", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "note").stat().st_mode) == 0o644


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "free some space"), (errno.EACCES, "change the permissions"), (errno.EROFS, "read-only"),
     (errno.EIO, "check the disk"), (errno.EDQUOT, "quota")],
)  # fmt: skip
def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, call, number, advice):
    path = tmp_path / "note"
    atomic_write(path, b"old")

    def fail(*_args, **_keywords):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StoreError) as raised:
        atomic_write(path, b"new")
    monkeypatch.undo()
    assert str(path) in str(raised.value)
    assert advice in str(raised.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["note"]


def test_a_disk_that_fills_up_half_way(tmp_path, monkeypatch):
    """The first bytes are written, the rest does not fit."""
    path = tmp_path / "note"
    atomic_write(path, b"old")
    write = os.write

    def short(descriptor, data):
        if len(data) < 5000:
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, data[:3000])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(StoreError, match=r"disk is full \(6,000 bytes are needed"):
        atomic_write(path, b"x" * 6000)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["note"]


def test_a_real_full_disk():
    """/dev/full answers every write with ENOSPC, where there is one."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb", buffering=0) as file, pytest.raises(OSError, match="No space") as raised:
        file.write(b"x")
    assert "free some space" in str(store_error("write", "/dev/full", raised.value))


def test_ctrl_c_amid_a_write_leaves_no_litter(tmp_path, monkeypatch):
    def interrupt(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "note", b"new")
    assert os.listdir(tmp_path) == []


def test_short_writes_are_continued(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    atomic_write(tmp_path / "note", bytes(range(256)))
    assert (tmp_path / "note").read_bytes() == bytes(range(256))


@pytest.mark.parametrize("kind", ["folder", "missing", "file_in_path", "long", "null", "nothing"])
def test_paths_that_cannot_be_written(tmp_path, kind):
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"")
    path = {
        "folder": tmp_path / "folder",
        "missing": tmp_path / "no" / "note",
        "file_in_path": tmp_path / "file" / "note",
        "long": tmp_path / ("x" * 300),
        "null": str(tmp_path / "a\0b"),
        "nothing": "/",
    }[kind]
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(StoreError, match="cannot write"):
        atomic_write(path, b"new")
    assert sorted(os.listdir(tmp_path)) == before


def test_folders(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="a file is in its place"):
        make_folder(tmp_path / "file")
    with pytest.raises(StoreError, match="file where a folder is expected"):
        make_folder(tmp_path / "file" / "b")
    with pytest.raises(StoreError):
        make_folder(str(tmp_path / "a\0b"))


def test_what_is_no_regular_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # opening it in the plain way would wait for ever
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    for name, words in (
        ("pipe", "a device or a pipe"),
        ("loop", "circle"),
        (".", "a folder"),
        ("no", "check"),
    ):
        with pytest.raises(StoreError, match=words):
            read_file(tmp_path / name, limit=10)
    with pytest.raises(StoreError, match="device"):
        read_file("/dev/zero", limit=10)
    with pytest.raises(StoreError):
        read_file(str(tmp_path / "a\0b"), limit=10)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with open(tmp_path / "giant", "wb") as file:
        file.truncate(2**40)  # sparse: takes no room on the disk
    with pytest.raises(StoreError, match="at most 10 bytes"):
        read_file(tmp_path / "giant", limit=10)
    (tmp_path / "fits").write_bytes(b"x" * 10)
    assert read_file(tmp_path / "fits", limit=10) == b"x" * 10


def test_leftovers_of_dead_writers_are_removed_and_nothing_else(tmp_path):
    script = (
        "import os, sys; from gatewise.store.files import StagedFile\n"
        "StagedFile(sys.argv[1], b'cut'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "note")], check=False)
    (left,) = os.listdir(tmp_path)
    assert left.endswith(".tmp")
    alive = StagedFile(tmp_path / "mine", b"still being written")
    for name in (".other.tmp", "x.tmp", ".a.elsewhere-1-00000000.tmp"):
        (tmp_path / name).write_bytes(b"")
    remove_leftovers(tmp_path)
    assert left not in os.listdir(tmp_path)
    assert len(os.listdir(tmp_path)) == 4
    alive.commit()
    assert (tmp_path / "mine").read_bytes() == b"still being written"
    remove_leftovers(tmp_path / "no such folder")
