"""What the training loop needs: batches of whole sequences, and the log loss over the labels that are there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewise.data.sequences import Sequences
from gatewise.tasks.classify.encoding import Encoded

__all__ = ["ClassObjective", "Labels", "SequenceSource", "logits_of", "summaries_of"]

Whole = NDArray[np.int64]
# An epoch has at least so many steps; few sequences are gone through several times for it.
_FEWEST_STEPS = 10
_LEAST_BATCH, _MOST_BATCH = 8, 128
# Sequences of like length come together within so many batches, so that little is padded.
_NEIGHBOURS = 8
# In training this share of the known categories is taken as unseen, so that the network learns what to do then.
_FORGOTTEN = 0.02
# Sequences and steps, padding included, that are computed together where nothing is learned.
_MOST_SEQUENCES, _MOST_STEPS = 512, 2**18


@dataclass(frozen=True)
class Labels:
    """What is to be learned.

    Args:
        codes: (sequences,) or, with one label for each step, (rows,): the class, or -1 where there is none.
        by_step: which of the two.
    """

    codes: Whole
    by_step: bool

    def of(self, sequences: Sequences, chosen: Whole) -> Whole:
        """The labels of some sequences, flat."""
        return self.codes[sequences.rows_of(chosen) if self.by_step else chosen]

    def batch(self, sequences: Sequences, chosen: Whole) -> Tensor:
        """The labels of some sequences: (1, batch), or (time, batch) with -1 for padding."""
        if not self.by_step:
            return torch.from_numpy(self.codes[chosen])[None]
        starts, lengths = sequences.starts[:-1][chosen], sequences.lengths[chosen]
        steps = np.arange(int(lengths.max()))[:, None]
        rows = np.where(steps < lengths, starts + steps, 0)
        return torch.from_numpy(np.where(steps < lengths, self.codes[rows], -1))


class SequenceSource:
    """Batches of whole sequences, a pure function of (seed, epoch, step).

    Args:
        encoded: the data.
        labels: what is to be learned.
        chosen: the sequences to draw from.
        batch_size: sequences in a batch; None chooses by their number, 8 to 128.
        seed: for the order.
    """

    # The rows of a batch lie in the second dimension.
    batch_dim = 1

    def __init__(
        self, encoded: Encoded, labels: Labels, chosen: Whole, batch_size: int | None, seed: int
    ) -> None:
        self._encoded, self._labels, self._chosen, self._seed = encoded, labels, chosen, seed
        fitting = int(np.clip(len(chosen) // (2 * _FEWEST_STEPS), _LEAST_BATCH, _MOST_BATCH))
        self.batch_size = batch_size or fitting
        self._steps = -(-len(chosen) // self.batch_size)
        self._passes = -(-_FEWEST_STEPS // self._steps)
        self._order: tuple[int, list[Whole]] | None = None

    def steps_per_epoch(self) -> int:
        """Batches in an epoch: one pass over the data, or several where one has few."""
        return self._steps * self._passes

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Batch number `step` of an epoch."""
        number = epoch * self._passes + step // self._steps
        chosen = self._batches(number)[step % self._steps]
        found = self._encoded.batch(chosen)
        found["y"] = self._labels.batch(self._encoded.sequences, chosen)
        codes = found["codes"]
        if codes.shape[-1] and self._encoded.encoder.unseen == "unknown":
            generator = np.random.default_rng((self._seed, epoch, step, 1))
            forgotten = torch.from_numpy(generator.random(tuple(codes.shape)) < _FORGOTTEN)
            found["codes"] = codes.masked_fill(forgotten, 0)
        return found

    def fingerprint(self) -> str:
        """Tells one data set, split and batch order from another."""
        digest = hashlib.sha256(self._encoded.inputs.numpy().tobytes())
        for one in (self._encoded.codes, *self._encoded.told.values()):
            digest.update(one.numpy().tobytes())
        digest.update(self._encoded.sequences.starts.tobytes() + self._labels.codes.tobytes())
        digest.update(
            self._chosen.tobytes() + f"{self.batch_size} {self._seed} {self._encoded.encoder}".encode()
        )
        return digest.hexdigest()

    def _batches(self, number: int) -> list[Whole]:
        """The batches of a pass, in its order."""
        if self._order is None or self._order[0] != number:
            generator = np.random.default_rng((self._seed, number))
            order = generator.permutation(self._chosen)
            lengths = self._encoded.sequences.lengths
            reach = self.batch_size * _NEIGHBOURS
            batches: list[Whole] = []
            for begin in range(0, len(order), reach):
                near = order[begin : begin + reach]
                near = near[np.argsort(lengths[near], kind="stable")]
                batches += [near[at : at + self.batch_size] for at in range(0, len(near), self.batch_size)]
            self._order = (number, [batches[one] for one in generator.permutation(len(batches))])
        return self._order[1]


class ClassObjective:
    """Log loss, each label weighted by its class; validated on the sequences that are held back.

    Args:
        encoded, labels: as in `SequenceSource`; those that are held back among them.
        held: the sequences that are held back.
        weights: (classes,) of the labels.
        network: what else tells one run from another: the cell, sizes.
    """

    def __init__(
        self, encoded: Encoded, labels: Labels, held: Whole, weights: NDArray[np.float64], network: str
    ) -> None:
        self._encoded, self._labels, self._held, self._network = encoded, labels, held, network
        self._weights = torch.from_numpy(weights.astype(np.float32))
        self._by_class = weights

    def fingerprint(self) -> str:
        """Tells one objective from another."""
        digest = hashlib.sha256(f"{self._by_class.tolist()} {self._network}".encode())
        return digest.hexdigest() + hashlib.sha256(self._held.tobytes()).hexdigest()

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """The training loss of one batch."""
        logits = model(batch).float()
        target = batch["y"] if logits.ndim == 3 else batch["y"][0]
        # Each member of an ensemble has its own logits, one member after another in the batch.
        target = target.repeat(*([1] * (target.ndim - 1)), logits.shape[-2] // target.shape[-1])
        flat, own = logits.flatten(0, -2), target.flatten()
        weights = self._weights.to(flat.device)
        losses = F.cross_entropy(flat, own.clamp(min=0), weight=weights, reduction="none")
        there = own >= 0
        total = (weights[own.clamp(min=0)] * there).sum().clamp(min=1e-12)
        return torch.where(there, losses, 0.0).sum() / total

    def weight(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What the mean in `loss` is taken over."""
        own = batch["y"]
        return (self._weights.to(own.device)[own.clamp(min=0)] * (own >= 0)).sum()

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Weighted log loss and accuracy on the held-back sequences."""
        logits, _ = logits_of(model, self._encoded, self._held)
        labels = self._labels.of(self._encoded.sequences, self._held)
        there = labels >= 0
        logits, labels = logits[there], labels[there]
        if not len(labels):
            return {"loss": 0.0, "accuracy": 0.0}
        risen = logits - logits.max(axis=1, keepdims=True)
        logs = risen - np.log(np.exp(risen).sum(axis=1, keepdims=True))
        weights = self._by_class[labels]
        loss = -(weights * logs[np.arange(len(labels)), labels]).sum() / weights.sum()
        return {"loss": float(loss), "accuracy": float((logits.argmax(axis=1) == labels).mean())}


def logits_of(
    model: nn.Module, encoded: Encoded, chosen: Whole, *, by_step: bool = False
) -> tuple[Float[np.ndarray, "labels classes"], Whole | None]:
    """Logits of some sequences, in their order: (sequences, classes), or (rows of these, classes).

    The model must be in eval mode.

    Args:
        model: an `Ensemble`.
        encoded: the data.
        chosen: which sequences.
        by_step: whether a model of whole sequences is asked after each step.

    Returns:
        The logits, and the sequence (its place in `chosen`) of each row where there is one for each step.
    """
    sequences = encoded.sequences
    device = next(model.parameters()).device
    lengths = sequences.lengths[chosen]
    stepwise = by_step or model.plan.output == "step"  # type: ignore[union-attr]
    ends = np.cumsum(lengths)
    found: Any = None
    with torch.no_grad():
        for part in _parts(lengths):
            batch = {name: one.to(device) for name, one in encoded.batch(chosen[part]).items()}
            out = (model.by_step(batch) if by_step else model(batch)).double().cpu().numpy()  # type: ignore[operator]
            if found is None:
                found = np.empty((int(ends[-1]) if stepwise else len(chosen), out.shape[-1]))
            if not stepwise:
                found[part] = out
                continue
            for place, one in enumerate(part):
                found[ends[one] - lengths[one] : ends[one]] = out[: lengths[one], place]
    if found is None:
        found = np.zeros((0, model.plan.classes))  # type: ignore[union-attr]
    return found, np.repeat(np.arange(len(chosen)), lengths) if stepwise else None


def summaries_of(model: Any, encoded: Encoded, chosen: Whole) -> Tensor:
    """The channels' summaries of some sequences, (sequences, numbers), in any order."""
    parts = _parts(encoded.sequences.lengths[chosen])
    return torch.cat([model.members[0].summaries(encoded.batch(chosen[part])) for part in parts])


def _parts(lengths: Whole) -> list[Whole]:
    """Places of sequences that are computed together: of like length, and not too much at once."""
    order = np.argsort(lengths, kind="stable")
    parts, begin = [], 0
    while begin < len(order):
        end = begin + 1
        most = begin + _MOST_SEQUENCES
        while end < min(len(order), most) and lengths[order[end]] * (end + 1 - begin) <= _MOST_STEPS:
            end += 1
        parts.append(order[begin:end])
        begin = end
    return parts
