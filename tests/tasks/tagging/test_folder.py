"""Saved and loaded; and folders whose parts do not fit."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from gatewise.errors import StoreError
from gatewise.store import load_model, save_model
from gatewise.tasks import SequenceTagger
from tests.tasks.tagging.sentences import sentences, small

TRAIN, TEST = sentences(), sentences(10, seed=1)


@pytest.fixture(scope="module")
def model() -> SequenceTagger:
    """A tagger with all parts."""
    return small(max_epochs=2, coding="bioes").fit(TRAIN)


@pytest.fixture
def folder(model, tmp_path):
    """Its folder."""
    model.save(tmp_path / "model")
    return tmp_path / "model"


def test_a_loaded_tagger_says_the_same(model, folder) -> None:
    loaded = SequenceTagger.load(folder)
    assert loaded.predict(TEST) == model.predict(TEST)
    assert loaded.predict_intents(TEST) == model.predict_intents(TEST)
    for a, b in zip(loaded.predict_proba(TEST), model.predict_proba(TEST), strict=True):
        np.testing.assert_array_equal(a, b)
    assert loaded.evaluate(TEST).to_dict() == model.evaluate(TEST).to_dict()
    assert loaded.history_ == model.history_
    assert loaded.coding == "bioes"
    names = ["card.md", "config.json", "model.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert "2 kinds of spans" in (folder / "card.md").read_text()


@pytest.mark.parametrize("what", ["words", "characters", "tags", "intents"])
def test_a_vocabulary_that_does_not_match_the_model_is_refused(folder, what) -> None:
    stored = load_model(folder)
    config = copy.deepcopy(stored.config)
    if what in ("words", "characters"):
        config["encoder"][what]["tokens"].append("zzzz")
        config["encoder"][what]["counts"].append(1)
    else:
        config[what] = [*config[what], "B-zzzz"]
    save_model(folder, kind=stored.kind, config=config, tensors=stored.tensors, card="")
    with pytest.raises(StoreError, match=f"the vocabulary does not match the model: it has .* {what}"):
        SequenceTagger.load(folder)


@pytest.mark.parametrize(
    "damage", ["network", "encoder", "tags", "parameters", "baselines", "kind", "linear"]
)
def test_a_folder_whose_parts_do_not_fit_is_refused(folder, damage) -> None:
    stored = load_model(folder)
    config, kind = copy.deepcopy(stored.config), stored.kind
    tensors = dict(stored.tensors)
    if damage == "network":
        config["network"]["hidden_size"] = 9
    elif damage == "parameters":
        config["parameters"]["unheard_of"] = 1
    elif damage == "linear":
        tensors["baseline.weights"] = tensors["baseline.weights"][1:]
    elif damage == "kind":
        kind = "forecaster"
    else:
        del config[damage]
    save_model(folder, kind=kind, config=config, tensors=tensors, card="")
    with pytest.raises(StoreError):
        SequenceTagger.load(folder)
