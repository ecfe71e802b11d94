"""How likely a record is, field by field: a recurrent network reads a record's fields and foretells each next one.

The probability of a record is the product of its fields' probabilities, each given the fields before it, as in neural
autoregressive density estimation (Larochelle & Murray 2011) and language models. Fitted to harmless records alone, it
says of any other how unlike them it is: the sum over the fields of -log p, in nats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewise.nn import Recurrent
from gatewise.spec import Program

__all__ = ["DensityPlan", "FieldDensity", "RecordObjective", "RecordSource", "surprises"]

# An epoch has at least so many steps; few records are gone through several times for it.
_FEWEST_STEPS = 20
# Records that are computed together where nothing is learned.
_TOGETHER = 2048


@dataclass(frozen=True)
class DensityPlan:
    """The network's sizes.

    Args:
        program: the cell; it reads one input stream.
        sizes: how many tokens each field has.
        width: numbers that stand for a token.
        hidden_size: units of the recurrent layer.
        dropout: probability, in training.
        engine: which engine runs the recurrent layer.
    """

    program: Program
    sizes: tuple[int, ...]
    width: int
    hidden_size: int
    dropout: float
    engine: str = "auto"


class FieldDensity(nn.Module):
    """-log p of each field given those before it. Fields are the time of the recurrent layer.

    Args:
        plan: its sizes.
    """

    def __init__(self, plan: DensityPlan) -> None:
        super().__init__()
        self.plan = plan
        first = np.concatenate([[0], np.cumsum(plan.sizes)])
        total, most = int(first[-1]), max(plan.sizes)
        self.tokens = nn.Embedding(total, plan.width)
        # What is about to be foretold, and with the first field: that the record begins.
        self.fields = nn.Parameter(0.3 * torch.randn(len(plan.sizes), plan.width))
        projected = plan.program.output_width != "hidden"
        self.recurrent = Recurrent(
            plan.program, plan.width, plan.hidden_size, engine=plan.engine,
            proj_size=max(1, plan.hidden_size // 2) if projected else 0,
        )  # fmt: skip
        with torch.no_grad():
            units = int(self.recurrent.eval()(torch.zeros(1, 1, plan.width))[0].shape[-1])
        self.recurrent.train()
        self.dropout = nn.Dropout(plan.dropout)
        self.out = nn.Linear(units, total)
        # Each field's own rows of `out`, filled up to the widest field's number; what is filled up is never said.
        places = first[:-1, None] + np.arange(most)
        there = np.arange(most) < np.array(plan.sizes)[:, None]
        self.register_buffer("first", torch.from_numpy(first[:-1].astype(np.int64)), persistent=False)
        self.register_buffer(
            "places", torch.from_numpy(np.where(there, places, 0).astype(np.int64)), persistent=False
        )
        self.register_buffer(
            "filled", torch.from_numpy(np.where(there, 0.0, -1e9).astype(np.float32)), persistent=False
        )

    def forward(self, codes: Int[Tensor, "fields batch"]) -> Float[Tensor, "fields batch"]:
        """-log p of each field's token, nats."""
        said = self.tokens(codes[:-1] + self.first[:-1, None])
        read = torch.cat([torch.zeros_like(self.tokens.weight[:1]).expand(1, codes.shape[1], -1), said])
        steps = self.dropout(self.recurrent(read + self.fields[:, None])[0])
        weight, bias = self.out.weight[self.places], self.out.bias[self.places] + self.filled
        logits = torch.baddbmm(bias[:, None, :], steps, weight.transpose(1, 2))
        return -logits.log_softmax(-1).gather(2, codes[..., None])[..., 0]


class RecordSource:
    """Batches of records, a pure function of (seed, epoch, step).

    Args:
        codes: (records, fields) tokens.
        batch_size: records in a batch.
        seed: for the order.
    """

    batch_dim = 1

    def __init__(self, codes: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self._codes, self._seed = codes, seed
        self._batch_size = min(batch_size, len(codes))
        self._steps = -(-len(codes) // self._batch_size)
        self._passes = -(-_FEWEST_STEPS // self._steps)
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def steps_per_epoch(self) -> int:
        """Batches in an epoch: one pass over the records, or several where there are few."""
        return self._steps * self._passes

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Batch number `step` of an epoch: codes (fields, batch)."""
        number, begin = epoch * self._passes + step // self._steps, (step % self._steps) * self._batch_size
        if self._order is None or self._order[0] != number:
            self._order = (number, np.random.default_rng((self._seed, number)).permutation(len(self._codes)))
        chosen = self._order[1][begin : begin + self._batch_size]
        return {"codes": torch.from_numpy(np.ascontiguousarray(self._codes[chosen].T))}


class RecordObjective:
    """Mean -log p of a record; validated on harmless records that are held back.

    Args:
        held: (records, fields) their tokens.
    """

    def __init__(self, held: NDArray[np.int64]) -> None:
        self._held = held

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """The training loss of one batch."""
        return model(batch["codes"]).float().sum(0).mean()

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean surprise of the records held back, nats."""
        return {"loss": float(surprises(model, self._held).mean())}


def surprises(model: nn.Module, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """-log p of each record, nats.

    Args:
        model: a `FieldDensity` in eval mode.
        codes: (records, fields) tokens.
    """
    device = next(model.parameters()).device
    found = []
    with torch.no_grad():
        for begin in range(0, len(codes), _TOGETHER):
            part = torch.from_numpy(np.ascontiguousarray(codes[begin : begin + _TOGETHER].T)).to(device)
            found.append(model(part).double().sum(0).cpu().numpy())
    return np.concatenate(found) if found else np.zeros(0)
