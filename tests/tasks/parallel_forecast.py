"""A fit that torchrun starts in two processes: `torchrun ... -m tests.tasks.parallel_forecast FOLDER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from gatewise.tasks import Forecaster
from tests.tasks.test_covariates import HISTORY, ROLES


def fit() -> Forecaster:
    """Fit without dropout, several epochs, all kinds of covariates, values missing."""
    frame = HISTORY.copy()
    frame.loc[frame.index % 11 == 0, ["y", "visitors", "day_kind"]] = None
    model = Forecaster(
        horizon=4, hidden_size=8, dropout=0.0, max_epochs=3, missing="mask", random_state=0, progress=False,
        **ROLES,
    )  # fmt: skip
    return model.fit(frame)


def main() -> None:
    """Fit as one of several and save what this process ended with."""
    torch.set_num_threads(1)
    fit().save(Path(sys.argv[1]) / f"model{os.environ['RANK']}")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
