"""Metrics against sums done by hand and scikit-learn's; calibration; the verdict."""

from __future__ import annotations

import dataclasses
import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, root_mean_squared_error

from gatewise.data import panel_from_array
from gatewise.tasks.forecast.calibration import calibrate, fit_calibration
from gatewise.tasks.forecast.evaluation import NAIVE, SEASONAL, BackTest, judge
from gatewise.tasks.forecast.metrics import (
    coverage,
    crps_from_quantiles,
    crps_from_samples,
    mase_scale,
    measure,
    pinball_loss,
)
from gatewise.tasks.forecast.scaling import fit_scaler, undo_scaling
from gatewise.tasks.quantiles import assemble, pinball

LEVELS = (0.1, 0.5, 0.9)


@pytest.fixture
def numbers():
    generator = np.random.default_rng(0)
    actual = generator.gamma(2.0, 10.0, size=(50, 4))
    quantiles = np.sort(generator.gamma(2.0, 10.0, size=(50, 4, 3)), axis=-1)
    counts = generator.random((50, 4)) > 0.2
    return np.where(counts, actual, np.nan), quantiles, counts


def test_errors_are_scikit_learns_on_the_values_that_count(numbers) -> None:
    actual, quantiles, counts = numbers
    errors = measure(quantiles[..., 1], actual, counts, np.full(50, 2.0))
    true, forecast = actual[counts], quantiles[..., 1][counts]
    assert errors.mae == pytest.approx(mean_absolute_error(true, forecast))
    assert errors.rmse == pytest.approx(root_mean_squared_error(true, forecast))
    assert errors.mase == pytest.approx(errors.mae / 2)
    assert errors.smape == pytest.approx(np.mean(200 * np.abs(true - forecast) / (true + forecast)))
    expected = np.mean(
        [mean_pinball_loss(true, quantiles[..., i][counts], alpha=a) for i, a in enumerate(LEVELS)]
    )
    assert pinball_loss(quantiles, actual, counts, LEVELS) == pytest.approx(expected)
    np.testing.assert_allclose(
        coverage(quantiles, actual, counts), [(true <= quantiles[..., i][counts]).mean() for i in range(3)]
    )
    loss = pinball(torch.tensor(quantiles), torch.tensor(np.nan_to_num(actual)), torch.tensor(counts), LEVELS)
    assert float(loss) == pytest.approx(expected)


def test_a_masked_value_has_no_gradient() -> None:
    quantiles = torch.zeros(1, 2, 3, requires_grad=True)
    pinball(quantiles, torch.ones(1, 2), torch.tensor([[True, False]]), LEVELS).backward()
    assert (quantiles.grad[0, 0] != 0).all()
    assert (quantiles.grad[0, 1] == 0).all()


def test_nothing_observed_gives_nan_and_no_warning() -> None:
    nothing = np.zeros((2, 3), dtype=bool)
    assert np.isnan(measure(np.ones((2, 3)), np.full((2, 3), np.nan), nothing, np.ones(2)).mae)


def test_mase_scale_is_the_seasonal_naive_error_in_sample() -> None:
    values = np.array([1.0, 5, 2, 7, np.nan, 9, 3, 3])
    # Season 2: |2-1|, |7-5|, |9-7|; the pairs with a gap are left out. A constant series has scale 1.
    assert mase_scale(values, np.array([0, 6, 8]), 2).tolist() == [pytest.approx(5 / 3), 1.0]


def gaussian_crps(mean: float, deviation: float, value: float) -> float:
    """Gneiting & Raftery 2007, eq. 21."""
    z = (value - mean) / deviation
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return deviation * (z * math.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))


@pytest.mark.parametrize("value", [-7.0, 0.3, 2.0, 9.0])
def test_crps_is_the_closed_form_of_a_normal_distribution(value) -> None:
    normal = NormalDist(1.0, 2.0)
    expected = gaussian_crps(1.0, 2.0, value)
    levels = tuple(np.linspace(0.0005, 0.9995, 1000).tolist())
    actual, counts = np.array([[value]]), np.ones((1, 1), dtype=bool)
    knots = np.array([[[normal.inv_cdf(level) for level in levels]]])
    # The tails beyond the outermost levels, and the chords between levels a thousandth apart.
    assert crps_from_quantiles(knots, actual, counts, levels) == pytest.approx(expected, abs=2e-3)
    drawn = np.random.default_rng(0).normal(1.0, 2.0, size=(1, 1, 20_000))
    # The standard error of a mean of 20,000 draws of deviation 2 is 0.014.
    assert crps_from_samples(drawn, actual, counts) == pytest.approx(expected, abs=0.05)


def test_crps_is_the_integral_that_defines_it(numbers) -> None:
    actual, quantiles, counts = numbers
    xs = np.linspace(-1, 250, 40_001)
    total = 0.0
    for knots, value in zip(quantiles[counts], actual[counts], strict=True):
        share = np.interp(xs, knots, LEVELS, left=0.0, right=1.0)
        total += np.trapezoid((share - (xs >= value)) ** 2, xs)
    # Steps of 1/160 at up to three jumps.
    assert crps_from_quantiles(quantiles, actual, counts, LEVELS) == pytest.approx(
        total / counts.sum(), abs=0.02
    )


def test_crps_of_samples_is_the_mean_over_all_pairs(numbers) -> None:
    actual, samples, counts = numbers
    pairs = np.abs(samples[..., :, None] - samples[..., None, :]).mean(axis=(-1, -2))
    expected = (np.abs(samples - actual[..., None]).mean(axis=-1) - pairs / 2)[counts].mean()
    assert crps_from_samples(samples, actual, counts) == pytest.approx(expected)
    alike = np.repeat(samples[..., :1], 5, axis=-1)
    assert crps_from_samples(alike, actual, counts) == pytest.approx(
        mean_absolute_error(actual[counts], samples[..., 0][counts])
    )


def test_conformal_coverage_holds_on_exchangeable_data() -> None:
    """Whatever the model says: over many calibration sets the shares are the levels, within the test's own error."""
    generator = np.random.default_rng(2)
    levels = (0.025, 0.1, 0.5, 0.9, 0.975)
    shares = []
    for _ in range(200):
        size = generator.lognormal(0, 1, size=(400, 1))
        # The model's spread is wrong by a factor that goes with the input; its errors are skewed.
        target = size * (generator.gamma(2.0, 1.0, size=(400, 1)) - 1.7)
        scaled = np.sqrt(size)[..., None] * np.array([-0.4, -0.3, 0.0, 0.2, 2.5])
        factors = fit_calibration(scaled[:200], target[:200], target[:200] == target[:200], levels)
        fixed = calibrate(scaled[200:], factors, levels)
        assert (np.diff(fixed, axis=-1) > 0).all()
        shares.append((target[200:][..., None] <= fixed).mean(axis=(0, 1)))
    mean = np.mean(shares, axis=0)
    # Standard error: sqrt(0.25 (1/200 + 1/200) / 200) = 0.0035; the guarantee may overshoot by 1 / 201.
    np.testing.assert_allclose(mean[[0, 1, 3, 4]], [0.025, 0.1, 0.9, 0.975], atol=0.012)
    assert mean[3] - mean[1] == pytest.approx(0.8, abs=0.017)
    assert mean[4] - mean[0] == pytest.approx(0.95, abs=0.017)


def test_calibration_brings_every_level_to_its_share(numbers) -> None:
    generator = np.random.default_rng(1)
    target = generator.normal(size=(3000, 2))
    # Far too narrow above, far too wide below.
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    scaled = np.broadcast_to(np.array([-9.0, -2.0, 0.0, 0.1, 0.2]), (3000, 2, 5)).copy()
    counts = generator.random((3000, 2)) > 0.1
    fixed = calibrate(scaled, fit_calibration(scaled, target, counts, levels), levels)
    shares = (target[counts][:, None] <= fixed[counts]).mean(axis=0)
    np.testing.assert_allclose(shares, levels, atol=0.02)
    assert (np.diff(fixed, axis=-1) > 0).all()


def test_too_few_values_calibrate_nothing() -> None:
    scaled, target = np.zeros((3, 2, 3)), np.ones((3, 2))
    assert fit_calibration(scaled, target, target > 0, LEVELS) == (1.0, 1.0)


def test_quantiles_cannot_cross() -> None:
    levels = (0.05, 0.3, 0.5, 0.6, 0.7, 0.99)
    gaps = torch.nn.functional.softplus(10 * torch.randn(100, 7, 5))
    values = assemble(torch.randn(100, 7), gaps, levels)
    assert (values.diff(dim=-1) >= 0).all()
    median = torch.randn(3)
    torch.testing.assert_close(
        assemble(median, torch.ones(3, 2), (0.5, 0.6, 0.7)), median[:, None] + torch.tensor([0.0, 1, 2])
    )


@pytest.mark.parametrize("scaling", ["standard", "log", "none", "auto"])
def test_scaling_is_undone(scaling) -> None:
    generator = np.random.default_rng(0)
    values = np.stack([generator.lognormal(3, 1, 200), -5 + generator.normal(size=200), np.full(200, 4.0)])
    panel = panel_from_array(values, "error")
    scaler = fit_scaler(panel, scaling)
    owner = panel.series_of_rows()
    scaled = scaler.forward(panel.target, owner)
    np.testing.assert_allclose(scaler.inverse(scaled, owner), panel.target, rtol=1e-9)
    series = np.arange(3)
    in_torch = undo_scaling(
        torch.tensor(scaled.reshape(3, 200).T, dtype=torch.float32), scaler.constants(series), log=scaler.log
    )
    # The log's scale reaches a few hundred spreads; float32 keeps five digits of that.
    np.testing.assert_allclose(in_torch.T.numpy() * scaler.size[:, None], values, rtol=1e-4)


def test_auto_takes_the_logarithm_of_what_leans_right() -> None:
    generator = np.random.default_rng(0)
    assert fit_scaler(panel_from_array(generator.lognormal(0, 1, (2, 300)), "error"), "auto").log
    assert not fit_scaler(panel_from_array(generator.normal(9, 1, (2, 300)), "error"), "auto").log
    assert not fit_scaler(panel_from_array(-generator.lognormal(0, 1, (2, 300)), "error"), "auto").log


def back_test(model: float, naive: float, seasonal: float) -> BackTest:
    """Forecasts that are wrong by so much, always."""
    shape = (10, 2)
    quantiles = np.full((*shape, 3), model) + np.array([-1.0, 0.0, 1.0])
    return BackTest(
        panel=panel_from_array(np.zeros((1, 40)), "error"), series=np.zeros(10, dtype=np.int64), rows=np.arange(10),
        quantiles=quantiles, naive=np.full(shape, naive), seasonal=np.full(shape, seasonal), actual=np.zeros(shape),
        scale=np.ones(10), levels=LEVELS,
    )  # fmt: skip


def two_sizes(small: float, large: float) -> BackTest:
    """Two series, one of a hundred times the other's size; trivial errors of 1 and 100."""
    test = back_test(0.0, 1.0, 1.0)
    size = np.repeat([1.0, 100.0], 5)
    errors = np.repeat([small, large], 5)[:, None, None]
    return dataclasses.replace(
        test, series=np.repeat([0, 1], 5), scale=size, quantiles=test.quantiles + errors,
        naive=test.naive * size[:, None], seasonal=test.seasonal * size[:, None],
    )  # fmt: skip


def test_the_verdict_tells_where_few_large_series_decide() -> None:
    worse = judge(two_sizes(2.0, 50.0), model="gru", every=1)
    assert "48.5% below" in worse.verdict
    assert "does NOT beat the trivial method: its MASE is 1.250, last value has 1.000" in worse.verdict
    assert "Forecaster.many_series" in worse.verdict
    better = judge(two_sizes(0.5, 120.0), model="gru", every=1)
    assert "does NOT beat the trivial method: its MAE" in better.verdict
    assert "DOES beat it: its MASE is 0.850, last value has 1.000" in better.verdict
    assert "MASE" not in judge(two_sizes(0.5, 50.0), model="gru", every=1).verdict
    assert "MASE" not in judge(two_sizes(2.0, 200.0), model="gru", every=1).verdict


@pytest.mark.parametrize(
    ("errors", "beats", "words"),
    [
        ((1.0, 2.0, 4.0), True, ("50.0% below", "last value")),
        ((1.0, 4.0, 2.0), True, ("50.0% below", "seasonal naive")),
        ((2.0, 2.0, 4.0), False, ("does NOT beat", "level with last value")),
        ((3.0, 2.0, 4.0), False, ("does NOT beat", "50.0% above", "last value")),
        ((1.0, 0.0, 0.0), False, ("does NOT beat",)),
    ],
)
def test_the_verdict_is_said_in_words(errors, beats, words) -> None:
    evaluation = judge(back_test(*errors), model="lstm", every=1)
    assert evaluation.beats_trivial is beats
    assert all(word in evaluation.verdict for word in words)
    assert list(evaluation.errors) == ["lstm", NAIVE, SEASONAL]
    assert evaluation.by_horizon["lstm"].tolist() == [errors[0]] * 2
    assert evaluation.intervals == {0.8: pytest.approx(evaluation.coverage[0.9] - evaluation.coverage[0.1])}
