"""Models without a network: log-probabilities that depend on all that was said, from a table drawn by a seed."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from gatewise.decode import Step

START = 1


class Table:
    """Draws the log-probabilities after each prefix from its own generator; attends to `positions` places.

    Args:
        vocabulary: tokens.
        seed: one for each sentence.
        positions: what attention is spread over, or 0 for none.
        sharpness: of the distributions.
    """

    def __init__(self, vocabulary: int, seeds: list[int], positions: int = 0, sharpness: float = 1.0) -> None:
        self.vocabulary, self.seeds, self.positions, self.sharpness = vocabulary, seeds, positions, sharpness
        self.row = functools.cache(self._row)

    def begin(self) -> list[tuple[int, tuple[int, ...]]]:
        """The state before the first token: for each row its sentence's seed and what it read."""
        return [(seed, ()) for seed in self.seeds]

    def _row(self, seed: int, read: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Log-probabilities and attention after the tokens that were read."""
        number = seed
        for token in read:
            number = (number * 1_000_003 + token + 7) % (2**31 - 1)
        generator = torch.Generator().manual_seed(number)
        logits = torch.randn(self.vocabulary, generator=generator, dtype=torch.float64) * self.sharpness
        focus = torch.randn(max(self.positions, 1), generator=generator, dtype=torch.float64)
        return logits.log_softmax(0), focus.softmax(0)

    def step(self, tokens: Tensor, state: list[tuple[int, tuple[int, ...]]]) -> Step:
        """Read a token per row."""
        new = [(seed, (*read, token)) for (seed, read), token in zip(state, tokens.tolist(), strict=True)]
        rows = [self.row(seed, read) for seed, read in new]
        attention = torch.stack([focus for _, focus in rows]) if self.positions else None
        return Step(torch.stack([log_probs for log_probs, _ in rows]), new, attention)

    def select(
        self, state: list[tuple[int, tuple[int, ...]]], rows: Tensor
    ) -> list[tuple[int, tuple[int, ...]]]:
        """Rows of the state; those of a sentence must come from one sentence."""
        chosen = [[state[row] for row in own] for own in rows.tolist()]
        assert all(len({seed for seed, _ in own}) == 1 for own in chosen)
        return [one for own in chosen for one in own]

    def everything(
        self, seed: int, max_length: int, stop: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, ...], float, Tensor]]:
        """Every sequence that may be said: tokens (stop token included), log-probability, attention added up."""
        for length in range(1, max_length + 1):
            for tokens in itertools.product(range(self.vocabulary), repeat=length):
                if any(token in stop for token in tokens[:-1]):
                    continue
                if length < max_length and tokens[-1] not in stop:
                    continue
                total, covered = 0.0, torch.zeros(max(self.positions, 1), dtype=torch.float64)
                for at, token in enumerate(tokens):
                    log_probs, focus = self.row(seed, (START, *tokens[:at]))
                    total, covered = total + float(log_probs[token]), covered + focus
                yield tokens, total, covered


def start(count: int) -> Tensor:
    """The token that every sentence begins with."""
    return torch.full((count,), START)
