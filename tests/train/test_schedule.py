"""Learning rates, step by step."""

from __future__ import annotations

import math

import pytest
import torch

from gatewise.train import TrainConfig
from gatewise.train.schedule import Schedule


def rates(total=100, **options):
    schedule = Schedule(TrainConfig(learning_rate=0.5, **options), total)
    return [schedule.rate(step) for step in range(total)]


def test_constant():
    assert rates(schedule="constant") == [0.5] * 100


def test_cosine_equals_torchs():
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=0.5)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    expected = []
    for _ in range(100):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    assert rates(schedule="cosine") == pytest.approx(expected, rel=1e-9)


def test_one_cycle_rises_to_the_peak_and_falls():
    ours = rates(schedule="one_cycle")
    assert ours[0] == pytest.approx(0.5 / 25)
    assert max(ours) == ours[30] == 0.5
    assert ours[:31] == sorted(ours[:31])
    assert ours[30:] == sorted(ours[30:], reverse=True)
    assert ours[-1] < 0.5 / 25


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle", "plateau"])
def test_warm_up(schedule):
    plain, warm = rates(schedule=schedule), rates(schedule=schedule, warmup_steps=4)
    assert warm[:4] == pytest.approx([plain[step] * (step + 1) / 5 for step in range(4)])
    assert warm[4:] == plain[4:]


def test_plateau_halves_after_three_epochs_without_improvement():
    schedule = Schedule(TrainConfig(schedule="plateau", learning_rate=1.0), 100)
    seen = []
    for loss in (5, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3):
        schedule.validated(loss)
        seen.append(schedule.rate(0))
    assert seen == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125]
    other = Schedule(TrainConfig(schedule="plateau", learning_rate=1.0), 100)
    other.restore(schedule.state())
    assert other == schedule
    for _ in range(100):
        schedule.validated(9)
    assert schedule.rate(0) == 1e-3


def test_time_moves_the_schedule_on():
    schedule = Schedule(TrainConfig(schedule="cosine", learning_rate=1.0), 1000)
    assert schedule.rate(0, 0.5) == pytest.approx(0.5)
    assert schedule.rate(0, 1.0) == pytest.approx(0.0, abs=1e-12)
    assert schedule.rate(0, 7.0) == pytest.approx(0.0, abs=1e-12)
    assert schedule.rate(800, 0.5) == pytest.approx(0.5 * (1 + math.cos(0.8 * math.pi)))
