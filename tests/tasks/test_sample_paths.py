"""Sample paths: the copula's parts, and paths that are distributed and hang together as the series does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from gatewise.errors import ArgumentError
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast.sampling import (
    from_scores,
    normal_scores,
    score_correlation,
    sorted_quantiles,
)
from tests.tasks.series import small

LEVELS = (0.1, 0.3, 0.5, 0.9)


def test_scores_of_a_normal_forecast_are_its_own() -> None:
    quantiles = 2 + 3 * np.broadcast_to(stats.norm.ppf(LEVELS), (5, 4, len(LEVELS)))
    values = np.random.default_rng(0).normal(2, 3, (5, 4))
    scores = normal_scores(quantiles, values, LEVELS)
    np.testing.assert_allclose(scores, (values - 2) / 3, atol=1e-6)
    np.testing.assert_allclose(from_scores(quantiles, scores[:, None], LEVELS)[:, 0], values, atol=1e-6)


def test_quantiles_are_their_own_level_s_score() -> None:
    quantiles = np.sort(np.random.default_rng(0).normal(size=(6, 3, len(LEVELS))), axis=-1)
    for place, level in enumerate(LEVELS):
        np.testing.assert_allclose(
            normal_scores(quantiles, quantiles[..., place], LEVELS), stats.norm.ppf(level), atol=1e-5
        )


def test_correlation_is_learned_and_stays_positive_definite() -> None:
    generator = np.random.default_rng(0)
    true = 0.8 ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    scores = generator.multivariate_normal(np.zeros(6), true, size=4000)
    counts = np.ones(scores.shape, dtype=bool)
    np.testing.assert_allclose(score_correlation(scores, counts), true, atol=0.05)
    few = score_correlation(scores[:4], counts[:4])
    assert np.linalg.eigvalsh(few).min() > 0
    np.testing.assert_array_equal(score_correlation(scores[:1], counts[:1]), np.eye(6))


def test_empirical_quantiles_lie_between_their_neighbours() -> None:
    samples = torch.randn(3, 101, 2).double()
    found = sorted_quantiles(samples, LEVELS)
    expected = np.quantile(samples, LEVELS, axis=1, method="hazen").transpose(1, 2, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.fixture(scope="module")
def wandering() -> pd.DataFrame:
    """A random walk: each path of it strays, and its steps hang together."""
    values = np.cumsum(np.random.default_rng(2).normal(size=(4, 500)), axis=1)
    return pd.DataFrame(
        {"unique_id": np.repeat([*"abcd"], 500), "ds": np.tile(np.arange(500), 4), "y": values.reshape(-1)}
    )


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [("direct", {}), ("deepar", {"likelihood": "gaussian"})],
)
def test_paths_of_a_random_walk_stray_as_it_does(architecture, parameters, wandering) -> None:
    model = small(
        architecture=architecture, horizon=5, lookback=10, max_epochs=4, learning_rate=1e-2, dropout=0.0, **parameters
    ).fit(wandering)  # fmt: skip
    last = wandering.groupby("unique_id")["y"].last().to_numpy()
    moves = model.sample_paths(num_samples=400) - last[:, None, None]
    assert moves.shape == (4, 400, 5)
    # A walk's steps 1 and 5 have correlation 0.45, its steps 4 and 5 have 0.89; independent ones would have none.
    correlation = np.mean([np.corrcoef(one.T) for one in moves], axis=0)
    assert 0.25 < correlation[0, 4] < 0.65
    assert 0.75 < correlation[3, 4] < 0.97
    assert 1.3 < moves[..., 4].std() / moves[..., 0].std() < 3.0
    # The share of paths below each quantile that is forecast is its level.
    quantiles = model.predict_quantiles()
    for place, level in enumerate((0.1, 0.5, 0.9)):
        below = (moves + last[:, None, None] <= quantiles[:, None, :, place]).mean(axis=1)
        np.testing.assert_allclose(below, level, atol=0.09)


def test_series_are_independent_and_paths_repeat(fitted, history) -> None:
    paths = fitted.sample_paths(num_samples=300)
    np.testing.assert_array_equal(paths, fitted.sample_paths(history, 300))
    correlation = np.corrcoef(paths[0].mean(axis=1), paths[1].mean(axis=1))[0, 1]
    # 300 independent pairs: a deviation of 0.058.
    assert abs(correlation) < 0.2
    alone = fitted.sample_paths(history[history["unique_id"] == "b"], 300)
    np.testing.assert_allclose(alone[0], paths[1], rtol=1e-5)


def test_counts_stay_counts() -> None:
    generator = np.random.default_rng(0)
    rate = 3 + 2 * np.sin(np.arange(400) * 2 * np.pi / 24)
    frame = pd.DataFrame(
        {"ds": pd.date_range("2024-01-01", periods=400, freq="h"), "y": generator.poisson(rate)}
    )
    model = small(architecture="deepar", max_epochs=2, num_samples=40).fit(frame)
    assert model.fitted_.network.plan.likelihood == "negative_binomial"
    paths = model.sample_paths(num_samples=50)
    # float32 carries seven digits through the scaling.
    np.testing.assert_allclose(paths, paths.round(), atol=1e-4)
    assert paths.min() > -1e-4
    assert 1 < paths.mean() < 6


def test_without_a_spread_there_is_nothing_to_sample(history) -> None:
    model = small(quantiles=()).fit(history)
    assert model.predict().columns.to_list() == ["unique_id", "ds", "y_hat"]
    with pytest.raises(ArgumentError, match="quantiles"):
        model.sample_paths()
    assert np.isfinite(
        small(quantiles=(), architecture="deepar").fit(history).sample_paths(num_samples=3)
    ).all()


def test_the_number_of_paths_is_checked(fitted) -> None:
    with pytest.raises(ArgumentError, match="num_samples"):
        fitted.sample_paths(num_samples=0)
    with pytest.raises(TypeError, match="num_samples"):
        fitted.sample_paths(num_samples=2.5)


def test_paths_survive_the_folder(history, tmp_path) -> None:
    for architecture in ("seq2seq", "deepar"):
        model = small(architecture=architecture, num_samples=20).fit(history)
        model.save(tmp_path / architecture)
        loaded = Forecaster.load(tmp_path / architecture)
        np.testing.assert_array_equal(loaded.sample_paths(num_samples=5), model.sample_paths(num_samples=5))


def test_paths_of_counts_are_whole_numbers() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"ds": pd.date_range("2021", periods=120), "y": rng.poisson(0.7, 120)})
    model = small(horizon=3, lookback=6, architecture="deepar", max_epochs=1).fit(table)
    assert model.fitted_.network.plan.likelihood == "negative_binomial"
    paths = model.sample_paths(num_samples=50)
    assert (paths == paths.astype(int)).all()
    assert (paths == 0).mean() > 0.1
