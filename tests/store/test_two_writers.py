"""Two writers of one model folder wait for each other, and the loser of a long wait hears who holds it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch

from gatewise.errors import StoreError
from gatewise.store import load_model, save_model
from gatewise.store.lock import folder_lock


def test_a_folder_that_two_threads_save_to_is_always_whole(tmp_path):
    def save(size):
        for _ in range(10):
            save_model(tmp_path, kind="toy", config={"k": size}, tensors={"w": torch.ones(size)}, card="c")

    threads = [threading.Thread(target=save, args=(size,)) for size in (3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    model = load_model(tmp_path)
    assert model.tensors["w"].numel() == model.config["k"]
    assert sorted(os.listdir(tmp_path)) == ["card.md", "config.json", "model.safetensors"]


def test_the_holder_is_named(tmp_path):
    with folder_lock(tmp_path), pytest.raises(StoreError, match=str(os.getpid())), folder_lock(tmp_path, 0.0):
        pass


def test_what_a_dead_process_left_behind_holds_nobody_up(tmp_path):
    (tmp_path / ".gatewise.lock").write_text("process 1 (elsewhere-1, since 2020)")
    with folder_lock(tmp_path, 0.0):
        pass


def test_another_process_is_named(tmp_path):
    hold = (
        "import pathlib, sys; from gatewise.store.lock import folder_lock\n"
        "with folder_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with pytest.raises(StoreError, match=f"process {other.pid} "), folder_lock(tmp_path, 0.0):
            pass
        other.kill()
    with folder_lock(tmp_path, 0.0):
        pass
