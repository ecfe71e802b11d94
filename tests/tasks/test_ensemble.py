"""Several networks as one: the mean of their quantiles, saved, resumed and sampled from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from gatewise.errors import ArgumentError
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast.ensemble import Ensemble
from tests.tasks.series import hourly, small
from tests.tasks.test_architecture_networks import HORIZON, network, windows

FRAME = hourly(120).drop(columns=["temperature", "sky"])


@pytest.fixture(scope="module")
def model() -> Forecaster:
    return small(members=3, max_epochs=2, lookback=12).fit(FRAME)


def test_quantiles_are_the_mean_of_the_members() -> None:
    members = [network("direct", hidden_size=8) for _ in range(3)]
    given = windows()
    with torch.no_grad():
        found = Ensemble(members).eval()(given)
        expected = sum(member(given) for member in members) / 3
    torch.testing.assert_close(found, expected)
    assert (found.diff(dim=-1) > 0).all()


def test_each_member_samples_its_share() -> None:
    members = [network("deepar") for _ in range(3)]
    given, noise = windows(), torch.rand(1, 7, HORIZON, 2)
    with torch.no_grad():
        found = Ensemble(members).eval().paths(given, noise)
        assert found.shape == (1, 4, 7, HORIZON)
        torch.testing.assert_close(found[:, :, 3:5], members[1].paths(given, noise[:, 1::3]))


def test_members_differ_and_a_seed_gives_the_same_again(model) -> None:
    weights = [next(member.parameters()) for member in model.fitted_.network.members]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    again = small(members=3, max_epochs=2, lookback=12).fit(FRAME)
    pd.testing.assert_frame_equal(again.predict(), model.predict())
    assert [epoch["member"] for epoch in model.history_] == [0, 0, 1, 1, 2, 2]
    # The first member is the network that would be fitted alone.
    alone = small(max_epochs=2, lookback=12).fit(FRAME).fitted_.network
    for name, value in alone.state_dict().items():
        if name != "correlation":
            torch.testing.assert_close(model.fitted_.network.members[0].state_dict()[name], value)


def test_it_is_saved_and_sampled_from(model, tmp_path) -> None:
    model.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    assert loaded.members == 3
    assert "3 networks whose quantiles are averaged" in (tmp_path / "model" / "card.md").read_text()
    pd.testing.assert_frame_equal(loaded.predict(), model.predict())
    np.testing.assert_array_equal(loaded.sample_paths(num_samples=5), model.sample_paths(num_samples=5))


def test_an_interrupted_fit_goes_on_where_it_was(model, tmp_path, monkeypatch) -> None:
    from gatewise import train

    whole, begun = train.fit, []

    def stops_in_the_second(network, *rest, **named):
        begun.append(network)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return whole(network, *rest, **named)

    monkeypatch.setattr(train, "fit", stops_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        small(members=3, max_epochs=2, lookback=12, checkpoint_folder=tmp_path).fit(FRAME)
    monkeypatch.undo()
    resumed = small(members=3, max_epochs=2, lookback=12, checkpoint_folder=tmp_path).fit(FRAME)
    pd.testing.assert_frame_equal(resumed.predict(), model.predict())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["member-0", "member-1", "member-2"]


def test_the_number_is_checked() -> None:
    with pytest.raises(ArgumentError, match="members"):
        small(members=0).fit(FRAME)
