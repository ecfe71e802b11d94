"""The tagger learns, says valid tags, and is judged beside the trivial methods."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone

import gatewise
from gatewise.data.text.tags import convert_tags, find_fault
from gatewise.spec import sigmoid, tanh
from gatewise.tasks import SequenceTagger
from gatewise.tasks.tagging.baselines import FREQUENT, MAJORITY
from gatewise.tasks.text_classification.linear import TFIDF
from tests.tasks.tagging.sentences import sentences, small

TRAIN, TEST = sentences(), sentences(30, seed=1)


@pytest.fixture(scope="module")
def fitted() -> SequenceTagger:
    """A tagger that several tests read."""
    return small().fit(TRAIN)


def test_it_learns_tags_and_intents(fitted) -> None:
    evaluation = fitted.evaluate(TEST)
    own = evaluation.scores["lstm"]
    assert own.f1 > 0.9
    assert own.intent_accuracy > 0.9
    assert list(evaluation.scores) == ["lstm", FREQUENT, MAJORITY, TFIDF]
    assert fitted.score(TEST) == own.f1
    assert own.whole_accuracy <= min(own.sentence_accuracy, own.intent_accuracy)
    assert fitted.scheme_ == "bio"
    assert fitted.intents_ == ("opinion", "travel")
    words = str(evaluation)
    assert "most frequent tag" in words
    assert evaluation.verdict in words


def test_marginals_are_probabilities_and_agree_with_the_best_tags_where_all_is_clear(fitted) -> None:
    shares = fitted.predict_proba(TEST)
    tags = fitted.predict(TEST)
    for own, said in zip(shares, tags, strict=True):
        assert own.shape == (len(said), len(fitted.classes_))
        np.testing.assert_allclose(own.sum(axis=1), 1, atol=1e-5)
        sure = own.max(axis=1) > 0.9
        assert (fitted.classes_[own.argmax(axis=1)][sure] == np.array(said)[sure]).all()
    intents = fitted.predict_intent_proba(TEST)
    np.testing.assert_allclose(intents.sum(axis=1), 1)
    assert [fitted.intents_[one] for one in intents.argmax(axis=1)] == fitted.predict_intents(TEST)


def test_company_and_order_change_nothing(fitted) -> None:
    together = fitted.predict_proba(TEST)
    for index in (0, 7, 29):
        alone = fitted.predict_proba([TEST.tokens[index]])[0]
        # A row alone and in a batch differ in the last bits of torch's products.
        np.testing.assert_allclose(alone, together[index], atol=1e-5)


@pytest.mark.parametrize(
    "parameters",
    [
        {"cell": "gru", "characters": "lstm", "coding": "bioes", "num_layers": 2, "recurrent_dropout": 0.1},
        {"cell": "lstm_projected", "characters": "none"},
        {"cell": "min_gru", "head": "softmax"},
    ],
    ids=lambda parameters: parameters["cell"],
)
def test_tags_are_valid_whatever_the_parts(parameters) -> None:
    model = small(max_epochs=1, **parameters).fit(TRAIN.tokens, TRAIN.tags)
    for said in model.predict(TEST.tokens):
        assert find_fault(said, "bio") is None
    assert model.evaluate(TEST.tokens, TEST.tags).scores[parameters["cell"]].f1 is not None


def test_a_cell_of_ones_own() -> None:
    @gatewise.cell(states="h", gates="f n")
    def own_cell(gate, state):
        f = sigmoid(gate.f)
        return f * state.h + (1 - f) * tanh(gate.n)

    assert len(small(cell=own_cell, max_epochs=1).fit(TRAIN).predict(TEST)) == 30


def test_tags_come_back_in_the_scheme_they_came_in() -> None:
    for scheme in ("iob1", "bioes"):
        tags = [convert_tags(one, "bio", scheme) for one in TRAIN.tags]
        model = small(max_epochs=3).fit(TRAIN.tokens, tags)
        assert model.scheme_ == scheme
        assert all(find_fault(one, scheme) is None for one in model.predict(TEST.tokens))


def test_tags_that_mark_no_spans() -> None:
    tags = [["NAME" if word[0].isupper() else "word" for word in one] for one in TRAIN.tokens]
    model = small().fit(TRAIN.tokens, tags)
    assert model.scheme_ == "none"
    evaluation = model.evaluate(TRAIN.tokens, tags)
    own = evaluation.scores["lstm"]
    assert own.f1 is None
    assert own.tag_accuracy > 0.95
    assert model.score(TRAIN.tokens, tags) == own.tag_accuracy
    assert evaluation.kinds == ("NAME", "word", "no span")


def test_what_is_not_known_is_learned_around() -> None:
    generator = np.random.default_rng(0)
    partly = [[None if generator.random() < 0.3 else tag for tag in one] for one in TRAIN.tags]
    partly[:10] = TRAIN.tags[:10]
    for head in ("crf", "softmax"):
        model = small(head=head, max_epochs=8).fit(TRAIN.tokens, partly)
        assert model.score(TEST.tokens, TEST.tags) > 0.8


def test_the_same_seed_gives_the_same_model() -> None:
    one, other = (small(max_epochs=1).fit(TRAIN).predict_proba(TEST) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_interrupted_fit_goes_on(tmp_path) -> None:
    whole = small(max_epochs=2).fit(TRAIN)
    folder = tmp_path / "checkpoints"
    small(max_epochs=2, checkpoint_folder=folder, max_time=1e-6).fit(TRAIN)
    again = small(max_epochs=2, checkpoint_folder=folder).fit(TRAIN)
    assert again.stopped_ == "finished"
    own = again.fitted_.network.state_dict()
    for name, value in whole.fitted_.network.state_dict().items():
        torch.testing.assert_close(own[name], value, rtol=1e-3, atol=1e-3)


def test_vectors_from_a_file_are_counted(tmp_path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("Paris 1 2 3 4\nto 4 3 2 1\nLyon 1 1 2 2\n")
    model = small(vectors=path, word_size=4, max_epochs=1).fit(TRAIN)
    found = model.vectors_
    assert (found.found, found.further) == (2, 1)
    assert "lyon" in model.fitted_.encoder.words
    assert f"2 of {found.training_words}" in str(found)


def test_fit_leaves_parameters_as_they_are() -> None:
    model = small(max_epochs=1)
    before = model.get_params()
    assert clone(model).get_params() == before
    assert model.fit(TRAIN) is model
    assert model.get_params() == before
