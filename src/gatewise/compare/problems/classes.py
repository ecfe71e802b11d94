"""What problems share whose answer is one of several classes."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gatewise.compare.problems.base import Problem

__all__ = ["Classes"]


class Classes(Problem):
    """A class after the last step: cross entropy, and the share of sequences that are right."""

    def loss(self, answer: Float[Tensor, "batch classes"], batch: Mapping[str, Tensor]) -> Tensor:
        """Mean cross entropy, in nats."""
        return F.cross_entropy(answer.float(), batch["target"])

    def tally(self, answer: Float[Tensor, "batch classes"], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Cross entropies, right answers, sequences."""
        answer, target = answer.double(), batch["target"]
        return {
            "loss": F.cross_entropy(answer, target, reduction="sum"),
            "right": (answer.argmax(1) == target).sum(),
            "count": answer.new_tensor(len(target)),
        }

    def measures(self, sums: Mapping[str, Tensor]) -> dict[str, float]:
        """Cross entropy in nats, and accuracy."""
        return {
            "loss": float(sums["loss"] / sums["count"]),
            "accuracy": float(sums["right"] / sums["count"]),
        }
