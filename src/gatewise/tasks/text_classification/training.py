"""What the training loop needs: batches of texts, and the log loss over their classes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewise.data.text.by_length import parts_by_length
from gatewise.data.text.streams import length_batches
from gatewise.tasks.text_classification.network import TextReader

__all__ = ["EncodedTexts", "TextObjective", "TextSource", "logits_of"]

Whole = NDArray[np.int64]
_FEWEST_STEPS, _NEIGHBOURS = 20, 8


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as numbers of words, flat.

    Args:
        words: (rows,).
        starts: (texts + 1,) where each begins.
    """

    words: Whole
    starts: Whole

    @classmethod
    def of(cls, texts: Sequence[Whole]) -> EncodedTexts:
        """From one array for each text."""
        lengths = [len(one) for one in texts]
        flat = np.concatenate(texts) if texts else np.zeros(0, dtype=np.int64)
        return cls(flat, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    @property
    def lengths(self) -> Whole:
        """(texts,) their numbers of words."""
        return np.diff(self.starts)

    def batch(self, chosen: Whole) -> dict[str, Tensor]:
        """Some texts: words (time, batch), lengths (1, batch)."""
        lengths = self.lengths[chosen]
        steps = np.arange(int(lengths.max(initial=1)))[:, None]
        there = steps < lengths
        rows = np.where(there, self.starts[chosen] + steps, 0)
        return {
            "words": torch.from_numpy(np.where(there, self.words[rows], 0)),
            "lengths": torch.from_numpy(lengths)[None],
        }


class TextSource:
    """Batches of texts, a pure function of (seed, epoch, step).

    Args:
        encoded: all texts.
        codes: (texts,) their classes.
        chosen: those to draw from.
        batch_size: texts in a batch.
        word_dropout: which share of the words passes for unknown.
        seed: for the order.
        unknown: the number of an unknown word.
    """

    batch_dim = 1

    def __init__(
        self,
        encoded: EncodedTexts,
        codes: Whole,
        chosen: Whole,
        batch_size: int,
        word_dropout: float,
        seed: int,
        unknown: int = 1,
    ) -> None:
        self._encoded, self._codes, self._chosen, self._unknown = encoded, codes, chosen, unknown
        self._size, self._rate, self._seed = batch_size, word_dropout, seed
        self._steps = -(-len(chosen) // batch_size)
        self._passes = -(-_FEWEST_STEPS // self._steps)
        self._order: tuple[int, list[Whole]] | None = None

    def steps_per_epoch(self) -> int:
        """Batches in an epoch: one pass over the texts, or several where one has few."""
        return self._steps * self._passes

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Batch number `step` of an epoch."""
        number = epoch * self._passes + step // self._steps
        if self._order is None or self._order[0] != number:
            generator = np.random.default_rng((self._seed, number))
            lengths = self._encoded.lengths[self._chosen]
            own = length_batches(lengths, self._size, generator=generator, neighbours=_NEIGHBOURS)
            self._order = (number, [self._chosen[one] for one in own])
        chosen = self._order[1][step % self._steps]
        batch = self._encoded.batch(chosen)
        if self._rate > 0:
            words = batch["words"].numpy()
            dropped = np.random.default_rng((self._seed, epoch, step, 1)).random(words.shape) < self._rate
            batch["words"] = torch.from_numpy(np.where(dropped, self._unknown, words))
        batch["y"] = torch.from_numpy(self._codes[chosen])[None]
        return batch

    def fingerprint(self) -> str:
        """Tells one data set, split and batch order from another."""
        digest = hashlib.sha256(self._encoded.words.tobytes() + self._encoded.starts.tobytes())
        digest.update(self._codes.tobytes() + self._chosen.tobytes())
        digest.update(f"{self._size} {self._rate} {self._seed}".encode())
        return digest.hexdigest()


class TextObjective:
    """Log loss of the classes; validated on the texts that are held back.

    Args:
        encoded, codes: of all texts.
        held: those that are held back.
        network: what else tells one run from another.
    """

    def __init__(self, encoded: EncodedTexts, codes: Whole, held: Whole, network: str) -> None:
        self._encoded, self._codes, self._held, self._network = encoded, codes, held, network

    def fingerprint(self) -> str:
        """Tells one objective from another."""
        return hashlib.sha256(self._held.tobytes() + self._network.encode()).hexdigest()

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """The training loss of one batch."""
        return F.cross_entropy(model(batch).float(), batch["y"][0])

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Log loss and accuracy on the held-back texts."""
        if not isinstance(model, TextReader):
            raise TypeError(f"a TextReader is expected, came {type(model).__name__}")
        logits = torch.from_numpy(logits_of(model, self._encoded, self._held))
        codes = torch.from_numpy(self._codes[self._held])
        right = (logits.argmax(1) == codes).double().mean()
        return {"loss": float(F.cross_entropy(logits, codes)), "accuracy": float(right)}


def logits_of(network: TextReader, encoded: EncodedTexts, chosen: Whole) -> NDArray[np.float64]:
    """(texts, classes) of some texts, in their order; the network in eval mode."""
    device = next(network.parameters()).device
    found = np.zeros((len(chosen), network.plan.classes))
    with torch.no_grad():
        for part in parts_by_length(encoded.lengths[chosen]):
            batch = {name: one.to(device) for name, one in encoded.batch(chosen[part]).items()}
            found[part] = network(batch).double().cpu().numpy()
    return found
