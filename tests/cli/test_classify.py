"""`gatewise fit classify`, and predict and evaluate on its model folders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from gatewise.tasks import SequenceClassifier
from tests.cli.calling import call
from tests.tasks.classify.waves import table

COLUMNS = ["--id", "sensor", "--time", "clock", "--label", "kind"]
FAST = ["--hidden-size", "4", "--max-epochs", "2", "--missing", "mask"]
FILES = [
    "card.md",
    "config.json",
    "confusion.png",
    "metrics.json",
    "model.safetensors",
    "reading.json",
    "report.html",
    "run.json",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with waves.csv: 60 sensors at 10 sites."""
    place = tmp_path_factory.mktemp("classify")
    frame = table(60, gaps=0.1)
    frame.assign(site=frame["sensor"].str[1:].astype(int) // 6).to_csv(place / "waves.csv", index=False)
    return place


@pytest.fixture(scope="module")
def model(folder) -> Path:
    """A model folder made by the command."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        out = folder / "runs" / "waves"
        command = ("fit", "classify", folder / "waves.csv", "--out", out, *COLUMNS, *FAST, "--group", "site")
        assert call(monkeypatch, *command) == 0
    return out


def test_fit_writes_everything(model) -> None:
    assert sorted(path.name for path in model.iterdir() if path.is_file()) == FILES
    metrics = json.loads((model / "metrics.json").read_text())
    assert list(metrics["scores"]) == ["lstm", "majority class"]
    assert metrics["sequences"] % 6 == 0
    assert sum(map(sum, metrics["confusion"])) == metrics["labels"]
    assert "whole site each" in (model / "card.md").read_text()


def test_the_report_stands_alone(model) -> None:
    page = (model / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 4
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "http" not in page
    assert "<script" not in page
    metrics = json.loads((model / "metrics.json").read_text())
    assert metrics["verdict"].split(" (")[0].split(":")[0] in page
    for words in (
        "waves.csv",
        "majority class",
        "mode (3 categories)",
        "Temperature",
        "The model&#x27;s card",
        "Environment",
    ):
        assert words in page


def test_predict_writes_what_python_predicts(model, folder, monkeypatch, capfdbinary) -> None:
    out = folder / "classes.csv"
    assert call(monkeypatch, "predict", model, folder / "waves.csv", "--out", out) == 0
    written = pd.read_csv(out)
    assert written.columns.to_list() == ["sensor", "predicted", "p_fast", "p_slow"]
    frame = pd.read_csv(folder / "waves.csv").drop(columns=["site", "kind"])
    expected = SequenceClassifier.load(model).predict_table(frame)
    pd.testing.assert_frame_equal(written, expected, check_exact=False, rtol=1e-5)
    capfdbinary.readouterr()
    assert call(monkeypatch, "predict", model, folder / "waves.csv") == 0
    assert len(capfdbinary.readouterr().out.decode().splitlines()) == 61


def test_evaluate_counts_all_sequences(model, folder, monkeypatch, capsys) -> None:
    out = folder / "again.json"
    assert call(monkeypatch, "evaluate", model, folder / "waves.csv", "--group", "site", "--out", out) == 0
    assert json.loads(out.read_text())["sequences"] == 60
    assert "majority class" in capsys.readouterr().out


def test_a_test_file_of_ones_own_and_steps(folder, monkeypatch) -> None:
    frame = table(20).assign(kind=lambda f: (f["wave"] > 0).map({True: "up", False: "down"}))
    frame.to_parquet(folder / "steps.parquet")
    out = folder / "runs" / "steps"
    data = folder / "steps.parquet"
    command = ("fit", "classify", data, "--test", data, "--each-step", "--out", out, *COLUMNS, *FAST)
    assert call(monkeypatch, *command) == 0
    assert json.loads((out / "metrics.json").read_text())["labels"] == len(frame)


def test_the_same_run_again_is_refused_and_another_too(model, folder, monkeypatch, capsys) -> None:
    command = ("fit", "classify", folder / "waves.csv", "--out", model, *COLUMNS, *FAST, "--group", "site")
    assert call(monkeypatch, *command) == 2
    assert "this very run, finished" in capsys.readouterr().err
    assert call(monkeypatch, *command, "--cell", "gru") == 2
    assert "cell differ" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--id", "nobody"), "no column 'nobody'"),
        (("--label", "nothing"), "no column 'nothing'"),
        (("--group", "town"), "no column 'town'"),
        (("--ignore", "town"), "--ignore: "),
        (("--test-share", "1"), "--test-share: a number above 0 and below 1"),
        (("--cell", "lstn"), "lstn"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(folder, monkeypatch, capsys, change, words) -> None:
    out = folder / "runs" / "never"
    command = ("fit", "classify", folder / "waves.csv", "--out", out, *COLUMNS, *FAST, *change)
    assert call(monkeypatch, *command) == 2
    error = capsys.readouterr().err
    assert words in error.replace("\n", " ")
    assert "Traceback" not in error
    assert not out.exists()
