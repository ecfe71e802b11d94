"""A save that is cut off anywhere leaves the old model or the new one, whole."""

from __future__ import annotations

import errno
import os
import threading
import time

import pytest
import torch

from gatewise.errors import StoreError
from gatewise.store import folder as folder_module
from gatewise.store import load_model
from tests.store.models import attempt, same_tensors, save

OLD, NEW = {"w": torch.zeros(3)}, {"w": torch.ones(5)}


class Killed(BaseException):
    """Stands for SIGKILL: nothing may run after it that would tidy up."""


def cut_after(monkeypatch, calls, error):
    """Let so many of the calls that change the disk pass, then fail every one, as if killed."""
    left = [calls]
    for name in ("open", "write", "fsync", "replace", "unlink"):
        original = getattr(os, name)

        def call(*args, _original=original, **keywords):
            if left[0] <= 0:
                raise error
            left[0] -= 1
            return _original(*args, **keywords)

        monkeypatch.setattr(os, name, call)
    return left


def names_of(folder):
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


@pytest.mark.parametrize("first", [False, True])
def test_killed_at_every_call(tmp_path, monkeypatch, first):
    """Replays the save and cuts it after 0, 1, 2, ... calls to the operating system."""
    outcomes = []
    for calls in range(200):
        folder = tmp_path / str(calls)
        if not first:
            save(folder, tensors=OLD, config={"v": 0})
        with monkeypatch.context() as patch:
            left = cut_after(patch, calls, Killed())
            try:
                save(folder, tensors=NEW, config={"v": 1})
                done = True
            except Killed:
                done = False
        try:
            stored = load_model(folder)
        except StoreError:
            assert first, "an old model was lost"
            outcomes.append(None)
        else:
            outcomes.append(stored.config["v"])
            assert same_tensors(stored.tensors, NEW if stored.config["v"] else OLD)
        # Whatever was left behind, the next save and load work.
        save(folder, tensors=NEW, config={"v": 2})
        assert load_model(folder).config == {"v": 2}
        assert names_of(folder) == ["card.md", "config.json", "model.safetensors"]
        if done:
            assert left[0] >= 0
            break
    else:
        pytest.fail("the save never ended")
    before = None if first else 0
    assert outcomes[0] == before
    assert outcomes[-1] == 1
    assert outcomes == sorted(outcomes, key=lambda value: value == 1), "new, then old again"
    assert outcomes.count(1) >= 3, "the moments after the new config.json were not reached"


def test_cut_then_saved_again_and_cut_again(tmp_path, monkeypatch):
    """The weights of a save that was cut before its last rename survive a second save that is cut early."""
    save(tmp_path, tensors=OLD, config={"v": 0})
    original = os.replace

    def stop_at_last(source, target, **keywords):
        if str(source).endswith(".next"):
            raise Killed
        return original(source, target, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop_at_last)
        with pytest.raises(Killed):
            save(tmp_path, tensors=NEW, config={"v": 1})
    assert (tmp_path / "model.safetensors.next").exists()
    assert load_model(tmp_path).config == {"v": 1}
    for calls in range(40):
        with monkeypatch.context() as patch:
            cut_after(patch, calls, Killed())
            try:
                save(tmp_path, tensors=OLD, config={"v": 2})
                break
            except Killed:
                pass
        assert load_model(tmp_path).config["v"] in (1, 2)
    assert load_model(tmp_path).config == {"v": 2}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_an_error_at_every_call_leaves_the_old_model_and_no_litter(tmp_path, monkeypatch, number):
    for calls in range(200):
        folder = tmp_path / str(calls)
        save(folder, tensors=OLD, config={"v": 0})
        with monkeypatch.context() as patch:
            left = [calls]
            for name in ("open", "write", "fsync"):
                original = getattr(os, name)

                def call(*args, _original=original, _left=left, **keywords):
                    _left[0] -= 1
                    if _left[0] == -1:  # this one call fails
                        raise OSError(number, os.strerror(number))
                    return _original(*args, **keywords)

                patch.setattr(os, name, call)
            said = str(folder)
            try:
                save(folder, tensors=NEW, config={"v": 1})
            except StoreError as error:
                said = str(error)
            else:
                if left[0] >= 0:
                    return
        assert str(folder) in said
        stored = load_model(folder)
        assert same_tensors(stored.tensors, NEW if stored.config["v"] else OLD)
        assert not [name for name in os.listdir(folder) if name.startswith(".")]
    pytest.fail("the save never ended")


@pytest.mark.parametrize("after", ["config.json", "model.safetensors"])
def test_a_save_between_two_reads(tmp_path, monkeypatch, after):
    """The folder is replaced just after one of its files was read: the load starts again."""
    save(tmp_path, tensors=OLD, config={"v": 0})
    read, done = folder_module.read_file, []

    def read_then_save(path, *, limit):
        data = read(path, limit=limit)
        if path.name == after and not done:
            done.append(True)
            save(tmp_path, tensors=NEW, config={"v": 1})
        return data

    monkeypatch.setattr(folder_module, "read_file", read_then_save)
    stored = load_model(tmp_path)
    assert done
    assert same_tensors(stored.tensors, NEW if stored.config["v"] else OLD)
    assert stored.config["v"] == (after == "config.json")


def test_a_folder_that_never_rests(tmp_path, monkeypatch):
    save(tmp_path, tensors=OLD, config={"v": 0})
    read, turns = folder_module.read_file, []

    def read_then_save(path, *, limit):
        data = read(path, limit=limit)
        if path.name == "config.json" and len(turns) < 50:
            turns.append(True)
            with monkeypatch.context() as patch:
                patch.setattr(folder_module, "read_file", read)
                save(tmp_path, tensors=NEW if len(turns) % 2 else OLD, config={"v": len(turns)})
        return data

    monkeypatch.setattr(folder_module, "read_file", read_then_save)
    with pytest.raises(StoreError, match="keeps changing"):
        load_model(tmp_path)


def test_loading_while_another_saves(tmp_path):
    """A reader sees one model or the other, never a mixture."""
    save(tmp_path, tensors=OLD, config={"v": 0})
    stop = threading.Event()

    def write():
        turn = 0
        while not stop.is_set():
            turn = 1 - turn
            save(tmp_path, tensors=NEW if turn else OLD, config={"v": turn})

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    try:
        loads, end = 0, time.monotonic() + 60
        # On a busy machine the writer may be long in coming to its next turn.
        while loads < 150 or (len(seen) < 2 and time.monotonic() < end):
            loads += 1
            stored, said = attempt(tmp_path)
            if stored is None:
                assert "keeps changing" in said
                continue
            seen.add(stored.config["v"])
            assert same_tensors(stored.tensors, NEW if stored.config["v"] else OLD)
    finally:
        stop.set()
        writer.join()
    assert seen == {0, 1}
