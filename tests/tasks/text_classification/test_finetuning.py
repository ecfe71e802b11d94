"""A language model becomes a classifier: its weights are taken, lower layers move less, layers are set free in turn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gatewise import train
from gatewise.errors import ArgumentError, StoreError
from gatewise.tasks import LanguageModel, TextClassifier
from gatewise.tasks.language.vectors import word_vectors
from gatewise.tasks.text_classification.finetuning import FineTunedNetwork, FineTunedPlan, TextNorm
from tests.tasks.text_classification.films import films, small

X, Y = films(60)


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    """The folder of a language model over the words of the same texts."""
    model = LanguageModel(
        level="word", split="simple", lowercase=True, hidden_size=12, num_layers=2, embedding_size=12, min_count=1,
        max_epochs=2, batch_size=4, window=10, random_state=0, progress=False,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("language") / "model"
    model.fit("\n".join(X) + "\n").save(path)
    return path


def network_of(language) -> tuple[FineTunedNetwork, LanguageModel]:
    """A classifier's network with the language model's weights."""
    model = LanguageModel.load(language)
    network = FineTunedNetwork(FineTunedPlan(model.fitted_.network.plan, 2, 0.1))
    network.take(model.fitted_.network)
    return network, model


def test_weights_are_taken_and_texts_read_as_the_language_model_reads_them(language) -> None:
    network, model = network_of(language)
    codes = torch.from_numpy(model.fitted_.tokenizer.encode("the film is dull"))[:, None]
    network.eval()
    own = network.vectors(codes)
    for layer in network.reader.layers:
        own = layer(own)[0]
    torch.testing.assert_close(own, model.fitted_.network.eval()(codes)[0])


def test_lower_layers_move_less_and_are_set_free_in_turn(language) -> None:
    network, _ = network_of(language)
    groups = network.groups()
    assert [one[0].split(".")[0] for one in groups] == ["head", "reader", "reader", "reader"]
    assert sorted(name for one in groups for name in one) == sorted(
        name for name, _ in network.named_parameters()
    )
    factors = network.rate_factors()
    assert [factors[one[0]] for one in groups] == pytest.approx([1, 1 / 2.6, 1 / 2.6**2, 1 / 2.6**3])
    network.free(2)
    free = {name for name, one in network.named_parameters() if one.requires_grad}
    assert free == {*groups[0], *groups[1]}


def test_it_learns_in_stages_and_is_saved(language, tmp_path) -> None:
    model = small(
        language_model=language, max_epochs=12, learning_rate=5e-2, patience=None,
        checkpoint_folder=tmp_path / "checkpoints",
    ).fit(X, Y)  # fmt: skip
    assert [row["stage"] for row in model.history_] == [1, 2, 3, *[4] * 9]
    assert [row["epoch"] for row in model.history_] == list(range(1, 13))
    assert model.best_epoch_ >= 4
    test = films(30, seed=1)
    evaluation = model.evaluate(*test)
    assert evaluation.scores["lstm"].accuracy > 0.9
    assert all(one.complete for one in model.attributions(test[0][:3]))
    model.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(test[0]), model.predict_proba(test[0]))
    assert loaded.language_model is None


def test_only_the_head_moves_in_the_first_stage(language, monkeypatch) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    model = small(language_model=language, max_epochs=4)
    monkeypatch.setattr("gatewise.tasks.text_classification.finetuning.train", _Recording(train, seen))
    model.fit(X, Y)
    first, second = seen[0], seen[1]
    moved = {name for name in first if not torch.equal(first[name], second[name])}
    assert moved
    assert all(name.startswith("head.") for name in moved)
    last = {name for name in first if not torch.equal(first[name], model.fitted_.network.state_dict()[name])}
    assert "reader.embedding" in last


class _Recording:
    """The training package, which notes a network's weights before each fit."""

    def __init__(self, package, seen) -> None:
        self._package, self._seen = package, seen

    def __getattr__(self, name):
        return getattr(self._package, name)

    def fit(self, network, *arguments, **options):
        self._seen.append({name: one.detach().clone() for name, one in network.state_dict().items()})
        return self._package.fit(network, *arguments, **options)


def test_a_language_model_over_characters_is_refused(tmp_path) -> None:
    model = LanguageModel(
        level="character", hidden_size=4, num_layers=1, max_epochs=1, random_state=0, progress=False
    )
    model.fit("\n".join(X) + "\n").save(tmp_path / "model")
    with pytest.raises(ArgumentError, match="language_model: one over words is expected"):
        small(language_model=tmp_path / "model").fit(X, Y)
    with pytest.raises(ArgumentError, match="vectors: a language model brings its own"):
        small(language_model=tmp_path / "model", vectors="some.txt").fit(X, Y)


@pytest.mark.parametrize(("given", "expected"), [(None, 1e-2), (3e-3, 3e-3)])
def test_fine_tuning_has_its_own_usual_rate(language, monkeypatch, given, expected) -> None:
    seen: list[float] = []

    def fit(network, objective, source, config, progress):
        seen.append(config.learning_rate)
        raise InterruptedError

    monkeypatch.setattr("gatewise.tasks.text_classification.finetuning.train.fit", fit)
    with pytest.raises(InterruptedError):
        small(language_model=language, learning_rate=given).fit(X, Y)
    assert seen == [expected]


def test_the_head_tells_texts_apart_by_small_differences() -> None:
    norm = TextNorm(3)
    values = 5 + 1e-2 * torch.randn(64, 3)
    spread = norm(values).std(0)
    torch.testing.assert_close(spread, torch.ones(3), atol=0.1, rtol=0)


def test_a_batch_of_one_text_is_normalised_by_what_went_before() -> None:
    norm = TextNorm(3)
    norm(torch.randn(64, 3))
    mean = norm.running_mean.clone()
    one = torch.randn(1, 3)
    training = norm(one)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(training, norm.eval()(one))


def test_words_begin_with_a_language_models_vectors(language) -> None:
    vectors = word_vectors(language)
    own = LanguageModel.load(language).fitted_
    row = own.tokenizer.vocabulary.encode(["film"])[0]
    torch.testing.assert_close(
        torch.from_numpy(vectors.values[vectors.place["film"]]), own.network.embedding.detach()[row]
    )
    assert not set(own.tokenizer.vocabulary.specials) & set(vectors.place)
    model = small(vectors=language, word_size=12, max_epochs=1).fit(X, Y)
    assert model.vectors_.found == model.vectors_.training_words > 0
    assert str(language) in str(model.vectors_)


def test_a_language_model_over_characters_has_no_word_vectors(tmp_path) -> None:
    model = LanguageModel(level="character", hidden_size=4, num_layers=1, max_epochs=1, progress=False)
    model.fit("\n".join(X[:20]) + "\n").save(tmp_path / "model")
    with pytest.raises(ArgumentError, match="vectors: a language model over words is expected"):
        small(vectors=tmp_path / "model").fit(X, Y)
    with pytest.raises(StoreError):
        small(vectors=tmp_path).fit(X, Y)


def test_each_stage_has_batches_and_noise_of_its_own(language, monkeypatch) -> None:
    seen: list[tuple[int, torch.Tensor]] = []

    def fit(network, objective, source, config, progress):
        seen.append((config.seed, source.batch(0, 0)["words"]))
        return train.fit(network, objective, source, config, progress=progress)

    package = _Recording(train, [])
    package.fit = fit
    monkeypatch.setattr("gatewise.tasks.text_classification.finetuning.train", package)
    small(language_model=language, max_epochs=4).fit(X, Y)
    assert len({seed for seed, _ in seen}) == len(seen) == 4
    assert not any(
        words.shape == other.shape and torch.equal(words, other)
        for number, (_, words) in enumerate(seen) for _, other in seen[:number]
    )  # fmt: skip


def test_all_stages_together_keep_within_the_time(language, monkeypatch) -> None:
    given: list[float] = []

    def fit(network, objective, source, config, progress):
        given.append(config.max_time)
        return train.History(
            epochs=[{"epoch": 1}], best_epoch=1, best_loss=1.0, stopped="finished", seconds=40.0
        )

    monkeypatch.setattr("gatewise.tasks.text_classification.finetuning.train.fit", fit)
    small(language_model=language, max_epochs=4, max_time=100.0).fit(X, Y)
    assert given == [100, 60, 20, pytest.approx(1e-3)]
