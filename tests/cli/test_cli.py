"""The command line, as a shell sees it: output, files, exit codes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gatewise import cells
from tests.cli.calling import call

FAST = ["--hidden-size", "4", "--max-epochs", "1", "--horizon", "4", "--lookback", "12"]
FILES = [
    "card.md",
    "config.json",
    "forecast.png",
    "metrics.json",
    "model.safetensors",
    "reading.json",
    "report.html",
    "run.json",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with sales.csv: two shops, 200 days."""
    place = tmp_path_factory.mktemp("cli")
    days = pd.date_range("2024-01-01", periods=200)
    generator = np.random.default_rng(0)
    shops = [
        pd.DataFrame(
            {
                "shop": shop,
                "day": days,
                "sold": 20 + 5 * np.sin(np.arange(200) * 2 * np.pi / 7) + generator.normal(size=200),
                "row": range(200),
                "promotion": generator.choice(["none", "leaflet"], size=200),
            }
        )
        for shop in ("north", "south")
    ]
    pd.concat(shops).to_csv(place / "sales.csv", index=False)
    return place


COLUMNS = ["--id", "shop", "--time", "day", "--target", "sold", "--ignore", "row"]


@pytest.fixture(scope="module")
def model(folder) -> Path:
    """A model folder made by the command."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        out = folder / "runs" / "first"
        assert call(monkeypatch, "fit", "forecast", folder / "sales.csv", "--out", out, *COLUMNS, *FAST) == 0
    return out


def test_fit_writes_everything(model) -> None:
    assert sorted(path.name for path in model.iterdir() if path.is_file()) == FILES
    assert (model / "checkpoints").is_dir()
    metrics = json.loads((model / "metrics.json").read_text())
    assert set(metrics["errors"]) == {"lstm", "last value", "seasonal naive", "Naive2", "DLinear"}
    assert metrics["span"][0] == "2024-06-09 00:00"
    assert metrics["windows"] == 2 * 37
    card = (model / "card.md").read_text()
    assert "all rows before 2024-06-09" in card
    assert "promotion (category of 2)" in card


def test_the_report_stands_alone(model) -> None:
    page = (model / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 6
    # Nothing is fetched: no address but the names of XML dialects inside the pictures, which are encoded.
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "http" not in page
    assert "<script" not in page
    metrics = json.loads((model / "metrics.json").read_text())
    assert metrics["verdict"].split(" (")[0].replace("'", "&#x27;") in page
    for words in ("all rows before 2024-06-09", "sales.csv", "seasonal naive", "Environment"):
        assert words in page


def test_predict_writes_what_python_predicts(model, folder, monkeypatch, capfdbinary) -> None:
    out = folder / "forecast.csv"
    common = ("predict", model, folder / "sales.csv", *COLUMNS)
    assert call(monkeypatch, *common, "--out", out) == 0
    written = pd.read_csv(out)
    assert written.columns.to_list() == ["unique_id", "ds", "y_hat", "q0.1", "q0.5", "q0.9"]
    assert written["ds"].tolist()[:2] == ["2024-07-19", "2024-07-20"]
    capfdbinary.readouterr()
    assert call(monkeypatch, *common, "--horizon", "1") == 0
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert len(lines) == 3
    assert lines[1].startswith('"north",2024-07-19')


def test_evaluate_repeats_the_fits_numbers(model, folder, monkeypatch, capsys) -> None:
    out = folder / "again.json"
    assert call(monkeypatch, "evaluate", model, folder / "sales.csv", *COLUMNS, "--out", out) == 0
    again, first = (json.loads(path.read_text()) for path in (out, model / "metrics.json"))
    assert again["errors"] == first["errors"]
    assert "last value" in capsys.readouterr().out


def test_a_folder_that_is_there(model, folder, monkeypatch, capsys) -> None:
    again = ("fit", "forecast", folder / "sales.csv", "--out", model, *COLUMNS, *FAST)
    assert call(monkeypatch, *again) == 2
    assert "this very run, finished" in capsys.readouterr().err
    assert call(monkeypatch, *again, "--seed", "1") == 2
    assert "another run (random_state differ)" in capsys.readouterr().err
    other = folder / "other"
    other.mkdir()
    (other / "letter.txt").write_text("keep me")
    assert call(monkeypatch, "fit", "forecast", folder / "sales.csv", "--out", other, *COLUMNS, *FAST) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert call(monkeypatch, *again[:4], other, *COLUMNS, *FAST, "--overwrite") == 0
    assert (other / "letter.txt").read_text() == "keep me"
    assert (other / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit", "forecast", "nowhere.csv", "--out", "x"), "neither a file nor an example"),
        (("fit", "forecast", "SALES", "--out", "x"), "no column 'ds'"),
        (("fit", "forecast", "SALES", "--out", "x", "--time", "days"), "no column 'days'"),
        (("fit", "forecast", "SALES", "--out", "x", "--ignore", "none"), "no column 'none'"),
        (("fit", "forecast", "SALES", "--out", "x", *COLUMNS, "--cell", "lstmm"), "lstm_peephole"),
        (("fit", "forecast", "SALES", "--out", "x", *COLUMNS, "--horizon", "0"), "horizon"),
        (("fit", "forecast", "SALES", "--out", "x", *COLUMNS, "--quantiles", "a,b"), "--quantiles"),
        (("fit", "forecast", "SALES", "--out", "x", *COLUMNS, "--test-start", "2030-01-01"), "--test-start"),
        (("fit", "forecast", "SALES", "--out", "x", *COLUMNS[2:]), "two rows"),
        (("fit", "forecast", "SALES", "--out", "SALES", *COLUMNS), "is a file"),
        (("fit", "forecast", "beijing-air", "--out", "x", "--time", "day"), "names its columns itself"),
        (("predict", "nowhere", "SALES"), "no model folder"),
        (("predict", "MODEL", "SALES", "--time", "days"), "no column 'days'"),
        (("predict", "MODEL", "SALES", *COLUMNS, "--horizon", "5"), "1 to 4"),
        (("predict", "MODEL", "SALES", *COLUMNS, "--out", "f.xlsx"), ".xlsx"),
        (("predict", "MODEL", "SALES", *COLUMNS, "--out", "no/such/folder/f.csv"), "No such file"),
        (("evaluate", "MODEL", "SALES", *COLUMNS, "--start", "soon"), "'soon'"),
        (("cells", "show", "lstmm"), "lstm_peephole"),
        (("fit", "forecast"), "Missing"),
        (("fly",), "fly"),
    ],
)
def test_errors_are_one_message_and_code_2(arguments, words, model, folder, monkeypatch, capsys) -> None:
    monkeypatch.chdir(folder)
    names = {"SALES": str(folder / "sales.csv"), "MODEL": str(model)}
    assert call(monkeypatch, *(names.get(one, one) for one in arguments)) == 2
    shown = capsys.readouterr().err
    assert words in re.sub(r"\s+", " ", shown)
    assert "Traceback" not in shown


def test_debug_shows_the_traceback(monkeypatch) -> None:
    from gatewise.errors import StoreError

    with pytest.raises(StoreError):
        call(monkeypatch, "--debug", "predict", "nowhere", "nowhere")
    call(monkeypatch, "--version")


def test_a_bad_call_leaves_no_folder_behind(folder, monkeypatch) -> None:
    out = folder / "bad"
    assert (
        call(monkeypatch, "fit", "forecast", folder / "sales.csv", "--out", out, *COLUMNS, "--cell", "x") == 2
    )
    assert not out.exists()


def test_version_and_help(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "--version") == 0
    assert re.fullmatch(r"gatewise \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)
    for command in ((), ("fit", "forecast"), ("predict",), ("update",), ("evaluate",), ("cells",)):
        assert call(monkeypatch, *command, "--help") == 0
        assert "gatewise" in capsys.readouterr().out


def test_cells_are_listed_and_shown(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "cells") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in cells.names())
    assert call(monkeypatch, "cells", "show", "lstm") == 0
    shown = capsys.readouterr().out
    assert "Hochreiter" in shown
    assert "weight_hh" in shown
    assert "tanh" in shown


def test_ctrl_c_keeps_the_best_and_the_run_goes_on(folder, model) -> None:
    out = folder / "stopped"
    command = [
        sys.executable, "-m", "gatewise.cli", "fit", "forecast", str(folder / "sales.csv"), "--out", str(out),
        *COLUMNS, *FAST, "--max-epochs", "6",
    ]  # fmt: skip
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    for line in running.stderr:
        if line.startswith("epoch 2"):
            running.send_signal(signal.SIGINT)
            break
    rest = running.stderr.read()
    assert running.wait() == 130, rest
    assert "goes on" in rest
    stopped = json.loads((out / "metrics.json").read_text())
    assert stopped["stopped"] == "interrupted"
    assert 2 <= stopped["epochs"] < 6
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "resumed after step" in done.stderr
    assert json.loads((out / "metrics.json").read_text())["epochs"] == 6
