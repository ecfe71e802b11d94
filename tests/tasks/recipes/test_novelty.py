"""Density of harmless records, bins, tails, and how they make one probability."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from gatewise import cells
from gatewise.data.records import windows_by_entity
from gatewise.errors import ArgumentError, DataError
from gatewise.tasks import SequenceClassifier
from gatewise.tasks.recipes import RecordDetector
from gatewise.tasks.recipes.density import DensityPlan, FieldDensity, RecordSource, surprises
from gatewise.tasks.recipes.holding import by_kind, held_by_all
from gatewise.tasks.recipes.scoring import Mixing, binned
from gatewise.tasks.recipes.tails import Tail
from gatewise.tasks.recipes.thresholds import balanced_threshold, cost_curve, costs
from gatewise.tasks.recipes.tokens import FieldTokens


def traffic(rows: int = 500, seed: int = 0) -> pd.DataFrame:
    """Harmless: the reply is as long as the request. Attacks of four kinds; "mirror" breaks only that."""
    generator = np.random.default_rng(seed)
    kind = generator.choice(
        ["normal", "flood", "probe", "guess", "mirror"], rows, p=[0.8, 0.05, 0.05, 0.05, 0.05]
    )
    sent = generator.choice([10.0, 100.0, 1000.0], rows)
    answered = np.where(kind == "mirror", 1010.0 - sent + (sent == 100), sent)
    return pd.DataFrame(
        {
            "sent": np.where(kind == "flood", 1e6, sent),
            "answered": np.where(kind == "probe", 0.0, answered),
            "service": np.where(kind == "guess", "login", generator.choice(["web", "mail"], rows)),
            "label": kind,
        }
    )


@pytest.fixture(scope="module")
def detector() -> RecordDetector:
    model = SequenceClassifier(
        output="step",
        hidden_size=12,
        max_epochs=4,
        learning_rate=2e-2,
        batch_size=64,
        progress=False,
        device="cpu",
    )
    shown = traffic().query("label != 'mirror'")
    return RecordDetector(
        model,
        window=1,
        rule="balanced",
        held_back="kinds",
        members=3,
        binned=True,
        novelty=True,
        random_state=0,
    ).fit(shown)


def test_tokens_tell_values_apart_and_what_lies_beyond() -> None:
    values = np.array([[0.0], [1.0], [2.0], [2.0], [np.nan]])
    texts = np.array([["a"], ["b"], ["a"], ["b"], [None]], dtype=object)
    tokens = FieldTokens.fit(values, texts, ("x",), ("c",))
    assert tokens.encode(values, texts)[:, 0].tolist() == [1, 2, 1, 2, 0]
    numbers = tokens.encode(values, texts)[:, 1]
    assert numbers[2] == numbers[3]
    assert len(set(numbers.tolist())) == 4
    beyond = tokens.encode(np.array([[-5.0], [99.0]]), np.array([["z"], [None]], dtype=object))
    assert beyond[:, 1].tolist() == [1, tokens.sizes[1] - 1]
    assert not set(beyond[:, 1].tolist()) & set(numbers.tolist())
    assert beyond[:, 0].tolist() == [0, 0]
    assert tokens.record({"x": 1.0, "c": "b"})[0].tolist() == [2, numbers[1]]
    assert tokens.record({"x": None, "c": None})[0].tolist() == [0, 0]


def test_many_values_are_cut_where_records_are_and_evenly() -> None:
    generator = np.random.default_rng(0)
    values = np.concatenate([np.zeros(500), generator.exponential(100.0, 500), [1e6]])[:, None]
    tokens = FieldTokens.fit(values, np.empty((1001, 0), dtype=object), ("x",), ())
    codes = tokens.encode(values, np.empty((1001, 0), dtype=object))[:, 0]
    assert (codes == codes[0]).sum() == 500  # zeros have a bin of their own
    assert (codes == codes[-1]).sum() == 1  # and so has what is far out
    order = np.argsort(values[:, 0], kind="stable")
    assert np.all(np.diff(codes[order]) >= 0)


@pytest.mark.parametrize("cell", [name for name in cells.names() if len(cells.get(name).inputs) == 1])
def test_the_probabilities_of_all_records_sum_to_one(cell) -> None:
    torch.manual_seed(0)
    network = FieldDensity(DensityPlan(cells.get(cell), (2, 3, 2), 4, 5, 0.0)).eval()
    grid = np.stack(np.meshgrid(range(2), range(3), range(2), indexing="ij"), axis=-1).reshape(-1, 3)
    # float32 through three fields: 12 probabilities, each off by some ten roundings.
    assert np.exp(-surprises(network, grid)).sum() == pytest.approx(1.0, abs=12 * 10 * 2**-23)


def test_a_density_refuses_cells_that_read_more() -> None:
    model = SequenceClassifier(output="step", cell="gru_d", max_epochs=1, progress=False)
    with pytest.raises(ArgumentError, match="novelty: a cell that reads one input"):
        RecordDetector(model, window=1, novelty=True).fit(traffic(60))


def test_batches_are_a_pure_function_of_epoch_and_step() -> None:
    codes = np.arange(50)[:, None].repeat(2, axis=1)
    source = RecordSource(codes, 16, seed=3)
    assert source.steps_per_epoch() == 20  # five passes: few records are gone through several times
    for first in (0, 4, 16):
        seen = torch.cat([source.batch(1, step)["codes"][0] for step in range(first, first + 4)])
        assert sorted(seen.tolist()) == list(range(50))
    assert RecordSource(np.zeros((960, 2), dtype=np.int64), 16, seed=3).steps_per_epoch() == 60
    source.batch(0, 0)
    assert torch.equal(source.batch(1, 2)["codes"], RecordSource(codes, 16, seed=3).batch(1, 2)["codes"])


def test_tails_are_shares_of_harmless_scores() -> None:
    generator = np.random.default_rng(0)
    scores = generator.exponential(2.0, 5000)
    tail = Tail.fit(scores)
    asked = np.linspace(0, 30, 200)
    found = tail(asked)
    assert np.all(np.diff(found) > 0)
    # Of an exponential of scale 2 the answer is score / 2, far beyond the largest of 5,000 too.
    np.testing.assert_allclose(found[asked > 1], asked[asked > 1] / 2, rtol=0.25)
    flat = Tail.fit(np.zeros(50))
    assert flat(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert Tail.from_dict(tail.to_dict()) == tail


def test_either_verdict_raises_an_alarm() -> None:
    generator = np.random.default_rng(0)
    logits, novelty = generator.normal(-4, 1, 3000), generator.gamma(4.0, 3.0, 3000)
    bad = np.zeros(3000, dtype=bool)
    bad[:300] = True
    logits[:150] += 6
    novelty[150:300] += 60
    mixing = Mixing.fit(logits, novelty, bad, 0.3)
    found = mixing.probabilities(logits, novelty)
    threshold = np.quantile(found[~bad], 0.98)
    assert (found[:150] > threshold).mean() > 0.85
    assert (found[150:300] > threshold).mean() > 0.95
    assert Mixing.from_dict(mixing.to_dict()).probabilities(logits, novelty).tolist() == found.tolist()
    # Probabilities are made for the share that was asked for, not for that of the records held back.
    weights = np.where(bad, 0.3 / 0.1, 0.7 / 0.9)
    assert np.average(found, weights=weights) == pytest.approx(0.3, abs=0.01)
    alone = Mixing.fit(logits[300:], novelty[300:], bad[300:], 0.3)
    assert alone.slope == 1.0


def test_balanced_threshold_and_costs_against_all_thresholds() -> None:
    generator = np.random.default_rng(1)
    kinds = generator.choice(["normal", "often", "rare"], 400, p=[0.7, 0.28, 0.02])
    bad = kinds != "normal"
    scores = np.round(generator.normal(np.select([kinds == "often", kinds == "rare"], [1.0, 3.0], 0.0)), 1)

    def value(at: float) -> float:
        recalls = [(scores[kinds == kind] > at).mean() for kind in ("often", "rare")]
        return (scores[~bad] <= at).mean() + np.mean(recalls)

    found = balanced_threshold(scores, bad, kinds)
    assert value(found) == pytest.approx(max(value(at) for at in np.unique(scores)))
    with pytest.raises(DataError, match="no bad record was held back"):
        balanced_threshold(scores, np.zeros(400, dtype=bool), kinds)
    loss = generator.uniform(1, 9, 400)
    thresholds, total = cost_curve(scores, bad, loss, 2.0)
    assert total.tolist() == pytest.approx([costs(scores >= at, bad, loss, 2.0) for at in thresholds])
    assert len(cost_curve(generator.random(400), bad, loss, 2.0, most=50)[0]) == 50


def test_each_kind_is_new_to_one_member() -> None:
    table = traffic()
    kinds = table["label"].to_numpy().astype(str)
    windows = windows_by_entity(table, window=1, leave_out=("label",))
    parts = by_kind(windows, kinds, kinds != "normal", 0.2, 0, members=2)
    common = held_by_all(parts)
    assert set(kinds[common]) == {"normal"}
    spared = [set(kinds[part.held]) - {"normal"} for part in parts]
    assert not spared[0] & spared[1]
    assert spared[0] | spared[1] == set(kinds) - {"normal"}
    for part, own in zip(parts, spared, strict=True):
        assert not set(kinds[part.kept]) & own
        assert not set(kinds[part.stopping]) & own
        assert not np.intersect1d(part.kept, np.union1d(part.stopping, part.held)).size
    with pytest.raises(DataError, match="at least 5 kinds"):
        by_kind(windows, kinds, kinds != "normal", 0.2, 0, members=5)


def test_what_no_label_showed_is_found_by_the_density(detector) -> None:
    table = traffic(seed=1)
    evaluation = detector.evaluate(table)
    assert not evaluation.by_kind["mirror"]["known"]
    assert evaluation.by_kind["mirror"]["recall"] > 0.8
    assert evaluation.scores["lstm"].false_alarm_rate < 0.15
    assert evaluation.recall_of(known=True) > 0.8


def test_one_by_one_equals_the_table(detector) -> None:
    table = traffic(40, seed=2)
    stream = detector.stream()
    rows = table.drop(columns="label").to_dict("records")
    found = [stream.push(row) for row in rows]
    # float32 through some twenty products; a logit's error is multiplied by the tail's and the curve's slopes.
    np.testing.assert_allclose(found, detector.predict_proba(table), atol=2e-4)
    with pytest.raises(DataError, match="a number \\(or None\\) for 'sent' is expected"):
        stream.push({**rows[0], "sent": "much"})
    with pytest.raises(DataError, match="absent"):
        stream.push({"sent": 1.0, "answered": 1.0})


def test_a_loaded_detector_knows_its_density_and_bins(detector, tmp_path) -> None:
    table = traffic(80, seed=3)
    detector.save(tmp_path / "model")
    loaded = RecordDetector.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(table), detector.predict_proba(table))
    assert loaded.describe() == detector.describe()
    assert len(loaded.scorer_.members) == 3


def test_bins_are_read_beside_the_numbers(detector) -> None:
    sequences = windows_by_entity(traffic(20), window=1, leave_out=("label",)).sequences
    bins = detector.scorer_.members[0].bins
    read = binned(sequences, bins)
    assert read.categories == ("service", "sent (bin)", "answered (bin)")
    assert binned(sequences, None) is sequences
