"""Beam search against a search over all sequences, greedy search, and one sentence at a time."""

from __future__ import annotations

import math

import pytest
import torch

from gatewise.decode import Limits, Penalties, Step, beam_search, greedy, sample, select_rows
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn import Recurrent
from tests.decode.tables import START, Table, start

# Sums of at most 6 log-probabilities, in another order: 6 * 1.1e-16 of their size, which is below 30.
CLOSE = {"rel_tol": 1e-13, "abs_tol": 1e-13}


def brute_force(
    table: Table, seed: int, limits: Limits, score, n_best: int
) -> list[tuple[float, tuple[int, ...]]]:
    """The best sequences among all that the limits allow, by a score of (log_prob, length, covered)."""
    found = []
    for tokens, log_prob, covered in table.everything(seed, limits.max_length, limits.stop):
        words = tokens[:-1] if tokens[-1] in limits.stop else tokens
        size = limits.no_repeat_ngram
        grams = [tokens[at : at + size] for at in range(len(tokens) - size + 1)] if size else []
        if len(set(grams)) < len(grams) or set(tokens) & set(limits.forbidden):
            continue
        if tokens[-1] in limits.stop and len(words) < limits.min_length:
            continue
        found.append((score(log_prob, len(tokens), covered), words))
    return sorted(found, key=lambda one: -one[0])[:n_best]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "limits",
    [
        Limits(5, stop=(0,)),
        Limits(4, stop=(0, 2), min_length=2),
        Limits(5, stop=(0,), forbidden=(3,)),
        Limits(5, stop=(0,), no_repeat_ngram=2),
        Limits(3),
    ],
    ids=["plain", "two stops, at least 2", "forbidden", "no bigram twice", "no stop"],
)
@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (1.0, 0.0), (0.6, 0.4)])
def test_a_beam_with_room_finds_what_brute_force_finds(seed, limits, alpha, beta) -> None:
    table = Table(4, [seed], positions=3)

    def score(log_prob, length, covered):
        least = sum(math.log(min(max(float(one), 1e-6), 1.0)) for one in covered)
        return log_prob / ((5 + length) / 6) ** alpha + beta * least

    # As many as there are sequences: the search can lose nothing.
    found = beam_search(
        table, start(1), table.begin(), limits, beam_size=4**5, n_best=7, penalties=Penalties(alpha, beta)
    )[0]
    expected = brute_force(table, seed, limits, score, 7)
    assert [one.tokens for one in found] == [words for _, words in expected]
    assert all(math.isclose(one.score, at, **CLOSE) for one, (at, _) in zip(found, expected, strict=True))


@pytest.mark.parametrize("seed", range(8))
def test_a_beam_of_one_is_greedy(seed) -> None:
    table, limits = Table(5, [seed], sharpness=2.0), Limits(8, stop=(0,))
    tokens: list[int] = []
    while len(tokens) < 8:
        tokens.append(int(table.row(seed, (START, *tokens))[0].argmax()))
        if tokens[-1] == 0:
            break
    words = tuple(tokens[:-1] if tokens[-1] == 0 else tokens)
    for alpha in (0.0, 1.0):
        found = beam_search(table, start(1), table.begin(), limits, beam_size=1, penalties=Penalties(alpha))
        assert found[0][0].tokens == words
    assert greedy(table, start(1), table.begin(), limits)[0].tokens == words
    cold = sample(table, start(1), table.begin(), limits, temperature=1e-3, top_k=1)
    assert cold[0].tokens == words
    assert math.isclose(cold[0].log_prob, found[0][0].log_prob, **CLOSE)


@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_a_batch_gives_what_single_sentences_give(beam_size) -> None:
    seeds, longest = list(range(9)), [3, 9, 5, 1, 7, 2, 9, 4, 6]
    together = Table(6, seeds, positions=4)
    options = {
        "beam_size": beam_size,
        "n_best": beam_size,
        "penalties": Penalties(0.8, 0.2),
        "keep_attention": True,
    }
    batch = beam_search(together, start(9), together.begin(), Limits(longest, stop=(0,)), **options)
    for seed, own in zip(seeds, batch, strict=True):
        alone = Table(6, [seed], positions=4)
        single = beam_search(alone, start(1), alone.begin(), Limits(longest[seed], stop=(0,)), **options)[0]
        assert [(one.tokens, one.score, one.log_prob, one.stop) for one in own] == [
            (one.tokens, one.score, one.log_prob, one.stop) for one in single
        ]
        for one, other in zip(own, single, strict=True):
            torch.testing.assert_close(one.attention, other.attention, rtol=0, atol=0)


def by_lists(
    table: Table, seed: int, longest: int, width: int, alpha: float
) -> list[tuple[float, tuple[int, ...]]]:
    """Beam search as the docstring has it, with lists, to the very end; token 0 stops."""
    alive: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    ended: list[tuple[float, tuple[int, ...]]] = []
    for length in range(1, longest + 1):
        grown = []
        for log_prob, said in alive:
            log_probs = table.row(seed, (START, *said))[0].tolist()
            grown += [(log_prob + more, (*said, token)) for token, more in enumerate(log_probs)]
        best, alive = sorted(grown, reverse=True)[: width - len(ended)], []
        for log_prob, said in best:
            if said[-1] == 0 or length == longest:
                words = said[:-1] if said[-1] == 0 else said
                ended.append((log_prob / ((5 + length) / 6) ** alpha, words))
            else:
                alive.append((log_prob, said))
    return sorted(ended, key=lambda one: -one[0])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("width", "alpha"), [(2, 0.0), (3, 1.0), (5, 0.6)])
def test_a_narrow_beam_is_the_one_with_lists(seed, width, alpha) -> None:
    table = Table(5, [seed], sharpness=1.5)
    options = {"beam_size": width, "penalties": Penalties(alpha)}
    found = beam_search(table, start(1), table.begin(), Limits(7, stop=(0,)), n_best=width, **options)[0]
    expected = by_lists(table, seed, 7, width, alpha)
    assert [one.tokens for one in found] == [words for _, words in expected]
    # Ending early, when nothing can improve the best one, loses nothing.
    first = beam_search(table, start(1), table.begin(), Limits(7, stop=(0,)), **options)[0][0]
    assert first.tokens == expected[0][1]


def test_the_attention_is_that_of_the_steps_that_were_said() -> None:
    table = Table(5, [3, 4], positions=3)
    limits = Limits(6, stop=(0,))
    for seed, own in zip([3, 4], beam_search(
        table, start(2), table.begin(), limits, beam_size=4, n_best=4, keep_attention=True
    ), strict=True):  # fmt: skip
        for one in own:
            said = one.tokens if one.stop is None else (*one.tokens, one.stop)
            expected = [table.row(seed, (START, *said[:at]))[1] for at in range(len(said))]
            torch.testing.assert_close(one.attention, torch.stack(expected), rtol=0, atol=0)
            total = sum(
                float(table.row(seed, (START, *said[:at]))[0][token]) for at, token in enumerate(said)
            )
            assert math.isclose(one.log_prob, total, **CLOSE)


def test_padded_positions_cost_nothing() -> None:
    class Padded(Table):
        def step(self, tokens, state):
            step = super().step(tokens, state)
            return step._replace(attention=torch.cat([step.attention, torch.zeros(len(tokens), 4)], dim=1))

    limits, penalties = Limits(4, stop=(0,)), Penalties(0.5, 1.0)
    plain, padded = Table(4, [5], positions=3), Padded(4, [5], positions=3)
    one = beam_search(plain, start(1), plain.begin(), limits, penalties=penalties)
    other = beam_search(
        padded, start(1), padded.begin(), limits, penalties=penalties, positions=torch.tensor([3])
    )
    assert one == other


def test_it_ends_as_soon_as_nothing_can_improve() -> None:
    """Without a length penalty the sure stop of the first step beats all else at once."""

    class Sure:
        steps = 0

        def step(self, tokens, state):
            self.steps += 1
            return Step(torch.tensor([[0.9, 0.1]]).log().expand(len(tokens), 2), state)

        def select(self, state, rows):
            return state

    model = Sure()
    found = beam_search(model, start(1), None, Limits(50, stop=(0,)), beam_size=3)
    assert found[0][0].tokens == ()
    assert model.steps == 1
    # Two are wanted: the second best stops after one more.
    assert len(beam_search(model, start(1), None, Limits(50, stop=(0,)), beam_size=3, n_best=2)[0]) == 2
    assert model.steps == 3


@pytest.mark.parametrize("seed", range(4))
def test_what_is_said_as_a_whole_can_end_it(seed) -> None:
    """A stop of two tokens: the best sequence that ends with it, or is as long as can be, among all."""
    table, stop = Table(3, [seed]), (2, 0)
    found = beam_search(
        table,
        start(1),
        table.begin(),
        Limits(4),
        beam_size=3**4,
        n_best=5,
        ends=lambda said: tuple(said[-2:]) == stop,
    )[0]
    expected = set()
    for tokens, _, _ in table.everything(seed, 4, ()):
        ends = [at + 2 for at in range(3) if tokens[at : at + 2] == stop]
        expected.add(tokens[: min(ends, default=4)])
    worth = {
        said: sum(float(table.row(seed, (START, *said[:at]))[0][token]) for at, token in enumerate(said))
        for said in expected
    }
    best = sorted(worth, key=lambda said: -worth[said])[:5]
    assert [one.tokens for one in found] == best
    assert [one.stop for one in found] == [0 if said[-2:] == stop else None for said in best]


def test_a_hypothesis_that_nothing_may_follow_ends_there() -> None:
    table = Table(2, [1, 2])
    limits = Limits(9, no_repeat_ngram=1)
    for own in beam_search(table, start(2), table.begin(), limits, beam_size=3):
        assert sorted(own[0].tokens) == [0, 1]
        assert own[0].stop is None
    for one in sample(table, start(2), table.begin(), limits):
        assert sorted(one.tokens) == [0, 1]


def test_states_of_a_recurrent_layer_go_with_their_rows() -> None:
    """Every hypothesis's score is that of its tokens read alone, by a layer with two states."""
    torch.manual_seed(0)
    layer, out = Recurrent("lstm", 6, 8, num_layers=2).double().eval(), torch.nn.Linear(8, 6).double()

    class Language:
        def step(self, tokens, state):
            one_hot = torch.nn.functional.one_hot(tokens, 6).double()
            output, state = layer.step(one_hot, state)
            return Step((3 * out(output)).log_softmax(-1), state)

        def select(self, state, rows):
            return select_rows(state, rows, dim=1)

    with torch.no_grad():
        found = beam_search(Language(), start(3), None, Limits(7, stop=(0,)), beam_size=4, n_best=4)
        for one in found[0]:
            said = [*one.tokens] + ([] if one.stop is None else [one.stop])
            read = torch.nn.functional.one_hot(torch.tensor([START, *said[:-1]]), 6).double()
            log_probs = (3 * out(layer(read[:, None])[0][:, 0])).log_softmax(-1)
            alone = float(log_probs[torch.arange(len(said)), torch.tensor(said)].sum())
            # Sums of 8 products, two layers, 7 steps, float64.
            assert math.isclose(alone, one.log_prob, rel_tol=1e-12)
    assert found[0] == found[1] == found[2]


def test_sampling_draws_in_the_models_proportions() -> None:
    table, limits = Table(3, [11] * 4000), Limits(1)
    found = sample(table, start(4000), table.begin(), limits, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(torch.tensor([one.tokens[0] for one in found]), minlength=3) / 4000
    probabilities = table.row(11, (START,))[0].exp()
    # Four standard deviations of a share of 4000.
    assert ((counts - probabilities).abs() < 4 * (probabilities * (1 - probabilities) / 4000).sqrt()).all()
    few = sample(table, start(4000), table.begin(), limits, top_k=2)
    assert {one.tokens[0] for one in few} == set(probabilities.topk(2).indices.tolist())


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda t: Limits(0), ArgumentError, "max_length: at least 1"),
        (lambda t: Limits(3, min_length=4), ArgumentError, "min_length: at most max_length"),
        (lambda t: Penalties(-1.0), ArgumentError, "length: a finite number"),
        (lambda t: beam_search(t, start(1), t.begin(), Limits(3), beam_size=2, n_best=3), ArgumentError, "n_best"),
        (lambda t: beam_search(t, start(1), t.begin(), Limits(3), beam_size=0), ArgumentError, "beam_size"),
        (lambda t: beam_search(t, torch.ones(1), t.begin(), Limits(3)), ArgumentTypeError, "start"),
        (lambda t: beam_search(t, start(1), t.begin(), Limits([2, 2])), ArgumentError, "max_length: one number"),
        (lambda t: beam_search(t, start(1), t.begin(), Limits(3, forbidden=(9,))), ArgumentError, "below 4"),
        (
            lambda t: beam_search(t, start(1), t.begin(), Limits(3), penalties=Penalties(coverage=1.0)),
            ArgumentError, "gives its attention",
        ),
        (lambda t: sample(t, start(1), t.begin(), Limits(3), temperature=0), ArgumentError, "temperature"),
        (lambda t: sample(t, start(1), t.begin(), Limits(3), top_p=1.5), ArgumentError, "top_p"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make, error, words) -> None:
    with pytest.raises(error, match=words):
        make(Table(4, [0]))


def test_a_wrong_type_is_named(without_run_time_types) -> None:
    with pytest.raises(ArgumentTypeError, match="stop: an integer"):
        Limits(3, stop=(1.0,))
    with pytest.raises(ArgumentTypeError, match="coverage: a number"):
        Penalties(coverage="1")


def test_numbers_that_are_none_are_refused() -> None:
    class Broken(Table):
        def step(self, tokens, state):
            return super().step(tokens, state)._replace(log_probs=torch.full((len(tokens), 4), torch.nan))

    with pytest.raises(ArgumentError, match="nan"):
        beam_search(Broken(4, [0]), start(1), [(0, ())], Limits(3))
