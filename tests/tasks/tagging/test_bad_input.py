"""What cannot be used is refused in words that name the place and what to do."""

from __future__ import annotations

import pytest
from sklearn.exceptions import NotFittedError

from gatewise.data.text.columns import TaggedSentences
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError, GatewiseError
from gatewise.tasks import SequenceTagger
from tests.tasks.tagging.sentences import sentences, small

TRAIN = sentences(20)
X, Y = TRAIN.tokens, TRAIN.tags


@pytest.fixture(scope="module")
def fitted() -> SequenceTagger:
    """A tagger of little worth."""
    return small(max_epochs=1).fit(TRAIN)


@pytest.mark.parametrize(
    ("tokens", "tags", "words"),
    [
        ([["a"], []], [["O"], []], "X[1]: the sentence is empty"),
        ([["a", " "]], [["O", "O"]], "X[0]: words as texts, none empty"),
        ([["a", 3]], [["O", "O"]], "X[0]: words as texts"),
        (["a b", "c"], [["O"], ["O"]], "split the text into words first"),
        ("a b", [["O"]], "X: a list of sentences"),
        ([], [], "X: at least one sentence"),
        ([["a", "b"]], [["O"]], "sentence 1: one tag for each of its 2 words is expected, came 1"),
        ([["a"]], [["O"], ["O"]], "y: tags for each of the 1 sentences"),
        ([["a"]], [[3]], "tags as texts"),
        ([["a"]], None, "requires y to be passed"),
        ([["a"]], ["O"], "sentence 1: a list of tags"),
        ([["a"], ["b"]], [["O"], ["O"]], "at least 2 different tags"),
        ([["a"], ["b"]], [["B-x"], ["Q-x"]], "valid in none of bio, bioes and iob1"),
        ([["a"]], [["B-x"]], "at least 2 sentences"),
    ],
)
def test_sentences_and_tags(tokens, tags, words) -> None:
    with pytest.raises(DataError) as caught:
        small().fit(tokens, tags)
    assert words in str(caught.value)


def test_a_tag_sequence_that_is_not_valid_names_sentence_and_word() -> None:
    tags = [list(one) for one in Y]
    tags[3] = ["O"] * (len(tags[3]) - 1) + ["I-PER"]
    with pytest.raises(
        DataError, match=rf"sentence 4, word {len(tags[3])}: the tag 'I-PER' after 'O' is not valid in bio"
    ):
        small(scheme="bio").fit(X, tags)


def test_a_file_s_sentence_is_named_by_its_line() -> None:
    data = TaggedSentences([["a"], ["b", "c"]], [["O"], ["O", "I-x"]], None, (1, 3), "'some.conll'")
    with pytest.raises(DataError, match="'some.conll', line 3, sentence 2, word 2: the tag 'I-x'"):
        small(scheme="bio").fit(data)


@pytest.mark.parametrize(
    ("tags", "intents", "words"),
    [
        ([["B-PET", "O", "O"]], ["travel"], "word 1: the model does not know the tag 'B-PET'"),
        ([["I-PER", "O", "O"]], ["travel"], "word 1: the tag 'I-PER' after the sentence's beginning"),
        ([[None, "O", "O"]], ["travel"], "word 1: its tag is not known; give all tags"),
        ([["O", "O", "O"]], ["sleep"], "does not know the intent 'sleep'"),
    ],
)
def test_tags_that_the_model_does_not_know(fitted, tags, intents, words) -> None:
    with pytest.raises(DataError) as caught:
        fitted.evaluate([["Mia", "likes", "Rome"]], tags, intents=intents)
    assert words in str(caught.value)


def test_unknown_tags_may_count_as_missed(fitted) -> None:
    own = fitted.evaluate(
        [["Mia", "likes", "Rome"]], [["B-PET", "O", "O"]], intents=["sleep"], unknown="missed"
    )
    assert own.unknown == ("PET",)
    assert own.by_kind["PET"]["recall"] == 0
    assert own.scores["lstm"].intent_accuracy == 0
    with pytest.raises(ArgumentError, match="unknown: "):
        fitted.evaluate(X, Y, unknown="ignore")


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_intents", "evaluate"])
def test_not_fitted(method) -> None:
    with pytest.raises(NotFittedError):
        getattr(small(), method)(X)


def test_intents_that_are_not_there(fitted) -> None:
    plain = small(max_epochs=1).fit(X, Y)
    with pytest.raises(DataError, match="fitted without intents"):
        plain.predict_intents(X)
    with pytest.raises(DataError, match="intents: this tagger was fitted without"):
        plain.evaluate(TRAIN)
    with pytest.raises(DataError, match="intents: one for each of the 20"):
        small().fit(X, Y, intents=["a"])
    with pytest.raises(DataError, match="intents in both or in neither"):
        small().fit(TRAIN, validation=(X, Y))
    with pytest.raises(DataError, match="X\\[0\\]: the sentence is empty"):
        fitted.predict([[]])


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"cell": "lstn"}, GatewiseError, "lstn"),
        ({"cell": "gru_d"}, ArgumentError, "cell: a cell with one input"),
        ({"hidden_size": 0}, ArgumentError, "hidden_size"),
        ({"hidden_size": 2.0}, ArgumentTypeError, "hidden_size"),
        ({"characters": "rnn"}, ArgumentError, "characters: one of"),
        ({"characters": "lstm", "character_size": 7}, ArgumentError, "character_size: an even number"),
        ({"scheme": "bilou"}, ArgumentError, "scheme: one of"),
        ({"dropout": 1.0}, ArgumentError, "dropout: a number"),
        ({"validation_fraction": 0.0}, ArgumentError, "validation_fraction"),
        ({"normalise": "yes"}, ArgumentTypeError, "normalise"),
        ({"vectors": "nowhere.txt"}, DataError, "nowhere.txt"),
    ],
)
def test_parameters(parameters, error, words) -> None:
    with pytest.raises(error) as caught:
        small(**parameters).fit(TRAIN)
    assert words in str(caught.value)


def test_vectors_of_another_size(tmp_path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("Paris 1 2 3\n")
    with pytest.raises(ArgumentError, match="say word_size=3"):
        small(vectors=path).fit(TRAIN)
