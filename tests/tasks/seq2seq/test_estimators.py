"""Translator and summarizer: they learn tiny languages, copy words they never saw, are saved, and resume."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone

from gatewise.errors import ArgumentError, ArgumentTypeError, DataError, StoreError
from gatewise.store import load_model, save_model
from gatewise.tasks import Summarizer, Translator
from gatewise.tasks.seq2seq import fitting
from gatewise.tasks.seq2seq.figures import plot_attention
from gatewise.tasks.seq2seq.training import PairObjective, PairSource
from tests.tasks.seq2seq.languages import replaced, reversed_, sentences, share_right, summarizer, translator

QUICK = {"max_epochs": 1, "hidden_size": 8, "feeding": "none", "attention": "general"}


@pytest.fixture(scope="module")
def model() -> Translator:
    """One that turns sentences around."""
    texts = sentences(800, longest=4)
    return translator(feeding="none", attention="general", batch_size=32, learning_rate=0.01).fit(
        texts, reversed_(texts)
    )


def test_it_learns_to_turn_sentences_around(model) -> None:
    texts = sentences(100, seed=1, longest=4)
    assert share_right(model, texts, reversed_(texts)) >= 0.95
    assert model.score(texts, reversed_(texts)) > 0.95
    assert model.translate(texts[0]) == model.predict(texts[:1])[0]
    assert model.translate(texts[:2]) == model.predict(texts[:2])


def test_it_attends_to_what_it_translates(model) -> None:
    said = model.attend(["rot Haus zwei blau"])[0]
    assert said.tokens == ("blue", "two", "house", "red", "</s>")
    assert said.source_tokens == ("rot", "Haus", "zwei", "blau", "</s>")
    np.testing.assert_allclose(said.attention.sum(axis=1), 1, rtol=1e-5)
    assert said.attention[:4].argmax(axis=1).tolist() == [3, 2, 1, 0]
    assert plot_attention(said).axes
    with pytest.raises(ArgumentError, match="without"):
        plot_attention(model.fitted_.say(["rot"], model._manner())[0][0][0])


def test_the_best_come_first_and_add_up_to_what_they_are_worth(model) -> None:
    texts = sentences(10, seed=2)
    found = model.predict_n_best(texts, 4)
    for own in found:
        scores = [score for _, score in own]
        assert scores == sorted(scores, reverse=True)
        assert len({text for text, _ in own}) == len(own) == 4
    plain = model.set_params(length_penalty=0.0, coverage_penalty=0.0).predict_n_best(texts, 1)
    model.set_params(length_penalty=None, coverage_penalty=None)
    forced = model.log_probs(texts, [own[0][0] for own in plain])
    # The same sums in batches of other sizes, float32: some 1e-6 a step.
    np.testing.assert_allclose(forced, [own[0][1] for own in plain], atol=1e-4)


def test_a_batch_says_what_each_text_alone_does(model) -> None:
    texts = sentences(66, seed=3, longest=9)
    together = model.predict(texts)
    assert together[::6] == [model.predict([text])[0] for text in texts[::6]]


def test_samples_come_by_the_seed(model) -> None:
    texts = sentences(20, seed=4)
    assert model.sample(texts, temperature=1.5) == model.sample(texts, temperature=1.5)
    assert model.sample(texts, temperature=0.01, top_k=1) == model.set_params(beam_size=1).predict(texts)
    model.set_params(beam_size=3)


@pytest.mark.parametrize("tokens", ["subword", "word", "character"])
@pytest.mark.parametrize("shared", [True, False])
def test_a_loaded_model_says_the_same(tokens, shared, tmp_path) -> None:
    texts = sentences(40)
    model = translator(**QUICK, tokens=tokens, shared_vocabulary=shared, vocabulary_size=300)
    model.fit(texts, replaced(texts)).save(tmp_path / "model")
    loaded = Translator.load(tmp_path / "model")
    assert loaded.predict_n_best(texts[:5], 2) == model.predict_n_best(texts[:5], 2)
    assert (
        loaded.evaluate(texts, replaced(texts)).to_dict() == model.evaluate(texts, replaced(texts)).to_dict()
    )
    assert loaded.history_ == model.history_
    kept = {"random_state": None, "cell": "gru"}
    assert loaded.get_params() | kept == model.get_params() | kept
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "card.md",
        "config.json",
        "model.safetensors",
    ]


@pytest.mark.slow
def test_a_model_loads_where_nothing_is_known_of_it(model, tmp_path) -> None:
    model.save(tmp_path / "model")
    code = "import sys, gatewise; print(gatewise.Translator.load(sys.argv[1]).translate('rot blau'))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model")], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "blue red"
    with pytest.raises(StoreError, match="translator"):
        Summarizer.load(tmp_path / "model")


@pytest.mark.parametrize(
    "damage", ["network", "vocabulary", "found", "lexicon", "parameters", "two vocabularies"]
)
def test_a_folder_whose_parts_do_not_fit_is_refused(model, damage, tmp_path) -> None:
    model.save(tmp_path / "model")
    stored = load_model(tmp_path / "model")
    config = dict(stored.config)
    words = "save the model anew"
    if damage == "network":
        config["network"]["hidden_size"] = 9
        words = "."
    elif damage == "vocabulary":
        for part in ("tokens", "counts"):
            config["source"]["vocabulary"][part].append("new" if part == "tokens" else 1)
        words = "does not match the model"
    elif damage == "parameters":
        config["parameters"]["unheard_of"] = 1
    elif damage == "two vocabularies":
        config["target"] = config["source"]
        words = "one vocabulary or two"
    else:
        del config[damage]
    save_model(tmp_path / "model", kind="translator", config=config, tensors=stored.tensors, card="")
    with pytest.raises(StoreError, match=words):
        Translator.load(tmp_path / "model")


def test_a_summarizer_copies_words_that_it_never_saw() -> None:
    """The word after "topic" is the summary; the names of the test are in no training text."""
    generator = np.random.default_rng(0)

    def texts(count: int, prefix: str):
        names = [f"{prefix}{at}" for at in range(count)]
        fill = [" ".join(generator.choice(["we", "talk", "long", "of", "it"], 4)) for _ in range(2 * count)]
        return [f"{fill[2 * at]} topic {name} {fill[2 * at + 1]}" for at, name in enumerate(names)], names

    sources, names = texts(300, "k")
    model = summarizer(max_epochs=12, min_count=5, length_penalty=0.0).fit(sources, names)
    assert "k1" not in model.fitted_.coder.target.vocabulary
    later, unseen = texts(50, "z")
    assert share_right(model, later, unseen) >= 0.9
    evaluation = model.evaluate(later, unseen)
    assert list(evaluation.scores) == ["gru", "first words", "longest noun-like word"]
    assert evaluation.beats_trivial
    assert set(evaluation.scores["gru"]) == {"ROUGE-1", "ROUGE-2", "ROUGE-L"}
    assert "stemmer" in evaluation.signatures["ROUGE-L"]


def test_a_fit_that_was_cut_off_goes_on_where_it_stopped(tmp_path, monkeypatch) -> None:
    """Cut off in the third validation, it does the rest only, and ends with the very numbers of a whole run."""
    texts = sentences(80)
    options = {**QUICK, "max_epochs": 4, "dropout": 0.2}
    whole = translator(**options).fit(texts, replaced(texts))
    validate, calls, steps = PairObjective.validate, [], []
    configure = fitting.training_config
    monkeypatch.setattr(
        fitting,
        "training_config",
        lambda *given, **options: dataclasses.replace(configure(*given, **options), checkpoint_every_steps=2),
    )

    def cut_off(self, model):
        calls.append(1)
        if len(calls) == 3:
            raise OSError("the machine is gone")
        return validate(self, model)

    monkeypatch.setattr(PairObjective, "validate", cut_off)
    with pytest.raises(OSError, match="gone"):
        translator(**options, checkpoint_folder=tmp_path / "run").fit(texts, replaced(texts))
    monkeypatch.setattr(PairObjective, "validate", validate)
    batch = PairSource.batch
    monkeypatch.setattr(PairSource, "batch", lambda *place: steps.append(1) or batch(*place))
    again = translator(**options, checkpoint_folder=tmp_path / "run").fit(texts, replaced(texts))
    # An epoch has 5 batches; the newest checkpoint is at most 2 steps behind.
    assert 0 < len(steps) <= 2 * 5 + 2
    assert again.predict_n_best(texts[:5], 2) == whole.predict_n_best(texts[:5], 2)
    assert [record["validation_loss"] for record in again.history_] == [
        record["validation_loss"] for record in whole.history_
    ]


def test_half_precision_trains_too() -> None:
    texts = sentences(60)
    options = {**QUICK, "max_epochs": 2, "copy": True, "precision": "bfloat16"}
    one = translator(**options).fit(texts, replaced(texts))
    other = translator(**options | {"precision": "float32"}).fit(texts, replaced(texts))
    # bfloat16 has three digits; the losses of some steps differ by a few of the last.
    assert abs(one.history_[-1]["validation_loss"] / other.history_[-1]["validation_loss"] - 1) < 0.02


def test_the_same_seed_gives_the_same_model() -> None:
    texts = sentences(40)
    one, other = (translator(**QUICK, dropout=0.3).fit(texts, replaced(texts)) for _ in range(2))
    assert one.predict_n_best(texts[:5]) == other.predict_n_best(texts[:5])


def test_scikit_learns_contract() -> None:
    model = Translator(cell="lstm", hidden_size=7)
    assert clone(model).get_params() == model.get_params()
    assert Summarizer(copy=False).chosen()["copy"] is False
    assert Summarizer().chosen()["copy"] is True
    with pytest.raises(Exception, match="not fitted yet"):
        model.predict(["a"])


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        (["a b", "c"], ["x"], "y: as many texts as in X are expected, came 1 for 2"),
        (["a", " "], ["x", "y"], "X: number 2 is empty"),
        (["a", "b"], ["x", ""], "y: number 2 is empty"),
        (["a", 3], ["x", "y"], "X: texts are expected, number 2 is 3"),
        ("a", ["x"], "a list of texts is expected"),
        ([], [], "at least one text"),
        (["a"], ["x"], "at least 2 pairs"),
        (["a", "a"], ["x", "y"], "all sources are alike"),
        (5, ["x"], "a list of texts is expected, came int"),
    ],
)
def test_texts_that_cannot_be_used_are_named(X, y, words) -> None:
    with pytest.raises(DataError, match=words):
        translator(**QUICK).fit(X, y)


def test_texts_that_cannot_be_translated_are_named(model) -> None:
    with pytest.raises(DataError, match="number 2 is empty"):
        model.predict(["rot", ""])
    with pytest.raises(DataError, match="as many texts"):
        model.evaluate(["rot"], ["red", "blue"])
    texts = sentences(40)
    short = translator(**QUICK, max_source_length=5).fit(texts, replaced(texts))
    with pytest.warns(UserWarning, match="1 of 2 sources are longer than the model reads"):
        short.predict(["rot", "rot " * 9])


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"hidden_size": 0}, ArgumentError, "hidden_size"),
        ({"attention": "cosine"}, ArgumentError, "attention: one of"),
        ({"feeding": "all"}, ArgumentError, "feeding: one of"),
        ({"tokens": "bytes"}, ArgumentError, "tokens: one of"),
        ({"dropout": 1.0}, ArgumentError, "dropout"),
        ({"label_smoothing": "x"}, ArgumentTypeError, "label_smoothing"),
        ({"coverage": -1.0}, ArgumentError, "coverage"),
        ({"coverage": 1.0, "attention": "dot"}, ArgumentError, "coverage"),
        ({"copy": 1}, ArgumentTypeError, "copy: True or False"),
        ({"copy": True, "tokens": "subword", "shared_vocabulary": False}, ArgumentError, "shared_vocabulary"),
        ({"beam_size": 0}, ArgumentError, "beam_size"),
        ({"length_penalty": -1}, ArgumentError, "length_penalty"),
        ({"cell": "gru_d"}, ArgumentError, "one input stream"),
        ({"validation_fraction": 0}, ArgumentError, "validation_fraction"),
    ],
)
def test_parameters_that_cannot_be_are_named(changes, error, words) -> None:
    texts = sentences(10)
    with pytest.raises(error, match=words):
        translator(**(QUICK | changes)).fit(texts, replaced(texts))
