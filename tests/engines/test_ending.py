"""The end of a process while a thread is in a call, and calls in a forked child."""

from __future__ import annotations

import subprocess
import sys

import pytest

CALLS = """
import threading, time, torch
from gatewise import nn
torch.set_num_threads(1)
layer, x = nn.GRU(8, 32), torch.randn(60, 4, 8)
started = threading.Event()
def work():
    while True:
        if {train}:
            layer(x)[0].sum().backward()
        else:
            layer.step(x[0])
        started.set()
threading.Thread(target=work, daemon=True).start()
started.wait()
"""

FORKED = """
import os, signal, torch
from gatewise import nn
torch.set_num_threads(2)
layer, x = nn.GRU(64, 128), torch.randn(60, 16, 64)
def train():
    layer(x)[0].sum().backward()
train()
child = os.fork()
if not child:
    signal.alarm(60)
    train()
    os._exit(0)
raise SystemExit(os.waitpid(child, 0)[1])
"""


def ends_well(text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("train", [True, False])
def test_a_daemon_thread_in_a_call_aborts_no_process(train) -> None:
    """Without the hook, which runs as the interpreter ends, nearly every such process ends with code 134."""
    ends_well(CALLS.format(train=train))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_trains() -> None:
    """It waited for ever for the pool of its parent."""
    ends_well(FORKED)
