"""What the training loop needs: batches of sentences, the loss of tags and intents, and F1 on what is held back."""

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
from gatewise.tasks.classify.pooling import valid_steps
from gatewise.tasks.tagging.encoding import EncodedSentences
from gatewise.tasks.tagging.network import TaggerNetwork
from gatewise.tasks.tagging.scores import TagCounts, count_tags

__all__ = ["Decoded", "TagObjective", "TagSource", "Targets", "decode"]

Whole = NDArray[np.int64]
# An epoch has at least so many steps; few sentences are gone through several times for it.
_FEWEST_STEPS = 20
# Sentences of like length come together within so many batches, so that little is padded.
_NEIGHBOURS = 8


@dataclass(frozen=True)
class Targets:
    """What is to be learned.

    Args:
        tags: (rows,) the tags' numbers, -1 where a tag is not known.
        intents: (sentences,) the intents' numbers, -1 where there is none; None: no intents.
    """

    tags: Whole
    intents: Whole | None


class TagSource:
    """Batches of sentences, a pure function of (seed, epoch, step).

    Args:
        encoded: all sentences.
        targets: of them.
        chosen: the sentences to draw from.
        once: for each word's number whether training showed it once.
        unknown_rate: which share of these passes for unknown, so that the network learns what to do with such.
        batch_size: sentences in a batch.
        seed: for the order.
    """

    # The sentences of a batch lie in the second dimension.
    batch_dim = 1

    def __init__(
        self,
        encoded: EncodedSentences,
        targets: Targets,
        chosen: Whole,
        once: NDArray[np.bool_],
        unknown_rate: float,
        batch_size: int,
        seed: int,
    ) -> None:
        self._encoded, self._targets, self._chosen, self._once = encoded, targets, chosen, once
        self._rate, self._size, self._seed = unknown_rate, batch_size, seed
        self._steps = -(-len(chosen) // batch_size)
        self._passes = -(-_FEWEST_STEPS // self._steps)
        self._order: tuple[int, list[Whole]] | None = None

    def steps_per_epoch(self) -> int:
        """Batches in an epoch: one pass over the sentences, or several where one has few."""
        return self._steps * self._passes

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Batch number `step` of an epoch."""
        number = epoch * self._passes + step // self._steps
        if self._order is None or self._order[0] != number:
            generator = np.random.default_rng((self._seed, number))
            lengths = self._encoded.lengths[self._chosen]
            found = length_batches(lengths, self._size, generator=generator, neighbours=_NEIGHBOURS)
            self._order = (number, [self._chosen[one] for one in found])
        chosen = self._order[1][step % self._steps]
        batch = self._encoded.batch(chosen)
        rows, there = self._encoded.rows(chosen)
        batch["tags"] = torch.from_numpy(np.where(there, self._targets.tags[rows], -1))
        if self._targets.intents is not None:
            batch["intents"] = torch.from_numpy(self._targets.intents[chosen])[None]
        if self._rate > 0:
            drawn = np.random.default_rng((self._seed, epoch, step, 1)).random(rows.shape) < self._rate
            words = batch["words"].numpy()
            batch["words"] = torch.from_numpy(np.where(drawn & self._once[words], 1, words))
        return batch

    def fingerprint(self) -> str:
        """Tells one data set, split and batch order from another."""
        digest = hashlib.sha256()
        for one in (self._encoded.words, self._encoded.forms, self._encoded.characters, self._encoded.starts):
            digest.update(one.tobytes())
        digest.update(self._targets.tags.tobytes() + self._chosen.tobytes() + self._once.tobytes())
        if self._targets.intents is not None:
            digest.update(self._targets.intents.tobytes())
        digest.update(f"{self._size} {self._seed} {self._rate}".encode())
        return digest.hexdigest()


class TagObjective:
    """-log p of the tags per word, and of the intents per sentence; held-back sentences are judged by F1 and accuracy.

    Args:
        encoded: all sentences.
        held: those that are held back.
        gold: their tags as texts, in the scheme of `tags`.
        gold_intents: their intents as texts, or None.
        tags, intents: the texts by number.
        spans: whether tags mark spans: then F1 counts, otherwise the share of tags that are right.
        partial: whether some training tags are not known.
        network: what else tells one run from another.
    """

    def __init__(
        self,
        encoded: EncodedSentences,
        held: Whole,
        gold: Sequence[Sequence[str]],
        gold_intents: Sequence[str] | None,
        tags: Sequence[str],
        intents: Sequence[str],
        *,
        spans: bool,
        partial: bool,
        network: str,
    ) -> None:
        self._encoded, self._held, self._gold, self._gold_intents = encoded, held, gold, gold_intents
        self._tags, self._intents, self._spans, self._partial = tags, intents, spans, partial
        self._network = network

    def fingerprint(self) -> str:
        """Tells one objective from another."""
        text = (
            f"{list(self._tags)} {list(self._intents)} {self._partial} {self._network} {self._held.tolist()}"
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """The training loss of one batch."""
        scores, intents = model(batch)
        lengths, tags = batch["lengths"][0], batch["tags"]
        crf = getattr(model, "crf", None)
        if crf is not None:
            total = -crf.log_likelihood(scores, tags, lengths, partial=self._partial).sum()
        else:
            there = valid_steps(lengths, len(tags))
            total = F.cross_entropy(
                scores.float().flatten(0, 1),
                torch.where(there, tags, -1).flatten(),
                ignore_index=-1,
                reduction="sum",
            )
        loss = total / lengths.sum().clamp(min=1)
        if intents is not None:
            own = batch["intents"][0]
            known = (own >= 0).sum().clamp(min=1)
            loss = loss + F.cross_entropy(intents.float(), own, ignore_index=-1, reduction="sum") / known
        return loss

    def weight(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What the mean in `loss` is taken over."""
        return batch["lengths"].sum()

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Loss: 1 - F1 (or accuracy), with intents the mean of that and 1 - their accuracy."""
        if not isinstance(model, TaggerNetwork):
            raise TypeError(f"a TaggerNetwork is expected, came {type(model).__name__}")
        found = decode(model, self._encoded, self._held)
        said = [[self._tags[one] for one in own] for own in found.tags]
        counts = TagCounts.of([count_tags(a, b, self._spans) for a, b in zip(self._gold, said, strict=True)])
        main = counts.f1 if self._spans else counts.accuracy
        measures = {"f1": main, "tag_accuracy": counts.accuracy}
        loss = 1 - main
        if self._gold_intents is not None and found.intents is not None:
            own = [self._intents[one] for one in found.intents.argmax(axis=1)]
            accuracy = float(np.mean([a == b for a, b in zip(own, self._gold_intents, strict=True)]))
            measures["intent_accuracy"] = accuracy
            loss = (loss + 1 - accuracy) / 2
        return {"loss": float(loss), **measures}


@dataclass(frozen=True)
class Decoded:
    """What the network says of some sentences.

    Args:
        tags: the best tags' numbers, one array for each sentence.
        marginals: (words, tags) probabilities for each sentence, or None if they were not asked for.
        intents: (sentences, intents) logits, or None.
    """

    tags: list[Whole]
    marginals: list[NDArray[np.float64]] | None
    intents: NDArray[np.float64] | None


def decode(
    network: TaggerNetwork, encoded: EncodedSentences, chosen: Whole, *, marginals: bool = False
) -> Decoded:
    """Tags (and their probabilities) and intents of some sentences, in their order; in eval mode.

    Args:
        network: in eval mode.
        encoded: all sentences.
        chosen: which of them.
        marginals: whether probabilities of each tag are asked for.
    """
    device = next(network.parameters()).device
    lengths = encoded.lengths[chosen]
    tags: list[Whole] = [np.zeros(0, dtype=np.int64)] * len(chosen)
    shares: list[NDArray[np.float64]] = [np.zeros((0, network.plan.tags))] * len(chosen)
    intents = np.zeros((len(chosen), network.plan.intents)) if network.plan.intents else None
    with torch.no_grad():
        for part in parts_by_length(lengths):
            batch = {name: one.to(device) for name, one in encoded.batch(chosen[part]).items()}
            scores, logits = network(batch)
            own = batch["lengths"][0]
            if network.crf is None:
                best, soft = scores.argmax(-1), torch.softmax(scores.float(), -1)
            else:
                best = network.crf.viterbi(scores, own)[0]
                soft = network.crf.marginals(scores, own) if marginals else None
            columns = best.cpu().numpy()
            probabilities = soft.double().cpu().numpy() if marginals and soft is not None else None
            for column, place in enumerate(part.tolist()):
                tags[place] = columns[: lengths[place], column]
                if probabilities is not None:
                    shares[place] = probabilities[: lengths[place], column]
            if intents is not None:
                intents[part] = logits.double().cpu().numpy()
    return Decoded(tags, shares if marginals else None, intents)
