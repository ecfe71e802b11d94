"""What the classifier promises: it learns, takes ragged and missing data, and says when it learned nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import gatewise
from gatewise import cells
from gatewise.data.sequences import sequences_from_arrays
from gatewise.spec import sigmoid, tanh
from gatewise.tasks.classify.evaluation import MAJORITY
from tests.tasks.classify.waves import COLUMNS, small, table, waves

LEARNS = {"hidden_size": 12, "max_epochs": 8, "learning_rate": 2e-2, "patience": None}
VARIANTS = {
    "last": {},
    "mean": {"pooling": "mean"},
    "attention": {"pooling": "attention"},
    "several poolings": {"pooling": "last+mean+max+attention"},
    "summary": {"summary": True, "scaling": "rank"},
    "members": {"members": 2, "input_dropout": 0.2},
    "both directions": {"bidirectional": True},
    "two layers": {"num_layers": 2},
    "cnn": {"architecture": "cnn", "filters": 16},
    "fcn": {"architecture": "fcn", "filters": 8},
    "gru_d": {"cell": "gru_d"},
    "gru_d, both directions": {"cell": "gru_d", "bidirectional": True},
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_it_learns_what_can_be_learned(variant) -> None:
    X, y = waves(80)
    model = small(**LEARNS, **variant).fit(X, y)
    evaluation = model.evaluate(*waves(60, seed=1))
    assert evaluation.scores[model.cell].accuracy > 0.85
    assert evaluation.beats_trivial
    assert "beats the majority class" in evaluation.verdict


def test_it_says_when_there_was_nothing_to_learn() -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 6, 2))
    y = np.where(generator.random(60) < 0.7, "usual", "other")
    evaluation = (
        small().fit(X, y).evaluate(generator.normal(size=(200, 6, 2)), ["usual"] * 140 + ["other"] * 60)
    )
    assert not evaluation.beats_trivial
    assert "does NOT beat the majority class" in evaluation.verdict
    assert evaluation.scores[MAJORITY].accuracy == 0.7
    assert "does NOT" in str(evaluation)


def test_each_step_has_its_own_label() -> None:
    generator = np.random.default_rng(0)

    def draw(count):
        X = [generator.normal(size=(n, 1)) for n in generator.integers(5, 15, count)]
        # Whether the running sum is above zero: a step alone does not tell.
        return X, [np.where(np.cumsum(x[:, 0]) > 0, "above", "below") for x in X]

    X, y = draw(100)
    y[0] = y[0].astype(object)
    y[0][0] = None
    model = small(output="step", **LEARNS).fit(X, y)
    Xt, yt = draw(40)
    assert model.score(Xt, yt) > 0.85
    predicted = model.predict(Xt)
    assert [len(one) for one in predicted] == [len(one) for one in yt]
    assert model.evaluate(Xt, yt).labels == sum(map(len, yt))
    cube = model.predict_proba(np.zeros((3, 7, 1)))
    assert cube.shape == (3, 7, 2)


@pytest.mark.parametrize("name", cells.names())
def test_every_registered_cell(name: str) -> None:
    X, y = waves(16)
    for output, labels in (
        ("sequence", y),
        ("step", [np.full(len(x), one) for x, one in zip(X, y, strict=True)]),
    ):
        model = small(cell=name, hidden_size=4, output=output).fit(X, labels)
        assert np.isfinite(np.concatenate(model.predict_proba_by_step(X))).all()


def test_a_cell_of_ones_own() -> None:
    @gatewise.cell(states="h", gates="f n")
    def own(gate, state):
        f = sigmoid(gate.f)
        return f * state.h + (1 - f) * tanh(gate.n)

    X, y = waves(20)
    assert small(cell=own).fit(X, y).predict(X).shape == (20,)


def test_padding_changes_nothing() -> None:
    X, y = waves(12)
    for variant in VARIANTS.values():
        model = small(**variant).fit(X, y)
        together = model.predict_proba(X)
        alone = np.concatenate([model.predict_proba([one]) for one in X])
        # float32 through at most 20 steps of products of width below 30: 20 * 30 * 6e-8.
        np.testing.assert_allclose(together, alone, atol=4e-5)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, "pyarrow"])
@pytest.mark.parametrize("cell", ["lstm", "gru_d"])
def test_a_table_with_gaps_uneven_times_and_text(kind, cell) -> None:
    import pyarrow as pa

    frame = table(gaps=0.3)
    # The order of rows does not matter: they are sorted by time.
    shuffled = pd.concat([frame.iloc[:1], frame.iloc[1:].sample(frac=1, random_state=0)])
    native = pa.Table.from_pandas(shuffled) if kind == "pyarrow" else kind(shuffled.to_dict("list"))
    model = small(cell=cell, missing="mask", **COLUMNS).fit(frame)
    encoder = model.fitted_.encoder
    assert encoder.channels == ("wave", "noise")
    assert encoder.categories == {"mode": ("idle", "off", "on")}
    assert encoder.intervals
    assert all(encoder.gaps)
    order = list(dict.fromkeys(shuffled["sensor"]))
    expected = dict(zip(frame["sensor"].unique(), model.predict_proba(frame), strict=True))
    found = model.predict_table(native)
    assert type(found) is type(native)
    plain = found.to_pandas() if hasattr(found, "to_pandas") else found
    assert plain.columns.tolist() == ["sensor", "predicted", "p_fast", "p_slow"]
    assert plain["sensor"].tolist() == order
    np.testing.assert_allclose(
        plain[["p_fast", "p_slow"]].to_numpy(), np.stack([expected[name] for name in order]), atol=1e-6
    )


def test_labels_by_name_and_groups_by_column() -> None:
    frame = table().assign(site=lambda f: f["sensor"].str[-1])
    labels = frame.groupby("sensor")["kind"].first()
    model = small(**COLUMNS).fit(frame.drop(columns="kind"), labels, groups="site")
    assert "whole groups" in model.validation_
    assert (
        model.score(frame.drop(columns="kind").assign(site="x").drop(columns="site"), labels.to_dict()) >= 0
    )
    assert model.evaluate(frame, groups="site").sequences == 40
    assert (
        model.predict_table(frame)["predicted"].tolist() == model.predict(frame.drop(columns="site")).tolist()
    )


def test_steps_of_a_table_come_back_in_its_order() -> None:
    frame = table().assign(kind=lambda f: np.where(f["wave"] > 0, "up", "down"))
    model = small(output="step", **{**LEARNS, "max_epochs": 4}, **COLUMNS).fit(frame)
    shuffled = frame.sample(frac=1, random_state=1).reset_index(drop=True)
    found = model.predict_table(shuffled)
    assert found["row"].tolist() == list(range(len(frame)))
    assert found["sensor"].tolist() == shuffled["sensor"].tolist()
    assert (found["predicted"] == shuffled["kind"]).mean() > 0.9


def test_missing_values_are_told_from_zeros() -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(120, 6, 1))
    y = np.arange(120) % 2
    X[y == 1, ::2] = np.nan
    for cell in ("lstm", "gru_d"):
        model = small(cell=cell, missing="mask", **LEARNS).fit(X[:80], y[:80])
        assert model.score(X[80:], y[80:]) > 0.95


def test_times_are_told() -> None:
    generator = np.random.default_rng(0)
    values = [generator.normal(size=(6, 1)) for _ in range(160)]
    y = np.arange(160) % 2
    times = [np.cumsum(generator.uniform(0.1, 1.0, 6) * (3 if label else 1)) for label in y]
    timed = sequences_from_arrays(values, times=times)
    model = small(**LEARNS).fit(timed, y)
    assert model.fitted_.encoder.intervals
    assert model.score(timed, y) > 0.9


def test_class_weights_move_decisions_and_not_probabilities() -> None:
    generator = np.random.default_rng(0)
    y = (generator.random(600) < 0.15).astype(int)
    X = generator.normal(size=(600, 4)) + 0.8 * y[:, None]
    plain = small(**LEARNS).fit(X, y)
    weighted = small(class_weight="balanced", **LEARNS).fit(X, y)
    assert weighted.predict(X).mean() > 1.5 * plain.predict(X).mean()
    for model in (plain, weighted):
        assert abs(model.predict_proba(X)[:, 1].mean() - y.mean()) < 0.05


def test_validation_of_ones_own_is_what_is_held_back() -> None:
    X, y = waves(40)
    model = small().fit(X[:30], y[:30], validation=(X[30:], y[30:]))
    assert "10 sequences that were given" in model.validation_
    same = small().fit(X[:30], y[:30], validation=(X[30:], y[30:]))
    np.testing.assert_array_equal(model.predict_proba(X), same.predict_proba(X))


def test_what_is_held_back_is_not_scaled_by() -> None:
    X, y = waves(40)
    wild = [1000 + 1000 * x for x in X[30:]]
    first = small().fit(X[:30], y[:30], validation=(X[30:], y[30:])).fitted_.encoder
    second = small().fit(X[:30], y[:30], validation=(wild, y[30:])).fitted_.encoder
    assert first == second


def test_the_same_seed_gives_the_same_model() -> None:
    X, y = waves(30)
    first, second = (small(random_state=3).fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(small(random_state=4).fit(X, y).predict_proba(X) - first).max() > 1e-4


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(tmp_path, monkeypatch) -> None:
    from gatewise.tasks.classify.training import ClassObjective

    X, y = waves(40)
    whole = small(max_epochs=4, patience=None).fit(X, y)
    calls, validate = [], ClassObjective.validate

    def broken(self, model):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return validate(self, model)

    monkeypatch.setattr(ClassObjective, "validate", broken)
    cut = small(max_epochs=4, patience=None, checkpoint_folder=tmp_path)
    monkeypatch.setattr("gatewise.train.config.TrainConfig.checkpoint_every_seconds", 1e-9)
    with pytest.raises(KeyboardInterrupt):
        cut.fit(X, y)
    assert list(tmp_path.iterdir())
    monkeypatch.setattr(ClassObjective, "validate", validate)
    resumed = small(max_epochs=4, patience=None, checkpoint_folder=tmp_path).fit(X, y)
    np.testing.assert_array_equal(resumed.predict_proba(X), whole.predict_proba(X))
    assert len(resumed.history_) == 4
