"""A process that trains over and over, to be killed: it forks a child per run, so torch is imported once.

Started as `python -m tests.train.killed FOLDER`. Reads lines "NAME SECONDS" from standard input; each forks a
child that trains with the checkpoints of FOLDER/NAME and writes FOLDER/NAME.done (JSON) at its end. The
child is killed after so many seconds, unless they are 0. Prints "ended" or "killed".
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy
import torch
from torch import nn

from gatewise.store import pack_tensors
from gatewise.store.documents import digest
from gatewise.train import TrainConfig, fit
from tests.train.toys import Squares, Sums, numbers


class Recurrent(nn.Module):
    """An LSTM with dropout between its layers and after them."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 12, num_layers=2, dropout=0.3)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(12, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output, _ = self.lstm(x.t().unsqueeze(2))
        return self.head(self.drop(output[-1]))


class Noisy(Squares):
    """Draws from Python's and numpy's generators besides dropout's."""

    def loss(self, model: nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        noise = random.gauss(0, 1) + numpy.random.standard_normal()
        return super().loss(model, batch) * (1 + 0.01 * noise)


def run(folder: Path, name: str) -> None:
    """Train to the end, resuming from what an earlier process left."""
    torch.manual_seed(4)
    model = Recurrent()
    config = TrainConfig(
        max_epochs=5,
        learning_rate=1e-2,
        schedule="plateau",
        averaging="ema",
        patience=4,
        seed=11,
        checkpoint_folder=folder / name,
        checkpoint_every_steps=3,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = fit(model, Noisy(), Sums(steps=20), config)
    result = {
        "weights": digest(pack_tensors(model.state_dict())),
        "epochs": numbers(history),
        "best": [history.best_epoch, history.best_loss, history.stopped, history.steps],
        "warnings": [str(warning.message) for warning in caught],
    }
    (folder / f"{name}.done").write_text(json.dumps(result))


def main() -> None:
    """Serve the lines of standard input."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    run(folder, "warm")  # whatever torch imports at a first step is in every child from now on
    print("ready", flush=True)
    for line in sys.stdin:
        name, seconds = line.split()
        child = os.fork()
        if child == 0:
            try:
                run(folder, name)
            finally:
                os._exit(0 if (folder / f"{name}.done").exists() else 1)
        if float(seconds) > 0:
            time.sleep(float(seconds))
            os.kill(child, signal.SIGKILL)  # not waited for yet, so the number is still its own
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else "ended", flush=True)


if __name__ == "__main__":
    main()
