"""No forecast knows what came after its origin; every window ends where it should."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from gatewise.data import panel_from_frame
from gatewise.tasks.forecast.training import ChunkSource, Origins
from tests.tasks.series import hourly, small

HORIZON = 6


@pytest.fixture(scope="module")
def parts(fitted, table):
    """The table's panel, encoded by the fitted forecaster."""
    panel = panel_from_frame(table, "error")
    return panel, fitted.fitted_.encode(panel, panel.lengths)[0]


def test_the_future_does_not_change_a_forecast(fitted, table) -> None:
    origin = table["ds"].min() + pd.Timedelta(hours=330)
    planted = table.copy()
    later = planted["ds"] > origin
    planted.loc[later, ["y", "temperature"]] = 1e6
    planted.loc[later, "sky"] = "cloudy"
    start = origin + pd.Timedelta(hours=1)
    honest = fitted.evaluate(table, start=start, every=1000).back_test
    leaky = fitted.evaluate(planted, start=start, every=1000).back_test
    assert len(honest.rows) == 2
    np.testing.assert_array_equal(honest.quantiles, leaky.quantiles)
    np.testing.assert_array_equal(honest.naive, leaky.naive)
    np.testing.assert_array_equal(honest.seasonal, leaky.seasonal)
    assert honest.others.keys() == {"Naive2", "DLinear"}
    for name, forecast in honest.others.items():
        np.testing.assert_array_equal(forecast, leaky.others[name])
    assert (leaky.actual == 1e6).all()


@pytest.mark.parametrize("column", ["y", "temperature", "sky"])
def test_the_last_row_before_a_forecast_does_change_it(fitted, history, column) -> None:
    changed = history.copy()
    last = changed["ds"] == changed["ds"].max()
    value = changed.loc[last, column]
    changed.loc[last, column] = (
        value + 1.0 if column != "sky" else value.map({"clear": "cloudy", "cloudy": "clear"})
    )
    assert (fitted.predict(changed)["y_hat"] != fitted.predict(history)["y_hat"]).all()


def test_a_row_before_the_lookback_does_not_change_a_forecast(fitted, history) -> None:
    changed = history.copy()
    row = history.groupby("unique_id").cumcount() == 300 - 24 - 1
    changed.loc[row, "temperature"] = 50.0
    np.testing.assert_array_equal(fitted.predict(changed)["y_hat"], fitted.predict(history)["y_hat"])
    first = history.groupby("unique_id").cumcount() == 300 - 24
    changed.loc[first, "temperature"] = 50.0
    assert (fitted.predict(changed)["y_hat"] != fitted.predict(history)["y_hat"]).any()


def test_back_test_and_predict_agree_at_every_origin(fitted, table) -> None:
    """Off by one between training, back-test and use would show here."""
    test = fitted.evaluate(
        table, start=table["ds"].min() + pd.Timedelta(hours=350), every=7, linear=False
    ).back_test
    for window in range(0, len(test.rows), 5):
        stamp = test.panel.stamps[test.rows[window]].astype("datetime64[ns]")
        name = test.panel.names[test.series[window]]
        cut = table[(table["ds"] <= stamp) & (table["unique_id"] == name)]
        forecast = fitted.predict(cut)
        # The window's place in a batch changes the last bits of float32 products.
        np.testing.assert_allclose(test.median[window], forecast["y_hat"], rtol=1e-5)
        came = table[(table["ds"].isin(forecast["ds"])) & (table["unique_id"] == name)]["y"]
        np.testing.assert_array_equal(test.actual[window], came)


def test_targets_begin_one_row_after_the_last_input(parts) -> None:
    panel, encoded = parts
    windows = encoded.windows(np.array([1]), np.array([100 - 23]), 24, np.array([23]))
    target, counts = encoded.targets(np.array([1]), np.array([[100]]), panel.lengths[[1]])
    start = panel.starts[1]
    assert windows.inputs[-1, 0, 0] == pytest.approx(encoded.scaled[start + 100], rel=1e-6)
    assert windows.inputs[0, 0, 0] == pytest.approx(encoded.scaled[start + 77], rel=1e-6)
    assert windows.last[0, 0] == pytest.approx(encoded.scaled[start + 100], rel=1e-6)
    np.testing.assert_array_equal(target[0, 0], encoded.scaled[start + 101 : start + 101 + HORIZON])
    # A day before what is to be forecast: the horizon is shorter than the season.
    np.testing.assert_allclose(
        windows.season[0, 0], encoded.scaled[start + 77 : start + 77 + HORIZON], rtol=1e-6
    )
    assert counts.all()


def test_training_batches_hold_no_validation_target(parts) -> None:
    panel, encoded = parts
    limits = panel.lengths - 100
    source = ChunkSource(encoded, limits, None, seed=0)
    poisoned = encoded.scaled.copy()
    for series in range(2):
        poisoned[panel.starts[series] + limits[series] : panel.starts[series + 1]] = np.nan
    for epoch in range(2):
        for step in range(source.steps_per_epoch()):
            batch = source.batch(epoch, step)
            reached = batch["target"][batch["counts"]].double().numpy()
            assert np.isin(reached.astype(np.float32), poisoned.astype(np.float32)).all()


def test_batches_depend_on_epoch_and_step_alone(parts) -> None:
    panel, encoded = parts
    make = lambda: ChunkSource(encoded, panel.lengths - 50, None, seed=3)  # noqa: E731
    one, other = make(), make()
    expected = {(e, s): one.batch(e, s) for e in range(2) for s in range(3)}
    for (epoch, step), batch in reversed(expected.items()):
        again = other.batch(epoch, step)
        assert all(torch.equal(again[name], batch[name]) for name in batch)
    assert not torch.equal(expected[0, 0]["inputs"], expected[1, 0]["inputs"])


def test_an_epoch_covers_every_row_as_an_origin() -> None:
    frame = hourly(500, ("a",))
    model = small().fit(frame)
    panel = panel_from_frame(frame, "error")
    encoded = model.fitted_.encode(panel, panel.lengths)[0]
    source = ChunkSource(encoded, np.array([450]), 4, seed=0)
    seen = set()
    for epoch in range(40):
        for step in range(source.steps_per_epoch()):
            batch = source.batch(epoch, step)
            alive = batch["counts"].any(-1)
            seen |= set(np.round(batch["last"][alive].numpy(), 5).tolist())
    # Rows 23 to 448 are origins: a full lookback before them, a target after them.
    wanted = set(np.round(encoded.carried[23:449].astype(np.float32), 5).tolist())
    assert seen == wanted


def test_what_is_held_back_for_validation_ends_training_and_nothing_else(history) -> None:
    """Values in the last tenth may change the calibration and the epoch that is kept, never a gradient."""
    changed = history.copy()
    held = changed.groupby("unique_id").cumcount() >= 270
    changed.loc[held, "y"] += 3.0
    one, other = small().fit(history), small().fit(changed)
    for a, b in zip(one.fitted_.network.parameters(), other.fitted_.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert one.history_[0]["validation_loss"] != other.history_[0]["validation_loss"]


def test_origins_stay_inside() -> None:
    from gatewise.tasks.forecast.training import choose_origins

    origins = choose_origins(np.array([5, 2]), np.array([9, 1]), 100)
    assert isinstance(origins, Origins)
    assert origins.series.tolist() == [0] * 5
    assert origins.rows.tolist() == [5, 6, 7, 8, 9]
    assert len(choose_origins(np.zeros(1000, dtype=int), np.full(1000, 9), 100).rows) <= 101
