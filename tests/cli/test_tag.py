"""`gatewise fit tag`, and predict and evaluate on its model folders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gatewise.data.text.columns import read_columns, read_sentences, write_columns
from gatewise.tasks import SequenceTagger
from tests.cli.calling import call
from tests.tasks.tagging.sentences import sentences

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
def folder(tmp_path_factory) -> Path:
    """A folder with tagged sentences in columns."""
    place = tmp_path_factory.mktemp("tag")
    (place / "train.conll").write_text(write_columns(sentences(40)))
    (place / "test.conll").write_text(write_columns(sentences(12, seed=1)))
    return place


@pytest.fixture(scope="module")
def model(folder) -> Path:
    """A model folder made by the command."""
    out = folder / "runs" / "tagger"
    with pytest.MonkeyPatch.context() as monkeypatch:
        command = ("fit", "tag", folder / "train.conll", "--test", folder / "test.conll", "--out", out, *FAST)
        assert call(monkeypatch, *command) == 0
    return out


def test_fit_writes_everything(model) -> None:
    assert sorted(path.name for path in model.iterdir() if path.is_file()) == FILES
    metrics = json.loads((model / "metrics.json").read_text())
    assert metrics["sentences"] == 12
    assert set(metrics["scores"]["lstm"]) >= {"f1", "intent_accuracy", "whole_accuracy"}


def test_the_report_stands_alone(model) -> None:
    page = (model / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 3
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "http" not in page
    for words in ("train.conll", "most frequent tag of the word", "Sentences with a mistake", "conlleval"):
        assert words in page


def test_predict_writes_what_python_predicts(model, folder, monkeypatch, capfdbinary) -> None:
    test = read_columns(folder / "test.conll")
    (folder / "words.txt").write_text("".join(" ".join(one) + "\n" for one in test.tokens))
    expected = SequenceTagger.load(model).predict(test)
    for data in ("test.conll", "words.txt"):
        out = folder / "tagged.conll"
        assert call(monkeypatch, "predict", model, folder / data, "--out", out) == 0
        found = read_columns(out)
        assert (found.tokens, found.tags) == (test.tokens, expected)
        assert found.intents is not None
    assert call(monkeypatch, "predict", model, folder / "words.txt", "--out", folder / "tagged.jsonl") == 0
    assert read_sentences(folder / "tagged.jsonl").tags == expected
    capfdbinary.readouterr()
    assert call(monkeypatch, "predict", model, folder / "words.txt") == 0
    assert capfdbinary.readouterr().out.decode() == out.read_text()


def test_evaluate_counts_all_sentences(model, folder, monkeypatch, capsys) -> None:
    out = folder / "again.json"
    assert call(monkeypatch, "evaluate", model, folder / "test.conll", "--out", out) == 0
    own = json.loads(out.read_text())
    assert own["scores"] == json.loads((model / "metrics.json").read_text())["scores"]
    assert "span F1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--test-share", "1"), "--test-share: a number above 0 and below 1"),
        (("--scheme", "iob1"), "is not valid in iob1"),
        (("--cell", "lstn"), "lstn"),
        (("--unknown-tags", "drop"), "--unknown-tags"),
        (("--vectors", "nowhere.txt"), "nowhere.txt"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(folder, monkeypatch, capsys, change, words) -> None:
    out = folder / "runs" / "never"
    assert call(monkeypatch, "fit", "tag", folder / "train.conll", "--out", out, *FAST, *change) == 2
    error = capsys.readouterr().err
    assert words in error.replace("\n", " ")
    assert "Traceback" not in error
    assert not out.exists()


def test_a_plain_text_is_taken_for_one_sentence_and_refused(folder, monkeypatch, capsys) -> None:
    plain = folder / "plain.txt"
    plain.write_text("the cat sat on the mat\nthe dog sat on the log\n", encoding="utf-8")
    assert call(monkeypatch, "fit", "tag", plain, "--out", folder / "runs" / "never", *FAST) == 2
    error = capsys.readouterr().err.replace("\n", " ")
    assert "came one of 2 words" in error
    assert "an empty line ends a sentence" in error


def test_options_of_other_models_are_refused(model, folder, monkeypatch, capsys) -> None:
    assert call(monkeypatch, "predict", model, folder / "test.conll", "--horizon", "3") == 2
    assert "--horizon: a model of kind tagger" in capsys.readouterr().err


def test_the_folder_remembers_the_columns(folder, monkeypatch) -> None:
    """What fit was told about columns is not said again; what is said goes before it."""
    train, held = sentences(30), sentences(8, seed=1)
    for name, given in (("turned", train), ("held", held)):
        rows = [
            "".join(f"x {tag} {word} O\n" for word, tag in zip(*pair, strict=True))
            for pair in zip(given.tokens, given.tags or [], strict=True)
        ]
        (folder / f"{name}.conll").write_text("\n".join(rows), encoding="utf-8")
    out = folder / "runs" / "columns"
    told = ("--word-column", "2", "--tag-column", "1")
    fitted = (
        "fit",
        "tag",
        folder / "turned.conll",
        "--test",
        folder / "held.conll",
        "--out",
        out,
        *told,
        *FAST,
    )
    assert call(monkeypatch, *fitted) == 0
    tagged, numbers = folder / "columns.conll", folder / "columns.json"
    assert call(monkeypatch, "predict", out, folder / "held.conll", "--out", tagged) == 0
    assert read_columns(tagged).tokens == held.tokens
    assert call(monkeypatch, "evaluate", out, folder / "held.conll", "--out", numbers) == 0
    own = json.loads((out / "metrics.json").read_text())
    assert json.loads(numbers.read_text())["scores"] == own["scores"]
    assert (
        call(monkeypatch, "predict", out, folder / "held.conll", "--out", tagged, "--word-column", "0") == 0
    )
    assert read_columns(tagged).tokens == [["x"] * len(one) for one in held.tokens]
    (out / "reading.json").write_text('{"word-column": [1]}')
    assert call(monkeypatch, "predict", out, folder / "held.conll") == 2
