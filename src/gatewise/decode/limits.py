"""What a search may say: stop tokens, lengths, forbidden tokens, no n-gram twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gatewise.checks import unwrapped, whole
from gatewise.errors import ArgumentError
from gatewise.nn.arguments import no_type_check

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """What a search may say.

    Args:
        max_length: the most tokens of a hypothesis, its stop token included, at least 1: one number, or one per
            sentence. A hypothesis that is so long ends there, stop token or not.
        stop: tokens that end a hypothesis.
        min_length: the fewest tokens before a stop token, at least 0.
        forbidden: tokens that are never said.
        no_repeat_ngram: no sequence of so many tokens comes twice within a hypothesis (Paulus et al. 2018, section
            2.5); 0: no such rule.

    Raises:
        ArgumentError: a value out of range, or limits that leave nothing.
        ArgumentTypeError: a wrong type.

    Example:
        >>> Limits(20, stop=(3,), no_repeat_ngram=3).max_length
        20
    """

    max_length: int | Sequence[int]
    stop: tuple[int, ...] = ()
    min_length: int = 0
    forbidden: tuple[int, ...] = ()
    no_repeat_ngram: int = 0

    @no_type_check
    def __post_init__(self) -> None:
        """Check every value; numpy's are made plain."""
        for field in fields(self):
            object.__setattr__(self, field.name, unwrapped(getattr(self, field.name)))
        each = self.max_length if isinstance(self.max_length, Sequence) else (self.max_length,)
        for name, values, least in (
            ("max_length", each, 1), ("min_length", (self.min_length,), 0),
            ("no_repeat_ngram", (self.no_repeat_ngram,), 0), ("stop", self.stop, 0), ("forbidden", self.forbidden, 0),
        ):  # fmt: skip
            _check_whole(name, values, least)
        if self.min_length >= max(each, default=1) + 1:
            raise ArgumentError(
                f"min_length: at most max_length ({max(each)}) is expected, came {self.min_length}"
            )

    def lengths(self, sentences: int) -> Int[Tensor, " sentences"]:
        """The most tokens of each sentence.

        Raises:
            ArgumentError: there is another number of them.
        """
        if isinstance(self.max_length, int):
            return torch.full((sentences,), self.max_length, dtype=torch.int64, device="cpu")
        if len(self.max_length) != sentences:
            raise ArgumentError(
                f"max_length: one number, or one for each of {sentences} sentences is expected, came "
                f"{len(self.max_length)}"
            )
        return torch.tensor(list(self.max_length), dtype=torch.int64, device="cpu")

    def apply(
        self, log_probs: Float[Tensor, "rows vocabulary"], said: Int[Tensor, "rows length"]
    ) -> Float[Tensor, "rows vocabulary"]:
        """The log-probabilities with -inf for what may not come next; what is left is not scaled up.

        Args:
            log_probs: of the next token.
            said: the tokens of each row so far, without the one that the search began with.
        """
        barred = list(self.forbidden) + (list(self.stop) if said.shape[1] < self.min_length else [])
        blocks = 0 < self.no_repeat_ngram <= said.shape[1]
        if not barred and not blocks:
            return log_probs
        log_probs = log_probs.clone()
        width = log_probs.shape[1]
        outside = [token for token in barred if token >= width]
        if outside:
            raise ArgumentError(f"stop, forbidden: tokens below {width} are expected, came {outside[0]}")
        if barred:
            log_probs[:, torch.tensor(barred, device=log_probs.device)] = -torch.inf
        if blocks:
            row, token = repeats(said, self.no_repeat_ngram)
            log_probs[row, token] = -torch.inf
        return log_probs


def repeats(said: Int[Tensor, "rows length"], size: int) -> tuple[Tensor, Tensor]:
    """(row, token) of every token that would complete an n-gram that the row already has."""
    windows = said.unfold(1, size, 1)
    # With n = 1 the last n - 1 tokens are none, which every window begins with.
    last = said[:, said.shape[1] - (size - 1) :]
    same = (windows[..., :-1] == last[:, None]).all(-1)
    row, place = same.nonzero(as_tuple=True)
    return row, windows[row, place, -1]


def _check_whole(name: str, values: Iterable[object], least: int) -> None:
    for value in values:
        whole(name, value, least)
