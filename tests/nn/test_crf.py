"""The CRF against a sum over all paths, term by term."""

from __future__ import annotations

import itertools

import pytest
import torch

from gatewise.errors import ArgumentError, ArgumentTypeError, ShapeError
from gatewise.nn import CRF
from gatewise.nn.crf_chain import norms_by_step
from gatewise.nn.crf_sums import GroupedSum, PlainSum, sum_over_sources

# Sums of at most 4^5 terms of a few float64 operations each.
CLOSE = {"rtol": 1e-11, "atol": 1e-11}


def random_crf(tags: int = 4, constrained: bool = False, dtype: torch.dtype = torch.float64) -> CRF:
    """A CRF with random scores; constrained: nothing into the last tag but from the first and itself."""
    allowed = torch.ones(tags, tags, dtype=torch.bool)
    first = torch.ones(tags, dtype=torch.bool)
    if constrained:
        allowed[1:-1, -1] = False
        first[-1] = False
    crf = CRF(
        tags,
        allowed=allowed,
        allowed_start=first,
        allowed_end=torch.arange(tags) != 1 if constrained else None,
    )
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return crf.to(dtype)


def paths(crf: CRF, scores: torch.Tensor) -> dict[tuple[int, ...], torch.Tensor]:
    """Every allowed path of one sequence, (time, tags), and its score: a plain loop, nothing of the module's."""
    found = {}
    for path in itertools.product(range(crf.tags), repeat=len(scores)):
        if not (crf.allowed_start[path[0]] and crf.allowed_end[path[-1]]):
            continue
        if not all(crf.allowed[a, b] for a, b in itertools.pairwise(path)):
            continue
        score = crf.start[path[0]] + crf.end[path[-1]]
        for step, tag in enumerate(path):
            score = score + scores[step, tag]
        for a, b in itertools.pairwise(path):
            score = score + crf.transitions[a, b]
        found[path] = score
    return found


@pytest.fixture(params=[False, True], ids=["free", "constrained"])
def crf(request) -> CRF:
    """A CRF in float64."""
    torch.manual_seed(1)
    return random_crf(constrained=request.param)


LENGTHS = torch.tensor([5, 1, 3, 0])


def data(tags: int = 4) -> torch.Tensor:
    """Scores of four sequences."""
    return torch.randn(5, 4, tags, dtype=torch.float64, requires_grad=True)


def test_the_likelihood_sums_to_one_over_all_paths(crf) -> None:
    scores = data()
    for row, length in enumerate(LENGTHS.tolist()):
        if length == 0:
            continue
        every = paths(crf, scores[:length, row])
        tags = torch.tensor(list(every)).T
        same = scores[:length, row : row + 1].expand(-1, tags.shape[1], -1)
        logs = crf.log_likelihood(same, tags)
        torch.testing.assert_close(logs.exp().sum(), torch.tensor(1.0).double(), **CLOSE)
        expected = torch.log_softmax(torch.stack(list(every.values())), 0)
        torch.testing.assert_close(logs, expected, **CLOSE)


def test_partition_marginals_and_best_path_equal_brute_force(crf) -> None:
    scores = data()
    partition = crf.log_partition(scores, LENGTHS)
    marginals = crf.marginals(scores, LENGTHS)
    best, value = crf.viterbi(scores, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        assert (best[length:, row] == -1).all()
        assert (marginals[length:, row] == 0).all()
        if length == 0:
            assert partition[row] == 0
            assert value[row] == 0
            continue
        every = paths(crf, scores[:length, row])
        totals = torch.stack(list(every.values()))
        torch.testing.assert_close(partition[row], torch.logsumexp(totals, 0), **CLOSE)
        top = max(every, key=lambda path: every[path].item())
        assert best[:length, row].tolist() == list(top)
        torch.testing.assert_close(value[row], every[top].detach(), **CLOSE)
        shares = torch.softmax(totals, 0)
        own = torch.zeros(length, crf.tags).double()
        for path, share in zip(every, shares, strict=True):
            for step, tag in enumerate(path):
                own[step, tag] += share.detach()
        torch.testing.assert_close(marginals[:length, row].detach(), own, **CLOSE)


def test_the_gradient_is_what_came_minus_the_marginals(crf) -> None:
    scores = data()
    tags, _ = crf.viterbi(scores.detach() + torch.randn_like(scores), LENGTHS)
    crf.log_likelihood(scores, tags, LENGTHS).sum().backward()
    came = torch.nn.functional.one_hot(tags.clamp(min=0), crf.tags) * (tags >= 0)[..., None]
    torch.testing.assert_close(scores.grad, came - crf.marginals(scores.detach(), LENGTHS), **CLOSE)
    free = (crf.transitions, crf.start, crf.end)

    def loss(*parameters: torch.Tensor) -> torch.Tensor:
        names = ("transitions", "start", "end")
        return torch.func.functional_call(crf, dict(zip(names, parameters, strict=True)), (scores, tags))

    crf.forward = lambda s, t: crf.log_likelihood(s, t, LENGTHS).sum()
    assert torch.autograd.gradcheck(loss, free)


def test_partly_known_tags_are_all_paths_that_agree(crf) -> None:
    scores = data()
    tags, _ = crf.viterbi(scores, LENGTHS)
    tags[1:4, 0] = -1
    found = crf.log_likelihood(scores, tags, LENGTHS, partial=True)[0]
    every = paths(crf, scores[:5, 0])
    agree = [v for path, v in every.items() if (path[0], path[4]) == (int(tags[0, 0]), int(tags[4, 0]))]
    expected = torch.logsumexp(torch.stack(agree), 0) - torch.logsumexp(torch.stack(list(every.values())), 0)
    torch.testing.assert_close(found, expected, **CLOSE)
    nothing = torch.full_like(tags, -1)
    torch.testing.assert_close(
        crf.log_likelihood(scores, nothing, LENGTHS, partial=True), torch.zeros(4).double(), **CLOSE
    )


def test_a_mask_with_holes_is_the_sequence_without_them(crf) -> None:
    scores = data()
    mask = torch.tensor([[True, False, True, True, False]]).T.expand(5, 4)
    kept = scores[[0, 2, 3]]
    tags, value = crf.viterbi(scores, mask=mask)
    inner, expected = crf.viterbi(kept)
    torch.testing.assert_close(value, expected)
    assert torch.equal(tags[[0, 2, 3]], inner)
    assert (tags[[1, 4]] == -1).all()
    torch.testing.assert_close(crf.marginals(scores, mask=mask)[[0, 2, 3]], crf.marginals(kept), **CLOSE)
    torch.testing.assert_close(
        crf.log_likelihood(scores, tags, mask=mask), crf.log_likelihood(kept, inner), **CLOSE
    )


@pytest.mark.parametrize("turned", [False, True])
def test_sums_by_groups_are_the_plain_sums(turned) -> None:
    torch.manual_seed(0)
    tags = 41  # an outside tag, twenty beginnings, twenty insides
    allowed = torch.ones(tags, tags, dtype=torch.bool)
    allowed[:, 21:] = False
    for kind in range(20):
        allowed[[1 + kind, 21 + kind], 21 + kind] = True
    grouped = sum_over_sources(allowed)
    assert isinstance(grouped, GroupedSum)
    assert isinstance(sum_over_sources(allowed.T), GroupedSum)
    assert isinstance(sum_over_sources(allowed[:5, :5]), PlainSum)
    # Far apart: the inside tags are reached from what is e^-300 less probable than the outside tag.
    carried = torch.randn(6, tags, dtype=torch.float64) * 5
    carried[:, 0] += 300
    moves = torch.randn(tags, tags, dtype=torch.float64) + torch.where(
        allowed.T if turned else allowed, 0.0, -1e4
    )
    carried.requires_grad_()
    moves.requires_grad_()
    weights = torch.randn(6, tags, dtype=torch.float64)
    found = []
    for one in (sum_over_sources(allowed.T if turned else allowed), PlainSum()):
        value = one.over(moves)(carried)
        found.append((value.detach(), *torch.autograd.grad((value * weights).sum(), (carried, moves))))
        direct = one.gradient(moves.detach(), carried.detach(), weights)
        torch.testing.assert_close(direct, found[-1][2], rtol=1e-10, atol=1e-10)
    for mine, plain in zip(*found, strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("tags", [4, 41])
def test_the_gradient_in_closed_form_is_the_one_step_by_step(tags) -> None:
    torch.manual_seed(0)
    allowed = torch.ones(tags, tags, dtype=torch.bool)
    allowed[:, tags // 2 :] = False
    for kind in range(tags - tags // 2):
        allowed[[kind, tags // 2 + kind], tags // 2 + kind] = True
    crf = CRF(tags, allowed=allowed).double()
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    scores = torch.randn(5, 4, tags, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(4, dtype=torch.float64)
    wanted = (scores, *crf.parameters())
    closed = torch.autograd.grad((crf.log_partition(scores, LENGTHS) * weights).sum(), wanted)
    start, end = crf._ends()
    norms, final, _ = norms_by_step(scores, start, end, LENGTHS, PlainSum().over(crf._moves()))
    stepwise = torch.autograd.grad(((norms.sum(0) + final) * weights).sum(), wanted)
    for mine, plain in zip(closed, stepwise, strict=True):
        torch.testing.assert_close(mine, plain, **CLOSE)


def test_float32_is_enough_for_a_thousand_steps() -> None:
    torch.manual_seed(0)
    crf = random_crf(5, dtype=torch.float32)
    scores = torch.randn(1_000, 1, 5) * 20
    tags, _ = crf.viterbi(scores)
    with torch.no_grad():
        single = crf.log_likelihood(scores, tags)
        double = crf.double().log_likelihood(scores.double(), tags)
    # Each step's difference is rounded at its own size, a few tens, and the errors add up like a random walk:
    # 32 * 2^-24 * 32 = 6e-5. The path's score itself is near 3e4, where float32 knows two digits after the point.
    assert abs(float(double)) > 0.01
    assert abs(float(single - double)) < 2e-3


def test_padding_and_company_change_nothing(crf) -> None:
    scores = data().detach()
    tags, _ = crf.viterbi(scores, LENGTHS)
    together = crf.log_likelihood(scores, tags, LENGTHS)
    scores[3:, 2] = 1e6
    tags[3:, 2] = 99
    torch.testing.assert_close(crf.log_likelihood(scores, tags, LENGTHS), together, rtol=0, atol=0)
    alone = crf.log_likelihood(scores[:3, 2:3], tags[:3, 2:3])
    torch.testing.assert_close(alone, together[2:3], **CLOSE)


def test_a_path_that_is_not_allowed_is_never_the_best() -> None:
    crf = random_crf(constrained=True, dtype=torch.float32)
    scores = torch.zeros(4, 1, 4)
    scores[:, :, -1] = 100.0
    tags = crf.viterbi(scores)[0][:, 0].tolist()
    assert tags[0] != 3
    assert tags == [0, 3, 3, 3]
    assert float(crf.log_likelihood(scores, torch.full((4, 1), 3))) < -9000


def test_compiles_without_a_break(without_run_time_types) -> None:
    crf = random_crf(dtype=torch.float32)
    scores, lengths = torch.randn(3, 3, 4), torch.tensor([3, 2, 0])
    tags, value = crf.viterbi(scores, lengths)
    compiled = torch.compile(crf.log_likelihood, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(scores, tags, lengths), crf.log_likelihood(scores, tags, lengths))
    found, score = torch.compile(crf.viterbi, fullgraph=True, backend="aot_eager")(scores, lengths)
    assert torch.equal(found, tags)
    torch.testing.assert_close(score, value)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"scores": torch.zeros(4, 2, 5)}, ShapeError, "scores: (time, batch, 3)"),
        ({"scores": [1.0]}, ArgumentTypeError, "scores: expected a torch.Tensor"),
        ({"tags": torch.zeros(4, 3, dtype=torch.int64)}, ShapeError, "tags: shape (4, 2)"),
        ({"tags": torch.zeros(4, 2)}, ArgumentTypeError, "tags: an int64 tensor"),
        (
            {"tags": torch.full((4, 2), 3)},
            ArgumentError,
            "tags: numbers in 0 to 2 are expected, came 3 at step 0",
        ),
        ({"tags": torch.full((4, 2), -1)}, ArgumentError, "partial=True"),
        ({"lengths": torch.tensor([5, 1])}, ShapeError, "lengths: expected numbers of steps in [0, 4]"),
        ({"lengths": torch.tensor([1])}, ShapeError, "lengths: expected"),
        ({"mask": torch.ones(4, 1, dtype=torch.bool)}, ShapeError, "mask: expected"),
        (
            {"mask": torch.ones(4, 2, dtype=torch.bool), "lengths": torch.tensor([1, 1])},
            ArgumentError,
            "came both",
        ),
    ],
)
def test_what_does_not_fit_is_said(change, error, words) -> None:
    good = {"scores": torch.zeros(4, 2, 3), "tags": torch.zeros(4, 2, dtype=torch.int64)}
    with pytest.raises(error) as caught:
        CRF(3).log_likelihood(**good | change)
    assert words in str(caught.value)


def test_constraints_that_leave_no_path_are_refused() -> None:
    with pytest.raises(ArgumentError, match="there is none of 2 steps"):
        CRF(2, allowed=torch.zeros(2, 2, dtype=torch.bool))
    with pytest.raises(ShapeError, match="allowed: shape"):
        CRF(2, allowed=torch.ones(3, 3, dtype=torch.bool))
    with pytest.raises(ArgumentTypeError, match="allowed_start: a bool tensor"):
        CRF(2, allowed_start=torch.ones(2))
