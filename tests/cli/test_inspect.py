"""`gatewise inspect` on one model folder, what it says and writes, and on what it cannot use."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from gatewise.store import save_model
from gatewise.tasks import LanguageModel
from tests.cli.calling import call
from tests.tasks.language import corpus


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a language model of characters, `novel`, and a text, `text.txt`."""
    place = tmp_path_factory.mktemp("inside")
    text = corpus.text(40)
    (place / "text.txt").write_text(text)
    model = LanguageModel(
        level="character", num_layers=2, hidden_size=8, max_epochs=1, random_state=0, progress=False
    )
    model.fit(text).save(place / "novel")
    return place


def test_words_page_and_numbers(folder, monkeypatch, capsys) -> None:
    out = folder / "out"
    command = ("inspect", folder / "novel", "--data", folder / "text.txt")
    assert call(monkeypatch, *command, "--out", out) == 0
    printed = capsys.readouterr()
    numbers = json.loads((out / "inspection.json").read_text())
    assert numbers["verdict"] in printed.out
    for finding in numbers["findings"]:
        assert finding["words"] in printed.out
    assert "report.html" in printed.err
    assert [layer["name"] for layer in numbers["statistics"]["layers"]] == ["layers.0", "layers.1"]
    assert numbers["searched"]["units"] == 32  # h and c of 8 units in 2 layers
    assert numbers["contributions"]["complete"]
    page = (out / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "<script" not in page
    for words in ("position in the line", "Along one sequence", "What past inputs add", numbers["verdict"]):
        assert words in page, words


def test_figures_for_a_paper(folder, monkeypatch, capsys) -> None:
    figures = folder / "figures"
    command = ("inspect", folder / "novel", "--data", folder / "text.txt", "--figures", figures)
    assert call(monkeypatch, *command) == 0
    assert f"pictures written to {figures}" in capsys.readouterr().err.replace("\n", "")
    names = {one.name for one in figures.iterdir()}
    assert "how-well-single-units-tell-features.pdf" in names
    assert "what-each-past-input-adds.png" in names
    assert len(names) % 2 == 0
    assert not (folder / "inspection.json").exists()


def test_what_it_cannot_use(folder, monkeypatch, capsys) -> None:
    text = folder / "text.txt"
    odd = folder / "odd.txt"
    odd.write_text("Σ")
    save_model(folder / "other", kind="toy", config={}, tensors={"w": torch.ones(1)}, card="")
    for arguments, said in (
        (("inspect", folder, "--data", text), "is no model folder"),
        (("inspect", folder / "none", "--data", text), "there is no model folder"),
        (("inspect", folder / "novel", "--data", folder / "none.txt"), "none.txt"),
        (("inspect", folder / "novel", "--data", odd), "'Σ' is not in the vocabulary"),
        (("inspect", folder / "novel", "--data", text, "--format", "xml"), "--format: 'text' or 'json'"),
        (
            ("inspect", folder / "novel", "--data", text, "--text", "x"),
            "--text: a model of kind language-model",
        ),
        (("inspect", folder / "other", "--data", text), "a kind that can be inspected (forecaster"),
    ):
        assert call(monkeypatch, *arguments) == 2, arguments
        assert said in capsys.readouterr().err.replace("\n", " "), arguments
