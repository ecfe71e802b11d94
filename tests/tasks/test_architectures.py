"""The architectures as users choose them: every cell, normalisation, channels, losses, folders, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import gatewise
from gatewise import cells
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.spec import sigmoid, tanh
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast import architectures
from tests.tasks.series import hourly, small

TOGETHER = ("direct", "seq2seq", "segrnn")
TINY = {"horizon": 3, "lookback": 9, "hidden_size": 6, "segment_length": 2, "num_samples": 8}


@pytest.fixture(scope="module")
def plain() -> pd.DataFrame:
    """Two short series without covariates."""
    return hourly(120)[["unique_id", "ds", "y"]]


# Direct has its own test of every cell (test_forecaster.py). Of the others each meets one cell of every kind, and every
# cell meets one of them: all pairs would take minutes and run the same code.
OTHERS = [name for name in architectures.names() if name != "direct"]
KINDS = ("lstm", "gru", "lstm_projected", "lstm_mogrifier", "slstm", "min_gru", "gru_d")
PAIRS = [(cell, name) for cell in KINDS for name in OTHERS]
PAIRS += [(cell, OTHERS[k % len(OTHERS)]) for k, cell in enumerate(cells.names()) if cell not in KINDS]


@pytest.mark.parametrize(("cell", "architecture"), PAIRS)
def test_every_cell_and_every_architecture(cell, architecture, plain) -> None:
    forecaster = small(cell=cell, architecture=architecture, **TINY)
    if len(cells.get(cell).inputs) > 1:
        with pytest.raises(ArgumentError, match="one input stream"):
            forecaster.fit(plain)
        return
    quantiles = forecaster.fit(plain).predict_quantiles()
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()


def test_a_cell_of_ones_own_in_every_architecture(plain, tmp_path) -> None:
    @gatewise.cell(states="h", gates="f n")
    def own_cell(gate, state):
        f = sigmoid(gate.f)
        return f * state.h + (1 - f) * tanh(gate.n)

    for architecture in architectures.names():
        model = small(cell=own_cell, architecture=architecture, **TINY).fit(plain)
        model.save(tmp_path / architecture)
        loaded = Forecaster.load(tmp_path / architecture)
        np.testing.assert_array_equal(loaded.predict_quantiles(), model.predict_quantiles())


@pytest.mark.parametrize("architecture", architectures.names())
@pytest.mark.parametrize(
    "parameters",
    [{"revin": True}, {"num_layers": 2}, {"loss": "likelihood", "likelihood": "gaussian"}, {"quantiles": (0.05,)}],
    ids=["revin", "two layers", "gaussian", "one level"],
)  # fmt: skip
def test_choices_go_together_and_survive_the_folder(architecture, parameters, history, tmp_path) -> None:
    model = small(architecture=architecture, num_samples=20, **parameters).fit(history)
    quantiles = model.predict_quantiles()
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    model.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_quantiles(history), quantiles)
    assert loaded.get_params()["architecture"] == architecture


@pytest.mark.parametrize("architecture", architectures.names())
def test_every_architecture_learns_a_wave_and_keeps_its_phase(architecture) -> None:
    """A forecast that is off by one in time would be wrong by 3.75 on average."""
    rows, period = 320, 8
    values = np.tile([0.0, 1, 4, 2, 8, 3, 7, 5], rows // period)
    frame = pd.DataFrame({"ds": np.arange(rows), "y": values})
    # One likely step after the other is only as good as the likelihood is sharp: that takes longer.
    own = {"likelihood": "gaussian", "max_epochs": 30, "num_samples": 20} if architecture == "deepar" else {}
    model = small(
        architecture=architecture, horizon=8, lookback=16, hidden_size=32, learning_rate=1e-2,
        dropout=0.0, season_length=1, segment_length=4, batch_size=16, **{"max_epochs": 20} | own,
    ).fit(frame)  # fmt: skip
    errors = []
    for cut in range(rows - period, rows):
        forecast = model.predict(frame.iloc[:cut])
        errors.append(np.abs(forecast["y_hat"] - values[np.arange(cut, cut + period) % period]).mean())
    assert np.mean(errors) < 0.7


@pytest.mark.parametrize("architecture", architectures.names())
def test_a_forecast_depends_on_its_own_window_alone(architecture, fitted, table) -> None:
    """Neither on what comes later, nor on its place in a batch."""
    history = table[table["ds"] < "2024-01-12"]
    model = small(architecture=architecture, num_samples=20, max_epochs=1).fit(history)
    planted = table.copy()
    later = planted["ds"] >= "2024-01-13"
    planted.loc[later, ["y", "temperature"]] = 1e6
    honest, leaky = (
        model.evaluate(one, start="2024-01-13", every=1000).back_test for one in (table, planted)
    )
    np.testing.assert_array_equal(honest.quantiles, leaky.quantiles)
    test = model.evaluate(table, start="2024-01-13", every=11).back_test
    for window in range(0, len(test.rows), 3):
        stamp = test.panel.stamps[test.rows[window]].astype("datetime64[ns]")
        name = test.panel.names[test.series[window]]
        cut = table[(table["ds"] <= stamp) & (table["unique_id"] == name)]
        # The window's place in a batch changes the last bits of float32 products, which sampling hands on.
        np.testing.assert_allclose(test.median[window], model.predict(cut)["y_hat"], rtol=2e-5)


# --- channels


def coupled(rows: int = 500) -> pd.DataFrame:
    """Series b is what series a was one step ago: only together can b be forecast."""
    noise = np.random.default_rng(0).normal(size=rows + 1)
    frames = [
        pd.DataFrame({"unique_id": name, "ds": np.arange(rows), "y": values})
        for name, values in (("a", noise[1:]), ("b", noise[:-1]))
    ]
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("architecture", TOGETHER)
def test_joint_channels_see_each_other(architecture) -> None:
    frame = coupled()
    history = frame[frame["ds"] < 400]
    errors = {}
    for channels in ("independent", "joint"):
        model = small(
            architecture=architecture, channels=channels, horizon=1, lookback=4, hidden_size=16, max_epochs=12,
            learning_rate=2e-2, dropout=0.0, segment_length=1, season_length=1, batch_size=16,
        ).fit(history)  # fmt: skip
        test = model.evaluate(frame).back_test
        errors[channels] = np.abs(test.median - test.actual)[test.series == 1].mean()
    # Noise alone cannot be forecast: its mean absolute deviation is 0.8.
    assert errors["independent"] > 0.6
    assert errors["joint"] < 0.25


@pytest.mark.parametrize("architecture", TOGETHER)
def test_joint_models_survive_the_folder_and_refuse_other_series(architecture, plain, tmp_path) -> None:
    model = small(architecture=architecture, channels="joint", revin=True, **TINY).fit(plain)
    model.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(), model.predict(plain))
    assert (
        loaded.evaluate(plain, start="2024-01-05").points
        == loaded.evaluate(plain.sample(frac=1, random_state=0), start="2024-01-05").points
    )
    with pytest.raises(DataError, match="together"):
        model.predict(plain[plain["unique_id"] == "a"])
    with pytest.raises(DataError, match="equal stamps"):
        model.predict(plain.iloc[:-1])
    with pytest.raises(DataError, match="equal stamps.*'b'"):
        small(architecture=architecture, channels="joint", **TINY).fit(plain.iloc[:-1])


def test_joint_forecasts_do_not_depend_on_the_origins_beside_them(plain) -> None:
    model = small(channels="joint", **TINY).fit(plain)
    one = model.evaluate(plain, start="2024-01-05", every=1).back_test
    other = model.evaluate(plain, start="2024-01-05", every=5).back_test
    place = {(int(s), int(r)): i for i, (s, r) in enumerate(zip(one.series, one.rows, strict=True))}
    chosen = [place[int(s), int(r)] for s, r in zip(other.series, other.rows, strict=True)]
    np.testing.assert_allclose(one.quantiles[chosen], other.quantiles, rtol=1e-5)


# --- losses


@pytest.mark.parametrize("architecture", TOGETHER)
def test_the_point_of_a_squared_error_is_the_mean(architecture) -> None:
    """Of values that are 10 one time in four and 0 otherwise the median is 0 and the mean 2.5."""
    values = np.where(np.random.default_rng(0).random(2000) < 0.25, 10.0, 0.0)
    frame = pd.DataFrame({"ds": np.arange(2000), "y": values})
    found = {}
    for loss in ("mse", "mae"):
        model = small(
            architecture=architecture, loss=loss, scaling="standard", season_length=1, max_epochs=5, horizon=2,
            lookback=8, learning_rate=1e-2, batch_size=32,
        ).fit(frame)  # fmt: skip
        found[loss] = float(model.evaluate(frame, start=1900).back_test.median.mean())
    assert 1.5 < found["mse"] < 3.5
    assert found["mae"] < 1.0


def test_the_gaps_do_not_move_the_point() -> None:
    """Under a squared error more quantiles give the same point forecast."""
    frame = hourly(200, ("a",))
    plain, wide = (
        small(loss="mse", quantiles=levels, dropout=0.0).fit(frame).fitted_.network.body
        for levels in ((), (0.1, 0.9))
    )
    # The last layer is drawn at another size; where it begins alike, the encoder's gradient is alike.
    assert plain.out.linear.weight.shape[0] == 2
    assert wide.out.linear.weight.shape[0] == 4
    hidden = torch.randn(5, 48, requires_grad=True)
    wide.out.train()
    wide.out(hidden)[..., 1:3].sum().backward()
    assert (hidden.grad == 0).all()
    hidden.grad = None
    wide.out(hidden)[..., 0].sum().backward()
    assert (hidden.grad != 0).any()


# --- what is refused


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"architecture": "transformer"}, ArgumentError, "architecture.*'segrnn'"),
        ({"loss": "huber"}, ArgumentError, "loss"),
        ({"likelihood": "poisson"}, ArgumentError, "likelihood"),
        ({"channels": "all"}, ArgumentError, "channels"),
        ({"revin": 1}, ArgumentTypeError, "revin"),
        ({"segment_length": 0}, ArgumentError, "segment_length"),
        ({"num_samples": 1}, ArgumentError, "num_samples"),
        ({"num_samples": None}, ArgumentTypeError, "num_samples"),
        ({"validation": 1.0}, ArgumentError, "validation"),
        ({"validation": "tenth"}, ArgumentTypeError, "validation"),
        ({"validation": 299}, DataError, "validation"),
        ({"architecture": "deepar", "loss": "mse"}, ArgumentError, "loss"),
        ({"architecture": "deepar", "channels": "joint"}, ArgumentError, "channels"),
        ({"architecture": "deepar", "likelihood": "negative_binomial"}, DataError, "counts"),
    ],
)
def test_choices_are_checked_in_fit(parameters, error, words, history) -> None:
    with pytest.raises(error, match=words):
        small(**parameters).fit(history)


def test_so_many_rows_are_held_back(history) -> None:
    assert "last 100 rows" in small(validation=100).fit(history).validation_
    assert "last 60 rows" in small(validation=0.2).fit(history).validation_
