"""`gatewise compare`: from one configuration file to a report, and on from where it was stopped."""

from __future__ import annotations

import json
import signal
import sys
import tomllib
from pathlib import Path

import pytest

from gatewise.cli.app import main
from gatewise.compare import EXAMPLE, learning

CONFIG = """
title = "Two cells"
cells = ["rnn_tanh", "gru"]
seeds = 1
budget = { parameters = 300, steps = 6 }
training = { validate_every = 3, batch_size = 4 }

[[problem]]
kind = "adding"
steps = 5
"""


def call(monkeypatch, *arguments: object) -> int:
    """Run a command in this process; the exit code."""
    monkeypatch.setattr(sys, "argv", ["gatewise", "compare", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    return 0 if caught.value.code is None else int(caught.value.code)


@pytest.fixture
def config(tmp_path) -> Path:
    file = tmp_path / "two.toml"
    file.write_text(CONFIG)
    return file


def test_the_example_is_printed(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "--example") == 0
    assert capsys.readouterr().out == EXAMPLE
    assert tomllib.loads(EXAMPLE)["cells"]


def test_from_a_file_to_a_report(monkeypatch, capsys, config, tmp_path) -> None:
    assert call(monkeypatch, config, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr()
    for words in (
        "adding, 5 steps",
        "mean squared error",
        "always 1",
        "one seed each",
        "report.html (open this)",
    ):
        assert words in printed.out
    assert "[1/2] adding, 5 steps · rnn_tanh · seed 0: not solved, mean squared error" in printed.err
    assert "left" in printed.err
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["done"] == 2
    assert call(monkeypatch, config, "--out", tmp_path / "out") == 0
    assert "2 of 2 runs are done already" in capsys.readouterr().err
    assert len((tmp_path / "out" / "results.jsonl").read_text().splitlines()) == 2


def test_figures_for_a_paper(monkeypatch, capsys, config, tmp_path) -> None:
    figures = tmp_path / "paper" / "figures"
    assert call(monkeypatch, config, "--out", tmp_path / "out", "--figures", figures) == 0
    assert f"3 pictures written to {figures}" in capsys.readouterr().out
    names = [
        "adding-5-steps-learning-curves", "adding-5-steps-values-of-all-seeds-in-the-end",
        "adding-5-steps-what-of-a-gradient-arrives-by-lag",
    ]  # fmt: skip
    assert {one.name for one in figures.iterdir()} == {
        f"{n}.{form}" for n in names for form in ("pdf", "png")
    }
    assert call(monkeypatch, config, "--out", tmp_path / "other", "--figures", config) == 2
    assert "two.toml" in capsys.readouterr().err.replace("\n", "")
    assert not (tmp_path / "other").exists()  # said before anything was trained


def test_ctrl_c_and_on(monkeypatch, capsys, config, tmp_path, ctrl_c_is_heard) -> None:
    before, seen = learning.ProblemSource.batch, []

    def batch(source, epoch, step):
        seen.append(step)
        if len(seen) == 8:
            signal.raise_signal(signal.SIGINT)
        return before(source, epoch, step)

    monkeypatch.setattr(learning.ProblemSource, "batch", batch)
    assert call(monkeypatch, config, "--out", tmp_path / "out") == 130
    printed = capsys.readouterr()
    assert "the same command goes on from here" in printed.err
    assert "1 of 2 runs are not done yet" in printed.out
    assert call(monkeypatch, config, "--out", tmp_path / "out", "--quiet") == 0
    assert len(seen) == 12
    assert capsys.readouterr().err == ""


def test_mistakes_end_it_with_one_message(monkeypatch, capsys, config, tmp_path) -> None:
    config.write_text(CONFIG.replace("gru", "gruu"))
    assert call(monkeypatch, config, "--out", tmp_path / "out") == 2
    assert "cells: 'gruu' is not known; did you mean 'gru'" in capsys.readouterr().err.replace("\n", " ")
    assert call(monkeypatch, config) == 2
    assert "a configuration and --out are expected" in capsys.readouterr().err
    assert call(monkeypatch, tmp_path / "none.toml", "--out", tmp_path / "out") == 2
    assert "gatewise compare --example" in capsys.readouterr().err
