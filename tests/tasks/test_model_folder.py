"""Saved and loaded, also in a process that knows nothing of the cell."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

import gatewise
from gatewise.errors import StoreError
from gatewise.spec import sigmoid, tanh
from gatewise.tasks import Forecaster
from tests.tasks.series import hourly, small


def test_a_loaded_model_forecasts_the_same(fitted, history, table, tmp_path) -> None:
    fitted.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict())
    pd.testing.assert_frame_equal(loaded.predict(history), fitted.predict(history))
    ours, theirs = (one.evaluate(table, linear=False) for one in (fitted, loaded))
    assert ours.errors == theirs.errors
    assert loaded.history_ == fitted.history_
    assert loaded.get_params()["horizon"] == 6
    assert loaded.fit(history).lookback_ == 24


@pytest.mark.parametrize(
    "frame",
    [
        pl.from_pandas(hourly(80)),
        hourly(80).assign(ds=lambda f: f["ds"].dt.tz_localize("Asia/Tokyo")),
        hourly(80).assign(unique_id=lambda f: (f["unique_id"] == "a").astype(int)),
        hourly(80, ("a",)).assign(ds=range(80)).drop(columns="unique_id"),
        pl.from_pandas(hourly(80, ("a",))).with_columns(
            ds=pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 3, 20))
        ),
    ],
    ids=["polars", "zone", "integer names", "integer time", "dates"],
)
def test_frames_come_back_as_they_were(frame, tmp_path) -> None:
    model = small(lookback=8).fit(frame)
    model.save(tmp_path / "model")
    before, after = model.predict(), Forecaster.load(tmp_path / "model").predict()
    assert type(before) is type(after)
    pd.testing.assert_frame_equal(
        *(f if isinstance(f, pd.DataFrame) else f.to_pandas() for f in (before, after))
    )


def test_a_cell_of_ones_own_loads_where_its_source_is_not(tmp_path) -> None:
    @gatewise.cell(states="h", gates="f n")
    def notebook_cell(gate, state):
        f = sigmoid(gate.f)
        return f * state.h + (1 - f) * tanh(gate.n)

    values = np.sin(np.arange(40)[None] * 0.7 + np.arange(6)[:, None])
    model = small(cell=notebook_cell, horizon=2, lookback=8).fit(values)
    model.save(tmp_path / "model")
    np.save(tmp_path / "values.npy", values)
    code = (
        "import sys, numpy as np, gatewise\n"
        "model = gatewise.Forecaster.load(sys.argv[1] + '/model')\n"
        "np.save(sys.argv[1] + '/forecast.npy', model.predict(np.load(sys.argv[1] + '/values.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    # Another process may use another number of threads, and so another order of summation.
    np.testing.assert_allclose(
        np.load(tmp_path / "forecast.npy"), model.predict(values), rtol=1e-5, atol=1e-6
    )


def test_the_folder_holds_json_safetensors_and_a_card(fitted, tmp_path) -> None:
    fitted.save(tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "card.md", "config.json", "model.safetensors",
    ]  # fmt: skip
    card = (tmp_path / "model" / "card.md").read_text()
    assert "6 steps ahead" in card
    assert "temperature" in card
    assert "last 30 rows" in card


def test_what_is_no_forecaster_is_refused(fitted, tmp_path) -> None:
    with pytest.raises(StoreError, match="no model folder"):
        Forecaster.load(tmp_path / "nothing")
    from gatewise.store import save_model

    save_model(tmp_path / "other", kind="other", config={}, tensors={}, card="")
    with pytest.raises(StoreError, match="other"):
        Forecaster.load(tmp_path / "other")


@pytest.mark.parametrize(
    "damage", ["network", "encoder", "calibration", "parameters", "context", "frequency"]
)
def test_a_folder_whose_parts_do_not_fit_is_refused(fitted, tmp_path, damage) -> None:
    from gatewise.store import load_model, save_model

    fitted.save(tmp_path / "model")
    stored = load_model(tmp_path / "model")
    config = json.loads(json.dumps(stored.config))
    if damage == "network":
        config["network"]["hidden_size"] = 9
    elif damage == "parameters":
        config["parameters"]["unheard_of"] = 1
    else:
        del config[damage]
    save_model(tmp_path / "model", kind="forecaster", config=config, tensors=stored.tensors, card="")
    with pytest.raises(StoreError):
        Forecaster.load(tmp_path / "model")
