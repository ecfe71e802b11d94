"""The n-gram baseline against a slow one that is written down from the equations, and what a stored one may not be."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch

from gatewise.errors import StoreError
from gatewise.tasks.language.ngrams import NGramModel, unigram_logs


class Slow:
    """Interpolated Kneser-Ney (Chen & Goodman 1999, eq. 17 to 20) by dictionaries."""

    def __init__(self, ids: list[int], tokens: int, order: int) -> None:
        self.tokens, self.order = tokens, order
        grams = [
            Counter(tuple(ids[at : at + n]) for at in range(len(ids) - n + 1)) for n in range(1, order + 1)
        ]
        self.counts: list[dict] = []
        for n in range(1, order + 1):
            if n == order:
                self.counts.append(dict(grams[n - 1]))
                continue
            before = defaultdict(set)
            for gram in grams[n]:
                before[gram[1:]].add(gram[0])
            self.counts.append({gram: len(before[gram]) for gram in grams[n - 1]})
        self.discounts = []
        for table in self.counts:
            seen = Counter(table.values())
            self.discounts.append(seen[1] / (seen[1] + 2 * seen[2]) if seen[1] else 0.5)

    def probability(self, context: tuple[int, ...], token: int, order: int | None = None) -> float:
        order = min(self.order, len(context) + 1) if order is None else order
        if order == 0:
            return 1 / self.tokens
        context = context[len(context) - order + 1 :]
        table, discount = self.counts[order - 1], self.discounts[order - 1]
        own = {gram: count for gram, count in table.items() if gram[:-1] == context}
        total = sum(own.values())
        lower = self.probability(context[1:], token, order - 1)
        if total == 0:
            return lower
        followers = sum(count > 0 for count in own.values())
        return max(own.get((*context, token), 0) - discount, 0) / total + discount * followers / total * lower


@pytest.fixture(scope="module")
def ids() -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.choice(6, size=300, p=[0.4, 0.25, 0.15, 0.1, 0.07, 0.03])


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_it_equals_the_slow_one(ids, order) -> None:
    fast, slow = NGramModel(ids, tokens=7, order=order), Slow(ids.tolist(), 7, order)
    asked = np.random.default_rng(1).integers(0, 7, 60)
    found = fast.log_probabilities(asked)
    for place in range(1, len(asked)):
        context = tuple(asked[max(0, place - order + 1) : place].tolist())
        expected = slow.probability(context, int(asked[place]), min(order, len(context) + 1))
        assert found[place - 1] == pytest.approx(math.log(expected), abs=1e-9)


@pytest.mark.parametrize("order", [1, 3])
def test_probabilities_sum_to_one(ids, order) -> None:
    model = NGramModel(ids, tokens=7, order=order)
    for context in ([0, 1], [6, 6], [5, 0], [3, 3]):
        total = sum(math.exp(model.log_probabilities(np.array([*context, token]))[-1]) for token in range(7))
        assert total == pytest.approx(1.0, abs=1e-9)


def test_unigrams() -> None:
    logs = unigram_logs([3, 1, 0], np.array([0, 0, 2, 1]))
    np.testing.assert_allclose(np.exp(logs), [4 / 7, 1 / 7, 2 / 7])


def test_there_and_back(ids) -> None:
    model = NGramModel(ids, tokens=7, order=3)
    again = NGramModel.from_tensors(model.to_tensors())
    assert (again.log_probabilities(ids) == model.log_probabilities(ids)).all()


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": torch.tensor([0])},
        {"1.keys": torch.tensor([3, 2, 1])},
        {"2.counts": torch.tensor([1])},
        {"2.totals": torch.tensor([1])},
        {"2.counts": None},
        {"1.discount": torch.tensor([2.0])},
        {"1.keys": torch.ones(6)},
        {"1.followers": -torch.ones(1, dtype=torch.int64)},
    ],
)
def test_a_stored_one_is_not_trusted(ids, change) -> None:
    tensors = NGramModel(ids, tokens=7, order=3).to_tensors() | change
    with pytest.raises(StoreError, match="baseline is damaged"):
        NGramModel.from_tensors({name: one for name, one in tensors.items() if one is not None})
