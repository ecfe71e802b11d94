"""Attention against a loop that reads like the papers' equations."""

from __future__ import annotations

import math

import pytest
import torch

from gatewise.errors import ArgumentError, ShapeError
from gatewise.nn import Attention

QUERIES, BATCH, POSITIONS, SIZE = 3, 4, 6, 5
LENGTHS = [6, 1, 4, 0]


def by_loop(attention: Attention, query, sequence, lengths, coverage=None):
    """Contexts and weights, number by number."""
    w = {name: one.detach() for name, one in attention.named_parameters()}
    contexts, weights = torch.zeros(QUERIES, BATCH, SIZE), torch.zeros(QUERIES, BATCH, POSITIONS)
    contexts, weights = contexts.double(), weights.double()
    for j in range(QUERIES):
        for b in range(BATCH):
            scores = []
            for i in range(lengths[b]):
                q, h = query[j, b], sequence[i, b]
                if attention.score == "dot":
                    scores.append(float(q @ h))
                elif attention.score == "general":
                    scores.append(float(q @ (w["key.weight"] @ h)))
                else:
                    inner = w["query.weight"] @ q + w["key.weight"] @ h
                    if attention.score == "additive":
                        inner = inner + w["query.bias"]
                    if coverage is not None:
                        inner = inner + w["cover.weight"][:, 0] * coverage[j, b, i]
                    scores.append(float(w["energy.weight"][0] @ torch.tanh(inner)))
            total = sum(math.exp(one) for one in scores)
            for i, one in enumerate(scores):
                weights[j, b, i] = math.exp(one) / total
                contexts[j, b] += weights[j, b, i] * sequence[i, b]
    return contexts, weights


@pytest.mark.parametrize(
    ("score", "coverage"),
    [
        ("additive", False),
        ("additive", True),
        ("dot", False),
        ("general", False),
        ("concat", False),
        ("concat", True),
    ],
)
def test_it_is_the_loop(score, coverage) -> None:
    attention = Attention(score, SIZE, SIZE, 7, coverage=coverage).double()
    query = torch.randn(QUERIES, BATCH, SIZE, dtype=torch.float64)
    sequence = torch.randn(POSITIONS, BATCH, SIZE, dtype=torch.float64, requires_grad=True)
    covered = torch.rand(QUERIES, BATCH, POSITIONS, dtype=torch.float64) if coverage else None
    memory = attention.prepare(sequence, torch.tensor(LENGTHS))
    context, weights = attention(query, memory, covered)
    with torch.no_grad():
        expected = by_loop(attention, query, sequence, LENGTHS, covered)
    # Sums of at most 7 terms of size 1 to 10, an exp between: some 1e-15; 1e-12 leaves room for no wrong formula.
    torch.testing.assert_close((context, weights), expected, rtol=1e-12, atol=1e-12)
    context.square().sum().backward()
    # A sequence without positions gets no gradient, and none that is not a number.
    assert bool(torch.isfinite(sequence.grad).all())
    assert not bool(sequence.grad[:, 3].any())
    assert not bool(sequence.grad[4:, 2].any())


def test_what_padding_holds_does_not_matter() -> None:
    attention = Attention("additive", SIZE, SIZE)
    query, sequence = torch.randn(QUERIES, BATCH, SIZE), torch.randn(POSITIONS, BATCH, SIZE)
    spoiled = sequence.clone()
    for b, length in enumerate(LENGTHS):
        spoiled[length:, b] = 1e6
    lengths = torch.tensor(LENGTHS)
    plain, other = (attention(query, attention.prepare(one, lengths))[1] for one in (sequence, spoiled))
    torch.testing.assert_close(plain, other, rtol=0, atol=0)


def test_a_selected_memory_is_that_of_those_sequences() -> None:
    attention = Attention("general", SIZE, SIZE)
    query, sequence = torch.randn(QUERIES, 2, SIZE), torch.randn(POSITIONS, BATCH, SIZE)
    rows = torch.tensor([2, 0])
    chosen = attention.prepare(sequence, torch.tensor(LENGTHS)).select(rows)
    anew = attention.prepare(sequence[:, rows], torch.tensor(LENGTHS)[rows])
    torch.testing.assert_close(attention(query, chosen), attention(query, anew))


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("cosine", 3, 3), {}, "score: expected one of"),
        (("dot", 3, 4), {}, "use 'general'"),
        (("dot", 3, 3), {"coverage": True}, "coverage: expected False"),
        (("additive", 0, 3), {}, "query_size"),
    ],
)
def test_what_cannot_be_is_refused(arguments, options, words) -> None:
    with pytest.raises(ArgumentError, match=words):
        Attention(*arguments, **options)


def test_shapes_that_do_not_fit_are_named() -> None:
    attention = Attention("additive", 3, 4)
    with pytest.raises(ShapeError, match="sequence: expected .positions, batch, 4."):
        attention.prepare(torch.randn(5, 2, 3))
    memory = attention.prepare(torch.randn(5, 2, 4))
    with pytest.raises(ShapeError, match="query: expected"):
        attention(torch.randn(1, 2, 5), memory)
    with pytest.raises(ShapeError, match="coverage: expected a tensor"):
        Attention("additive", 3, 4, coverage=True)(torch.randn(1, 2, 3), memory)
