"""Runs that torchrun starts in several processes: `torchrun ... -m tests.train.parallel FOLDER`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from gatewise.store import pack_tensors
from gatewise.train import History, TrainConfig, fit
from tests.train.toys import Squares, Sums, network, numbers


class Gappy(Sums):
    """Seven rows, of which some are missing; in one batch of each epoch there is a single row."""

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        batch = dict(super().batch(epoch, step))
        batch["mask"] = (batch["x"][:, :1] > -0.5).float()
        return {name: value[:1] for name, value in batch.items()} if step == 5 else batch


class MaskedSquares(Squares):
    """The mean over the rows that are there."""

    def __init__(self) -> None:
        self.shares: list[int] = []

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        self.shares.append(len(batch["x"]))
        error = (model(batch["x"]) - batch["y"]).square() * batch["mask"]
        return error.sum() / batch["mask"].sum().clamp_min(1)

    def weight(self, batch: Mapping[str, Tensor]) -> Tensor:
        return batch["mask"].sum()


class CutError(Exception):
    """Stands for the end of the process."""


def run(
    *, dropout: float = 0.0, folder: Path | None = None, cut: bool = False
) -> tuple[nn.Module, History, list[int]]:
    """Train, alone or as one of several; return the rows of the first shares too."""
    model, objective = network(dropout), MaskedSquares()

    def end(record: Mapping[str, float]) -> None:
        if cut and record["epoch"] == 2:
            raise CutError

    config = TrainConfig(max_epochs=4, learning_rate=1e-2, checkpoint_folder=folder, checkpoint_every_steps=7)
    history = fit(model, objective, Gappy(rows=7), config, on_epoch=end)
    return model, history, objective.shares[:4]


def save(path: Path, model: nn.Module, history: History, shares: list[int]) -> None:
    """Save what this process ended with."""
    text = json.dumps({"epochs": numbers(history), "shares": shares})
    path.write_bytes(pack_tensors(model.state_dict(), {"history": text}))


def main() -> None:
    """Train without dropout, with it, and with it again but cut and resumed."""
    torch.set_num_threads(1)
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    save(folder / f"plain{rank}", *run())
    save(folder / f"whole{rank}", *run(dropout=0.2))
    with contextlib.suppress(CutError):
        run(dropout=0.2, folder=folder / "checkpoints", cut=True)
    save(folder / f"resumed{rank}", *run(dropout=0.2, folder=folder / "checkpoints"))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
