"""Tails against scipy, thresholds against the rates that they promise."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from scipy.stats import genpareto

from gatewise.tasks.anomaly.extremes import Tail, fit_tail, log_likelihood, tail_quantile
from gatewise.tasks.anomaly.likelihood import Likelihood, TailLikelihood
from gatewise.tasks.anomaly.onset import Onset
from gatewise.tasks.anomaly.thresholds import Fixed, fit_spot, rate_threshold, threshold_from_state


@pytest.mark.parametrize("shape", [-0.4, -0.1, 0.0, 0.2, 0.7])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e5])
@pytest.mark.parametrize("count", [30, 1000])
def test_the_fit_is_at_least_as_likely_as_scipys(shape, scale, count) -> None:
    excesses = genpareto.rvs(shape, scale=scale, size=count, random_state=count)
    tail = fit_tail(excesses)
    assert log_likelihood(excesses, tail) == pytest.approx(
        genpareto.logpdf(excesses, tail.shape, scale=tail.scale).sum(), rel=1e-9
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        c, _, s = genpareto.fit(excesses / scale, floc=0)
    if c > -1:
        theirs = log_likelihood(excesses, Tail(c, s * scale))
        assert log_likelihood(excesses, tail) >= theirs - 1e-3 * max(1.0, abs(theirs))
    # The maximum likelihood estimate's standard error is (1 + shape) / sqrt(n) (Smith 1987); four of them.
    assert abs(tail.shape - shape) < 4 * (1 + shape) / np.sqrt(count) + 0.05


def test_quantiles_of_the_tail_are_scipys() -> None:
    tail = Tail(0.3, 2.0)
    found = tail_quantile(tail, level=5.0, share=0.02, risk=1e-4)
    assert found == pytest.approx(5.0 + genpareto.isf(1e-4 / 0.02, 0.3, scale=2.0))
    flat = tail_quantile(Tail(0.0, 2.0), level=5.0, share=0.02, risk=1e-4)
    assert flat == pytest.approx(5.0 + genpareto.isf(1e-4 / 0.02, 0.0, scale=2.0))


@pytest.mark.parametrize(
    "values", [[1.0], [1.0, 1.0, 1.0, 1.0], [1e-300, 1e-300, 2e-300], [1.0, 1e9, 2.0, 3.0]]
)
def test_odd_excesses(values) -> None:
    tail = fit_tail(np.array(values))
    assert np.isfinite(tail.shape)
    assert tail.scale > 0


def rate_of(threshold, scores) -> float:
    own = threshold.fresh()
    return float(np.mean([own.step(float(score))[0] for score in scores]))


@pytest.mark.parametrize("draw", ["normal", "exponential", "pareto"])
def test_spot_keeps_its_promise(draw) -> None:
    generator = np.random.default_rng(0)
    sample = {
        "normal": generator.normal,
        "exponential": generator.exponential,
        "pareto": lambda size: generator.pareto(4.0, size),
    }[draw]
    rates = [rate_of(fit_spot(sample(size=10_000), 1e-3), sample(size=10_000)) for _ in range(4)]
    # 40 alarms are due in 40,000 rows. Their spread is 6.3, that of the fitted quantile about as much again for each
    # tail of 200 excesses; four spreads of both together.
    assert 0.3e-3 < np.mean(rates) < 1.9e-3


def test_spot_learns_on_and_leaves_its_source_alone() -> None:
    generator = np.random.default_rng(1)
    start = fit_spot(generator.exponential(size=1000), 1e-3)
    before = start.state()
    own = start.fresh()
    for score in generator.exponential(1.4, size=5000):
        own.step(float(score))
    assert own.value > 1.1 * start.value
    assert start.state() == before
    # A flood of alarms teaches it nothing.
    count, held = own.count, own.value
    alarms = [own.step(1e9)[0] for _ in range(500)]
    assert all(alarms)
    assert own.count - count <= 1e-3 * count + 1
    assert own.value == pytest.approx(held, rel=0.05)


def test_dspot_follows_drift_where_spot_does_not() -> None:
    generator = np.random.default_rng(2)
    scores = generator.normal(size=4000) + np.linspace(0, 20, 4000)
    assert rate_of(fit_spot(scores[:1000], 1e-3), scores[1000:]) > 0.1
    moving = fit_spot(scores[:1000], 1e-3, depth=50)
    assert rate_of(moving, scores[1000:]) < 0.02
    alarmed = moving.fresh()
    assert [alarmed.step(float(s))[0] for s in np.append(scores[1000:1100], 60.0)][-1]


def test_rate_threshold() -> None:
    generator = np.random.default_rng(3)
    rates = [
        float((generator.normal(size=5000) > rate_threshold(generator.normal(size=999), 0.01).value).mean())
        for _ in range(50)
    ]
    assert abs(np.mean(rates) - 0.01) < 0.002
    # The tenth largest of 999 at 1 %.
    assert rate_threshold(np.arange(999.0), 0.01).value == 989.0
    # Fewer scores than the rate needs: beyond the largest, by the tail.
    assert rate_threshold(generator.normal(size=100), 1e-4).value > 2.5


@pytest.mark.parametrize("depth", [None, 20])
def test_thresholds_through_json(depth) -> None:
    scores = np.random.default_rng(4).exponential(size=3000)
    first = fit_spot(scores[:500], 1e-3, depth=depth)
    second = threshold_from_state(json.loads(json.dumps(first.state())))
    assert [first.step(float(s)) for s in scores] == [second.step(float(s)) for s in scores]
    assert threshold_from_state(Fixed(2.0).state()) == Fixed(2.0)
    with pytest.raises(KeyError):
        threshold_from_state({"kind": "guess"})


@pytest.mark.parametrize(
    "scores", [np.zeros(50), np.full(5, 3.0), np.array([0.0, 0.0, 1.0]), np.array([np.nan, 1, 2, 3])]
)
def test_few_or_equal_scores(scores) -> None:
    for threshold in (fit_spot(scores, 1e-3), fit_spot(scores, 1e-3, depth=10), rate_threshold(scores, 1e-3)):
        assert np.isfinite(threshold.value)
        assert not threshold.fresh().step(float("nan"))[0]


def test_likelihood_by_hand() -> None:
    from scipy.stats import norm

    errors = np.abs(np.random.default_rng(5).normal(size=300))
    window, short = 40, 5
    found = Likelihood(window, short).run(errors)
    values = np.log1p(errors)
    for row in (2, 30, 41, 299):
        before = values[max(0, row - window) : row]
        recent = values[max(0, row - short + 1) : row + 1]
        z = (recent.mean() - before.mean()) / max(before.std(), 1e-3)
        assert found[row] == pytest.approx(-np.log10(norm.sf(z)), rel=1e-9)
    assert found[0] == 0.0


def test_likelihood_goes_on_from_its_state() -> None:
    errors = np.abs(np.random.default_rng(6).normal(size=200))
    whole = Likelihood(30, 3)
    expected = whole.run(errors)
    first = Likelihood(30, 3)
    first.run(errors[:77])
    second = Likelihood.from_state(json.loads(json.dumps(first.state())))
    np.testing.assert_array_equal(second.run(errors[77:]), expected[77:])
    assert np.isnan(second.step(float("nan")))


def test_onset_lets_the_highest_pass() -> None:
    scores = np.array([1.0, 5.0, 4.0, 3.0, 6.0, 2.0, 2.0, 2.5])
    np.testing.assert_array_equal(Onset(3).run(scores), [1, 5, 0, 0, 6, 0, 0, 0])
    np.testing.assert_array_equal(Onset(1).run(scores), [1, 5, 0, 0, 6, 0, 0, 2.5])


def test_a_tail_keeps_its_rate_where_errors_are_heavy() -> None:
    generator = np.random.default_rng(0)
    errors = np.expm1(generator.exponential(1.5, size=30_000))  # Pareto: their mean does not exist
    scores = TailLikelihood(10_000).run(errors)[1000:]
    for power in (1, 2, 3):
        rate = 10.0**-power
        # Three deviations of the count, and a tenth for the scale, known from 2,000 excesses.
        room = 3 * np.sqrt(rate / len(scores)) + 0.1 * power * rate
        assert abs((scores > power).mean() - rate) < room, power
    gaussian = Likelihood(10_000, 1).run(errors)[1000:]
    assert (gaussian > 3).mean() > 5e-3


def test_a_tail_from_its_state_and_where_there_is_little_to_go_by() -> None:
    errors = np.random.default_rng(1).exponential(size=700)
    errors[300] = np.nan
    whole = TailLikelihood(400)
    expected = whole.run(errors)
    assert np.isnan(expected[300])
    assert (expected[:100] == 0).all()
    first = TailLikelihood(400)
    got = first.run(errors[:333])
    second = TailLikelihood.from_state(json.loads(json.dumps(first.state())))
    np.testing.assert_array_equal(np.concatenate([got, second.run(errors[333:])]), expected)
    # Errors that are all alike are nothing strange, and the first other one is.
    flat = np.ones(200)
    flat[150] = 1.5
    scores = TailLikelihood(400).run(flat)
    assert scores.argmax() == 150
    assert (np.delete(scores, 150) == 0).all()
