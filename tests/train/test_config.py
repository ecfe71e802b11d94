"""Every option of a run is checked, and its error names it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from gatewise.checks import whole
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.train import TrainConfig
from gatewise.train.config import _check_number


@pytest.mark.parametrize(
    "options",
    [
        {"max_epochs": 0}, {"max_epochs": -3}, {"max_steps": 0}, {"learning_rate": 0.0}, {"learning_rate": -1.0},
        {"learning_rate": math.nan}, {"learning_rate": math.inf}, {"schedule": "linear"}, {"warmup_steps": -1},
        {"weight_decay": -0.1}, {"optimizer": "lion"}, {"gradient_clip": 0.0}, {"gradient_clip": math.nan},
        {"patience": 0}, {"precision": "int8"}, {"seed": -1}, {"seed": 2**63}, {"max_time": 0}, {"max_time": math.inf},
        {"checkpoint_every_seconds": 0}, {"checkpoint_every_steps": 0}, {"averaging": "swa"}, {"ema_decay": 1.0},
        {"ema_decay": 0.0},
    ],
)  # fmt: skip
def test_values_out_of_range(options):
    (name,) = options
    with pytest.raises(ArgumentError, match=f"^{name}:.*expected, came"):
        TrainConfig(**options)


def test_values_of_the_wrong_type():
    for value in ("3", 3.0, True, None):
        with pytest.raises(ArgumentTypeError, match=r"^max_epochs: an integer is expected"):
            whole("max_epochs", value, 1)
    for value in ("3", True, None, torch.ones(1)):
        with pytest.raises(ArgumentTypeError, match=r"^max_time: a number is expected"):
            _check_number("max_time", value, positive=True)


def test_it_is_frozen_and_its_defaults_are_in_order():
    config = TrainConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.max_epochs = 3
    assert dataclasses.replace(config, max_time=60, gradient_clip=None, patience=None).max_time == 60


def test_the_checkpoint_folder_becomes_a_path():
    assert TrainConfig(checkpoint_folder="a/b").checkpoint_folder == Path("a/b")
