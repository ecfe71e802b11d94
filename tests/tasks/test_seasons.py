"""Several seasons: their values reach the network and its starting point, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast.normalisation import ReversibleNorm
from tests.tasks.series import small
from tests.tasks.test_architecture_networks import BATCH, HORIZON, network, windows

ARCHITECTURES = ("direct", "seq2seq", "segrnn")


def weekly(rows: int = 240) -> pd.DataFrame:
    """Days whose third is told by a cycle of 4 and by one of 10 steps."""
    steps = np.arange(rows)
    return pd.DataFrame({"ds": steps, "y": 20 + 3.0 * (steps % 4) + 5.0 * (steps % 10 == 0)})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_starting_point_is_a_mixture_of_all_seasons(architecture) -> None:
    made, given = network(architecture, further_seasons=2), windows()
    given = replace(given, further=torch.randn(1, BATCH, HORIZON, 2))
    with torch.no_grad():
        made.body.out.linear.weight.zero_()
        made.body.out.linear.bias.zero_()
        # Of 1 + 3 exponentials, the second further season has e^20.
        made.body.out.linear.bias.view(-1, 6)[:, -1] = 20.0
        middle = made(given)[..., 1]
        torch.testing.assert_close(middle, given.further[..., 1], rtol=1e-5, atol=1e-5)
        made.body.out.linear.bias.zero_()
        parts = torch.stack([given.last[..., None].expand(1, BATCH, HORIZON), given.season], dim=-1)
        mean = torch.cat([parts, given.further], dim=-1).mean(-1)
        torch.testing.assert_close(made(given)[..., 1], mean, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_season_s_values_are_read(architecture) -> None:
    made, given = network(architecture, further_seasons=1), windows()
    given = replace(given, further=torch.randn(1, BATCH, HORIZON, 1))
    with torch.no_grad():
        made.body.out.linear.bias.view(-1, 5)[:, 3:] = -50.0  # no starting point is read
        change = made(replace(given, further=given.further + 1)) - made(given)
    assert (change.abs().amax((0, 2, 3)) > 1e-6).all()


def test_revin_turns_them_as_it_turns_the_window() -> None:
    given = replace(windows(), further=torch.randn(1, BATCH, HORIZON, 2))
    found, normal = ReversibleNorm(1)(given)
    torch.testing.assert_close(normal.undo(found.further), given.further, rtol=1e-5, atol=1e-5)


def test_the_values_are_those_of_that_many_steps_before() -> None:
    frame = weekly()
    model = small(season_length=(4, 10), horizon=6, lookback=8).fit(frame[:200])
    fitted = model.fitted_
    panel = model._panel(frame)[0]
    encoded, _ = fitted.encode(panel, np.array([200]))
    found = encoded.windows(np.array([0]), np.array([212]), 8, np.array([7]))
    truth = frame["y"].to_numpy()
    unscaled = encoded.scaler.unscaled(found.further[0].double().numpy(), np.array([0]))[0, :, 0]
    np.testing.assert_allclose(unscaled, truth[220 - 10 : 226 - 10], rtol=1e-5)
    assert found.season.shape == (1, 1, 6)
    assert model.season_length_ == 4
    with pytest.MonkeyPatch.context() as patch:  # a season that has no value yet: the last value
        patch.setattr("gatewise.tasks.forecast.encoding.SEASONS_BACK", 1)
        early = encoded.windows(np.array([0]), np.array([-4]), 8, np.array([7]))
    np.testing.assert_allclose(early.further[0, 0, 0], early.last[0, 0])


@pytest.mark.long
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_they_are_worth_their_while_and_saved(architecture, tmp_path) -> None:
    frame = weekly()
    common = {"lookback": 4, "horizon": 4, "architecture": architecture, "segment_length": 2, "max_epochs": 6}
    errors = {}
    for season in (4, (4, 10)):
        model = small(season_length=season, learning_rate=1e-2, **common).fit(frame[:200])
        errors[season] = model.evaluate(frame, linear=False).errors["lstm"].mae
    # Four rows say nothing of where a cycle of ten stands.
    assert errors[4, 10] < 0.7 * errors[4]
    model.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    assert loaded.season_length == (4, 10)
    pd.testing.assert_frame_equal(loaded.predict(), model.predict())
    # What is kept of the history reaches back a longest season.
    pd.testing.assert_frame_equal(model.predict(frame[:200]), model.predict())


@pytest.mark.parametrize(
    ("value", "error"),
    [((), ArgumentError), ((4, 4), ArgumentError), ((4, 0), ArgumentError), ("week", ArgumentTypeError)],
)
def test_lengths_are_checked(value, error) -> None:
    with pytest.raises(error, match="season_length"):
        small(season_length=value).fit(weekly())


def test_deepar_has_one_season() -> None:
    with pytest.raises(ArgumentError, match="season_length"):
        small(season_length=(4, 10), architecture="deepar").fit(weekly())
