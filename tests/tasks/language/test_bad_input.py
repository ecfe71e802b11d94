"""What cannot be used is refused with a message that says what to do."""

from __future__ import annotations

import json
import shutil

import pytest

from gatewise.errors import ArgumentError, DataError, GatewiseError, StoreError
from gatewise.store import load_model, save_model
from gatewise.tasks import LanguageModel
from tests.tasks.language.corpus import FAST, fitted, text


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"level": "letter"}, "level"),
        ({"level": None}, "level"),
        ({"cell": "gru_d"}, "cell: a language model feeds one input"),
        ({"cell": "none"}, "cell"),
        ({"mogrifier": 2, "cell": "gru"}, "mogrifier"),
        ({"mogrifier": -1}, "mogrifier"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"num_layers": 1.5}, "num_layers"),
        ({"embedding_size": 0}, "embedding_size"),
        ({"output": "wide"}, "output"),
        ({"optimizer": "adam"}, "optimizer"),
        ({"dropout": 1.0}, "dropout"),
        ({"weight_drop": "much"}, "weight_drop"),
        ({"activation": -1}, "activation"),
        ({"slowness": float("inf")}, "slowness"),
        ({"window": 0}, "window"),
        ({"batch_size": 0}, "batch_size"),
        ({"min_count": 0}, "min_count"),
        ({"vocabulary_size": 0}, "vocabulary_size"),
        ({"split": "letters"}, "split"),
        ({"unseen": "skip"}, "unseen"),
        ({"validation_fraction": 0}, "validation_fraction"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"max_epochs": 0}, "max_epochs"),
        ({"lowercase": 1}, "lowercase"),
        ({"device": "none"}, "device"),
    ],
)
def test_parameters(options, match) -> None:
    with pytest.raises(GatewiseError, match=match):
        LanguageModel(**{**FAST, **options}).fit(text(30))


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ("", DataError, "tokens"),
        ("one two three\n", DataError, "tokens"),
        ([], DataError, "tokens"),
        (["a", 3], TypeError, r"X\[1\]"),
        (3, TypeError, "X: a text"),
        (b"bytes", TypeError, "X: a text"),
        (None, TypeError, "X: a text"),
    ],
)
def test_texts(given, error, match) -> None:
    with pytest.raises(error, match=match):
        LanguageModel(**FAST).fit(given)


def test_files(tmp_path) -> None:
    with pytest.raises(DataError, match="is not there"):
        LanguageModel(**FAST).fit(tmp_path / "none.txt")
    path = tmp_path / "latin.txt"
    path.write_bytes(text(30).encode() + b"caf\xe9\n")
    with pytest.raises(DataError, match="latin.txt', line 31: it is not UTF-8"):
        LanguageModel(**FAST).fit(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        fitted().perplexity(path)


def test_what_the_held_text_alone_has_is_numbered_and_counted_as_never_seen() -> None:
    held = text(5) + "ß ß\n"
    model = LanguageModel(level="character", **{**FAST, "max_epochs": 1}).fit(text(30), validation=held)
    vocabulary = model.vocabulary_
    assert vocabulary.counts[vocabulary.index("ß")] == 0
    assert sum(vocabulary.counts) == len(text(30))
    with pytest.raises(ArgumentError, match="vocabulary_size"):
        LanguageModel(level="character", **FAST, vocabulary_size=10).fit(text(30))


def test_scoring() -> None:
    with pytest.raises(DataError, match="empty"):
        fitted().perplexity("")
    with pytest.raises(DataError, match="empty"):
        fitted().evaluate([])
    with pytest.raises(DataError, match="'ß' is not in the vocabulary"):
        fitted("character").perplexity("maß")


def test_a_model_that_does_not_beat_counting_says_so() -> None:
    model = LanguageModel(**{**FAST, "max_epochs": 1, "learning_rate": 1e-6}).fit(text(60))
    evaluation = model.evaluate(text(20, seed=1))
    assert not evaluation.beats_trivial
    assert "does not beat" in evaluation.verdict
    assert "does not beat" in str(evaluation)


def changed(folder, to, change) -> None:
    """A model folder that is whole, but says something else."""
    stored = load_model(folder)
    config = json.loads(json.dumps(stored.config))
    tensors = dict(stored.tensors)
    change(config, tensors)
    shutil.rmtree(to, ignore_errors=True)
    save_model(to, kind=stored.kind, config=config, tensors=tensors, card="")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("saved") / "model"
    fitted().save(place)
    return place


def test_a_vocabulary_that_does_not_match_the_model(folder, tmp_path) -> None:
    def shorter(config, _tensors):
        vocabulary = config["tokenizer"]["vocabulary"]
        vocabulary["tokens"].pop()
        vocabulary["counts"].pop()

    changed(folder, tmp_path / "bad", shorter)
    with pytest.raises(StoreError, match="a vocabulary that does not match its model: the network knows"):
        LanguageModel.load(tmp_path / "bad")


@pytest.mark.parametrize(
    "change",
    [
        lambda config, tensors: config.pop("tokenizer"),
        lambda config, tensors: config["network"].pop("program"),
        lambda config, tensors: config["network"].update(num_layers=3),
        lambda config, tensors: config["network"].update(num_layers=10**9),
        lambda config, tensors: config["network"].update(hidden_size=10**9, tied=False),
        lambda config, tensors: config["network"].update(embedding_size=10**9),
        lambda config, tensors: config["network"].update(clusters=[5]),
        lambda config, tensors: config.update(start=10**6),
        lambda config, tensors: config.update(start="a"),
        lambda config, tensors: config["parameters"].update(other=1),
        lambda config, tensors: config["tokenizer"].update(rule="other"),
        lambda config, tensors: tensors.pop("embedding"),
        lambda config, tensors: tensors.pop("head.bias"),
        lambda config, tensors: config["found"].pop("history_"),
    ],
)
def test_folders_that_do_not_fit_together(folder, tmp_path, change) -> None:
    changed(folder, tmp_path / "bad", change)
    with pytest.raises(StoreError):
        LanguageModel.load(tmp_path / "bad")


def test_another_models_baseline(folder, tmp_path) -> None:
    shutil.copytree(folder, tmp_path / "model")
    other = LanguageModel(**{**FAST, "max_epochs": 1}).fit("a b c d e\n" * 100)
    other.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "baseline.safetensors", tmp_path / "model" / "baseline.safetensors")
    with pytest.raises(StoreError, match="does not match the model"):
        LanguageModel.load(tmp_path / "model").evaluate(text(5))
    (tmp_path / "model" / "baseline.safetensors").unlink()
    evaluation = LanguageModel.load(tmp_path / "model").evaluate(text(5))
    assert list(evaluation.scores)[1:] == ["unigram"]


def test_another_kind_of_model(tmp_path) -> None:
    save_model(tmp_path, kind="forecaster", config={}, tensors={}, card="")
    with pytest.raises(StoreError, match="kind"):
        LanguageModel.load(tmp_path)


def test_the_state_of_another_run_is_refused(tmp_path) -> None:
    options = {**FAST, "max_epochs": 1, "checkpoint_folder": tmp_path}
    LanguageModel(**options).fit(text(60))
    with pytest.raises(StoreError, match="another run"):
        LanguageModel(**options).fit(text(60, seed=5))
    with pytest.raises(ArgumentError, match="dropout"):
        LanguageModel(**{**options, "dropout": 2}).fit(text(60))
