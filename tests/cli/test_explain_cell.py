"""`gatewise explain-cell`: what it writes for a cell, a program in a file and a fitted model, and what it refuses."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatewise import LanguageModel, cells, nn
from gatewise.tasks import Forecaster
from tests.cli.calling import call
from tests.tasks.series import hourly, small


def embedded(page: Path) -> dict[str, Any]:
    """What a page holds for its scripts."""
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>',
        page.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def numbers(packed: dict[str, str]) -> np.ndarray:
    """A packed array, flat."""
    return np.frombuffer(base64.b64decode(packed["data"]), "<f4" if packed["type"] == "f4" else "<f8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a forecaster, a language model, and what they read."""
    place = tmp_path_factory.mktemp("explained")
    table = hourly()
    table.to_csv(place / "hourly.csv", index=False)
    small(max_epochs=1).fit(table).save(place / "forecaster")
    text = "the cat sat on the mat\nthe dog sat on the log\n" * 30
    (place / "text.txt").write_text(text, encoding="utf-8")
    LanguageModel(
        level="character", hidden_size=8, num_layers=2, max_epochs=1, random_state=0, progress=False
    ).fit(text).save(place / "language")
    return place


def test_a_cell_by_its_name(tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "page.html"
    assert (
        call(monkeypatch, "explain-cell", "gru", "--out", out, "--hidden", 3, "--steps", 10, "--seed", 2) == 0
    )
    assert f"written to {out}: GRU, reset after, 10 steps" in capsys.readouterr().err.replace("\n", "")
    data = embedded(out)
    assert (data["steps"], data["sizes"]) == (10, {"input": 1, "hidden": 3})
    assert data["program"] == json.loads(cells.get("gru").to_json())
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "explain-cell", "gru") == 0
    assert embedded(tmp_path / "gru.html")["sizes"]["hidden"] == 4


def test_a_program_in_a_file(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text(cells.get("slstm", heads=2).to_json(), encoding="utf-8")
    assert call(monkeypatch, "explain-cell", "mine.json") == 0
    assert embedded(tmp_path / "mine.html")["program"]["tensors"][1][-1] == 2


def test_a_model_without_data(folder, tmp_path, monkeypatch) -> None:
    out = tmp_path / "page.html"
    assert call(monkeypatch, "explain-cell", folder / "forecaster", "--out", out, "--units", 3) == 0
    data = embedded(out)
    model = Forecaster.load(folder / "forecaster")
    layer = next(m for m in model.fitted_.network.modules() if isinstance(m, nn.Recurrent))
    np.testing.assert_array_equal(
        numbers(data["tensors"]["weight_hh"]), layer.weight_hh_l0.detach().numpy().ravel()
    )
    assert data["steps"] == 48
    assert len(data["shown"]["hidden"]) == 3
    assert "on normal random numbers, since no --data was given" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(("model", "file"), [("forecaster", "hourly.csv"), ("language", "text.txt")])
def test_a_model_with_data(folder, tmp_path, monkeypatch, model: str, file: str) -> None:
    out, seen = tmp_path / "page.html", []
    forward = nn.Recurrent.forward

    def watched(self, *args, **kwargs):
        seen.append((self, args[0]))
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(nn.Recurrent, "forward", watched)
    assert (
        call(
            monkeypatch, "explain-cell", folder / model, "--data", folder / file, "--out", out, "--steps", 20
        )
        == 0
    )
    monkeypatch.undo()
    data = embedded(out)
    # The run ends with the layer's first call on a sequence: nothing behind it is computed.
    layer, x = seen[-1]
    assert sum(len(given) > 1 for _, given in seen) == 1
    assert not layer.batch_first
    np.testing.assert_allclose(numbers(data["inputs"]["x"]), x[:20, 0].numpy().ravel())
    np.testing.assert_array_equal(
        numbers(data["tensors"]["weight_ih"]), layer.weight_ih_l0.detach().numpy().ravel()
    )
    assert f"on the first sequence that it read of {file}" in out.read_text(encoding="utf-8")


def refused(monkeypatch, capsys, arguments: list[object]) -> str:
    """What a command says that ends with code 2, in one line."""
    assert call(monkeypatch, "explain-cell", *arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lsmt"], "expected a cell's name, a model folder or a JSON file with a program, got 'lsmt'"),
        (["no.json"], "cannot read no.json"),
        (["lstm", "--hidden", "0"], "hidden_size: expected 1 to 64, got 0"),
        (["lstm", "--steps", "0"], "steps: expected 2 to 512, got 0"),
        (["lstm", "--data", "beijing-air"], "--data: a cell has no use for this option"),
        (["lstm", "--out", "."], "--out: '.' is a folder"),
    ],
)
def test_what_cannot_be_is_said_in_one_message(tmp_path, monkeypatch, capsys, arguments, words) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refused(monkeypatch, capsys, arguments)
    assert not list(tmp_path.iterdir())


def test_what_a_model_cannot_be_asked(folder, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, words in (
        ([folder / "text.txt"], "program JSON: not valid JSON"),
        ([folder], "config.json"),
        ([folder / "forecaster", "--hidden", 3], "--hidden: a model folder has no use for this option"),
        ([folder / "forecaster", "--target", "y"], "--target: a model folder without --data has no use"),
        ([folder / "forecaster", "--data", "nowhere.csv"], "nowhere.csv"),
        (
            [folder / "language", "--data", folder / "text.txt", "--target", "y"],
            "--target: a model of kind language-model has no use for this option",
        ),
    ):
        assert words in refused(monkeypatch, capsys, arguments)
    assert not list(tmp_path.iterdir())
