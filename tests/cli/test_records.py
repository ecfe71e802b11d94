"""`gatewise fit records`, and predict and evaluate on its model folders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gatewise.data import read_table
from gatewise.tasks.recipes import RecordDetector
from tests.cli.calling import call

FILES = [
    "card.md",
    "config.json",
    "metrics.json",
    "model.safetensors",
    "reading.json",
    "report.html",
    "run.json",
]
COLUMNS = [
    "--entity",
    "host",
    "--time",
    "at",
    "--miss-cost",
    "bytes",
    "--alarm-cost",
    "30",
    "--ignore",
    "note",
]
FAST = ["--hidden-size", "4", "--max-epochs", "1", "--window", "8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with logins.csv: 20 hosts, attacks of two kinds among their records."""
    place = tmp_path_factory.mktemp("records")
    generator = np.random.default_rng(0)
    kind = generator.choice(["normal", "guessing", "flooding"], 600, p=[0.8, 0.1, 0.1])
    frame = pd.DataFrame(
        {
            "host": [f"host {number}" for number in generator.integers(20, size=600)],
            "at": np.arange(600),
            "bytes": np.where(kind == "flooding", 900.0, 90.0) + generator.integers(50, size=600),
            "outcome": np.where((kind == "guessing") | (generator.random(600) < 0.1), "failed", "passed"),
            "note": "nothing",
            "label": kind,
        }
    )
    frame.to_csv(place / "logins.csv", index=False)
    return place


@pytest.fixture(scope="module")
def model(folder) -> Path:
    """A model folder made by the command."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        out = folder / "runs" / "logins"
        assert call(monkeypatch, "fit", "records", folder / "logins.csv", "--out", out, *COLUMNS, *FAST) == 0
    return out


def test_fit_writes_everything(model, folder) -> None:
    assert sorted(path.name for path in model.iterdir() if path.is_file()) == FILES
    metrics = json.loads((model / "metrics.json").read_text())
    assert list(metrics["scores"]) == ["lstm", "never an alarm", "always an alarm"]
    assert set(metrics["by_kind"]) == {"guessing", "flooding"}
    # Whole hosts are tested on: the count is that of some hosts' records.
    counts = pd.read_csv(folder / "logins.csv")["host"].value_counts()
    assert counts.min() < metrics["records"] < len(counts) * counts.max() / 2
    assert "whole hosts" in (model / "card.md").read_text()


def test_the_report_stands_alone(model) -> None:
    page = (model / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 5
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "http" not in page
    assert "<script" not in page
    verdict = json.loads((model / "metrics.json").read_text())["verdict"]
    for words in (
        verdict.split(":")[0],
        "logins.csv",
        "never an alarm",
        "guessing",
        "probability times loss",
    ):
        assert words in page


def test_predict_writes_what_python_predicts(model, folder, monkeypatch, capfdbinary) -> None:
    out = folder / "alarms.csv"
    assert call(monkeypatch, "predict", model, folder / "logins.csv", "--out", out) == 0
    written = pd.read_csv(out)
    assert written.columns.to_list() == ["row", "host", "at", "probability", "alarm"]
    table = read_table(folder / "logins.csv").drop_columns(["note"])
    detector = RecordDetector.load(model)
    np.testing.assert_allclose(written["probability"], detector.predict_proba(table), rtol=1e-5)
    np.testing.assert_array_equal(written["alarm"], detector.predict(table))
    capfdbinary.readouterr()
    assert call(monkeypatch, "predict", model, folder / "logins.csv") == 0
    assert len(capfdbinary.readouterr().out.decode().splitlines()) == 601


def test_evaluate_counts_all_records(model, folder, monkeypatch, capsys) -> None:
    out = folder / "again.json"
    assert call(monkeypatch, "evaluate", model, folder / "logins.csv", "--out", out) == 0
    assert json.loads(out.read_text())["records"] == 600
    assert "always an alarm" in capsys.readouterr().out


def test_a_test_file_and_records_that_stand_alone(folder, monkeypatch, capsys) -> None:
    out = folder / "runs" / "alone"
    data = folder / "logins.csv"
    options = [
        "--ignore",
        "note",
        "--ignore",
        "host",
        "--ignore",
        "at",
        "--rule",
        "balanced",
        "--held-back",
        "kinds",
    ]
    command = (
        "fit",
        "records",
        data,
        "--test",
        data,
        "--out",
        out,
        *options,
        *FAST[:4],
        "--novelty",
        "--binned",
    )
    assert call(monkeypatch, *command, "--members", "2") == 0
    assert json.loads((out / "metrics.json").read_text())["records"] == 600
    card = (out / "card.md").read_text()
    assert "2 classifiers, each spared another fold of the kinds" in card
    assert "a density of the harmless records" in card
    capsys.readouterr()
    assert call(monkeypatch, *command, "--members", "2") == 2
    assert "this very run, finished" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--entity", "card"], "--entity: .* has no column 'card'"),
        (["--label", "verdict"], "--label: .* has no column 'verdict'"),
        (["--miss-cost", "amount"], "--miss-cost: .* has no column 'amount'"),
        (["--ignore", "remark"], "--ignore: .* has no column 'remark'"),
        (["--usual", "harmless"], "came only others"),
        (["--rule", "always"], "rule: one of"),
        (["--test-share", "1.5"], "--test-share: a number above 0 and below 1"),
        (["--members", "0"], "members: at least 1"),
        (["--cell", "gru_d", "--novelty"], "novelty: a cell that reads one input"),
        (["--held-back", "kinds", "--members", "9"], "needs at least 9 kinds"),
    ],
)
def test_what_cannot_be_done_is_one_clear_error(folder, monkeypatch, capsys, options, words) -> None:
    out = folder / "refused"
    assert call(monkeypatch, "fit", "records", folder / "logins.csv", "--out", out, *FAST[:4], *options) == 2
    assert re.search(words, capsys.readouterr().err.replace("\n", " "))
    assert not out.exists()


def test_options_of_other_models_are_refused(model, folder, monkeypatch, capsys) -> None:
    assert call(monkeypatch, "predict", model, folder / "logins.csv", "--horizon", "3") == 2
    assert "--horizon: a model of kind record-detector has no use" in capsys.readouterr().err
