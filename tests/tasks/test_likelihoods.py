"""The likelihoods against scipy and torch.distributions: densities, quantiles, and samples by their distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from gatewise.errors import ArgumentError
from gatewise.tasks.forecast import likelihoods
from gatewise.tasks.forecast.likelihoods import Scale
from gatewise.tasks.forecast.sampling import uniforms

LEVELS = (0.05, 0.5, 0.9)


def scale(batch: int = 3, *, log: bool = False, centre: float = 4.0, spread: float = 2.0) -> Scale:
    """Series with these constants."""
    values = {"unit": 1.0, "centre": centre, "spread": spread, "size": 2.5, "lowest": 0.0, "highest": 1e4}
    return Scale({name: torch.full((batch,), value) for name, value in values.items()}, log)


def outputs(likelihood, spread: int, own: Scale) -> tuple[torch.Tensor, ...]:
    """Parameters from random raw numbers of shape (2, 3, 5)."""
    return likelihood.parameters(torch.randn(2, 3, 5), torch.randn(2, 3, 5, spread), 1.5, own)


def test_gaussian_is_scipys() -> None:
    found = outputs(likelihoods.get("gaussian"), 1, scale())
    values = 2 * torch.randn(2, 3, 5)
    own = stats.norm(found[0].double(), found[1].double())
    likelihood = likelihoods.get("gaussian")
    np.testing.assert_allclose(likelihood.log_prob(found, values, scale()), own.logpdf(values), rtol=1e-4)
    quantiles = likelihood.quantiles(found, LEVELS, scale())
    for place, level in enumerate(LEVELS):
        np.testing.assert_allclose(quantiles[..., place], own.ppf(level), rtol=1e-4, atol=1e-5)


def test_student_t_is_scipys() -> None:
    likelihood = likelihoods.get("student_t")
    found = outputs(likelihood, 2, scale())
    assert (found[2] > 2).all()
    values = 3 * torch.randn(2, 3, 5)
    own = stats.t(found[2].double(), found[0].double(), found[1].double())
    # lgamma in float32 keeps six digits of numbers near one.
    np.testing.assert_allclose(
        likelihood.log_prob(found, values, scale()), own.logpdf(values), rtol=1e-4, atol=1e-5
    )
    quantiles = likelihood.quantiles(found, LEVELS, scale())
    for place, level in enumerate(LEVELS):
        np.testing.assert_allclose(quantiles[..., place], own.ppf(level), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("log", [False, True])
def test_negative_binomial_is_scipys_and_torchs(log) -> None:
    own = scale(log=log, centre=1.5 if log else 4.0, spread=0.7 if log else 2.0)
    likelihood = likelihoods.get("negative_binomial")
    mean, shape = found = outputs(likelihood, 1, own)
    counts = torch.randint(0, 15, (2, 3, 5)).float()
    scaled = own.apply(counts)
    torch.testing.assert_close(own.undo(scaled), counts, rtol=1e-4, atol=1e-4)
    size, chance = 1 / shape.double(), 1 / (1 + shape.double() * mean.double())
    expected = stats.nbinom(size, chance)
    np.testing.assert_allclose(expected.var(), (mean + shape * mean**2).double(), rtol=1e-5)
    np.testing.assert_allclose(
        likelihood.log_prob(found, scaled, own), expected.logpmf(counts), rtol=2e-4, atol=1e-4
    )
    # torch counts successes where scipy counts failures.
    other = torch.distributions.NegativeBinomial(size, 1 - chance).log_prob(counts.double())
    np.testing.assert_allclose(likelihood.log_prob(found, scaled, own), other, rtol=2e-4, atol=1e-4)
    quantiles = own.undo(likelihood.quantiles(found, LEVELS, own))
    for place, level in enumerate(LEVELS):
        np.testing.assert_allclose(quantiles[..., place], expected.ppf(level), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "spread", "distribution"),
    [
        ("gaussian", 1, lambda mean, deviation: stats.norm(mean, deviation)),
        ("student_t", 2, lambda loc, spread, freedom: stats.t(freedom, loc, spread)),
    ],
)
def test_samples_are_so_distributed(name, spread, distribution) -> None:
    likelihood = likelihoods.get(name)
    found = likelihood.parameters(
        torch.full((1, 1, 1), 0.3), torch.full((1, 1, 1, spread), -0.5), 1.0, scale(1)
    )
    generator = torch.Generator().manual_seed(1)
    drawn = likelihood.sample(found, torch.rand(1, 1, 20_000, 2, generator=generator), scale(1)).double()
    own = distribution(*(float(one) for one in found))
    # Independent numbers: the test holds at any level; one in a thousand seeds would fail here.
    assert stats.kstest(drawn.flatten(), own.cdf).pvalue > 1e-3
    assert stats.kstest(drawn.flatten() + 0.1, own.cdf).pvalue < 1e-3


def test_sampled_counts_have_their_probabilities() -> None:
    own, likelihood = scale(1), likelihoods.get("negative_binomial")
    mean, shape = found = likelihood.parameters(
        torch.full((1, 1, 1), -0.5), torch.zeros(1, 1, 1, 1), 1.0, own
    )
    generator = torch.Generator().manual_seed(1)
    drawn = own.undo(likelihood.sample(found, torch.rand(1, 1, 20_000, 2, generator=generator), own))
    counts = np.bincount(drawn.round().long().flatten(), minlength=12)[:12]
    expected = stats.nbinom(1 / float(shape), 1 / (1 + float(shape * mean))).pmf(np.arange(12)) * 20_000
    # Each count's number is binomial: within five deviations.
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected) + 1).all()


@pytest.mark.parametrize("name", likelihoods.names())
def test_gradients_are_finite_far_out(name) -> None:
    loc = torch.tensor([-50.0, 0.0, 50.0]).view(1, 3, 1).requires_grad_()
    raw = torch.full((1, 3, 1, 2 if name == "student_t" else 1), -20.0, requires_grad=True)
    likelihood = likelihoods.get(name)
    loss = -likelihood.log_prob(
        likelihood.parameters(loc, raw, 1.0, scale()), torch.zeros(1, 3, 1), scale()
    ).sum()
    loss.backward()
    assert torch.isfinite(loc.grad).all()
    assert torch.isfinite(raw.grad).all()


def test_an_unknown_likelihood_is_refused() -> None:
    with pytest.raises(ArgumentError, match="'poisson'"):
        likelihoods.get("poisson")


def test_uniform_numbers_are_stratified_and_belong_to_their_key() -> None:
    numbers = uniforms(3, ["a", "b"], 50, 4)
    strata = (numbers * 50).long().sort(dim=1).values
    assert (strata == torch.arange(50)[None, :, None, None]).all()
    torch.testing.assert_close(uniforms(3, ["b"], 50, 4)[0], numbers[1], rtol=0, atol=0)
    assert not torch.equal(uniforms(4, ["b"], 50, 4)[0], numbers[1])
    assert abs(float(torch.corrcoef(torch.stack([numbers[0, :, 0, 0], numbers[0, :, 1, 0]]))[0, 1])) < 0.45
