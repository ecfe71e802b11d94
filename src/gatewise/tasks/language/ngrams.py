"""The baselines of a language model: single tokens by their frequency, and n-grams with Kneser-Ney smoothing.

References:
    Kneser & Ney 1995, "Improved backing-off for m-gram language modeling"; Chen & Goodman 1999, "An empirical study of
    smoothing techniques for language modeling", eq. 17 to 20 (interpolated, one discount for each order).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewise.errors import ArgumentError, StoreError

__all__ = ["NGramModel", "unigram_logs"]

Whole = NDArray[np.int64]
_PARTS = ("keys", "counts", "totals", "followers")


@dataclass(frozen=True)
class _Order:
    """n-grams of one length: how often each came, and by their first tokens in all.

    Args:
        keys: (grams,) sorted: number of the first n - 1 tokens' gram times the vocabulary, plus the last token.
        counts: (grams,) how often each came, or before how many different tokens' ends.
        totals: (contexts,) counts by the first n - 1 tokens.
        followers: (contexts,) how many different tokens followed them.
        discount: what is taken off every count.
    """

    keys: Whole
    counts: Whole
    totals: Whole
    followers: Whole
    discount: float


class NGramModel:
    """Interpolated Kneser-Ney n-grams over token numbers.

    Args:
        ids: (tokens,) the training text.
        tokens: in the vocabulary.
        order: the longest n-gram, at least 1.

    Example:
        >>> model = NGramModel(np.array([0, 1, 2, 0, 1, 3, 0, 1, 2]), tokens=4, order=2)
        >>> logs = model.log_probabilities(np.array([0, 1, 2]))
        >>> bool(logs[0] > logs[1])  # 1 always follows 0; 2 follows 1 twice of three times
        True
    """

    def __init__(self, ids: Whole, *, tokens: int, order: int) -> None:
        if order < 1:
            raise ArgumentError(f"order: at least 1 is expected, came {order}")
        self.tokens = tokens
        self._orders: list[_Order] = []
        grams = _gram_numbers(np.asarray(ids, dtype=np.int64), tokens, order)
        for length in range(1, min(order, len(ids)) + 1):
            keys, numbers = grams[length - 1]
            if length < len(grams):
                counts = _continuations(numbers, grams[length], len(keys))
            else:
                counts = np.bincount(numbers, minlength=len(keys)).astype(np.int64)
            contexts = 1 if length == 1 else len(grams[length - 2][0])
            self._orders.append(_order(keys, counts, tokens, contexts))

    @property
    def order(self) -> int:
        """The longest n-gram."""
        return len(self._orders)

    def log_probabilities(self, ids: Whole) -> NDArray[np.float64]:
        """Natural logarithms of tokens 1, 2, ... of a text, each given those before it.

        Args:
            ids: (1 + tokens,) what the text begins after, and the text.

        Returns:
            (tokens,).
        """
        ids = np.asarray(ids, dtype=np.int64)
        targets = ids[1:]
        found = np.full(len(targets), 1.0 / self.tokens)
        # The gram that ends before each target, of one token more at each order; -1 where it was never seen.
        context = np.zeros(len(targets), dtype=np.int64)
        for length, order in enumerate(self._orders, 1):
            if length > 1:
                context = self._contexts(ids, length - 1)
            known = context >= 0
            places = np.where(known, context, 0)
            total = np.where(known, order.totals[places], 0)
            known &= total > 0
            count = _look_up(order, context * self.tokens + targets, known)
            safe = np.maximum(total, 1)
            own = np.maximum(count - order.discount, 0.0) / safe
            share = order.discount * order.followers[places] / safe
            found = np.where(known, own + share * found, found)
        return np.log(found)

    def to_tensors(self) -> dict[str, Tensor]:
        """The model as tensors by name."""
        found = {"tokens": torch.tensor([self.tokens])}
        for number, order in enumerate(self._orders, 1):
            for name in _PARTS:
                values = getattr(order, name)
                small = name != "keys" and values.max(initial=0) < 2**31
                found[f"{number}.{name}"] = torch.from_numpy(values.astype(np.int32 if small else np.int64))
            found[f"{number}.discount"] = torch.tensor([order.discount], dtype=torch.float64)
        return found

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> NGramModel:
        """Read what `to_tensors` gave.

        Raises:
            StoreError: something is missing or does not fit together.
        """
        made = cls.__new__(cls)
        try:
            made.tokens = int(tensors["tokens"][0])
            made._orders, contexts = [], 1
            for number in range(1, (len(tensors) - 1) // 5 + 1):
                part = {
                    name: _whole(tensors[f"{number}.{name}"])
                    for name in ("keys", "counts", "totals", "followers")
                }
                order = _Order(**part, discount=float(tensors[f"{number}.discount"][0]))
                _check_order(order, contexts, made.tokens)
                made._orders.append(order)
                contexts = len(order.keys)
            if not made._orders:
                raise ValueError("no order")
        except (KeyError, ValueError, IndexError, RuntimeError, TypeError) as error:
            raise StoreError(f"the n-gram baseline is damaged ({error}); save the model anew") from error
        return made

    def _contexts(self, ids: Whole, length: int) -> Whole:
        """The number of the gram of `length` tokens before each target, -1 where there is none."""
        gram = np.where(ids[:-1] < self.tokens, ids[:-1], -1)
        first = self._orders[0]
        gram = _place(first.keys, gram)
        for step in range(2, length + 1):
            before = np.concatenate([[-1], gram[:-1]])
            key = np.where(before >= 0, before * self.tokens + ids[:-1], -1)
            gram = _place(self._orders[step - 1].keys, key)
        return gram


def unigram_logs(counts: Sequence[int], ids: Whole) -> NDArray[np.float64]:
    """Natural logarithms of tokens 1, 2, ... of a text, by how often each came in training (plus one).

    Args:
        counts: (vocabulary,) of the training text.
        ids: (1 + tokens,).
    """
    smoothed = np.array(counts, dtype=np.float64) + 1.0
    return np.log(smoothed / smoothed.sum())[np.asarray(ids)[1:]]


def _gram_numbers(ids: Whole, tokens: int, order: int) -> list[tuple[Whole, Whole]]:
    """For each length: the sorted keys of all n-grams, and the number of the one that starts at each position."""
    found: list[tuple[Whole, Whole]] = []
    numbers: Any = None
    for length in range(1, min(order, len(ids)) + 1):
        key = ids if length == 1 else numbers[:-1] * tokens + ids[length - 1 :]
        keys, inverse = np.unique(key, return_inverse=True)
        numbers = inverse.reshape(-1).astype(np.int64)
        found.append((keys, numbers))
    return found


def _continuations(numbers: Whole, longer: tuple[Whole, Whole], grams: int) -> Whole:
    """After how many different tokens each gram came: one for each longer gram that ends with it."""
    _, first = np.unique(longer[1], return_index=True)
    return np.bincount(numbers[first + 1], minlength=grams).astype(np.int64)


def _order(keys: Whole, counts: Whole, tokens: int, contexts: int) -> _Order:
    before = keys // tokens
    totals = np.bincount(before, weights=counts, minlength=contexts).astype(np.int64)
    followers = np.bincount(before[counts > 0], minlength=contexts).astype(np.int64)
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    # Ney, Essen & Kneser 1994, eq. 14; where nothing came once or twice there is nothing to estimate it from.
    discount = once / (once + 2 * twice) if once else 0.5
    return _Order(keys, counts, totals, followers, min(discount, 0.999))


def _place(keys: Whole, wanted: Whole) -> Whole:
    """Where each wanted key is among the sorted keys, -1 where it is not."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


def _look_up(order: _Order, wanted: Whole, known: NDArray[np.bool_]) -> Whole:
    places = _place(order.keys, np.where(known, wanted, -1))
    return np.where(places >= 0, order.counts[places], 0)


def _whole(tensor: Tensor) -> Whole:
    if tensor.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"numbers of type {tensor.dtype}")
    return tensor.numpy().astype(np.int64)


def _check_order(order: _Order, contexts: int, tokens: int) -> None:
    arrays = (order.keys, order.counts, order.totals, order.followers)
    if any(one.ndim != 1 for one in arrays) or tokens < 1:
        raise ValueError("numbers of the wrong shape")
    if (
        len(order.keys) != len(order.counts)
        or len(order.totals) != len(order.followers)
        or not len(order.keys)
    ):
        raise ValueError("lists of different lengths")
    if len(order.totals) < contexts or (np.diff(order.keys) <= 0).any() or not 0 <= order.discount < 1:
        raise ValueError("keys that are not sorted, or contexts that are missing")
    if order.counts.min() < 0 or order.totals.min() < 0 or order.followers.min() < 0:
        raise ValueError("counts below 0")
