"""Covariates, cross-validation, search and update from the shell."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gatewise.tasks import Forecaster
from tests.cli.test_cli import FAST, call

COLUMNS = ["--id", "shop", "--time", "day", "--target", "sold"]
ROLES = ["--future", "price", "--static", "region", "--categorical", "kind", "--freq", "D"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with sales.csv (two shops, 120 days), later.csv (rows after the fitted ones) and future.csv."""
    place = tmp_path_factory.mktemp("options")
    generator = np.random.default_rng(0)
    shops = [
        pd.DataFrame(
            {
                "shop": shop,
                "day": pd.date_range("2024-01-01", periods=128),
                "sold": 20 + 5 * np.sin(np.arange(128) * 2 * np.pi / 7) + generator.normal(size=128),
                "price": generator.choice([0.8, 1.0], size=128),
                "region": f"region of {shop}",
                "kind": place_of,
            }
        )
        for place_of, shop in enumerate(("north", "south"))
    ]
    table = pd.concat(shops)
    table[table["day"] < "2024-04-30"].to_csv(place / "sales.csv", index=False)
    # The model is fitted to the first four fifths: its test rows and two days more are new to it.
    later = (table["day"] >= "2024-04-06") & (table["day"] < "2024-05-02")
    table[later].to_csv(place / "later.csv", index=False)
    table[table["day"] >= "2024-04-30"][["shop", "day", "price"]].to_csv(place / "future.csv", index=False)
    return place


@pytest.fixture(scope="module")
def model(folder) -> Path:
    """A model folder made with every option."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        out = folder / "model"
        more = [*ROLES, "--cv", "2", "--cv-step", "3", "--no-refit"]
        assert (
            call(monkeypatch, "fit", "forecast", folder / "sales.csv", "--out", out, *COLUMNS, *FAST, *more)
            == 0
        )
    return out


def test_cross_validation_lies_in_the_training_rows(model) -> None:
    table = pd.read_csv(model / "cross_validation.csv")
    assert table.columns.to_list()[:5] == ["unique_id", "ds", "cutoff", "y", "y_hat"]
    numbers = json.loads((model / "cross_validation.json").read_text())
    assert set(numbers["errors"]) == {"lstm", "last value", "seasonal naive", "Naive2", "DLinear"}
    metrics = json.loads((model / "metrics.json").read_text())
    assert table["ds"].max() < metrics["span"][0]
    assert table["cutoff"].nunique() == 2


def test_roles_reach_the_model_and_its_papers(model) -> None:
    loaded = Forecaster.load(model)
    assert loaded.future_covariates == ("price",)
    assert loaded.static_covariates == ("region",)
    assert loaded.categorical == ("kind",)
    page = (model / "report.html").read_text()
    assert "price" in page
    assert "region (category of 2)" in page
    assert "DLinear" in page


def test_predict_reads_what_is_known_of_the_future(model, folder, monkeypatch, capsys) -> None:
    common = ("predict", model, folder / "sales.csv", *COLUMNS)
    out = folder / "forecast.csv"
    assert call(monkeypatch, *common, "--future", folder / "future.csv", "--out", out) == 0
    assert pd.read_csv(out)["ds"].tolist()[:2] == ["2024-04-30", "2024-05-01"]
    capsys.readouterr()
    assert call(monkeypatch, *common) == 2
    assert "known for the future" in re.sub(r"\s+", " ", capsys.readouterr().err)
    assert call(monkeypatch, *common, "--future", folder / "sales.csv") == 2
    assert "'price' is missing in series 'north'" in re.sub(r"\s+", " ", capsys.readouterr().err)


def test_update_goes_on_from_later_rows(model, folder, monkeypatch, capsys) -> None:
    out = folder / "updated"
    assert call(monkeypatch, "update", model, folder / "later.csv", *COLUMNS, "--out", out) == 0
    assert "2024-05-01" in capsys.readouterr().err
    assert (out / "card.md").read_text() == (model / "card.md").read_text()
    known = pd.read_csv(folder / "future.csv").rename(columns={"shop": "unique_id", "day": "ds"})
    forecast = Forecaster.load(out).predict(future=known).to_pandas()
    assert str(forecast["ds"].min())[:10] == "2024-05-02"
    assert call(monkeypatch, "update", out, folder / "later.csv", *COLUMNS) == 2
    assert "known already" in re.sub(r"\s+", " ", capsys.readouterr().err)


def test_a_search_writes_what_it_found(folder, monkeypatch, capsys) -> None:
    pytest.importorskip("optuna")
    out = folder / "searched"
    arguments = ("fit", "forecast", folder / "sales.csv", "--out", out, *COLUMNS, *FAST, "--search", "2")
    assert call(monkeypatch, *arguments) == 0
    found = json.loads((out / "search.json").read_text())
    assert len(found["trials"]) == 2
    loaded = Forecaster.load(out).get_params()
    assert all(loaded[name] == value for name, value in found["parameters"].items())
    assert "Search:" in capsys.readouterr().out


def test_what_the_network_is_reaches_it(folder, monkeypatch) -> None:
    out = folder / "network"
    chosen = [
        "--architecture",
        "segrnn",
        "--loss",
        "relative",
        "--scaling",
        "log",
        "--revin",
        "--members",
        "2",
    ]
    more = [*FAST, *chosen, "--season-length", "7,14", "--sampling", "scale"]
    assert call(monkeypatch, "fit", "forecast", folder / "sales.csv", "--out", out, *COLUMNS, *more) == 0
    loaded = Forecaster.load(out)
    expected = {
        "architecture": "segrnn",
        "loss": "relative",
        "likelihood": "auto",
        "scaling": "log",
        "revin": True,
        "members": 2,
        "sampling": "scale",
        "season_length": (7, 14),
    }
    assert {name: loaded.get_params()[name] for name in expected} == expected
    assert loaded.fitted_.network.plan.architecture == "segrnn"


def test_settings_for_many_series_yield_to_what_is_given(folder, monkeypatch) -> None:
    out = folder / "many"
    more = [*FAST, "--many-series", "--season-length", "7,14", "--cell", "lstm"]
    assert call(monkeypatch, "fit", "forecast", folder / "sales.csv", "--out", out, *COLUMNS, *more) == 0
    found = Forecaster.load(out).get_params()
    given = {"cell": "lstm", "lookback": 12, "hidden_size": 4, "max_epochs": 1}
    assert found == Forecaster.many_series(4, (7, 14)).get_params() | given


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--many-series"], "--season-length 24,168"),
        (["--future", "cost"], "'cost'"),
        (["--static", "price"], "changes within series 'north'"),
        (["--categorical", "cost"], "'cost'"),
        (["--freq", "often"], "'often'"),
        (["--unseen", "guess"], "unseen"),
        (["--cv-step", "3"], "--cv WINDOWS"),
        (["--cv", "-1"], "--cv"),
        (["--cv", "90"], "window 1 of 90"),
        (["--search", "-1"], "--search"),
        (["--season-length", "week"], "--season-length"),
        (["--architecture", "tcn"], "architecture"),
        (["--loss", "huber"], "loss"),
        (["--likelihood", "poisson"], "likelihood"),
        (["--members", "0"], "members"),
        (["--architecture", "deepar", "--season-length", "7,14"], "season_length"),
        (["--test-start", "2024-04-28"], "no series has more than 2 rows"),
    ],
)
def test_errors_are_one_message_and_leave_no_folder(options, words, folder, monkeypatch, capsys) -> None:
    out = folder / "bad"
    arguments = ("fit", "forecast", folder / "sales.csv", "--out", out, *COLUMNS, *FAST, *options)
    assert call(monkeypatch, *arguments) == 2
    assert words in re.sub(r"\s+", " ", capsys.readouterr().err)
    assert not out.exists()


def test_the_folder_remembers_the_columns(model, folder, monkeypatch, capfd) -> None:
    """Said once to fit, the columns are not said again to predict, evaluate, inspect or update."""
    known = ["--future", folder / "future.csv"]
    assert call(monkeypatch, "predict", model, folder / "sales.csv", *known, *COLUMNS) == 0
    said = capfd.readouterr().out
    assert call(monkeypatch, "predict", model, folder / "sales.csv", *known) == 0
    assert capfd.readouterr().out == said
    assert call(monkeypatch, "evaluate", model, folder / "sales.csv") == 0
    other = folder / "updated"
    assert call(monkeypatch, "update", model, folder / "later.csv", "--out", other) == 0
    assert (other / "reading.json").read_bytes() == (model / "reading.json").read_bytes()
    capfd.readouterr()
    # What is said goes before what is remembered.
    assert call(monkeypatch, "predict", model, folder / "sales.csv", *known, "--target", "sould") == 2
    assert "--target" in capfd.readouterr().err
