"""Several networks of one plan that are trained side by side and decide together.

They begin at different weights, drop different units and see the same batches, so that one run has one history, one
checkpoint and one early stop: that of the mean of their probabilities (deep ensembles, Lakshminarayanan et al. 2017).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gatewise.tasks.classify.network import ClassifierNetwork, NetworkPlan

__all__ = ["Ensemble"]


class Ensemble(nn.Module):
    """Networks that decide together.

    Args:
        plan: the sizes of each.
        members: how many, at least 1.
    """

    def __init__(self, plan: NetworkPlan, members: int) -> None:
        super().__init__()
        self.plan = plan
        self.members = nn.ModuleList(ClassifierNetwork(plan) for _ in range(members))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Logits of the members' mean probabilities; in training each member's own, one after another in the batch.

        Returns:
            (batch, classes) or, with output="step", (time, batch, classes); in training (members * batch, classes).
        """
        each = [member(batch) for member in self.members]
        return torch.cat(each, dim=-2) if self.training else _together(each)

    def standardise(self, summaries: Tensor) -> None:
        """Take the scales of the channels' summaries, (sequences, numbers), from the training sequences."""
        for member in self.members:
            member.summary.standardise(summaries)  # type: ignore[union-attr,operator]

    def by_step(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Logits (time, batch, classes) as if each sequence ended at each step."""
        return _together([member.by_step(batch) for member in self.members])  # type: ignore[operator]

    def step(self, row: Mapping[str, Tensor], state: Any) -> tuple[Tensor, Any]:
        """One step of a stream, as in `ClassifierNetwork.step`."""
        states = [None] * len(self.members) if state is None else state
        both = [member.step(row, own) for member, own in zip(self.members, states, strict=True)]  # type: ignore[operator]
        return _together([logits for logits, _ in both]), [own for _, own in both]


def _together(each: list[Tensor]) -> Tensor:
    """Logits whose softmax is the mean of the members' probabilities."""
    if len(each) == 1:
        return each[0]
    logs = torch.stack([torch.log_softmax(one.float(), dim=-1) for one in each])
    return torch.logsumexp(logs, dim=0) - math.log(len(each))
