"""Text classifiers saved and loaded, by Python and by the command line."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gatewise.errors import StoreError
from gatewise.store import load_model, save_model
from gatewise.tasks import TextClassifier
from tests.cli.calling import call
from tests.tasks.text_classification.films import films, small

FAST = ["--hidden-size", "8", "--word-size", "8", "--max-epochs", "2"]
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
def model() -> TextClassifier:
    """A classifier with its baselines."""
    return small(max_epochs=1).fit(*films(60))


def test_a_loaded_classifier_says_the_same(model, tmp_path) -> None:
    model.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model")
    texts, labels = films(20, seed=1)
    np.testing.assert_array_equal(loaded.predict_proba(texts), model.predict_proba(texts))
    assert loaded.evaluate(texts, labels).to_dict() == model.evaluate(texts, labels).to_dict()
    assert loaded.history_ == model.history_


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("words", "the vocabulary does not match the model"),
        ("classes", "classes' numbers"),
        ("tokenizer", ""),
        ("kind", ""),
    ],
)
def test_a_folder_whose_parts_do_not_fit_is_refused(model, tmp_path, damage, words) -> None:
    model.save(tmp_path / "model")
    stored = load_model(tmp_path / "model")
    config, kind = copy.deepcopy(stored.config), stored.kind
    if damage == "words":
        config["tokenizer"]["vocabulary"]["tokens"].append("zzzz")
        config["tokenizer"]["vocabulary"]["counts"].append(1)
    elif damage == "classes":
        config["classes"] = ["good"]
    elif damage == "kind":
        kind = "tagger"
    else:
        del config[damage]
    save_model(tmp_path / "model", kind=kind, config=config, tensors=stored.tensors, card="")
    with pytest.raises(StoreError, match=words):
        TextClassifier.load(tmp_path / "model")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with texts, and a model folder made of them by the command."""
    place = tmp_path_factory.mktemp("texts")
    texts, labels = films(60)
    pd.DataFrame({"review": texts, "verdict": labels}).to_csv(place / "films.csv", index=False)
    with pytest.MonkeyPatch.context() as monkeypatch:
        command = ("fit", "classify-text", place / "films.csv", "--text", "review", "--label", "verdict")
        assert call(monkeypatch, *command, "--out", place / "model", *FAST) == 0
    return place


def test_fit_writes_everything_and_the_report_stands_alone(folder) -> None:
    out = folder / "model"
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == FILES
    page = (out / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 3
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "http" not in page
    for words in ("films.csv", "NB-SVM", "TF-IDF", "Which words decide", "Log odds of"):
        assert words in page
    assert json.loads((out / "metrics.json").read_text())["labels"] == 12


def test_predict_and_evaluate(folder, monkeypatch, capsys) -> None:
    out = folder / "classes.csv"
    data = (folder / "model", folder / "films.csv", "--text", "review")
    assert call(monkeypatch, "predict", *data, "--out", out) == 0
    written = pd.read_csv(out)
    assert written.columns.to_list() == ["line", "predicted", "p_bad", "p_good"]
    texts = pd.read_csv(folder / "films.csv")["review"].to_list()
    assert written["predicted"].to_list() == TextClassifier.load(folder / "model").predict(texts).tolist()
    assert call(monkeypatch, "evaluate", *data, "--label", "verdict", "--out", folder / "numbers.json") == 0
    assert json.loads((folder / "numbers.json").read_text())["labels"] == 60
    assert "NB-SVM" in capsys.readouterr().out
    assert call(monkeypatch, "evaluate", *data, "--every", "3") == 2
    assert "--every: a model of kind text-classifier" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--text", "words"), "no column 'words'"),
        (("--test-share", "1"), "--test-share"),
        (("--cell", "lstn"), "lstn"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(folder, monkeypatch, capsys, change, words) -> None:
    command = (
        "fit",
        "classify-text",
        folder / "films.csv",
        "--text",
        "review",
        "--label",
        "verdict",
        *change,
    )
    assert call(monkeypatch, *command, "--out", folder / "never", *FAST) == 2
    error = capsys.readouterr().err
    assert words in error.replace("\n", " ")
    assert "Traceback" not in error
    assert not (folder / "never").exists()
