"""A run that is killed with SIGKILL at random moments ends with the numbers of one that was not."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOMENTS = 20


class Server:
    """The process that forks a run at a time (tests/train/killed.py)."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.train.killed", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, name: str, *, kill_after: float = 0.0) -> dict | None:
        """Run to the end, or kill it after some seconds; return its result if it came to its end."""
        self.process.stdin.write(f"{name} {kill_after}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        done = self.folder / f"{name}.done"
        assert answer == "killed\n" or done.exists(), "the run failed; its error is on standard error"
        return json.loads(done.read_text()) if done.exists() else None

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=20)


@pytest.fixture
def server(tmp_path):
    served = Server(tmp_path)
    yield served
    served.close()


def step_of(folder: Path) -> int:
    """The newest checkpoint's step, -1 without one."""
    return max((int(name[5:17]) for name in os.listdir(folder) if name.startswith("step-")), default=-1)


@pytest.mark.slow
def test_killed_at_random_moments(server, tmp_path):
    began = time.monotonic()
    expected = server.run("whole")
    length = time.monotonic() - began
    assert expected["warnings"] == []
    assert expected["best"][3] == 100
    moments = random.Random(20)
    killed_at: list[int] = []
    for number in range(3 * MOMENTS):
        name = f"killed{number}"
        # One moment in the first run, then perhaps further ones in the runs that resume it.
        result = server.run(name, kill_after=moments.uniform(0.02, 0.95) * length)
        if result is not None:
            length *= 0.8  # it ended before its moment: the machine has become quicker
        while result is None:
            killed_at.append(step_of(tmp_path / name) if (tmp_path / name).exists() else -1)
            again = moments.uniform(0, 1) * length if moments.random() < 0.3 else 0.0
            result = server.run(name, kill_after=again)
        assert result == expected, f"killed after steps {killed_at}"
        if len(killed_at) >= MOMENTS:
            break
    print(f"{len(killed_at)} kills in {number + 1} runs, after steps {sorted(killed_at)}")
    assert len(killed_at) >= MOMENTS
    assert len(set(killed_at)) >= 6, "the kills did not come at different moments"
