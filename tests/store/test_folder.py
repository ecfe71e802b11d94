"""A model folder comes back as it was saved, or says what is wrong."""

from __future__ import annotations

import builtins
import json
import os
import pickle

import pytest
import torch

from gatewise.errors import ArgumentError, ArgumentTypeError, StoreError
from gatewise.store import FORMAT_VERSION, load_model, model_kind
from gatewise.store.documents import canonical_json, digest
from tests.store.models import CONFIG, same, same_tensors, save, tensors

NAMES = ["card.md", "config.json", "model.safetensors"]


def rewrite(folder, **changes):
    """Change config.json as someone who knows the format would: its digest is made to fit."""
    path = folder / "config.json"
    document = json.loads(path.read_text())
    del document["sha256"]
    for key, value in changes.items():
        if value is ...:
            del document[key]
        else:
            document[key] = value
    document["sha256"] = digest(canonical_json(document))
    path.write_text(json.dumps(document))


def test_comes_back_as_it_was_saved(tmp_path):
    save(tmp_path / "a" / "model")
    stored = load_model(tmp_path / "a" / "model", kind="toy")
    assert (stored.kind, stored.version, stored.config) == ("toy", FORMAT_VERSION, CONFIG)
    assert same_tensors(stored.tensors, tensors())
    assert sorted(os.listdir(tmp_path / "a" / "model")) == NAMES
    assert (tmp_path / "a" / "model" / "card.md").read_text() == "# A toy\n"


def test_config_json_can_be_read_by_people(tmp_path):
    save(tmp_path)
    document = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert document["format"] == "gatewise.model"
    assert document["version"] == 1
    assert document["kind"] == "toy"
    assert document["config"] == CONFIG
    assert "Grüße" in (tmp_path / "config.json").read_text(encoding="utf-8")


def test_saving_again_replaces_the_model_and_minds_nothing_else(tmp_path):
    save(tmp_path)
    (tmp_path / "report.html").write_text("kept")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "x").write_text("kept")
    save(tmp_path, config={"hidden_size": 9}, tensors={"w": torch.ones(2)})
    stored = load_model(tmp_path)
    assert stored.config == {"hidden_size": 9}
    assert same_tensors(stored.tensors, {"w": torch.ones(2)})
    assert sorted(os.listdir(tmp_path)) == [
        "card.md",
        "checkpoints",
        "config.json",
        "model.safetensors",
        "report.html",
    ]


def test_strides_views_and_shared_storage(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    shared = {"t": base.t(), "row": base[1], "a": base, "b": base, "grad": torch.ones(2, requires_grad=True)}
    save(tmp_path, tensors=shared)
    assert same_tensors(
        load_model(tmp_path).tensors, {name: value.detach() for name, value in shared.items()}
    )


def test_what_is_loaded_is_the_callers_own(tmp_path):
    save(tmp_path)
    load_model(tmp_path).tensors["weight"].zero_()
    assert same_tensors(load_model(tmp_path).tensors, tensors())


def test_the_same_model_is_the_same_bytes(tmp_path):
    save(tmp_path / "a")
    save(tmp_path / "b")
    for name in NAMES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("config", "error", "words"),
    [
        ({"a": float("nan")}, ArgumentError, r"config\['a'\]"),
        ({"a": [1, {"b": float("inf")}]}, ArgumentError, r"config\['a'\]\[1\]\['b'\]"),
        ({"a": {1: 2}}, ArgumentTypeError, "keys must be strings"),
        ({"a": torch.ones(1)}, ArgumentTypeError, "Tensor"),
        ({"a": {1, 2}}, ArgumentTypeError, "set"),
        ({"a": object}, ArgumentTypeError, "type"),
        ({"a": "\ud800"}, ArgumentError, "UTF-8"),
        ({"\ud800": 1}, ArgumentError, "UTF-8"),
        ({"a": 10**400}, ArgumentError, "too large"),
    ],
)
def test_a_config_that_json_would_change_is_refused(tmp_path, config, error, words):
    with pytest.raises(error, match=words):
        save(tmp_path, config=config)
    assert os.listdir(tmp_path) == []


def test_a_config_that_is_too_deep_is_refused(tmp_path):
    config = {}
    for _ in range(100_000):
        config = {"a": config}
    with pytest.raises(ArgumentError, match="nested too deeply"):
        save(tmp_path, config=config)
    deep = {}
    for _ in range(50):
        deep = {"a": deep}
    save(tmp_path, config=deep)
    assert load_model(tmp_path).config == deep


def test_tuples_come_back_as_lists(tmp_path):
    save(tmp_path, config={"a": (1, (2, 3))})
    assert load_model(tmp_path).config == {"a": [1, [2, 3]]}


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"__metadata__": torch.ones(1)}, "__metadata__"),
        ({"": torch.ones(1)}, "cannot be stored"),
        ({"w": torch.ones(2).to_sparse()}, "dense"),
        ({"w": torch.ones(2, device="meta")}, "dense"),
        ({"w": torch.ones(2, dtype=torch.complex128)}, "complex128"),
    ],
)
def test_tensors_that_cannot_be_stored_are_refused(tmp_path, bad, words):
    with pytest.raises(ArgumentError, match=words):
        save(tmp_path, tensors=bad)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["", "Toy", "a b", "../x", "a" * 65])
def test_kinds_that_are_none(tmp_path, kind):
    with pytest.raises(ArgumentError, match="kind"):
        save(tmp_path, kind=kind)


def test_another_kind_is_refused(tmp_path):
    save(tmp_path)
    with pytest.raises(StoreError, match="holds a model of kind 'toy', expected 'forecaster'"):
        load_model(tmp_path, kind="forecaster")


def test_a_newer_format_says_to_upgrade(tmp_path):
    save(tmp_path)
    rewrite(tmp_path, version=FORMAT_VERSION + 1, library="9.9", something="new")
    with pytest.raises(StoreError, match=r"format version 2.*'9.9'.*pip install -U gatewise"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "other.model"}, "is not a Gatewise model"),
        ({"format": ...}, "is not a Gatewise model"),
        ({"version": "1"}, "version is '1'"),
        ({"version": True}, "version is True"),
        ({"version": 0}, "version is 0"),
        ({"version": ...}, "version is None"),
        ({"extra": 1}, "extra is unknown"),
        ({"kind": ...}, "kind is missing"),
        ({"config": ...}, "config is missing"),
        ({"weights": ...}, "weights is missing"),
        ({"weights": []}, "weights is no object"),
        ({"weights": {"bytes": 1}}, "weights.sha256 is missing"),
        ({"weights": {"bytes": -1, "sha256": ""}}, "wrong type"),
        ({"weights": {"bytes": True, "sha256": ""}}, "wrong type"),
        ({"weights": {"bytes": 1.0, "sha256": ""}}, "wrong type"),
        ({"weights": {"bytes": 1, "sha256": 3}}, "wrong type"),
        ({"kind": 3}, "wrong type"),
        ({"config": []}, "wrong type"),
        ({"library": None}, "wrong type"),
    ],
)
def test_what_it_does_not_know_is_refused(tmp_path, changes, words):
    save(tmp_path)
    rewrite(tmp_path, **changes)
    with pytest.raises(StoreError, match=words):
        load_model(tmp_path)


def test_a_config_edited_by_hand_says_so(tmp_path):
    save(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"hidden_size": 8', '"hidden_size": 9'))
    with pytest.raises(StoreError, match="was changed after it was saved"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "what", ["missing", "file", "empty_folder", "null", "loop", "no_weights", "other_weights"]
)
def test_folders_that_are_none(tmp_path, what):
    folder = tmp_path / "model"
    save(folder)
    other = tmp_path / "other"
    save(other, tensors={"w": torch.ones(2)})
    (tmp_path / "file").write_text("{}")
    (tmp_path / "empty_folder").mkdir()
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    path, words = {
        "missing": (tmp_path / "none", "there is no model folder"),
        "file": (tmp_path / "file", "not a folder"),
        "empty_folder": (tmp_path / "empty_folder", "it has no config.json"),
        "null": (str(tmp_path / "a\0b"), "check the path"),
        "loop": (tmp_path / "loop", "loop|circle"),
        "no_weights": (folder, "no such file"),
        "other_weights": (folder, "model.safetensors is not the file|bytes are expected"),
    }[what]
    if what == "no_weights":
        (folder / "model.safetensors").unlink()
    if what == "other_weights":
        os.replace(other / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(StoreError, match=words):
        load_model(path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize(
    "what", ["folder", "loop", "pipe", "device", "empty", "cut", "longer", "giant", "nowhere"]
)
def test_files_that_are_none(tmp_path, name, what):
    save(tmp_path)
    path = tmp_path / name
    data = path.read_bytes()
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "loop":
        os.symlink(path, path)
    elif what == "nowhere":
        os.symlink(tmp_path / "nowhere", path)
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        os.symlink("/dev/zero", path)
    elif what == "giant":
        with open(path, "wb") as file:
            file.truncate(2**40)
    else:
        path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "longer": data + b"x"}[what])
    with pytest.raises(StoreError) as raised:
        load_model(tmp_path)
    assert name in str(raised.value)


def test_files_behind_symbolic_links_are_read(tmp_path):
    save(tmp_path / "real")
    (tmp_path / "linked").mkdir()
    for name in NAMES:
        os.symlink(tmp_path / "real" / name, tmp_path / "linked" / name)
    os.symlink(tmp_path / "linked", tmp_path / "folder")
    assert same(load_model(tmp_path / "folder"), load_model(tmp_path / "real"))


def test_nothing_is_unpickled_or_run(tmp_path, monkeypatch):
    """A pickle in the place of the weights, its digest made to fit, is refused and not run."""

    class Trap:
        def __reduce__(self):
            return (builtins.exec, ("raise SystemExit('ran')",))

    def fail(*_args, **_keywords):
        raise SystemExit("unpickled")

    save(tmp_path)
    data = pickle.dumps(Trap())
    (tmp_path / "model.safetensors").write_bytes(data)
    rewrite(tmp_path, weights={"bytes": len(data), "sha256": digest(data)})
    monkeypatch.setattr(torch, "load", fail)
    monkeypatch.setattr(pickle, "loads", fail)
    monkeypatch.setattr(pickle, "load", fail)
    with pytest.raises(StoreError, match="header"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', '{"a": 1, "a": 2}', "[1]", "3", "null", '"x"', "{",
        "",
        "  ", '{"a": "\\ud800"}', '{"a": ' + "9" * 5000 + "}", "[" * 100_000, '{"a":' * 100_000,
        '{"a": ' + "[" * 65 + "]" * 65 + "}", '"' * 99_999, '{"a": "' + "\\" * 99_999,
        "\ufeff{}", "{}{}", "{'a': 1}",
    ],
)  # fmt: skip
def test_json_that_is_not_plain(tmp_path, text):
    save(tmp_path)
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(StoreError, match=r"config.json is damaged"):
        load_model(tmp_path)


@pytest.mark.parametrize("data", [b"\xff\xfe{}", b"\x00" * 100, b'{"a": "\xed\xa0\x80"}', bytes(range(256))])
def test_json_that_is_not_utf8(tmp_path, data):
    save(tmp_path)
    (tmp_path / "config.json").write_bytes(data)
    with pytest.raises(StoreError, match=r"config.json is damaged"):
        load_model(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    save(tmp_path)
    (tmp_path / "config.json").chmod(0)
    with pytest.raises(StoreError, match="permission"):
        load_model(tmp_path)


def test_a_folder_in_the_place_of_config_json_fails_the_save_and_leaves_nothing(tmp_path):
    (tmp_path / "config.json").mkdir()
    with pytest.raises(StoreError, match=r"config.json: a folder is in the place"):
        save(tmp_path)
    assert os.listdir(tmp_path) == ["config.json"]


def test_the_kind_is_told_without_the_weights(tmp_path):
    save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    assert model_kind(tmp_path) == "toy"
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(StoreError, match="is not a Gatewise model"):
        model_kind(tmp_path)
