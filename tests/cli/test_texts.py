"""`gatewise fit translate` and `fit summarize`, and predict and evaluate on their model folders."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gatewise.tasks import Translator
from tests.cli.calling import call
from tests.tasks.seq2seq.languages import replaced, sentences

FAST = ["--tokens", "word", "--hidden-size", "16", "--learning-rate", "0.02", "--dropout", "0", "--batch-size", "16",
        "--feeding", "none", "--attention", "general", "--beam-size", "2"]  # fmt: skip
FILES = [
    "attention.png",
    "card.md",
    "config.json",
    "metrics.json",
    "model.safetensors",
    "reading.json",
    "report.html",
    "run.json",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with 160 pairs as two files and as JSON lines."""
    place = tmp_path_factory.mktemp("texts")
    texts = sentences(160, longest=4)
    (place / "a.de").write_text("\n".join(texts) + "\n", encoding="utf-8")
    (place / "a.en").write_text("\n".join(replaced(texts)) + "\n", encoding="utf-8")
    rows = [
        json.dumps({"body": one, "subject": other}) for one, other in zip(texts, replaced(texts), strict=True)
    ]
    (place / "mails.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def model(folder) -> Path:
    """A model folder made by the command."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        out = folder / "runs" / "de-en"
        command = (
            "fit",
            "translate",
            folder / "a.de",
            folder / "a.en",
            "--out",
            out,
            *FAST,
            "--max-epochs",
            "4",
        )
        assert call(monkeypatch, *command) == 0
    return out


def test_fit_writes_everything(model) -> None:
    assert sorted(path.name for path in model.iterdir() if path.is_file()) == FILES
    metrics = json.loads((model / "metrics.json").read_text())
    assert list(metrics["scores"]) == ["gru", "copy of the source", "word by word (IBM model 1)"]
    assert metrics["pairs"] + Translator.load(model).fitted_.target_words > 0
    assert "sacrebleu" not in metrics["signatures"]["BLEU"]
    assert "version:" in metrics["signatures"]["BLEU"]
    assert "those that gave the test scores are not among them" in (model / "card.md").read_text()


def test_the_report_stands_alone(model) -> None:
    page = (model / "report.html").read_text()
    # Three maps of attention, and the training.
    assert page.count("data:image/svg+xml;base64,") == 4
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "http" not in page
    assert "<script" not in page
    for words in (
        "a.de",
        "What it says badly",
        "copy of the source",
        "tok:13a",
        "does not beat",
        "Environment",
    ):
        assert words in page


def test_predict_writes_what_python_says(model, folder, monkeypatch, capfdbinary) -> None:
    out = folder / "said.txt"
    assert call(monkeypatch, "predict", model, folder / "a.de", "--out", out) == 0
    texts = (folder / "a.de").read_text().splitlines()
    expected = Translator.load(model).predict(texts)
    assert out.read_text().splitlines() == expected
    capfdbinary.readouterr()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(f"{texts[0]}\n".encode())))
    assert call(monkeypatch, "predict", model, "-", "--n-best", "2") == 0
    row = json.loads(capfdbinary.readouterr().out)
    assert row["source"] == texts[0]
    assert row["target"] == expected[0] == row["best"][0]["text"]
    assert len(row["best"]) == 2


def test_evaluate_prints_the_table(model, folder, monkeypatch, capsys) -> None:
    out = folder / "again.json"
    command = ("evaluate", model, folder / "a.de", "--targets", folder / "a.en", "--out", out)
    assert call(monkeypatch, *command) == 0
    assert json.loads(out.read_text())["pairs"] == 160
    printed = capsys.readouterr().out
    assert "copy of the source" in printed
    assert "tok:13a" in printed


def test_summaries_from_json_lines(folder, monkeypatch, capsys) -> None:
    out, data = folder / "runs" / "subjects", folder / "mails.jsonl"
    columns = ("--source-column", "body", "--target-column", "subject")
    command = (
        "fit",
        "summarize",
        data,
        "--out",
        out,
        "--test",
        data,
        data,
        *columns,
        *FAST,
        "--max-epochs",
        "1",
    )
    command = tuple("additive" if part == "general" else part for part in command)
    assert call(monkeypatch, *command) == 0
    assert json.loads((out / "metrics.json").read_text())["pairs"] == 160
    assert "longest noun-like word" in capsys.readouterr().out
    assert call(monkeypatch, "evaluate", out, data, *columns) == 0


def test_the_same_run_again_is_refused_and_another_too(model, folder, monkeypatch, capsys) -> None:
    command = (
        "fit",
        "translate",
        folder / "a.de",
        folder / "a.en",
        "--out",
        model,
        *FAST,
        "--max-epochs",
        "4",
    )
    assert call(monkeypatch, *command) == 2
    assert "this very run, finished" in capsys.readouterr().err
    assert call(monkeypatch, *command, "--cell", "lstm") == 2
    assert "cell differ" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"one\n", "has 160 lines and"),
        (b"one\n\n" * 80, "line 2: it is blank"),
        (b"caf\xe9\n" * 160, "line 1: it is not UTF-8"),
    ],
    ids=["lines", "blank", "latin1"],
)
def test_files_that_cannot_be_used_are_said_in_one_line(folder, content, words, monkeypatch, capsys) -> None:
    (folder / "bad.en").write_bytes(content)
    out = folder / "runs" / "never"
    assert call(monkeypatch, "fit", "translate", folder / "a.de", folder / "bad.en", "--out", out, *FAST) == 2
    error = capsys.readouterr().err
    assert words in error.replace("\n", " ")
    assert "Traceback" not in error
    assert not out.exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("predict", "--horizon", "3"), "--horizon: a model of kind translator has no use"),
        (("evaluate", "--label", "x"), "--label: a model of kind translator has no use"),
        (("evaluate",), "name the file with the targets too"),
    ],
)
def test_what_makes_no_sense_is_said(model, folder, command, words, monkeypatch, capsys) -> None:
    name, *options = command
    assert call(monkeypatch, name, model, folder / "a.de", *options) == 2
    assert words in capsys.readouterr().err.replace("\n", " ")
