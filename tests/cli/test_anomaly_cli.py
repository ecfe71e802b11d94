"""The detector's commands, as a shell sees them: output, files, exit codes, and a stream that loses nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gatewise.tasks import AnomalyDetector
from tests.cli.calling import call

FAST = ["--hidden-size", "4", "--max-epochs", "2", "--lookback", "16"]
FILES = [
    "card.md",
    "config.json",
    "metrics.json",
    "model.safetensors",
    "reading.json",
    "report.html",
    "run.json",
]
SPIKES = (320, 360)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with machine.csv: 400 rows of two channels, a column of marks, two spikes; and spans.json."""
    place = tmp_path_factory.mktemp("anomaly")
    generator = np.random.default_rng(0)
    phase = np.arange(400) * 0.4
    stamps = pd.date_range("2024-01-01", periods=400, freq="5min")
    load, heat = (np.sin(phase + shift) + 0.05 * generator.normal(size=400) for shift in (0, 1))
    load[list(SPIKES)] += 5
    marks = np.isin(np.arange(400), SPIKES).astype(int)
    table = pd.DataFrame({"when": stamps, "load": load, "heat": heat, "fault": marks, "row": range(400)})
    table.to_csv(place / "machine.csv", index=False)
    spans = {"group/machine.csv": [[str(stamps[row])] * 2 for row in SPIKES]}
    (place / "spans.json").write_text(json.dumps(spans))
    return place


COLUMNS = ["--time", "when", "--ignore", "row"]


@pytest.fixture(scope="module")
def model(folder) -> Path:
    """A model folder made by the command."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        out = folder / "runs" / "machine"
        given = ("fit", "anomaly", folder / "machine.csv", "--out", out, *COLUMNS, "--labels", "fault", *FAST)
        assert call(monkeypatch, *given) == 0
    return out


def test_fit_writes_everything(model) -> None:
    assert sorted(path.name for path in model.iterdir() if path.is_file()) == FILES
    metrics = json.loads((model / "metrics.json").read_text())
    assert set(metrics["methods"]) == {"lstm", "windowed Gaussian", "last value"}
    assert (metrics["rows"], metrics["labelled_events"]) == (200, 2)
    assert metrics["span"][0] == "2024-01-01 16:40"
    detector = AnomalyDetector.load(model)
    assert detector.fitted_.columns == ("load", "heat")
    page = (model / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "http" not in page
    assert metrics["verdict"].split(" (")[0].split(":")[0].replace("'", "&#x27;") in page
    assert "all rows before 2024-01-01 16:40" in (model / "card.md").read_text()


def test_the_same_run_again(model, folder, monkeypatch, capsys) -> None:
    again = ("fit", "anomaly", folder / "machine.csv", "--out", model, *COLUMNS, "--labels", "fault", *FAST)
    assert call(monkeypatch, *again) == 2
    assert "this very run, finished" in capsys.readouterr().err
    assert call(monkeypatch, *again, "--seed", 1) == 2
    assert "random_state differ" in capsys.readouterr().err


def test_predict_writes_what_python_says(model, folder, monkeypatch, capfdbinary) -> None:
    out = folder / "scores.csv"
    common = ("predict", model, folder / "machine.csv", "--time", "when")
    assert call(monkeypatch, *common, "--out", out) == 0
    written = pd.read_csv(out)
    assert written.columns.to_list() == ["ds", "score", "threshold", "alarm", "blame_load", "blame_heat"]
    table = pd.read_csv(folder / "machine.csv").rename(columns={"when": "ds"})[["ds", "load", "heat"]]
    expected = AnomalyDetector.load(model).anomaly_scores(table)
    np.testing.assert_allclose(written["score"], expected, rtol=1e-6, atol=1e-9)
    capfdbinary.readouterr()
    assert call(monkeypatch, *common) == 0
    assert len(capfdbinary.readouterr().out.decode().splitlines()) == 401
    assert call(monkeypatch, *common, "--horizon", 3) == 2
    assert "--horizon: a model of kind anomaly-detector has no use" in capfdbinary.readouterr().err.decode()


@pytest.mark.parametrize("labels", ["fault", "spans.json", "spans.csv"])
def test_evaluate_repeats_the_fits_numbers(model, folder, monkeypatch, capsys, labels) -> None:
    spans = json.loads((folder / "spans.json").read_text())["group/machine.csv"]
    pd.DataFrame(spans, columns=["first", "last"]).to_csv(folder / "spans.csv", index=False)
    out = folder / "again.json"
    given = labels if labels == "fault" else folder / labels
    assert (
        call(
            monkeypatch, "evaluate", model, folder / "machine.csv", "--time", "when", "--labels", given, "--start",
            "2024-01-01 16:40", "--out", out,
        )
        == 0
    )  # fmt: skip
    again, first = (json.loads(path.read_text()) for path in (out, model / "metrics.json"))
    assert again["methods"] == first["methods"]
    assert "windowed Gaussian" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit", "anomaly", "nowhere.csv", "--out", "x"), "there is no file"),
        (("fit", "anomaly", "MACHINE", "--out", "x"), "no column of stamps"),
        (("fit", "anomaly", "MACHINE", "--out", "x", "--time", "then"), "no column 'then'"),
        (("fit", "anomaly", "MACHINE", "--out", "x", *COLUMNS, "--channels", "cold"), "no column 'cold'"),
        (("fit", "anomaly", "MACHINE", "--out", "x", *COLUMNS, "--labels", "nope"), "neither a column"),
        (("fit", "anomaly", "MACHINE", "--out", "x", *COLUMNS, "--labels", "OTHER"), "labels do not match"),
        (
            ("fit", "anomaly", "MACHINE", "--out", "x", *COLUMNS, "--likelihood", "many"),
            "two numbers of rows",
        ),
        (("fit", "anomaly", "MACHINE", "--out", "x", *COLUMNS, "--threshold", "best"), "threshold: one of"),
        (("fit", "anomaly", "MACHINE", "--out", "x", *COLUMNS, "--test-start", "2030-01-01"), "no rows"),
        (("watch", "x"), "no model folder"),
    ],
)
def test_errors_are_one_message_and_code_two(arguments, words, folder, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"group/other.csv": []}))
    known = {"MACHINE": str(folder / "machine.csv"), "OTHER": str(other)}
    assert call(monkeypatch, *(known.get(a, a) for a in arguments)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert not (tmp_path / "x").exists()


# --- watch


def rows(folder: Path) -> list[str]:
    """The lines of a stream: stamp, load, heat."""
    table = pd.read_csv(folder / "machine.csv")
    return table[["when", "load", "heat"]].to_csv(index=False).splitlines()


def watch(*arguments: object, **options) -> subprocess.Popen:
    """Start the command."""
    command = [sys.executable, "-m", "gatewise.cli", "watch", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
        **options,
    )


def expected_alarms(model: Path, folder: Path) -> list[str]:
    table = pd.read_csv(folder / "machine.csv").rename(columns={"when": "ds"})[["ds", "load", "heat"]]
    return table["ds"][AnomalyDetector.load(model).predict(table) == -1].to_list()


def test_rows_from_standard_input(model, folder) -> None:
    lines = rows(folder)
    lines[100:100] = ["2024-01-01 08:14:00,wrong,0.1", "too,few"]
    running = watch(model, "--json", "--time", "when")
    out, err = running.communicate("\n".join(lines) + "\n", timeout=200)
    told = [json.loads(line) for line in out.splitlines()]
    assert running.returncode == 0
    assert [one["time"] for one in told] == expected_alarms(model, folder)
    spike = next(one for one in told if one["time"] == pd.read_csv(folder / "machine.csv")["when"][SPIKES[0]])
    assert max(spike["blame"], key=spike["blame"].get) == "load"
    assert "line 101 is left out: column 'load': a number is expected, came 'wrong'" in err
    assert "line 102 is left out: 3 values are expected" in err
    assert "400 rows" in err


def test_bare_values_and_plain_text(model, folder) -> None:
    bare = [line.split(",", 1)[1] for line in rows(folder)[1:]]
    running = watch(model)
    out, _ = running.communicate("\n".join(bare) + "\n", timeout=200)
    assert len(out.splitlines()) == len(expected_alarms(model, folder))
    assert re.match(r"ALARM  row \d+  score \S+  threshold \S+  load, heat|heat, load", out)


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_a_growing_file_and_ctrl_c_and_on_again(model, folder, tmp_path) -> None:
    lines, file, state = rows(folder), tmp_path / "growing.csv", tmp_path / "state"
    file.write_text("\n".join(lines[:340]) + "\n")
    first = watch(model, file, "--json", "--state", state, "--time", "when")
    alarm = json.loads(first.stdout.readline())  # told while the file is still watched
    with file.open("a") as more:
        more.write("\n".join(lines[340:350]) + "\n" + lines[350][:9])  # the last line is not whole yet
        more.flush()
        time.sleep(1.0)
        first.send_signal(signal.SIGINT)
        first.wait(timeout=200)  # communicate would pass over what readline has buffered
        out, err = first.stdout.read(), first.stderr.read()
        assert first.returncode == 130, err
        assert "349 rows" in err
        more.write(lines[350][9:] + "\n" + "\n".join(lines[351:]) + "\n")
    told = [alarm, *(json.loads(line) for line in out.splitlines())]
    second = watch(model, file, "--json", "--state", state, "--once", "--time", "when")
    out, err = second.communicate(timeout=200)
    told += [json.loads(line) for line in out.splitlines()]
    assert second.returncode == 0, err
    assert "51 rows" in err
    assert [one["time"] for one in told] == expected_alarms(model, folder)


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_what_came_before_ctrl_c_is_not_lost(model, folder) -> None:
    running = watch(model, "--json", "--all", "--time", "when")
    running.stdin.write("\n".join(rows(folder)) + "\n")
    running.stdin.flush()
    running.stdout.readline()  # it runs
    os.kill(running.pid, signal.SIGINT)
    # communicate would pass over what readline has buffered; unread, a full pipe would hold the command up.
    out, err = running.stdout.read(), running.stderr.read()
    running.wait(timeout=200)
    assert running.returncode == 130, err
    assert len(out.splitlines()) == 399


def test_a_state_of_another_model_is_refused(model, folder, tmp_path) -> None:
    state = tmp_path / "state"
    state.write_text(json.dumps({"format": "gatewise.watch", "version": 1, "model": "other", "streams": {}}))
    running = watch(model, "--state", state)
    _, err = running.communicate("1,2\n", timeout=200)
    assert running.returncode == 2
    assert "belongs to another model" in err
