"""The text classifier learns, explains itself, and stands beside the linear classifiers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from gatewise.data.text.labelled import LabelledTexts, read_labelled
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError, GatewiseError
from gatewise.tasks import TextClassifier
from gatewise.tasks.text_classification.attribution import attribute
from gatewise.tasks.text_classification.card import against_words
from gatewise.tasks.text_classification.figures import attribution_html, plot_attribution
from gatewise.tasks.text_classification.fitted import cut
from gatewise.tasks.text_classification.linear import NB_SVM, TFIDF
from gatewise.tasks.text_classification.network import TextNetwork
from tests.tasks.text_classification.films import WORDS, films, small

X, Y = films()
TEST = films(40, seed=1)


@pytest.fixture(scope="module")
def fitted() -> TextClassifier:
    """A classifier that several tests read."""
    return small().fit(X, Y)


def test_it_learns_and_stands_beside_the_others(fitted) -> None:
    evaluation = fitted.evaluate(*TEST)
    assert evaluation.scores["lstm"].accuracy > 0.95
    assert list(evaluation.scores) == ["lstm", "majority class", TFIDF, NB_SVM]
    assert fitted.score(*TEST) == evaluation.scores["lstm"].accuracy
    assert TFIDF in against_words(evaluation) or NB_SVM in against_words(evaluation)
    shares = fitted.predict_proba(TEST[0])
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (fitted.predict(TEST[0]) == fitted.classes_[shares.argmax(axis=1)]).all()


def test_attributions_add_up_and_point_at_the_words_that_decide(fitted) -> None:
    for found, label in zip(fitted.attributions(TEST[0][:6]), TEST[1][:6], strict=True):
        assert found.complete
        # The rule is exact for smooth functions but for the float32 of the network: 16 to 256 points do.
        assert found.scores.sum() == pytest.approx(
            found.value - found.base, abs=max(0.01 * abs(found.value - found.base), 0.01)
        )
        assert found.target == label
        strongest = [found.words[one] for one in np.argsort(-found.scores)[:2]]
        assert set(strongest) & set(WORDS[label])
    one, other = (fitted.attributions(TEST[0][:1], target)[0] for target in ("good", "bad"))
    np.testing.assert_allclose(one.scores, -other.scores, atol=1e-4)


def test_attributions_of_a_linear_network_are_its_products() -> None:
    """An oracle: of a mean of vectors and a matrix, what a word adds is known."""

    class Linear(TextNetwork):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.words = torch.nn.Embedding(5, 3, padding_idx=0)
            self.out = torch.nn.Linear(3, 2)

        def of_vectors(self, vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return self.out(vectors.mean(0))

    network = Linear().eval()
    codes = np.array([2, 4, 1, 3])
    found = attribute(network, list("abcd"), codes, 1, "x")
    with torch.no_grad():
        direction = network.out.weight[1] - network.out.weight[0]
        expected = (network.words.weight[torch.from_numpy(codes)] @ direction / 4).numpy()
    np.testing.assert_allclose(found.scores, expected, atol=1e-6)
    assert found.complete
    assert found.points == 16


def test_attributions_are_drawn_over_the_text(fitted) -> None:
    found = fitted.attributions(["The film costs 5 $ & is <long>."])[0]
    html = attribution_html(found)
    assert "&amp;" in html
    assert "&lt;" in html
    assert "complete" in html
    figure = plot_attribution(found)
    figure.canvas.draw()
    assert len(figure.axes[0].texts) == len(found.words) + 1


@pytest.mark.parametrize(
    "parameters",
    [
        {"pooling": "max", "cell": "gru"},
        {"pooling": "mean", "bidirectional": False, "num_layers": 2},
        {"pooling": "last", "cell": "lstm_projected", "recurrent_dropout": 0.1},
    ],
    ids=lambda parameters: parameters["pooling"],
)
def test_other_parts(parameters) -> None:
    texts, labels = films(60, classes=("good", "bad", "odd"))
    model = small(max_epochs=2, **parameters).fit(texts, labels)
    shares = model.predict_proba(texts)
    assert shares.shape == (60, 3)
    # A text alone and in a batch of others differ in the last bits of torch's products.
    np.testing.assert_allclose(model.predict_proba(texts[:1]), shares[:1], atol=1e-5)
    assert model.attributions(texts[:1])[0].complete


def test_classes_that_are_numbers_and_validation_of_ones_own() -> None:
    model = small(max_epochs=1).fit(
        X, [int(one == "good") for one in Y], validation=(TEST[0], [int(one == "good") for one in TEST[1]])
    )
    assert model.classes_.tolist() == [0, 1]
    assert model.predict(TEST[0]).dtype.kind == "i"
    assert "40 texts that were given" in model.validation_


def test_a_long_text_is_read_from_both_ends(fitted) -> None:
    words = ["start", *["x"] * 1000, "end"]
    own = cut(words, 400)
    assert len(own) == 400
    assert (own[0], own[-1]) == ("start", "end")
    assert len(small(max_length=4, max_epochs=1).fit(X, Y).attributions(X[:1])[0].words) == 4


def test_the_same_seed_gives_the_same_model_and_parameters_stay() -> None:
    model = small(max_epochs=1, baselines=False)
    before = model.get_params()
    one = model.fit(X, Y).predict_proba(TEST[0])
    np.testing.assert_array_equal(one, clone(model).fit(X, Y).predict_proba(TEST[0]))
    assert model.get_params() == before
    assert list(model.evaluate(*TEST).scores) == ["lstm", "majority class"]


@pytest.mark.parametrize(
    ("texts", "labels", "words"),
    [
        (["a", " "], ["x", "y"], "X[1]: the text is empty"),
        (["a", 3], ["x", "y"], "X[1]: a text is expected, came 3"),
        ("a b", ["x"], "for one text pass [text]"),
        ([], [], "at least one text"),
        (["a", "b"], ["x"], "y: a class for each of the 2 texts"),
        (["a", "b"], None, "requires y to be passed"),
        (["a", "b"], ["x", "x"], "at least 2 classes"),
        (["a", "b"], ["x", None], "none missing"),
        (["a b", "c d"], ["x", "y"], "min_count: no word comes 2 times"),
    ],
)
def test_texts_that_cannot_be_used(texts, labels, words) -> None:
    with pytest.raises(DataError) as caught:
        small().fit(texts, labels)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"cell": "lstn"}, GatewiseError, "lstn"),
        ({"cell": "gru_d"}, ArgumentError, "cell: a cell with one input"),
        ({"pooling": "sum"}, ArgumentError, "pooling: one of"),
        ({"word_dropout": 1.0}, ArgumentError, "word_dropout"),
        ({"max_length": 0}, ArgumentError, "max_length"),
        ({"lowercase": "yes"}, ArgumentTypeError, "lowercase"),
    ],
)
def test_parameters(parameters, error, words) -> None:
    with pytest.raises(error) as caught:
        small(**parameters).fit(X, Y)
    assert words in str(caught.value)


def test_what_does_not_match_the_model(fitted) -> None:
    with pytest.raises(DataError, match="the label 'so so' is none of the classes"):
        fitted.evaluate(["a film"], ["so so"])
    with pytest.raises(DataError, match="target: the label 'odd'"):
        fitted.attributions(["a film"], "odd")
    with pytest.raises(DataError, match="X\\[0\\]: the text is empty"):
        fitted.predict([""])
    with pytest.raises(NotFittedError):
        small().predict(["a"])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "text,label\ngood,\n", "line 2: 'label' is empty"),
        ("a.csv", "text,label\n\ngood,x\n", "line 2: the line is empty"),
        ("a.csv", "text,label\ngood,x,y\n", "line 2: 2 fields are expected as in the header, came 3"),
        ("a.csv", "words,label\ngood,x\n", "no column 'text'; there are 'words', 'label'"),
        ("a.csv", "text,label\n", "no row below the header"),
        ("a.csv", b"text,label\ngood,x\nf\xfcr,y\n", "line 3: it is not UTF-8"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n\n', "line 2: it is blank"),
        ("a.jsonl", "[]\n", "line 1: a JSON object is expected, came list"),
        ("a.txt", "a\n", "ends in .csv, .tsv or .jsonl"),
    ],
)
def test_files_that_cannot_be_used(name, content, words, tmp_path) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        read_labelled(path)
    assert words in str(caught.value)
    assert name in str(caught.value)


def test_files_of_three_kinds_hold_the_same(tmp_path) -> None:
    (tmp_path / "a.csv").write_text('text,label\n"so ""good"",\nreally",x\nbad,y\n')
    (tmp_path / "a.jsonl").write_text(
        '{"text": "so \\"good\\",\\nreally", "label": "x"}\n{"text": "bad", "label": "y"}\n'
    )
    (tmp_path / "a.tsv").write_text('label\ttext\nx\tso "good\ny\tbad\n')
    one, other, third = (read_labelled(tmp_path / f"a.{kind}") for kind in ("csv", "jsonl", "tsv"))
    assert one.texts == other.texts == ['so "good",\nreally', "bad"]
    assert third.texts == ['so "good', "bad"]
    assert one.labels == other.labels == third.labels == ["x", "y"]
    assert one.lines == (2, 4)
    assert isinstance(one.take([1]), LabelledTexts)
