"""`gatewise fit lm`, generate, and evaluate on its model folders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gatewise.tasks import LanguageModel
from tests.cli.calling import call
from tests.tasks.language.corpus import text

FAST = ["--hidden-size", "12", "--num-layers", "1", "--max-epochs", "2", "--batch-size", "4"]
FILES = [
    "baseline.safetensors", "card.md", "config.json", "metrics.json", "model.safetensors", "perplexity.png",
    "reading.json", "report.html", "run.json", "samples.txt",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with train.txt and test.txt."""
    place = tmp_path_factory.mktemp("language")
    (place / "train.txt").write_text(text(150))
    (place / "test.txt").write_text(text(20, seed=1))
    return place


@pytest.fixture(scope="module")
def model(folder) -> Path:
    """A model folder made by the command."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        out = folder / "runs" / "model"
        assert call(monkeypatch, "fit", "lm", folder / "train.txt", "--out", out, *FAST) == 0
    return out


def test_fit_writes_everything(model) -> None:
    assert sorted(path.name for path in model.iterdir() if path.is_file()) == FILES
    numbers = json.loads((model / "metrics.json").read_text())
    assert set(numbers["scores"]) == {"lstm model", "unigram", "5-gram, Kneser-Ney"}
    assert numbers["epochs"] == 2
    page = (model / "report.html").read_text()
    assert "What the model writes" in page
    assert page.count("data:image/svg+xml") == 4
    assert not re.search(r'(src|href)="http', page)
    assert json.loads((model / "run.json").read_text())["finished"]
    card = (model / "card.md").read_text()
    assert "cut off before fitting" in card
    assert "| unigram |" in card


def test_the_same_run_again_is_refused(model, folder, monkeypatch, capsys) -> None:
    assert call(monkeypatch, "fit", "lm", folder / "train.txt", "--out", model, *FAST) == 2
    assert "finished" in capsys.readouterr().err


def test_generate(model, monkeypatch, capsys) -> None:
    command = ("generate", model, "--prompt", "the king", "--max-tokens", "9", "--seed", "4")
    assert call(monkeypatch, *command) == 0
    loaded = LanguageModel.load(model)
    expected = "the king" + loaded.generate("the king", max_tokens=9, random_state=4)
    assert capsys.readouterr().out == expected + "\n"
    search = ("generate", model, "--prompt", "the king", "--max-tokens", "5", "--beams", "3", "--stop", ",")
    assert call(monkeypatch, *search) == 0
    found = loaded.generate("the king", max_tokens=5, beams=3, stop=",")
    assert capsys.readouterr().out == f"the king{found}\n"


def test_evaluate(model, folder, monkeypatch, capsys) -> None:
    out = folder / "numbers.json"
    assert call(monkeypatch, "evaluate", model, folder / "test.txt", "--out", out) == 0
    shown = capsys.readouterr().out
    assert "perplexity" in shown
    assert "5-gram, Kneser-Ney" in shown
    numbers = json.loads(out.read_text())
    expected = LanguageModel.load(model).perplexity(folder / "test.txt")
    assert numbers["scores"]["lstm model"]["perplexity"] == pytest.approx(expected)


def test_characters_with_files_of_their_own(folder, monkeypatch, capsys) -> None:
    out = folder / "runs" / "letters"
    command = (
        "fit", "lm", folder / "train.txt", "--validation", folder / "test.txt", "--test", folder / "test.txt",
        "--level", "character", "--cell", "gru", "--out", out, *FAST, "--max-epochs", "1",
    )  # fmt: skip
    assert call(monkeypatch, *command) == 0
    assert "7-gram" in capsys.readouterr().out
    assert LanguageModel.load(out).fitted_.tokenizer.kind == "character"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["generate", "{model}", "--temperature", "-1"], "temperature"),
        (["generate", "{folder}/none"], "there is no model folder"),
        (["predict", "{model}", "{folder}/test.txt"], "gatewise generate"),
        (["evaluate", "{model}", "{folder}/none.txt"], "is not there"),
        (["evaluate", "{model}", "{folder}/test.txt", "--target", "y"], "--target"),
        (["fit", "lm", "{folder}/none.txt", "--out", "{folder}/x"], "is not there"),
        (["fit", "lm", "{folder}/train.txt", "--out", "{folder}/x", "--recipe", "best"], "--recipe"),
        (["fit", "lm", "{folder}/train.txt", "--out", "{folder}/x", "--test-share", "2"], "--test-share"),
        (["fit", "lm", "{folder}/train.txt", "--out", "{folder}/x", "--level", "letter"], "level"),
        (["fit", "lm", "{folder}/latin.txt", "--out", "{folder}/x"], "line 2: it is not UTF-8"),
    ],
)
def test_what_cannot_be_done(command, message, model, folder, monkeypatch, capsys) -> None:
    (folder / "latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    filled = [part.format(model=model, folder=folder) for part in command]
    assert call(monkeypatch, *filled) == 2
    assert message in capsys.readouterr().err
