"""Claims on timing: do peepholes help to measure and to keep intervals? After Gers, Schraudolph & Schmidhuber 2002.

Runs of benchmarks/understanding.py. Two of that paper's tasks, with sizes and training of our own:

- measure: spikes come at intervals of 10 to 30 steps, six to a sequence; at each spike the answer is how long ago the
  last one was, as (steps - 10) / 20. Squared errors count at spikes alone, from the second on; they are told as a share
  of the answers' variance, over held-out sequences. Solved below 1 %.
- generate: a mark at the first step and then no input at all; a spike is to be given at every n-th step. Learned from
  the one sequence of 100 steps, and asked to go on for 300: solved when every step is on the right side of one half. It
  is asked every 50 steps of training.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatewise.nn import Recurrent

__all__ = ["TIMING", "generate", "measure"]

TIMING = {
    "hidden_size": 8,
    "learning_rate": 0.01,
    "clip": 1.0,
    "measure": {"least": 10, "most": 30, "spikes": 6, "batch": 32, "steps": 1500, "goal": 0.01},
    "generate": {"learned": 100, "asked": 300, "steps": 3000, "every": 50},
}


class _Network(nn.Module):
    """A recurrent layer and a linear answer at every step."""

    def __init__(self, cell: str, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.recurrent = Recurrent(cell, 1, TIMING["hidden_size"])
            self.out = nn.Linear(TIMING["hidden_size"], 1)
        self.optimiser = torch.optim.Adam(self.parameters(), TIMING["learning_rate"])

    def forward(self, steps: Tensor) -> Tensor:
        """From (time, batch, 1) to (time, batch)."""
        return self.out(self.recurrent(steps)[0])[..., 0]

    def learn(self, loss: Tensor) -> None:
        """One step of Adam, the gradient clipped."""
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), TIMING["clip"])
        self.optimiser.step()

    def size(self) -> int:
        """How many numbers it learns."""
        return sum(one.numel() for one in self.parameters())


def spike_delays(rows: int, generator: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Sequences of the task "measure".

    Args:
        rows: how many.
        generator: where the intervals come from.

    Returns:
        Spikes (time, rows, 1), answers (time, rows), and where they count (time, rows).
    """
    least, most, spikes = (TIMING["measure"][name] for name in ("least", "most", "spikes"))
    intervals = generator.integers(least, most + 1, (spikes - 1, rows))
    places = np.concatenate([np.zeros((1, rows), np.int64), intervals.cumsum(0)])
    time = (spikes - 1) * most + 1
    given, answer, counts = (np.zeros((time, rows), np.float32) for _ in range(3))
    everyone = np.arange(rows)
    given[places, everyone] = 1.0
    answer[places[1:], everyone] = (intervals - least) / (most - least)
    counts[places[1:], everyone] = 1.0
    return torch.from_numpy(given)[..., None], torch.from_numpy(answer), torch.from_numpy(counts) > 0


def measure(cell: str, seed: int, *, quick: bool = False) -> dict:
    """Learn to measure intervals."""
    own = TIMING["measure"]
    model, generator = _Network(cell, seed), np.random.default_rng([1, seed])
    held_out = spike_delays(500, np.random.default_rng([2, 0]))
    curve = []
    steps = 20 if quick else own["steps"]
    for step in range(1, steps + 1):
        given, answer, counts = spike_delays(own["batch"], generator)
        model.learn(F.mse_loss(model(given)[counts], answer[counts]))
        if step % (10 if quick else 100) == 0:
            curve.append([step, _share(model, *held_out)])
    test = _share(model, *spike_delays(2000, np.random.default_rng([3, 0])))
    solved_at = next((step for step, share in curve if share < own["goal"]), None)
    return {
        "share": test, "solved": test < own["goal"], "solved_at": solved_at, "parameters": model.size(), "curve": curve
    }  # fmt: skip


@torch.no_grad()
def _share(model: _Network, given: Tensor, answer: Tensor, counts: Tensor) -> float:
    return float(F.mse_loss(model(given)[counts], answer[counts]) / answer[counts].var())


def spike_train(time: int, period: int) -> tuple[Tensor, Tensor]:
    """The sequence of the task "generate": its input (time, 1, 1) and its spikes (time, 1)."""
    given = torch.zeros(time, 1, 1)
    given[0] = 1.0
    return given, (torch.arange(time) % period == period - 1).float()[:, None]


def generate(cell: str, period: int, seed: int, *, quick: bool = False) -> dict:
    """Learn to give a spike at every n-th step."""
    own = TIMING["generate"]
    model = _Network(cell, seed)
    given, spikes = spike_train(own["learned"], period)
    longer, wanted = spike_train(own["asked"], period)
    solved_at, right = None, 0.0
    for step in range(1, (20 if quick else own["steps"]) + 1):
        model.learn(F.binary_cross_entropy_with_logits(model(given), spikes))
        if step % (10 if quick else own["every"]) == 0:
            with torch.no_grad():
                right = float(((model(longer) > 0) == (wanted > 0.5)).float().mean())
            if right == 1.0:
                solved_at = step
                break
    return {
        "solved": solved_at is not None,
        "solved_at": solved_at,
        "right": right,
        "parameters": model.size(),
    }
