"""Saved and loaded, also in a process that knows nothing of the cell."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import gatewise
from gatewise.errors import StoreError
from gatewise.spec import sigmoid, tanh
from gatewise.store import load_model, save_model
from gatewise.tasks import SequenceClassifier
from tests.tasks.classify.waves import COLUMNS, small, table, waves


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"cell": "gru_d", "bidirectional": True},
        {"architecture": "fcn", "class_weight": {"fast": 3.0, "slow": 1}},
        {"members": 3, "summary": True, "pooling": "last+max"},
    ],
    ids=["plain", "gru_d", "fcn", "members"],
)
def test_a_loaded_model_says_the_same(parameters, tmp_path) -> None:
    frame = table(20, gaps=0.2)
    model = small(missing="mask", **parameters, **COLUMNS).fit(frame)
    model.save(tmp_path / "model")
    loaded = SequenceClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(frame), model.predict_proba(frame))
    assert loaded.evaluate(frame).to_dict() == model.evaluate(frame).to_dict()
    assert loaded.class_weight == model.class_weight
    assert loaded.history_ == model.history_
    assert loaded.fit(frame).classes_.tolist() == ["fast", "slow"]


@pytest.mark.parametrize("labels", [[0, 1], [True, False], ["a", "b"], [1.0, 2.0]], ids=str)
def test_classes_keep_their_type(labels, tmp_path) -> None:
    X, y = waves(20)
    model = small().fit(X, np.where(y == "fast", *labels))
    model.save(tmp_path / "model")
    loaded = SequenceClassifier.load(tmp_path / "model")
    assert loaded.classes_.dtype == model.classes_.dtype
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_a_cell_of_ones_own_loads_where_its_source_is_not(tmp_path) -> None:
    @gatewise.cell(states="h", gates="f n")
    def notebook_cell(gate, state):
        f = sigmoid(gate.f)
        return f * state.h + (1 - f) * tanh(gate.n)

    values = np.random.default_rng(0).normal(size=(20, 6, 1))
    model = small(cell=notebook_cell).fit(values, np.arange(20) % 2)
    model.save(tmp_path / "model")
    np.save(tmp_path / "values.npy", values)
    code = (
        "import sys, numpy as np, gatewise\n"
        "model = gatewise.SequenceClassifier.load(sys.argv[1] + '/model')\n"
        "np.save(sys.argv[1] + '/found.npy', model.predict_proba(np.load(sys.argv[1] + '/values.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    # Another process may use another number of threads, and so another order of summation.
    np.testing.assert_allclose(
        np.load(tmp_path / "found.npy"), model.predict_proba(values), rtol=1e-5, atol=1e-6
    )


def test_the_folder_holds_json_safetensors_and_a_card(tmp_path) -> None:
    small(**COLUMNS).fit(table(20)).save(tmp_path / "model")
    names = ["card.md", "config.json", "model.safetensors"]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == names
    card = (tmp_path / "model" / "card.md").read_text()
    for words in ("2 classes", "fast, slow", "mode (3 categories)", "for early stopping and calibration"):
        assert words in card


@pytest.mark.parametrize(
    "damage", ["network", "encoder", "classes", "parameters", "temperature", "weights", "kind"]
)
def test_a_folder_whose_parts_do_not_fit_is_refused(damage, tmp_path) -> None:
    X, y = waves(20)
    small().fit(X, y).save(tmp_path / "model")
    stored = load_model(tmp_path / "model")
    config = json.loads(json.dumps(stored.config))
    if damage == "network":
        config["network"]["hidden_size"] = 9
    elif damage == "parameters":
        config["parameters"]["unheard_of"] = 1
    elif damage == "weights":
        config["weights"] = [1.0]
    elif damage != "kind":
        del config[damage]
    kind = "forecaster" if damage == "kind" else "classifier"
    save_model(tmp_path / "model", kind=kind, config=config, tensors=stored.tensors, card="")
    with pytest.raises(StoreError):
        SequenceClassifier.load(tmp_path / "model")
