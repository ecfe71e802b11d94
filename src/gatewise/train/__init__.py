"""The training loop: device, precision and processes, checkpoints with exact resume, progress."""

from __future__ import annotations

from gatewise.train import progress
from gatewise.train.checkpoint import CheckpointWarning
from gatewise.train.config import TrainConfig
from gatewise.train.diagnosis import DivergenceError
from gatewise.train.loop import fit
from gatewise.train.monitoring import Monitor, monitored
from gatewise.train.progress import choose
from gatewise.train.protocols import BatchSource, History, Objective

__all__ = [
    "BatchSource",
    "CheckpointWarning",
    "DivergenceError",
    "History",
    "Monitor",
    "Objective",
    "TrainConfig",
    "choose",
    "fit",
    "monitored",
    "progress",
]
