"""`LanguageModel`: it learns, tells, writes, is saved and loaded, and follows scikit-learn's contract."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from gatewise import cell, cells
from gatewise.data.text import Vocabulary
from gatewise.spec import sigmoid, tanh
from gatewise.tasks import LanguageModel
from tests.tasks.language.corpus import FAST, fitted, text

LEVELS = ["word", "character", "subword"]


def model_of(level: str) -> LanguageModel:
    if level == "subword":
        pytest.importorskip("tokenizers")
    return fitted(level)


@pytest.mark.parametrize("level", LEVELS)
def test_it_learns_more_than_counting(level) -> None:
    model = model_of(level)
    evaluation = model.evaluate(text(60, seed=1))
    assert evaluation.scores[model.evaluate("a\n").model].nats < evaluation.scores["unigram"].nats
    if level == "word":
        assert evaluation.beats_trivial
        assert "beats every baseline" in evaluation.verdict
    assert evaluation.surprises[0].probability <= evaluation.surprises[1].probability
    assert sum(count for _, count, _ in evaluation.by_count) == evaluation.tokens


@pytest.mark.parametrize("level", LEVELS)
def test_figures_are_those_of_the_probabilities(level) -> None:
    model, held = model_of(level), text(20, seed=2)
    logs = model.log_probabilities(held)
    assert len(logs) == len(model.fitted_.tokenizer.encode(held))
    assert model.score(held) == pytest.approx(logs.mean())
    assert model.perplexity(held) == pytest.approx(math.exp(-logs.mean()))
    assert model.bits_per_character(held) == pytest.approx(-logs.sum() / math.log(2) / len(held))


@pytest.mark.parametrize("level", LEVELS)
def test_probabilities_sum_to_one_and_are_those_of_single_steps(level) -> None:
    model = model_of(level)
    network, ids = model.fitted_.network, model.fitted_.encode(text(3, seed=3))
    logs = model.log_probabilities(text(3, seed=3))
    states, found = None, []
    with torch.no_grad():
        for before, after in pairwise(ids):
            output, states = network.step(torch.tensor([before]), states)
            probabilities = network.head.log_probabilities(output).double().exp()[0]
            assert float(probabilities.sum()) == pytest.approx(1.0, abs=1e-5)
            found.append(math.log(float(probabilities[after])))
    # The same products in another order: a few roundings of numbers near 1 in each of a hundred steps.
    np.testing.assert_allclose(found, logs, atol=1e-4)


@pytest.mark.parametrize("level", LEVELS)
def test_saved_and_loaded_it_is_the_same(level, tmp_path) -> None:
    model, held = model_of(level), text(10, seed=4)
    model.save(tmp_path / "model")
    again = LanguageModel.load(tmp_path / "model")
    assert (again.log_probabilities(held) == model.log_probabilities(held)).all()
    assert again.generate("the king", max_tokens=20) == model.generate("the king", max_tokens=20)
    assert again.evaluate(held).to_dict() == model.evaluate(held).to_dict()
    assert again.vocabulary_ == model.vocabulary_
    assert again.history_ == model.history_
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "config.json", "model.safetensors", "card.md", "baseline.safetensors"
    }  # fmt: skip
    assert "LanguageModel.load" in (tmp_path / "model" / "card.md").read_text()


def test_the_same_seed_gives_the_same_model() -> None:
    one, two = (LanguageModel(**{**FAST, "max_epochs": 1}).fit(text(80)) for _ in range(2))
    assert (one.log_probabilities(text(5)) == two.log_probabilities(text(5))).all()
    other = LanguageModel(**{**FAST, "max_epochs": 1, "random_state": 1}).fit(text(80))
    assert (one.log_probabilities(text(5)) != other.log_probabilities(text(5))).any()


ONE_INPUT = [name for name in cells.names() if len(cells.get(name).inputs) == 1]


@pytest.mark.parametrize("name", ONE_INPUT)
def test_every_cell(name, tmp_path) -> None:
    options = {**FAST, "max_epochs": 1, "hidden_size": 12, "num_layers": 2, "weight_drop": None}
    model = LanguageModel(cell=name, **options).fit(text(60))
    assert model.fitted_.network.plan.program.name == name
    model.save(tmp_path)
    again = LanguageModel.load(tmp_path)
    assert again.generate("the", max_tokens=8) == model.generate("the", max_tokens=8)


@cell(states="h", gates="z n", retain="z")
def half_open(gate, state):
    """A cell of the user's own."""
    z = sigmoid(gate.z)
    return z * state.h + (1 - z) * tanh(gate.n)


def test_a_cell_of_the_users_own(tmp_path) -> None:
    model = LanguageModel(cell=half_open, **{**FAST, "max_epochs": 1}).fit(text(60))
    model.save(tmp_path)
    assert LanguageModel.load(tmp_path).perplexity(text(5)) == model.perplexity(text(5))


@pytest.mark.parametrize(
    "options",
    [
        {"mogrifier": 3},
        {"output": "adaptive"},
        {"optimizer": "asgd", "learning_rate": 5.0},
        {"tie_weights": False, "embedding_size": 10},
        {"tie_weights": True, "embedding_size": 10, "num_layers": 2},
        {"precision": "bfloat16"},
        {"variable_windows": False, "activation": 2.0, "slowness": 1.0},
    ],
)
def test_variants_learn(options, tmp_path) -> None:
    model = LanguageModel(**{**FAST, "max_epochs": 4, **options}).fit(text(200))
    assert model.history_[-1]["validation_loss"] < model.history_[0]["validation_loss"]
    held = text(20, seed=5)
    assert model.perplexity(held) < 0.7 * len(model.vocabulary_)
    model.save(tmp_path)
    assert LanguageModel.load(tmp_path).perplexity(held) == model.perplexity(held)
    assert isinstance(model.generate("my lord", max_tokens=5), str)


def test_the_mogrifier_has_as_many_rounds_as_asked() -> None:
    model = LanguageModel(mogrifier=3, **{**FAST, "max_epochs": 1}).fit(text(60))
    names = [name for name, _ in model.fitted_.network.named_parameters() if "mogrify" in name]
    assert len(names) == 3


def test_the_recipe_of_the_paper() -> None:
    small = {"hidden_size": 16, "embedding_size": 8, "max_epochs": 2, "batch_size": 4, "window": 20}
    model = LanguageModel.awd_lstm(**small, progress=False, random_state=0).fit(text(100))
    plan = model.fitted_.network.plan
    assert [plan.width(layer) for layer in range(3)] == [16, 16, 8]
    assert (plan.tied, plan.weight_drop, plan.embedding_dropout) == (True, 0.5, 0.1)
    assert model.fitted_.network.head.weight is model.fitted_.network.embedding


def test_texts_files_and_validation(tmp_path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(text(80))
    options = {**FAST, "max_epochs": 1}
    from_file = LanguageModel(**options).fit(path)
    from_text = LanguageModel(**options).fit(text(80))
    from_list = LanguageModel(**options).fit(text(80).splitlines())
    for model in (from_text, from_list):
        assert (model.log_probabilities(path) == from_file.log_probabilities(path)).all()
    model = LanguageModel(**options).fit(text(80), validation=text(10, seed=9))
    assert "validation text" in model.validation_


def test_scikit_learns_contract() -> None:
    model = LanguageModel(hidden_size=5, level="character")
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(window=9).window == 9
    for name in ("perplexity", "evaluate", "generate", "save"):
        with pytest.raises(NotFittedError, match="fit"):
            getattr(LanguageModel(), name)("text")
    assert isinstance(fitted().vocabulary_, Vocabulary)
