"""What the training loop needs: batches of pairs of like length, and the loss of their targets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewise.tasks.seq2seq.encoding import START_ID, Coder, Source
from gatewise.tasks.seq2seq.network import PADDING

__all__ = ["PairObjective", "PairSource", "Pairs", "padded", "read_batch"]

Whole = NDArray[np.int64]
# Pairs of like length come together within so many batches, so that little is padded.
_NEIGHBOURS = 32
# Pairs, and tokens of a target with its padding, that are computed together where nothing is learned.
_MOST_PAIRS, _MOST_TOKENS = 128, 4096


@dataclass(frozen=True)
class Pairs:
    """Sources and their targets as numbers.

    Args:
        sources: what is read.
        targets: each (tokens,), with its end.
    """

    sources: Sequence[Source]
    targets: Sequence[Whole]

    @classmethod
    def encode(cls, coder: Coder, sources: Sequence[str], targets: Sequence[str]) -> Pairs:
        """From texts."""
        read = [coder.read(text) for text in sources]
        written = [coder.write(text, own.foreign) for text, own in zip(targets, read, strict=True)]
        return cls(read, written)

    def __len__(self) -> int:
        """How many."""
        return len(self.targets)

    def lengths(self) -> Whole:
        """(pairs, 2) tokens of target and source."""
        both = [
            (len(target), len(source.ids)) for source, target in zip(self.sources, self.targets, strict=True)
        ]
        return np.array(both, dtype=np.int64).reshape(-1, 2)

    def batch(self, chosen: Sequence[int] | Whole) -> dict[str, Tensor]:
        """The tensors of some pairs; the batch lies in the second dimension."""
        targets = [self.targets[one] for one in chosen]
        said = [np.concatenate([[START_ID], one[:-1]]) for one in targets]
        return read_batch([self.sources[one] for one in chosen]) | {
            "target_in": padded(said, 0),
            "target_out": padded(targets, PADDING),
        }

    def digest(self) -> str:
        """Tells one set of pairs from another."""
        found = hashlib.sha256()
        for source, target in zip(self.sources, self.targets, strict=True):
            found.update(source.ids.tobytes() + source.copies.tobytes() + b"|" + target.tobytes() + b"\n")
        return found.hexdigest()


def read_batch(sources: Sequence[Source]) -> dict[str, Tensor]:
    """Some sources side by side: source and copies (positions, batch), lengths (1, batch)."""
    return {
        "source": padded([one.ids for one in sources], 0),
        "copies": padded([one.copies for one in sources], 0),
        "lengths": torch.tensor([[len(one.ids) for one in sources]]),
    }


def padded(rows: Sequence[Any], fill: int) -> Tensor:
    """Rows of numbers as columns of one length."""
    found = np.full((max(len(row) for row in rows), len(rows)), fill, dtype=np.int64)
    for place, row in enumerate(rows):
        found[: len(row), place] = row
    return torch.from_numpy(found)


class PairSource:
    """Batches of pairs, a pure function of (seed, epoch, step).

    Args:
        pairs: the data.
        chosen: which of them to draw from.
        batch_size: pairs in a batch.
        seed: for the order.
    """

    # The rows of a batch lie in the second dimension.
    batch_dim = 1

    def __init__(self, pairs: Pairs, chosen: Whole, batch_size: int, seed: int) -> None:
        self._pairs, self._chosen, self._seed, self.batch_size = pairs, chosen, seed, batch_size
        self._lengths = pairs.lengths()
        self._order: tuple[int, list[Whole]] | None = None

    def steps_per_epoch(self) -> int:
        """Batches in a pass over the pairs."""
        reach = self.batch_size * _NEIGHBOURS
        whole, rest = divmod(len(self._chosen), reach)
        return whole * _NEIGHBOURS + -(-rest // self.batch_size)

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Batch number `step` of an epoch."""
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, self._batches(epoch))
        return self._pairs.batch(self._order[1][step])

    def fingerprint(self) -> str:
        """Tells one data set, split and batch order from another."""
        own = f"{self._pairs.digest()} {self.batch_size} {self._seed}".encode()
        return hashlib.sha256(own + self._chosen.tobytes()).hexdigest()

    def _batches(self, epoch: int) -> list[Whole]:
        generator = np.random.default_rng((self._seed, epoch))
        order = generator.permutation(self._chosen)
        reach, batches = self.batch_size * _NEIGHBOURS, []
        for begin in range(0, len(order), reach):
            near = order[begin : begin + reach]
            near = near[np.lexsort(self._lengths[near].T[::-1])]
            batches += [near[at : at + self.batch_size] for at in range(0, len(near), self.batch_size)]
        return [batches[one] for one in generator.permutation(len(batches))]


class PairObjective:
    """Cross-entropy of the targets with label smoothing (Szegedy et al. 2016, section 7) and the coverage loss.

    With smoothing s a token's loss is (1 - s) times its own negative log-probability plus s times the mean one of all
    words of the vocabulary; with coverage, plus its weight times the overlap of the attention (See et al. 2017,
    equation 13). It is the mean over the tokens. The validation loss is without smoothing.

    Args:
        pairs: the data, those that are held back among them.
        held: which are held back.
        smoothing: in 0 to 1.
        coverage: weight of the coverage loss.
        network: what else tells one run from another.
    """

    def __init__(self, pairs: Pairs, held: Whole, smoothing: float, coverage: float, network: str) -> None:
        self._pairs, self._held, self._network = pairs, held, network
        self._smoothing, self._coverage = smoothing, coverage

    def fingerprint(self) -> str:
        """Tells one objective from another."""
        told = f"{self._smoothing} {self._coverage} {self._network}"
        return hashlib.sha256(told.encode() + self._held.tobytes()).hexdigest()

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """The training loss of a batch."""
        found = model(batch)
        own = -(1 - self._smoothing) * found.log_probs - self._smoothing * found.even
        return (own + self._coverage * found.overlap).mean()

    def weight(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What the mean in `loss` is taken over."""
        return (batch["target_out"] >= 0).sum()

    def validate(self, model: nn.Module) -> dict[str, float]:
        """The loss of a token held back, without smoothing, and the perplexity."""
        total = overlap = tokens = 0.0
        for _, found in likelihoods(model, self._pairs, self._held):
            total -= float(found.log_probs.double().sum())
            overlap += float(found.overlap.double().sum())
            tokens += len(found.log_probs)
        mean = total / max(tokens, 1.0)
        return {
            "loss": mean + self._coverage * overlap / max(tokens, 1.0),
            "perplexity": float(np.exp(min(mean, 700.0))),
        }


def likelihoods(model: nn.Module, pairs: Pairs, chosen: Whole) -> Any:
    """Yield places in `chosen` and the likelihood of their targets, by batches of like length, without gradients."""
    device = next(model.parameters()).device
    lengths = pairs.lengths()[chosen]
    order = np.lexsort(lengths.T[::-1])
    begin = 0
    while begin < len(order):
        end = begin + 1
        most = min(len(order), begin + _MOST_PAIRS)
        while end < most and lengths[order[end], 0] * (end + 1 - begin) <= _MOST_TOKENS:
            end += 1
        places = order[begin:end]
        batch = {name: one.to(device) for name, one in pairs.batch(chosen[places]).items()}
        with torch.no_grad():
            found = model(batch)
        yield places, found
        begin = end
